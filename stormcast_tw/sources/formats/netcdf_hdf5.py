"""NetCDF-4 by byte ranges: h5netcdf reads the metadata; contiguous variables and chunks are read directly as bytes.

That way it is known which bytes are read. The filters of NetCDF-4 (gzip, shuffle and the checksum) are undone here.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput, StormcastError
from stormcast_tw.lazy import lazy_import
from stormcast_tw.sources.formats.arrays import (
    Array,
    Extent,
    NetCDF,
    chunk_starts,
    extents,
    overlap,
    require_readable_size,
    slab_of,
)
from stormcast_tw.storage.provider_files import Reader

h5netcdf = lazy_import("h5netcdf")
h5py = lazy_import("h5py")
numcodecs = lazy_import("numcodecs")

BLOCK = 1 << 16
"""Bytes that the HDF5 library is given at once."""

T = TypeVar("T")

_HEAP, _LARGEST_HEAP = b"GCOL\x01\0\0\0", 1 << 20
"""How a heap of texts begins, and how many of its bytes are examined."""

_GZIP, _SHUFFLE, _CHECKSUM = 1, 2, 3
"""HDF5's numbers of the filters that NetCDF-4 writes: deflate, shuffle, Fletcher's 32-bit checksum."""
_MOST_CHUNKS = 1 << 16
"""Most chunks of one read."""


class _Blocks(io.RawIOBase):
    """The file as the HDF5 library reads its metadata: whole blocks, each once."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self._at = reader, 0
        self.failure: StormcastError | None = None
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.reader.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        end, done = min(self._at + len(view), self.reader.size), 0
        while self._at < end:
            number, offset = divmod(self._at, BLOCK)
            piece = self._block(number)[offset : offset + end - self._at]
            view[done : done + len(piece)] = piece
            done, self._at = done + len(piece), self._at + len(piece)
        return done

    def _block(self, number: int) -> bytes:
        """Return a block; zeros if the store failed, since an error raised inside the library ends the process."""
        if number not in self._blocks:
            start = number * BLOCK
            length = min(BLOCK, self.reader.size - start)
            try:
                self._blocks[number] = self.reader.read(start, length, index=True)
                for heap in re.finditer(re.escape(_HEAP), self._blocks[number]):
                    self._require_sound(start + heap.start())
            except StormcastError as error:
                self.failure = self.failure or type(error)(str(error))
                return bytes(length)
        return self._blocks[number]

    def _require_sound(self, heap: int) -> None:
        """Raise BadInput if a heap of texts holds free space of size 0, on which the library would loop for ever.

        "Global Heap", HDF5 File Format Specification 3.0, III.E: a header of 16 bytes, then objects with one each.
        """
        size_of_heap = int.from_bytes(self._bytes(heap + 8, 8), "little")
        at, end = heap + 16, min(heap + min(size_of_heap, _LARGEST_HEAP), self.reader.size)
        while at + 16 <= end:
            index, size = struct.unpack("<HxxxxxxQ", self._bytes(at, 16))
            if index == 0 and size < 16:
                raise BadInput(
                    f"{self.reader.address}: byte {at} begins free space of {size} bytes; allowed 16 or more"
                )
            at += 16 + size + -size % 8 if index else size

    def _bytes(self, start: int, length: int) -> bytes:
        number, offset = divmod(start, BLOCK)
        data = self._block(number)[offset : offset + length]
        return data if len(data) == length else data + self._block(number + 1)[: length - len(data)]


@contextmanager
def open_hdf5(reader: Reader) -> Iterator[NetCDF]:
    """Open a NetCDF-4 file; raises BadInput where it is damaged."""
    blocks = _Blocks(reader)
    file = _translate_errors(blocks, lambda: h5py.File(blocks, "r"))
    try:
        yield _translate_errors(blocks, lambda: _described(blocks, file))
    finally:
        _translate_errors(blocks, file.close)


def _translate_errors(blocks: _Blocks, work: Callable[[], T]) -> T:
    """Return what `work` returns; errors of the HDF5 library about damaged bytes become BadInput.

    If the store failed to deliver bytes, its own error is raised instead. The library's error is not chained to ours:
    it holds objects which, if they outlive the interpreter, end the process with a segmentation fault.
    """
    done, text = None, ""
    try:
        done = work()
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, ValueError, IndexError, zlib.error) as error:
        text = " ".join(str(error).split()) or type(error).__name__
    if blocks.failure is not None:
        raise blocks.failure
    if text:
        raise BadInput(f"{blocks.reader.address}: not a whole NetCDF-4 file ({text})")
    return done  # type: ignore[return-value]


