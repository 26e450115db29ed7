"""Variables of a file that are read when they are asked for, and no sooner."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput

LARGEST_SLAB = 1 << 28
"""Bytes of one read, and length of one dimension, beyond which a header is not believed: 268 MB, where a variable of 50
levels on 450 x 450 points has 41 MB and ERA5's whole globe on 37 levels 154 MB."""


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


def slab_of(shape: tuple[int, ...], leading: tuple[int, ...], rows: slice | None) -> tuple[tuple[int, ...], int]:
    """Return the shape of what `Array.read` is asked for, and how many values lie before it."""
    rest, places = shape[len(leading) :], leading
    if rows is not None:
        rest, places = (rows.stop - rows.start, *rest[1:]), (*leading, rows.start)
    return rest, sum(index * math.prod(shape[axis + 1 :]) for axis, index in enumerate(places))


def believe(length: int, address: str, name: str) -> None:
    """Raise BadInput for a number of bytes that no read of ours has."""
    if length > LARGEST_SLAB:
        raise BadInput(f"{address}: {name} asks for {length} bytes at once; allowed {LARGEST_SLAB}")
