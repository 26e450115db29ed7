"""A Zarr 2 store read object by object: metadata, the chunks that hold an index, and the account of each.

Zarr storage specification version 2. zarr-python would fill in an absent chunk, and read objects that `find` did not
return. Here an absent chunk is NotReady, every object is read in the version in which it was found, and numcodecs
unpacks no more than the chunk may hold.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, PositiveInt, TypeAdapter, ValidationError, field_validator, model_validator

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.lazy import lazy_import
from stormcast_tw.sources.formats.arrays import Array, Extent, chunk_starts, extents, overlap, slab_of
from stormcast_tw.storage.provider_files import Folder, SourceFile, Used

numcodecs = lazy_import("numcodecs")

LARGEST_METADATA = 4_000_000
"""Most bytes of a metadata object; ARCO ERA5's root has some thousands."""

LARGEST_CHUNK = 1 << 28
"""Most bytes that a chunk, or one read, may unpack to: an hour of ARCO ERA5 on 37 levels has 154 million."""

MOST_CHUNKS = 10_000
"""Most objects of one read; an hour of ARCO ERA5 is one."""

_Attributes = TypeAdapter(dict[str, Any])


class _Compressor(BaseModel):
    id: Literal["blosc"]


class _ZArray(BaseModel):
    """The document `.zarray`, limited to what is supported here."""

    zarr_format: Literal[2]
    shape: list[PositiveInt] = Field(max_length=8)
    chunks: list[PositiveInt]
    dtype: str
    compressor: _Compressor | None
    filters: None = None
    order: Literal["C", "F"]
    dimension_separator: Literal[".", "/"] = "."

    @field_validator("dtype")
    @classmethod
    def _numbers(cls, dtype: str) -> str:
        try:
            kind = np.dtype(dtype).kind
        except (TypeError, SyntaxError) as error:
            raise ValueError("is not a data type") from error
        if kind not in "iuf":
            raise ValueError("must be integers or floats")
        return dtype

    @model_validator(mode="after")
    def _chunks_can_be_held(self) -> _ZArray:
        if len(self.chunks) != len(self.shape):
            raise ValueError("chunks and shape differ in length")
        if self.bytes > LARGEST_CHUNK or max(self.shape, default=0) > 2**40:
            raise ValueError(f"a chunk of {self.bytes} bytes in shape {self.shape} is too large")
        return self

    @property
    def bytes(self) -> int:
        return math.prod(self.chunks) * np.dtype(self.dtype).itemsize


