"""Checkpoints: written aside and then renamed, so that a whole one always exists; read weights-only."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from stormcast_tw.errors import BadInput
from stormcast_tw.training.health import TrainingIll


def write(path: Path, contents: dict[str, Any]) -> None:
    """Replace a checkpoint. Raises TrainingIll if the disk is full, and leaves the previous one in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            torch.save(contents, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except (OSError, RuntimeError) as error:
        aside.unlink(missing_ok=True)
        if _is_full(error):
            raise TrainingIll(
                "disk", f"{path}: cannot be written, the disk is full; the checkpoint before stays"
            ) from error
        raise


def read(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Return a checkpoint, or None if there is none. Raises BadInput for a file that is not a whole checkpoint."""
    if not path.exists():
        return None
    try:
        contents = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise BadInput(f"{path}: is not a whole checkpoint: {str(error)[:200]}") from error
    if not isinstance(contents, dict):
        raise BadInput(f"{path}: holds a {type(contents).__name__}; allowed a checkpoint")
    return contents


def _is_full(error: OSError | RuntimeError) -> bool:
    """True for a full disk or quota, even if torch's zip writer hid it behind an error of its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
