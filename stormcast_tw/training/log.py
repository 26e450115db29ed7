"""The log of a training: a line of JSON per window of updates, and TensorBoard if it is installed."""

from __future__ import annotations

import importlib.util
import json
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormcast_tw.training.recipes import StageName

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"


class Journal:
    """The log of a run; processes that do not write have None as folder."""

    def __init__(self, folder: Path | None):
        self._path = folder / LOG if folder else None
        self._board: SummaryWriter | None = None
        if folder and importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"))

    def forget_after(self, stage: StageName, update: int) -> None:
        """Drop the lines of a stage after `update`, from which the stage resumes."""
        if self._path is None or not self._path.exists():
            return
        kept = [line for line in read(self._path) if line["stage"] != stage or line["update"] <= update]
        aside = self._path.with_suffix(".aside")
        aside.write_text("".join(json.dumps(line) + "\n" for line in kept))
        aside.replace(self._path)

    def write(self, stage: StageName, update: int, numbers: dict[str, Any]) -> None:
        """Add a line, and the same numbers to TensorBoard."""
        if self._path is None:
            return
        with self._path.open("a") as file:
            file.write(json.dumps({"stage": stage, "update": update, **_finite(numbers)}, allow_nan=False) + "\n")
        if self._board is not None:
            for name, value in _flat(stage, numbers):
                self._board.add_scalar(name, value, update)
            self._board.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, without a last line that a kill cut short."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines if line]


def _finite(numbers: dict[str, Any]) -> dict[str, Any]:
    """Return the same numbers, with None for those that JSON cannot write."""
    return {
        name: _finite(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and not isfinite(value)
        else value
        for name, value in numbers.items()
    }


def _flat(prefix: str, numbers: dict[str, Any]) -> list[tuple[str, float]]:
    flat: list[tuple[str, float]] = []
    for name, value in numbers.items():
        if isinstance(value, dict):
            flat += _flat(f"{prefix}/{name}", value)
        elif isinstance(value, int | float):
            flat.append((f"{prefix}/{name}", float(value)))
    return flat
