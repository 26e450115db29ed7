"""Zarr stores and arrays at an address, and how a dataset is laid out in them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import Store as ZarrStore
from zarr.codecs import ZstdCodec
from zarr.core.buffer import cpu

from stormcast_tw.errors import BadInput
from stormcast_tw.schema import DatasetSpec, encoding

_ZSTD = ZstdCodec(level=0, checksum=True)
"""zstd's own checksum of what it packed, which whoever unpacks a chunk compares, in Python or on a page."""


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
