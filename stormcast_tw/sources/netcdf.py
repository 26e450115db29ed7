"""NetCDF by byte ranges: the header, then only what is asked for.

Classic files (CDF-1, -2 and -5; Unidata, "The NetCDF Classic Format Specification") are read here, because scipy reads
every variable on opening and the C library wants a path. NetCDF-4 files are opened by h5netcdf; their chunks are read
directly and unpacked by numcodecs, so that the bytes read are known.
"""

from __future__ import annotations

import io
import itertools
import math
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5netcdf
import numcodecs
import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.files import Reader

BLOCK = 1 << 16
"""Bytes of a header that are read at once."""

LARGEST_SLAB = 1 << 30
"""Bytes of one read beyond which a header is not believed."""

_GZIP, _SHUFFLE, _CHECKSUM = 1, 2, 3
"""HDF5's numbers of the filters that NetCDF-4 writes: deflate, shuffle, Fletcher's 32-bit checksum."""
_CHECKSUM_BYTES = 4

_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Array:
    """A variable: its dimensions' names, shape, type and attributes."""

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]
    _fetch: Callable[[tuple[int, ...]], npt.NDArray[Any]]

    def read(self, *leading: int) -> npt.NDArray[Any]:
        """Return the values with the leading dimensions fixed at these indices, the others whole.

        Raises BadInput for an index outside the shape or values beyond the end of the file.
        """
        if len(leading) > len(self.shape) or any(not 0 <= i < n for i, n in zip(leading, self.shape, strict=False)):
            raise BadInput(f"{self.name}: index {leading} asked for; its shape is {self.shape}")
        return self._fetch(leading)


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


@contextmanager
def open_netcdf(reader: Reader) -> Iterator[NetCDF]:
    """Open a NetCDF file of any kind; raises BadInput where it is not one, is damaged, or is packed in other ways."""
    magic = reader.read(0, min(8, reader.size), index=True)
    if magic == _HDF5:
        with _open_hdf5(reader) as opened:
            yield opened
    elif magic[:3] == b"CDF" and magic[3:4] in (b"\x01", b"\x02", b"\x05"):
        yield _Classic(reader).opened
    else:
        raise BadInput(f"{reader.address}: begins with {magic!r}; allowed a NetCDF file")


class _Classic:
    """The header of a classic file, read as the specification's grammar goes."""

    _TYPES = ("i1", "S1", ">i2", ">i4", ">f4", ">f8", "u1", ">u2", ">u4", ">i8", ">u8")
    _DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12

    def __init__(self, reader: Reader) -> None:
        self._reader, self._at, self._header = reader, 4, b""
        version = reader.read(3, 1, index=True)[0]
        self._count, self._offset = (">Q" if version == 5 else ">I"), (">I" if version == 1 else ">Q")
        self._records = self._number(self._count)
        dimensions = [(self._name(), self._number(self._count)) for _ in self._list(self._DIMENSION)]
        attributes = self._attributes()
        found = [self._variable(dimensions) for _ in self._list(self._VARIABLE)]
        recorded = [v for v in found if v.recorded]
        stride = sum(v.padded for v in recorded) if len(recorded) > 1 else sum(v.bytes for v in recorded)
        arrays = {v.name: v.array(reader, stride, self._records) for v in found}
        sizes = {name: size or self._records for name, size in dimensions}
        self.opened = NetCDF(reader.address, attributes, sizes, arrays)

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if length < 0 or end > self._reader.size:
            raise BadInput(f"{self._reader.address}: its header goes on beyond its {self._reader.size} bytes")
        while len(self._header) < end:
            start = len(self._header)
            self._header += self._reader.read(
                start, min(max(BLOCK, end - start), self._reader.size - start), index=True
            )
        data = self._header[self._at : end]
        self._at = end + -length % 4
        return data

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _list(self, tag: int) -> range:
        found, count = self._number(">I"), self._number(self._count)
        if found not in (0, tag) or (found == 0 and count):
            raise BadInput(f"{self._reader.address}: byte {self._at} of the header holds tag {found}; allowed {tag}")
        if count > self._reader.size:
            raise BadInput(f"{self._reader.address}: its header lists {count} entries in {self._reader.size} bytes")
        return range(count)

    def _name(self) -> str:
        return self._take(self._number(self._count)).decode("utf-8", "replace")

    def _type(self) -> np.dtype[Any]:
        number = self._number(">I")
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
        name = self._name()
        numbers = [self._number(self._count) for _ in range(self._number(self._count) % 1024)]
        if any(number >= len(dimensions) for number in numbers):
            raise BadInput(f"{self._reader.address}: {name} has dimensions {numbers}; there are {len(dimensions)}")
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

    def array(self, reader: Reader, stride: int, records: int) -> Array:
        """Return the variable, whose records lie `stride` bytes apart."""

        def slab(shape: tuple[int, ...], leading: tuple[int, ...], begin: int) -> npt.NDArray[Any]:
            rest = shape[len(leading) :]
            length = math.prod(rest) * self.dtype.itemsize
            _believe(length, reader.address, self.name)
            data = reader.read(begin + _start(shape, leading) * self.dtype.itemsize, length)
            return np.frombuffer(data, self.dtype).reshape(rest)

        def fetch(leading: tuple[int, ...]) -> npt.NDArray[Any]:
            if not self.recorded:
                return slab(self.shape, leading, self.begin)
            chosen = leading[:1] or range(records)
            found = [slab(self.shape, leading[1:], self.begin + record * stride) for record in chosen]
            return found[0] if leading else np.stack(found) if found else np.empty((0, *self.shape), self.dtype)

        shape = (records, *self.shape) if self.recorded else self.shape
        return Array(self.name, self.dimensions, shape, self.dtype, self.attributes, fetch)


