"""Zarr stores and arrays at an address."""

from __future__ import annotations

from typing import Any

import zarr
from zarr.abc.store import Store as ZarrStore

from stormcast_tw.errors import BadInput


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
