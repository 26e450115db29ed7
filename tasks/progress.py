"""The progress of a task, on the page of its run and in its log."""

from __future__ import annotations

import time
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

SECONDS_BETWEEN_UPDATES = 2.0


class ProgressPage:
    """A progress artifact with a log line for each of its steps, at most one every two seconds, but always the last."""

    def __init__(self, key: str, text: str, share: float = 0.0) -> None:
        self._artifact = cast("UUID", create_progress_artifact(_percent(share), key, text))
        self._log, self._shown_at = get_run_logger(), 0.0

    def show(self, share: float, line: str) -> None:
        """Show the share that is done, from 0 to 1, and log `line`."""
        now = time.monotonic()
        if now - self._shown_at < SECONDS_BETWEEN_UPDATES and share < 1.0:
            return
        self._shown_at = now
        update_progress_artifact(self._artifact, _percent(share))
        self._log.info("%s", line)


def _percent(share: float) -> float:
    return round(100.0 * share, 1)
