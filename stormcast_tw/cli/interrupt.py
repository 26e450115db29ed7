"""Ctrl-C ends a verb at once, with one line and exit code 130. What was interrupted goes on later, as after a kill."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
import time
from pathlib import Path

EXIT_CODE = 130
PATIENCE_SECONDS = 10.0
"""Time for a lasting Prefect server to be told."""
KEPT = {
    "simulate": "the files written so far are kept, and the same command writes the rest",
    "forecast": "what is fetched and forecast so far is kept, and the same command goes on from there",
    "backfill": "cycles that are published stay published, and the same command goes on from there",
    "prune": "what was removed is told in pruned.json, and the same command removes the rest",
    "verify": "cycles that are scored stay scored, and the same command goes on from there",
    "prepare": "the days made so far are kept, and the same command goes on from there",
    "train": "the last checkpoint is kept, and the same command goes on from there",
}
"""What Ctrl-C leaves of each verb; the others look, or begin anew."""
_SHOW_CURSOR = "\x1b[?25h"


def end_at_ctrl_c(verb: str) -> None:
    """Let a thread wait for Ctrl-C. Children inherit that it is blocked, so that none of them answers it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_wait, args=(verb,), daemon=True).start()


def _wait(verb: str) -> None:
    signal.sigwait({signal.SIGINT})
    cursor = _SHOW_CURSOR if os.isatty(2) else ""
    line = f"{cursor}\nInterrupted: {KEPT.get(verb, 'the same command begins anew')}.\n"
    os.write(2, line.encode())
    if os.environ.get("PREFECT_API_URL"):
        import logging

        logging.disable()
        _thread.interrupt_main()
        time.sleep(PATIENCE_SECONDS)
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGTERM)
    os._exit(EXIT_CODE)