class _Blocks(io.RawIOBase):
    """What the HDF5 library reads of a file to find its way: whole blocks, each once."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._at = reader, 0
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        end, done = min(self._at + len(view), self._reader.size), 0
        while self._at < end:
            number, offset = divmod(self._at, BLOCK)
            piece = self._block(number)[offset : offset + end - self._at]
            view[done : done + len(piece)] = piece
            done, self._at = done + len(piece), self._at + len(piece)
        return done

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * BLOCK
            self._blocks[number] = self._reader.read(start, min(BLOCK, self._reader.size - start), index=True)
        return self._blocks[number]


@contextmanager
def _open_hdf5(reader: Reader) -> Iterator[NetCDF]:
    try:
        with h5netcdf.File(_Blocks(reader), "r", decode_vlen_strings=True) as file:
            arrays = {str(name): _hdf5_array(reader, str(name), v) for name, v in file.variables.items()}
            sizes = {str(name): int(dimension.size) for name, dimension in file.dimensions.items()}
            yield NetCDF(reader.address, _plain(file.attrs), sizes, arrays)
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, ValueError, zlib.error) as error:
        what = " ".join(str(error).split())
        raise BadInput(f"{reader.address}: not a whole NetCDF-4 file ({what})") from error


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as str, scalars and arrays, whichever of HDF5's ways of writing them was used."""
    plain = {}
    for name, value in attributes.items():
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.ravel()[0]
        plain[str(name)] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return plain


def _hdf5_array(reader: Reader, name: str, variable: Any) -> Array:
    raw = variable._h5ds  # the h5py dataset: h5netcdf does not say where chunks lie
    dtype, shape = np.dtype(raw.dtype), tuple(int(n) for n in raw.shape)

    def fetch(leading: tuple[int, ...]) -> npt.NDArray[Any]:
        rest = shape[len(leading) :]
        _believe(math.prod(rest) * dtype.itemsize, reader.address, name)
        offset = raw.id.get_offset() if raw.chunks is None else None
        if offset is not None:
            start = offset + _start(shape, leading) * dtype.itemsize
            return np.frombuffer(reader.read(start, math.prod(rest) * dtype.itemsize), dtype).reshape(rest)
        if raw.chunks is None or dtype.hasobject:
            return np.asarray(raw[leading])
        out = np.full(rest, raw.fillvalue, dtype)
        _fill_from_chunks(reader, name, raw, leading, out)
        return out

    return Array(name, tuple(variable.dimensions), shape, dtype, _plain(variable.attrs), fetch)


def _fill_from_chunks(reader: Reader, name: str, raw: Any, leading: tuple[int, ...], out: npt.NDArray[Any]) -> None:
    """Read every stored chunk that crosses out = raw[leading] and put its part there."""
    chunks, fixed = raw.chunks, len(leading)
    corners = [[index - index % size] for index, size in zip(leading, chunks, strict=False)]
    corners += [list(range(0, n, size)) for n, size in zip(raw.shape[fixed:], chunks[fixed:], strict=True)]
    unpack = _unpacker(reader.address, name, raw)
    for corner in itertools.product(*corners):
        info = raw.id.get_chunk_info_by_coord(corner)
        if info.byte_offset is None:
            continue
        _believe(info.size, reader.address, name)
        chunk = unpack(reader.read(info.byte_offset, info.size), info.filter_mask).reshape(chunks)
        chunk = chunk[tuple(index - start for index, start in zip(leading, corner, strict=False))]
        where = tuple(slice(c, c + n) for c, n in zip(corner[fixed:], chunk.shape, strict=True))
        target = out[where]
        target[...] = chunk[tuple(slice(0, n) for n in target.shape)]


def _unpacker(address: str, name: str, raw: Any) -> Callable[[bytes, int], npt.NDArray[Any]]:
    """Return what turns a stored chunk into values: gzip and shuffle, the filters of NetCDF-4, undone in reverse."""
    properties = raw.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    shuffle = numcodecs.Shuffle(elementsize=raw.dtype.itemsize)
    if unknown := [number for number in filters if number not in (_GZIP, _SHUFFLE, _CHECKSUM)]:
        raise BadInput(f"{address}: {name} is packed by HDF5 filter {unknown}; allowed 1 (gzip), 2 (shuffle), 3")
    size = math.prod(raw.chunks) * raw.dtype.itemsize

    def unpack(data: bytes, skipped: int) -> npt.NDArray[Any]:
        values = data
        for place, number in reversed(list(enumerate(filters))):
            if skipped >> place & 1:
                continue
            if number == _GZIP:  # no more than fits: a few bytes can unpack to gigabytes
                values = zlib.decompressobj().decompress(values, size + 8 * raw.dtype.itemsize)
            else:
                values = values[:-_CHECKSUM_BYTES] if number == _CHECKSUM else bytes(shuffle.decode(values))
        found = np.frombuffer(values, raw.dtype)
        if found.nbytes != size:
            raise BadInput(f"{address}: a chunk of {name} unpacks to {found.nbytes} bytes; allowed {size}")
        return found

    return unpack


def _start(shape: tuple[int, ...], leading: tuple[int, ...]) -> int:
    """Return how many values lie before the slab at these leading indices."""
    return sum(index * math.prod(shape[axis + 1 :]) for axis, index in enumerate(leading))


def _believe(length: int, address: str, name: str) -> None:
    if length > LARGEST_SLAB:
        raise BadInput(f"{address}: {name} asks for {length} bytes at once; allowed {LARGEST_SLAB}")
