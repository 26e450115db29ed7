"""The rollout as a child process with its own deadline: a stuck device call cannot be interrupted from inside.

`python -m stormcast_tw.forecast.process` takes one JSON job on standard input and writes one JSON line per step to
standard output. It exits when its parent is gone, so that a killed flow leaves nothing running.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, ClassVar

from rich.console import Console
from rich.progress import Progress as ProgressBar

from stormcast_tw import errors
from stormcast_tw.errors import Refused, StormcastError, Unreachable
from stormcast_tw.forecast.job import Progress, RolloutJob, address
from stormcast_tw.plan import Frozen
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store


@dataclass(frozen=True)
class Patience:
    """How long a rollout may take in all, and how long it may be silent: a stuck device call never says a word."""

    seconds: float
    silent_seconds: float


class _Watch:
    """Kills a process that takes, or is silent for, longer than allowed, and remembers why."""

    def __init__(self, child: subprocess.Popen[str], patience: Patience) -> None:
        self._child, self._patience = child, patience
        self._heard = self._started = time.monotonic()
        self._ended = threading.Event()
        self.verdict = ""
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self) -> None:
        """Note that the child has said something."""
        self._heard = time.monotonic()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()

    def _watch(self) -> None:
        limits = self._patience
        while not self._ended.wait(min(1.0, limits.seconds / 10, limits.silent_seconds / 10)):
            now = time.monotonic()
            if now - self._started > limits.seconds:
                self.verdict = f"stopped after {limits.seconds:g} s"
            elif now - self._heard > limits.silent_seconds:
                self.verdict = f"stopped because nothing was stored for {limits.silent_seconds:g} s"
            if self.verdict:
                self._child.kill()
                break


def run_in_child(job: RolloutJob, patience: Patience, report: Callable[[Progress], None]) -> Artifact:
    """Carry a job out in a child process that is stopped when it takes too long, or is silent for too long.

    What it stored stays for the next attempt. Raises what the child raised, Unreachable where it was silent, Refused
    where it took too long, StormcastError if the child died, BadInput where the forecast was sealed before and is
    damaged.
    """
    sealed = Store(job.work_root).sound(address(job.plan))
    if sealed is not None:
        return sealed
    command = [sys.executable, "-m", __name__]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watch = _Watch(child, patience)
    assert child.stdin is not None
    assert child.stdout is not None
    progress: Progress | None = None
    try:
        child.stdin.write(job.model_dump_json() + "\n")
        child.stdin.flush()
        for line in child.stdout:
            watch.heard()
            message = json.loads(line)
            if "error" in message:
                raise _raised(message)
            progress = Progress.model_validate(message)
            report(progress)
        code = child.wait()
    finally:
        watch.end()
        child.kill()
        child.wait()
    where = f"{job.work_root}/{address(job.plan)}"
    so_far = f"{progress.done} of {progress.total} member-hours are stored" if progress else "nothing is stored"
    if watch.verdict:
        kind = Unreachable if "nothing was stored" in watch.verdict else Refused
        raise kind(f"{where}: {watch.verdict}; {so_far}, the same plan continues from there")
    if code:
        raise StormcastError(f"{where}: the rollout process ended with {code}; {so_far}; run again to continue")
    return Store(job.work_root).get(address(job.plan))


class _ChildError(Frozen):
    kinds: ClassVar[dict[str, type[StormcastError]]] = {
        kind.__name__: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, StormcastError)
    }
    error: str
    message: str


def _raised(message: dict[str, str]) -> StormcastError:
    error = _ChildError.model_validate(message)
    return error.kinds[error.error](error.message)


def _end_with_parent() -> None:
    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Carry out the job on standard input."""
    messages = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the messages
    settings()  # this also configures access to the stores
    job = RolloutJob.model_validate_json(sys.stdin.readline())
    _end_with_parent()
    console = Console(stderr=True)
    with ProgressBar(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{job.plan.cycle} {job.plan.run}: member-hours", total=None)

        def report(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)
            _send(messages, progress)

        from stormcast_tw.forecast.rollout import carry_out  # torch: only the child needs it

        try:
            carry_out(job, report)
            code = 0
        except StormcastError as error:
            _send(messages, _ChildError(error=type(error).__name__, message=str(error)))
            code = error.exit_code
    messages.close()
    sys.stderr.flush()
    os._exit(code)  # everything is sealed, and unloading the libraries would take seconds


def _send(messages: IO[str], message: Frozen) -> None:
    messages.write(message.model_dump_json() + "\n")
    messages.flush()


if __name__ == "__main__":
    main()
