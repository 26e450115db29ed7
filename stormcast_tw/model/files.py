"""The files of a package, read with bounds: how large, which tensors of which shapes, every value finite.

A safetensors file tells shapes and types in its header, so they are compared before any tensor is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from stormcast_tw.errors import BadPackage

FLOAT32 = "F32"
"""What safetensors calls the one type that is allowed."""
MOST_HEADER_BYTES = 2**20
"""Names and shapes of a thousand tensors take a tenth of it."""


class Tensor(NamedTuple):
    """What is known of a stored tensor without loading it."""

    dtype: str
    shape: tuple[int, ...]


def read_bounded(path: Path, most: int) -> bytes:
    """Return a file's bytes; raises BadPackage where it is missing, no regular file, or of more than `most` bytes."""
    if not path.exists():
        raise BadPackage(f"{path}: is missing from the package")
    if not path.is_file():
        raise BadPackage(f"{path}: is not a regular file")
    size = path.stat().st_size
    if size > most:
        raise BadPackage(f"{path}: {size:,} bytes; allowed are {most:,}")
    with path.open("rb") as file:
        return file.read(most)


def read_verified(path: Path, sha256: str, most: int) -> bytes:
    """Return what `read_bounded` returns; raises BadPackage also where it has another sha256."""
    data = read_bounded(path, most)
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise BadPackage(f"{path}: sha256 is {digest}, the package says {sha256}")
    return data


def stored(path: Path) -> dict[str, Tensor]:
    """Return what the header of a safetensors file lists, by name; raises BadPackage where it cannot be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: Tensor(part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except SafetensorError as error:
        raise BadPackage(f"{path}: is not a whole safetensors file: {error}") from error


def require_float32(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise BadPackage with the first tensor of another type."""
    for name, tensor in tensors.items():
        if tensor.dtype != FLOAT32:
            raise BadPackage(f"{path}: {name} is {tensor.dtype}; allowed is {FLOAT32}")


def require_finite(path: Path, arrays: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Raise BadPackage with the first array that has NaN or infinite values, and how many."""
    for name, array in arrays.items():
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise BadPackage(f"{path}: {name}: {bad:,} of {array.size:,} values are not finite; allowed are 0")
