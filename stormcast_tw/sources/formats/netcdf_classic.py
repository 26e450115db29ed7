"""Classic NetCDF (CDF-1, -2 and -5) by byte ranges.

Unidata, "The NetCDF Classic Format Specification". Implemented here because scipy reads every variable on opening and
the C library needs a path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.formats.arrays import LARGEST_SLAB, Array, NetCDF, require_readable_size, slab_of
from stormcast_tw.storage.provider_files import Reader

BLOCK = 1 << 16
"""Bytes of a header that are read at once."""

_MOST_DIMENSIONS = 32


def open_classic(reader: Reader) -> NetCDF:
    """Read the header of a classic file; raises BadInput where it is damaged."""
    return _Classic(reader).opened


class _Classic:
    """The header of a classic file, read along the grammar of the specification."""

    _TYPES = ("i1", "S1", ">i2", ">i4", ">f4", ">f8", "u1", ">u2", ">u4", ">i8", ">u8")
    _DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12

    def __init__(self, reader: Reader) -> None:
        self._reader, self._at, self._header = reader, 4, bytearray()
        version = reader.read(3, 1, index=True)[0]
        self._count, self._offset = (8 if version == 5 else 4), (4 if version == 1 else 8)
        self._records = self._number(self._count)
        if self._records > reader.size:
            raise BadInput(f"{reader.address}: its header says {self._records} records in {reader.size} bytes")
        dimensions = [self._dimension() for _ in self._list(self._DIMENSION)]
        attributes = self._attributes()
        variables = [self._variable(dimensions) for _ in self._list(self._VARIABLE)]
        recorded = [v for v in variables if v.recorded]
        stride = sum(v.padded for v in recorded) if len(recorded) > 1 else sum(v.bytes for v in recorded)
        for v in variables:
            v.require_whole(reader, stride, self._records)
        arrays = {v.name: v.array(reader, stride, self._records) for v in variables}
        sizes = {name: size or self._records for name, size in dimensions}
        self.opened = NetCDF(reader.address, attributes, sizes, arrays)

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > self._reader.size:
            raise BadInput(f"{self._reader.address}: its header goes on beyond its {self._reader.size} bytes")
        while len(self._header) < end:
            start = len(self._header)
            self._header += self._reader.read(
                start, min(max(BLOCK, end - start), self._reader.size - start), index=True
            )
        data = bytes(self._header[self._at : end])
        self._at = end + -length % 4
        return data

    def _number(self, length: int) -> int:
        return int.from_bytes(self._take(length), "big")

    def _list(self, tag: int) -> range:
        actual, count = self._number(4), self._number(self._count)
        if actual not in (0, tag) or (actual == 0 and count):
            raise BadInput(f"{self._reader.address}: byte {self._at} of the header holds tag {actual}; allowed {tag}")
        if count > self._reader.size:
            raise BadInput(f"{self._reader.address}: its header lists {count} entries in {self._reader.size} bytes")
        return range(count)

    def _name(self) -> str:
        return self._take(self._number(self._count)).decode("utf-8", "replace")

    def _dimension(self) -> tuple[str, int]:
        name, size = self._name(), self._number(self._count)
        if size > LARGEST_SLAB:
            raise BadInput(f"{self._reader.address}: dimension {name} has length {size}; allowed {LARGEST_SLAB}")
        return name, size

    def _type(self) -> np.dtype[Any]:
        number = self._number(4)
        if not 1 <= number <= len(self._TYPES):
            raise BadInput(f"{self._reader.address}: its header holds type {number}; allowed 1 to {len(self._TYPES)}")
        return np.dtype(self._TYPES[number - 1])

    def _attributes(self) -> dict[str, Any]:
        return {self._name(): self._attribute() for _ in self._list(self._ATTRIBUTE)}

    def _attribute(self) -> Any:
        dtype, count = self._type(), self._number(self._count)
        values = np.frombuffer(self._take(count * dtype.itemsize), dtype)
        if dtype.char == "S":
            return values.tobytes().decode("utf-8", "replace").rstrip("\0")
        return values[0] if count == 1 else values

    def _variable(self, dimensions: list[tuple[str, int]]) -> _ClassicVariable:
        name, rank = self._name(), self._number(self._count)
        if rank > _MOST_DIMENSIONS:
            raise BadInput(f"{self._reader.address}: {name} has {rank} dimensions; allowed {_MOST_DIMENSIONS}")
        numbers = [self._number(self._count) for _ in range(rank)]
        if any(number >= len(dimensions) for number in numbers):
            raise BadInput(f"{self._reader.address}: {name} has dimensions {numbers}; there are {len(dimensions)}")
        if any(dimensions[number][1] == 0 for number in numbers[1:]):
            raise BadInput(f"{self._reader.address}: the record dimension of {name} is not its first")
        attributes, dtype = self._attributes(), self._type()
        self._number(self._count)  # its size, which overflows for large variables: computed instead
        chosen = [dimensions[number] for number in numbers]
        recorded = bool(chosen) and chosen[0][1] == 0
        shape = tuple(size for _, size in (chosen[1:] if recorded else chosen))
        return _ClassicVariable(
            name, tuple(n for n, _ in chosen), shape, recorded, dtype, attributes, self._number(self._offset)
        )


@dataclass(frozen=True)
class _ClassicVariable:
    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    """Without the record dimension."""
    recorded: bool
    dtype: np.dtype[Any]
    attributes: dict[str, Any]
    begin: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def padded(self) -> int:
        return self.bytes + -self.bytes % 4

    def require_whole(self, reader: Reader, stride: int, records: int) -> None:
        """Raise BadInput unless the file reaches the variable's last value."""
        last = max(records - 1, 0) * stride if self.recorded else 0
        end = self.begin + last + (self.bytes if records or not self.recorded else 0)
        if end > reader.size:
            raise BadInput(f"{reader.address}: {self.name} ends at byte {end}; the file at {reader.size}: truncated")

    def array(self, reader: Reader, stride: int, records: int) -> Array:
        """Return the variable, whose records lie `stride` bytes apart."""

        def slab(leading: tuple[int, ...], rows: slice | None, begin: int) -> npt.NDArray[Any]:
            rest, before = slab_of(self.shape, leading, rows)
            length = math.prod(rest) * self.dtype.itemsize
            require_readable_size(length, reader.address, self.name)
            data = reader.read(begin + before * self.dtype.itemsize, length)
            return np.frombuffer(data, self.dtype).reshape(rest)

        def fetch(leading: tuple[int, ...], rows: slice | None) -> npt.NDArray[Any]:
            if not self.recorded:
                return slab(leading, rows, self.begin)
            if leading:
                return slab(leading[1:], rows, self.begin + leading[0] * stride)
            chosen = range(records)[rows or slice(None)]
            require_readable_size(len(chosen) * self.bytes, reader.address, self.name)
            slabs = [slab((), None, self.begin + record * stride) for record in chosen]
            return np.stack(slabs) if slabs else np.empty((0, *self.shape), self.dtype)

        shape = (records, *self.shape) if self.recorded else self.shape
        return Array(self.name, self.dimensions, shape, self.dtype, self.attributes, fetch)