def _described(blocks: _Blocks, raw: Any) -> NetCDF:
    raw.attrs.get("_nc3_strict")  # h5netcdf reads it first; a failure there would make its clean-up complain on stderr
    file = h5netcdf.File(raw, "r", decode_vlen_strings=True)
    arrays = {str(name): _array(blocks, str(name), variable) for name, variable in file.variables.items()}
    sizes = {str(name): int(dimension.size) for name, dimension in file.dimensions.items()}
    return NetCDF(blocks.reader.address, _plain(file.attrs), sizes, arrays)


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as str, scalars and arrays, however HDF5 stores them."""
    plain = {}
    for name, value in attributes.items():
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.ravel()[0]
        if isinstance(value, str):  # UTF-8 that the file calls ASCII
            value = value.encode("utf-8", "surrogateescape")
        plain[str(name)] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return plain


def _array(blocks: _Blocks, name: str, variable: Any) -> Array:
    raw, address = variable._h5ds, blocks.reader.address  # the h5py dataset: h5netcdf does not say where chunks lie
    dtype, shape = np.dtype(raw.dtype), tuple(int(n) for n in raw.shape)
    if raw.is_virtual or raw.external:
        raise BadInput(f"{address}: {name} lies in another file; allowed in this one")
    stored = cache(lambda: _Stored(blocks.reader, name, raw))

    def fetch(leading: tuple[int, ...], rows: slice | None) -> npt.NDArray[Any]:
        return _translate_errors(blocks, lambda: stored().slab(leading, rows))

    return Array(name, tuple(variable.dimensions), shape, dtype, _plain(variable.attrs), fetch)


class _Stored:
    """How a variable is stored in its file, asked of the library once, because maps are read one at a time."""

    def __init__(self, reader: Reader, name: str, raw: Any) -> None:
        self._reader, self._name, self._raw = reader, name, raw
        self._shape, self._dtype = raw.shape, np.dtype(raw.dtype)
        self._chunks, self._fill = raw.chunks, raw.fillvalue
        self._offset = raw.id.get_offset() if raw.chunks is None else None

    def slab(self, leading: tuple[int, ...], rows: slice | None) -> npt.NDArray[Any]:
        """Return raw[leading, rows]: from its bytes, or by the library if it has none or holds text."""
        rest, before = slab_of(self._shape, leading, rows)
        length = math.prod(rest) * self._dtype.itemsize
        require_readable_size(length, self._reader.address, self._name)
        if self._dtype.hasobject or (self._chunks is None and self._offset is None):
            return np.asarray(self._raw[leading if rows is None else (*leading, rows)])
        if self._offset is not None:
            data = self._reader.read(self._offset + before * self._dtype.itemsize, length)
            return np.frombuffer(data, self._dtype).reshape(rest)
        return self._from_chunks(extents(self._shape, leading, rows)).reshape(rest)

    def _from_chunks(self, asked: list[Extent]) -> npt.NDArray[Any]:
        """Return the requested part, all dimensions kept: from stored chunks, elsewhere the fill value."""
        chunks, address = self._chunks, self._reader.address
        begins = chunk_starts(asked, chunks)
        require_readable_size(math.prod(chunks) * self._dtype.itemsize, address, self._name)
        if (count := math.prod(map(len, begins))) > _MOST_CHUNKS:
            raise BadInput(f"{address}: {self._name} is asked for in {count} chunks; allowed {_MOST_CHUNKS}")
        out = np.full([stop - start for start, stop in asked], self._fill, self._dtype)
        for corner in itertools.product(*begins):
            info = self._raw.id.get_chunk_info_by_coord(corner)
            if info.byte_offset is None:
                continue
            require_readable_size(info.size, address, self._name)
            chunk = self._unpacked(self._reader.read(info.byte_offset, info.size), info.filter_mask)
            inside, target = overlap(asked, chunks, corner)
            out[target] = chunk[inside]
        return out

    @cached_property
    def _filters(self) -> list[int]:
        properties = self._raw.id.get_create_plist()
        filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
        if unknown := [number for number in filters if number not in (_GZIP, _SHUFFLE, _CHECKSUM)]:
            raise BadInput(
                f"{self._reader.address}: {self._name} is packed by HDF5 filter {unknown}; allowed 1 (gzip), 2"
                " (shuffle), 3"
            )
        return filters

    def _unpacked(self, data: bytes, skipped: int) -> npt.NDArray[Any]:
        """Return a stored chunk's values, its filters undone in reverse order."""
        itemsize = self._dtype.itemsize
        values, size = data, math.prod(self._chunks) * itemsize
        for place, number in reversed(list(enumerate(self._filters))):
            if skipped >> place & 1:
                continue
            if number == _GZIP:  # no more than fits: a few bytes can unpack to gigabytes
                values = zlib.decompressobj().decompress(values, size + 8 * itemsize)
            else:
                undo = numcodecs.Shuffle(elementsize=itemsize) if number == _SHUFFLE else numcodecs.Fletcher32()
                values = bytes(undo.decode(values))
        array = np.frombuffer(values, self._dtype)
        if array.nbytes != size:
            raise BadInput(
                f"{self._reader.address}: a chunk of {self._name} unpacks to {array.nbytes} bytes; allowed {size}"
            )
        return array.reshape(self._chunks)
