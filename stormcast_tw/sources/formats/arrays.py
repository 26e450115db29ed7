"""Variables of a file whose values are read only on request."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput

LARGEST_SLAB = 1 << 28
"""Most bytes of one read, and longest dimension; a header that says more is refused: 268 MB, where a variable of 50
levels on 450 x 450 points has 41 MB and ERA5's whole globe on 37 levels 154 MB."""

MARGIN_DEGREES = 1.0
"""Kept around the wanted grid: four cells of 0.25 degree, enough to bracket it on grids up to 0.5 degree."""

_PACKING = (("scale_factor", 1.0), ("add_offset", 0.0))
"""Attributes of packed data (CF conventions 8.1), and what they are where there are none."""

Extent = tuple[int, int]
"""A range along a dimension: the first index, and the one after the last."""


@dataclass(frozen=True)
class Array:
    """A variable: its dimensions' names, shape, type and attributes."""

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]
    _fetch: Callable[[tuple[int, ...], slice | None], npt.NDArray[Any]]

    def read(self, *leading: int, rows: slice | None = None) -> npt.NDArray[Any]:
        """Return the values with the leading dimensions fixed at these indices, the others whole.

        `rows` selects a range, start to stop, of the first of the others. Raises BadInput for an index
        outside the shape or values beyond the end of the file.
        """
        if len(leading) > len(self.shape) or any(not 0 <= i < n for i, n in zip(leading, self.shape, strict=False)):
            raise BadInput(f"{self.name}: index {leading} asked for; its shape is {self.shape}")
        if rows is not None and not 0 <= rows.start < rows.stop <= (*self.shape, 0)[len(leading)]:
            raise BadInput(f"{self.name}: {rows} of {leading} asked for; its shape is {self.shape}")
        return self._fetch(leading, rows)

    def numbers(self, *leading: int, rows: slice | None = None) -> npt.NDArray[Any]:
        """Return what `read` returns, in the variable's own unit: packed integers are unpacked to float64.

        Raises BadInput for anything but numbers, for floating-point numbers with a scale or an offset, and for a scale
        or an offset that is not a finite number.
        """
        scale, offset = (self._packing(name, default) for name, default in _PACKING)
        packed = (scale, offset) != (1.0, 0.0)
        if not np.issubdtype(self.dtype, np.number) or (packed and not np.issubdtype(self.dtype, np.integer)):
            packing = f" with scale_factor {scale:g} and add_offset {offset:g}" if packed else ""
            raise BadInput(f"{self.name} is of type {self.dtype}{packing}; allowed plain numbers or packed integers")
        values = self.read(*leading, rows=rows)
        return values * scale + offset if packed else values

    def _packing(self, name: str, default: float) -> float:
        value = np.asarray(self.attributes.get(name, default))
        if (
            value.size != 1
            or not np.issubdtype(value.dtype, np.number)
            or not np.isfinite(value).all()
            or (name == "scale_factor" and not value.any())
        ):
            raise BadInput(f"{self.name}: {name} is {str(value)[:40]}; allowed one finite number, no scale of 0")
        return float(value.ravel()[0])


@dataclass(frozen=True)
class NetCDF:
    """An open file: global attributes, the sizes of dimensions, variables by name."""

    address: str
    attributes: Mapping[str, Any]
    dimensions: Mapping[str, int]
    variables: Mapping[str, Array]

    def variable(self, name: str) -> Array:
        """Return a variable; raises BadInput if it is not in the file."""
        if name not in self.variables:
            raise BadInput(f"{self.address}: has no variable {name}; found {', '.join(self.variables)}")
        return self.variables[name]

    def attribute(self, name: str) -> Any:
        """Return a global attribute; raises BadInput if it is not in the file."""
        if name not in self.attributes:
            raise BadInput(f"{self.address}: has no global attribute {name}")
        return self.attributes[name]


def extents(shape: tuple[int, ...], leading: tuple[int, ...], rows: slice | None) -> list[Extent]:
    """Return the range along each dimension that `Array.read` is asked for."""
    ranges = [*((index, index + 1) for index in leading), *((0, size) for size in shape[len(leading) :])]
    if rows is not None:
        ranges[len(leading)] = (rows.start, rows.stop)
    return ranges


def slab_of(shape: tuple[int, ...], leading: tuple[int, ...], rows: slice | None) -> tuple[tuple[int, ...], int]:
    """Return the shape of what `Array.read` is asked for, and how many values precede it in the array."""
    asked = extents(shape, leading, rows)
    rest = tuple(stop - start for start, stop in asked[len(leading) :])
    return rest, sum(start * math.prod(shape[axis + 1 :]) for axis, (start, _) in enumerate(asked))


def chunk_starts(asked: Sequence[Extent], chunks: Sequence[int]) -> list[range]:
    """Return the starts, along each dimension, of the chunks that a request touches, to be counted before reading."""
    return [range(start - start % size, stop, size) for (start, stop), size in zip(asked, chunks, strict=True)]


def overlap(
    asked: Sequence[Extent], chunks: Sequence[int], corner: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the requested part of the chunk at `corner`, and its place in the whole request."""
    ends = [
        (begin, start, max(begin, start), min(begin + size, stop))
        for begin, (start, stop), size in zip(corner, asked, chunks, strict=True)
    ]
    inside = tuple(slice(low - begin, high - begin) for begin, _, low, high in ends)
    return inside, tuple(slice(low - start, high - start) for _, start, low, high in ends)


def require_readable_size(length: int, address: str, name: str) -> None:
    """Raise BadInput for a read of more than LARGEST_SLAB bytes."""
    if length > LARGEST_SLAB:
        raise BadInput(f"{address}: {name} asks for {length} bytes at once; allowed {LARGEST_SLAB}")
