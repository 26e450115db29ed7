"""What every source is: it finds the files that serve some valid times, and reads them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import fsspec
import xarray as xr

from stormcast_tw.errors import NotReady
from stormcast_tw.variables import VariableSet


@dataclass(frozen=True)
class SourceFile:
    """One provider file: its address and `digest`, the sha256 of its bytes."""

    address: str
    digest: str


@dataclass(frozen=True)
class Located:
    """The files that serve a request. `init_time` is None for observations."""

    source: str
    files: tuple[SourceFile, ...]
    valid_times: tuple[datetime, ...]
    variables: VariableSet
    init_time: datetime | None = None


class Source(Protocol):
    """A provider of fields.

    `find` only looks and raises NotReady while a file is absent; `read` returns a dataset with dimensions
    (valid_time, y, x) or (valid_time, latitude, longitude) on the provider's own grid (`Grid.of` reads it back),
    one float32 array a variable under our id, in our units, and raises BadInput for anything it cannot vouch for.
    """

    name: str

    def find(self, valid_times: tuple[datetime, ...], variables: VariableSet) -> Located: ...  # noqa: D102

    def read(self, located: Located) -> xr.Dataset: ...  # noqa: D102


def exists(address: str) -> bool:
    """True if there is an object at `address`."""
    filesystem, path = fsspec.core.url_to_fs(address)
    return bool(filesystem.isfile(path))


def read_bytes(address: str) -> bytes:
    """Return the bytes at `address`; raises NotReady if there is nothing."""
    filesystem, path = fsspec.core.url_to_fs(address)
    try:
        data: bytes = filesystem.cat_file(path)
    except FileNotFoundError:
        raise NotReady(f"{address}: not there yet") from None
    return data


def source_file(address: str) -> SourceFile:
    """Return the file at `address` with the sha256 of its bytes; raises NotReady if there is nothing."""
    return SourceFile(address, "sha256:" + hashlib.sha256(read_bytes(address)).hexdigest())