class ZarrStore:
    """The store at `path` below a folder; `pinned` are the chunks that `find` returned, by address.

    `used` accounts for every object read: data chunks by digest, metadata and axes as bytes of index.
    """

    def __init__(self, folder: Folder, path: str, pinned: Mapping[str, SourceFile]) -> None:
        self._folder, self._path, self._pinned = folder, path, pinned
        self.address = folder.address(path)
        self._used: dict[str, Used] = {}
        self._index: dict[str, bytes] = {}

    @property
    def used(self) -> tuple[Used, ...]:
        """The account of what was read so far."""
        return tuple(self._used.values())

    def attributes(self, name: str = "") -> dict[str, Any]:
        """Return the attributes of the root, or of an array."""
        path = f"{name}/.zattrs".lstrip("/")
        try:
            return _Attributes.validate_json(self._metadata(path))
        except ValidationError as error:
            raise BadInput(f"{self.address}/{path}: {_first_problem(error)}") from error

    def array(self, name: str, *, axis: bool = False) -> Array:
        """Return an array, whose values are read by leading indices; raises BadInput if it is not supported.

        The chunks of an `axis` count as index. Those of other arrays must be pinned, else reading raises NotReady.
        """
        described, attributes = self._described(name), self.attributes(name)
        dimensions = attributes.get("_ARRAY_DIMENSIONS")
        if not isinstance(dimensions, list) or len(dimensions) != len(described.shape):
            raise BadInput(
                f"{self.address}/{name}: _ARRAY_DIMENSIONS is {dimensions!r}; allowed {len(described.shape)} names"
            )

        shape = tuple(described.shape)

        def fetch(leading: tuple[int, ...], rows: slice | None) -> npt.NDArray[Any]:
            values = self._fetch(name, described, extents(shape, leading, rows), axis)
            return values.reshape(slab_of(shape, leading, rows)[0])

        names = tuple(str(dimension) for dimension in dimensions)
        return Array(name, names, shape, np.dtype(described.dtype), attributes, fetch)

    def files(self, name: str, *leading: int) -> tuple[SourceFile, ...]:
        """Find the chunk objects that hold an array at leading indices; raises NotReady where one is absent."""
        described = self._described(name)
        asked = extents(tuple(described.shape), leading, None)
        return tuple(
            self._folder.find(f"{self._path}/{_key(name, described, corner)}")
            for corner in _chunk_starts(described, asked, f"{self.address}/{name}")
        )

    def _described(self, name: str) -> _ZArray:
        try:
            return _ZArray.model_validate_json(self._metadata(f"{name}/.zarray"))
        except ValidationError as error:
            raise BadInput(f"{self.address}/{name}/.zarray: {_first_problem(error)}") from error

    def _fetch(self, name: str, described: _ZArray, asked: list[Extent], axis: bool) -> npt.NDArray[Any]:
        """Return the requested part, all dimensions kept."""
        dtype, sizes = np.dtype(described.dtype), [stop - start for start, stop in asked]
        if math.prod(sizes) * dtype.itemsize > LARGEST_CHUNK:
            raise BadInput(
                f"{self.address}/{name}: {math.prod(sizes)} values asked for at once; allowed {LARGEST_CHUNK} bytes"
            )
        out = np.empty(sizes, dtype)
        for corner in _chunk_starts(described, asked, f"{self.address}/{name}"):
            key = _key(name, described, corner)
            data = self._metadata(key, LARGEST_CHUNK) if axis else self._chunk(key)
            inside, target = overlap(asked, described.chunks, corner)
            out[target] = _unpack(data, described, f"{self.address}/{key}")[inside]
        return out

    def _chunk(self, key: str) -> bytes:
        if (file := self._pinned.get(f"{self.address}/{key}")) is None:
            raise NotReady(f"{self.address}/{key}: is asked for but was not found before; look again")
        with self._folder.open(file) as reader:
            data = reader.all()
            self._used[file.address] = reader.used
        return data

    def _metadata(self, path: str, largest: int = LARGEST_METADATA) -> bytes:
        if path not in self._index:
            file = self._folder.find(f"{self._path}/{path}")
            if file.size > largest:
                raise BadInput(f"{file.address}: has {file.size} bytes; allowed {largest}")
            with self._folder.open(file) as reader:
                self._index[path] = reader.read(0, file.size, index=True)
                self._used[file.address] = reader.used
        return self._index[path]


def _chunk_starts(described: _ZArray, asked: list[Extent], address: str) -> Iterator[tuple[int, ...]]:
    """Yield the starts of the chunks that a request touches; raises BadInput for too many."""
    begins = chunk_starts(asked, described.chunks)
    if (count := math.prod(map(len, begins))) > MOST_CHUNKS:
        raise BadInput(f"{address}: {count} chunks are asked for at once; allowed {MOST_CHUNKS}")
    yield from itertools.product(*begins)


def _key(name: str, described: _ZArray, corner: tuple[int, ...]) -> str:
    place = (str(begin // size) for begin, size in zip(corner, described.chunks, strict=True))
    return f"{name}/" + (described.dimension_separator.join(place) or "0")


def _unpack(data: bytes, described: _ZArray, address: str) -> npt.NDArray[Any]:
    """Return a stored chunk's values; a wrong length is refused before a decoder trusts it."""
    stored: npt.NDArray[np.uint8] = np.frombuffer(data, np.uint8)
    if described.compressor is not None:
        _check_blosc(data, described.bytes, address)
        stored = np.empty(described.bytes, np.uint8)
        try:
            numcodecs.Blosc().decode(data, stored)
        except (RuntimeError, ValueError) as error:
            raise BadInput(f"{address}: Blosc cannot unpack it ({error})") from error
    if stored.size != described.bytes:
        raise BadInput(f"{address}: a chunk of {stored.size} bytes; allowed {described.bytes}")
    return stored.view(described.dtype).reshape(described.chunks, order=described.order)


def _check_blosc(data: bytes, size: int, address: str) -> None:
    """Raise BadInput unless a Blosc header (16 bytes, Blosc 1 chunk format) has the right sizes."""
    sizes = (int.from_bytes(data[4:8], "little"), int.from_bytes(data[12:16], "little"))
    if len(data) < 16 or sizes != (size, len(data)):
        raise BadInput(f"{address}: Blosc says {sizes[0]} bytes in {sizes[1]}; allowed {size} in {len(data)}")


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return " ".join(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}".split()).removeprefix(": ")
