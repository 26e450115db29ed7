"""Watch a training: what makes it ill, and what asks it to stop.

An ill training raises `TrainingIll`, recorded in the run's `ill.json`, from which the flow `training` emits the event
`training.ill`.
"""

from __future__ import annotations

import faulthandler
import json
import math
import os
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Literal

from stormcast_tw.errors import NotReady, Refused
from stormcast_tw.plan import Frozen

Illness = Literal["nan", "divergence", "stall", "throughput", "disk"]
RECORD = "ill.json"


class TrainingIll(Refused):
    """A training that is going wrong: what is wrong, with the numbers."""

    def __init__(self, what: Illness, text: str):
        super().__init__(text)
        self.what: Illness = what


class Interrupted(NotReady):
    """A training that was asked to stop and has written a checkpoint; the same command continues it."""


class Limits(Frozen):
    """Limits beyond which a training is ill."""

    skipped_in_a_row: int = 20
    """Consecutive updates whose gradient is not finite."""
    divergence: float = 5.0
    """Recent loss over the lowest so far, both medians of `windows` windows."""
    throughput: float = 0.25
    """Recent samples per second over the highest so far, likewise; the first window does not count."""
    windows: int = 5
    stall_seconds: float = 1800.0
    """Longest time without an update, a validated hour or a checkpoint. Compiling takes minutes on a busy machine."""
    free_bytes: int = 1 << 30
    """Least free space on the disk of the run."""


@dataclass
class Watch:
    """Checks every window of updates. `free` returns the free bytes at a path."""

    limits: Limits
    folder: Path
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    _losses: deque[float] = field(default_factory=deque)
    _speeds: deque[float] = field(default_factory=deque)
    _least: float = math.inf
    _most: float = 0.0
    _windows: int = 0

    def skipped(self, in_a_row: int, update: int) -> None:
        """Raise TrainingIll for too many consecutive updates without a finite gradient."""
        if in_a_row >= self.limits.skipped_in_a_row:
            raise TrainingIll("nan", f"update {update}: {in_a_row} gradients in a row were not finite")

    def window(self, update: int, loss: float, samples_per_second: float) -> None:
        """Raise TrainingIll for a growing loss, a falling speed or a full disk."""
        self._windows += 1
        self._check_disk()
        if not math.isfinite(loss):
            return
        self._losses = deque([*self._losses, loss], maxlen=self.limits.windows)
        if self._windows > 1:
            self._speeds = deque([*self._speeds, samples_per_second], maxlen=self.limits.windows)
        self._check_loss(update)
        self._check_speed(update)

    def _check_loss(self, update: int) -> None:
        if len(self._losses) < self.limits.windows:
            return
        now = median(self._losses)
        self._least = min(self._least, now)
        if now > self.limits.divergence * self._least:
            raise TrainingIll(
                "divergence",
                f"update {update}: the loss is {now:.4g}, was {self._least:.4g}; allowed "
                f"{self.limits.divergence:g} times that",
            )

    def _check_speed(self, update: int) -> None:
        if len(self._speeds) < self.limits.windows:
            return
        now = median(self._speeds)
        self._most = max(self._most, now)
        if now < self.limits.throughput * self._most:
            raise TrainingIll(
                "throughput",
                f"update {update}: {now:.3g} samples a second, were {self._most:.3g}; allowed a share of "
                f"{self.limits.throughput:g}",
            )

    def _check_disk(self) -> None:
        free = self.free(self.folder)
        if free < self.limits.free_bytes:
            raise TrainingIll("disk", f"{self.folder}: {free:,} bytes are free; allowed {self.limits.free_bytes:,}")


def record(folder: Path, what: Illness, text: str) -> None:
    """Record in a training's folder what it died of; a full disk may prevent it."""
    try:
        (folder / RECORD).write_text(json.dumps({"event": "training.ill", "what": what, "text": text}) + "\n")
    except OSError as error:
        print(f"{folder / RECORD}: {error}", file=sys.stderr)  # noqa: T201


@contextmanager
def no_stall(folder: Path, seconds: float) -> Iterator[Callable[[], None]]:
    """Yield a heartbeat function; if it is not called for `seconds`, end the process.

    A process that waits for a store or for another process cannot raise an error itself, so a thread writes its
    traceback to standard error, records the illness and ends the process with status 1.
    """
    last_beat, over = [time.monotonic()], threading.Event()

    def look() -> None:
        while not over.wait(min(1.0, seconds / 4)):
            waited = time.monotonic() - last_beat[0]
            if waited > seconds:
                text = f"{folder}: nothing done for {waited:.0f} s; allowed {seconds:g}"
                record(folder, "stall", text)
                print(f"TrainingIll: {text}", file=sys.stderr, flush=True)  # noqa: T201
                faulthandler.dump_traceback()
                os._exit(1)

    def beat() -> None:
        last_beat[0] = time.monotonic()

    watcher = threading.Thread(target=look, name="no-stall", daemon=True)
    watcher.start()
    try:
        yield beat
    finally:
        over.set()
        watcher.join()


@dataclass
class Stop:
    """Whether a signal has asked the training to stop; `asked` is its name."""

    asked: str = ""

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Note a signal."""
        self.asked = signal.Signals(number).name


@contextmanager
def on_signals() -> Iterator[Stop]:
    """Yield the Stop that SIGTERM and SIGUSR1 set, instead of ending the process."""
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
