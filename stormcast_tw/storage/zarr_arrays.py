"""Zarr stores and arrays at an address, how a dataset is laid out in them, and a store that gives only sealed bytes."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.abc.store import Store as ZarrStore
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.core.buffer import Buffer, BufferPrototype, cpu
from zarr.storage import WrapperStore

from stormcast_tw.errors import BadInput
from stormcast_tw.schema import DatasetSpec, encoding
from stormcast_tw.storage.checksums import require

_ZSTD = ZstdCodec(level=0, checksum=True)
"""zstd's own checksum of what it packed, which whoever unpacks a chunk compares, in Python or on a page."""
_SHUFFLED = (BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"), Crc32cCodec())
"""The first bytes of all numbers, then the second and so on: a third smaller than zstd alone. crc32c: blosc has no
checksum of its own."""


def zarr_store(uri: str) -> ZarrStore:
    """Return the zarr store of a local path or an fsspec URL."""
    if "://" in uri and not uri.startswith("file://"):
        return zarr.storage.FsspecStore.from_url(uri)
    return zarr.storage.LocalStore(uri.removeprefix("file://"))


def array_of(group: zarr.Group, variable: str) -> zarr.Array[Any]:
    """Return the array of `variable`, set to store chunks of zeros too; raises BadInput if there is none."""
    array = group.get(variable)
    if not isinstance(array, zarr.Array):
        raise BadInput(f"{group.store_path}: has no array {variable}")
    return array.with_config({"write_empty_chunks": True})


def stored(dataset: xr.Dataset) -> dict[str, bytes]:
    """Return the files of a dataset's Zarr folder, by name; empty chunks are among them."""
    files: dict[str, Any] = {}
    packed = {str(n): encoding(dataset).get(str(n), {}) | {"compressors": (_ZSTD,)} for n in dataset.variables}
    dataset.to_zarr(
        zarr.storage.MemoryStore(files), zarr_format=3, consolidated=False, encoding=packed, write_empty_chunks=True
    )
    return {name: buffer.to_bytes() for name, buffer in files.items()}


def sharded(dataset: xr.Dataset, each: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a dataset's Zarr folder, by name, with few objects: a field is one, its chunks are maps.

    Where `each` is the first dimension of a field, there is one object for each of its indices. A reader of one map
    asks for two ranges of an object: its index, then the chunk. Values may be lazy; they are read object by object.
    """
    fields = [name for name, variable in dataset.data_vars.items() if variable.ndim >= 2]
    yield from stored(dataset.drop_vars(fields).drop_encoding()).items()
    for name in fields:
        yield from _shards(str(name), dataset[name].variable, each)


def _shards(name: str, field: xr.Variable, each: str | None) -> Iterator[tuple[str, bytes]]:
    step = 1 if field.dims[0] == each else field.shape[0]
    links = {key: field.encoding[key] for key in ("coordinates",) if key in field.encoding}  # where xarray puts them
    files: dict[str, Any] = {}
    array = zarr.create_array(
        zarr.storage.MemoryStore(files),
        name=name,
        shape=field.shape,
        chunks=(*(1,) * (field.ndim - 2), *field.shape[-2:]),
        shards=(step, *field.shape[1:]),
        dtype=field.dtype,
        compressors=_SHUFFLED,
        fill_value=np.nan if field.dtype.kind == "f" else 0,
        dimension_names=tuple(map(str, field.dims)),
        attributes={**field.attrs, **links},
        config={"write_empty_chunks": True},
    )
    yield f"{name}/zarr.json", files.pop(f"{name}/zarr.json").to_bytes()
    for start in range(0, field.shape[0], step):
        array[start : start + step] = field[start : start + step].values
        while files:
            path, buffer = files.popitem()
            yield path, buffer.to_bytes()


def laid_out(spec: DatasetSpec) -> dict[str, bytes]:
    """Return the files of a dataset that is still to be filled: its coordinates, and arrays without a chunk."""
    files: dict[str, Any] = {name: cpu.Buffer.from_bytes(data) for name, data in stored(spec.coordinates).items()}
    group = zarr.open_group(zarr.storage.MemoryStore(files), mode="r+")
    for variable, array in spec.arrays.items():
        group.create_array(
            variable,
            shape=array.shape,
            chunks=array.chunks,
            dtype="float32",
            compressors=(_ZSTD,),
            fill_value=np.nan,
            dimension_names=array.dims,
            attributes=dict(array.attributes),
        )
    return {name: buffer.to_bytes() for name, buffer in files.items()}


def consolidate(uri: str) -> None:
    """Write the documents of all arrays of a Zarr folder into that of its group, which then opens with one request."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
        zarr.consolidate_metadata(zarr_store(uri))


class VerifiedStore(WrapperStore[ZarrStore]):
    """A zarr store that gives only sealed bytes. `checksums` are those of the keys of this store."""

    def __init__(self, store: ZarrStore, checksums: Mapping[str, str] | None = None, address: str = "") -> None:
        super().__init__(store)
        self._checksums, self._address = checksums or {}, address

    def _with_store(self, store: ZarrStore) -> VerifiedStore:
        return VerifiedStore(store, self._checksums, self._address)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return a sealed file, or a part of it; None for one that was never sealed. Raises BadInput if damaged."""
        sealed = self._checksums.get(key)
        if sealed is None:
            return None
        whole = await super().get(key, prototype)
        if whole is None:
            raise BadInput(f"{self._address}/{key}: sealed, but not there")
        require(whole.to_bytes(), sealed, f"{self._address}/{key}")
        return whole if byte_range is None else whole[_slice(byte_range)]

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of files; raises as `get` does, which zarr's own way round it would not."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)


def _slice(byte_range: ByteRequest) -> slice:
    if isinstance(byte_range, RangeByteRequest):
        return slice(byte_range.start, byte_range.end)
    if isinstance(byte_range, OffsetByteRequest):
        return slice(byte_range.offset, None)
    assert isinstance(byte_range, SuffixByteRequest)
    return slice(-byte_range.suffix, None)
