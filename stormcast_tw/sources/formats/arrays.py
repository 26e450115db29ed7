"""Variables of a file that are read when they are asked for, and no sooner."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput

LARGEST_SLAB = 1 << 28
"""Bytes of one read, and length of one dimension, beyond which a header is not believed: 268 MB, where a variable of 50
levels on 450 x 450 points has 41 MB and ERA5's whole globe on 37 levels 154 MB."""

MARGIN_DEGREES = 1.0
"""Kept around the wanted grid: four cells of 0.25 degree, enough to bracket it on grids up to 0.5 degree."""

Extent = tuple[int, int]
"""From where to where along a dimension: the first, and the one after the last."""


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

        `rows`, from its start to its stop, are what is wanted of the first of the others. Raises BadInput for an index
        outside the shape or values beyond the end of the file.
        """
        if len(leading) > len(self.shape) or any(not 0 <= i < n for i, n in zip(leading, self.shape, strict=False)):
            raise BadInput(f"{self.name}: index {leading} asked for; its shape is {self.shape}")
        if rows is not None and not 0 <= rows.start < rows.stop <= (*self.shape, 0)[len(leading)]:
            raise BadInput(f"{self.name}: {rows} of {leading} asked for; its shape is {self.shape}")
        return self._fetch(leading, rows)


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
    """Return from where to where, along each dimension, lies what `Array.read` is asked for."""
    found = [*((index, index + 1) for index in leading), *((0, size) for size in shape[len(leading) :])]
    if rows is not None:
        found[len(leading)] = (rows.start, rows.stop)
    return found


def slab_of(shape: tuple[int, ...], leading: tuple[int, ...], rows: slice | None) -> tuple[tuple[int, ...], int]:
    """Return the shape of what `Array.read` is asked for, and how many values lie before it."""
    asked = extents(shape, leading, rows)
    rest = tuple(stop - start for start, stop in asked[len(leading) :])
    return rest, sum(start * math.prod(shape[axis + 1 :]) for axis, (start, _) in enumerate(asked))


def chunk_starts(asked: Sequence[Extent], chunks: Sequence[int]) -> list[range]:
    """Return, along each dimension, where the chunks begin that what is asked for crosses: to count before they are."""
    return [range(start - start % size, stop, size) for (start, stop), size in zip(asked, chunks, strict=True)]


def overlap(
    asked: Sequence[Extent], chunks: Sequence[int], corner: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the part of the chunk at `corner` that is asked for, and where it lies in all that is."""
    ends = [
        (begin, start, max(begin, start), min(begin + size, stop))
        for begin, (start, stop), size in zip(corner, asked, chunks, strict=True)
    ]
    inside = tuple(slice(low - begin, high - begin) for begin, _, low, high in ends)
    return inside, tuple(slice(low - start, high - start) for _, start, low, high in ends)


def require_readable_size(length: int, address: str, name: str) -> None:
    """Raise BadInput for a number of bytes that no read of ours has."""
    if length > LARGEST_SLAB:
        raise BadInput(f"{address}: {name} asks for {length} bytes at once; allowed {LARGEST_SLAB}")
