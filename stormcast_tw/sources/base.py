"""What every source is: it finds the files that serve some valid times, and reads them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import fsspec
import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import as_utc, datetime64
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.variables import Variable, VariableSet


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

    @property
    def name(self) -> str: ...  # noqa: D102

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


def read_file(file: SourceFile) -> bytes:
    """Return the bytes that `find` saw; raises NotReady if the file is gone or has changed since (look again)."""
    data = read_bytes(file.address)
    _verify(file, hashlib.sha256(data))
    return data


def local_path(file: SourceFile) -> str | None:
    """Return the path of an unchanged file of this machine, None for any other store.

    For formats whose library opens a path. Raises NotReady if the file is gone or has changed since `find`.
    """
    filesystem, path = fsspec.core.url_to_fs(file.address)
    if "file" not in filesystem.protocol:
        return None
    digest = hashlib.sha256()
    try:
        with filesystem.open(path, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except FileNotFoundError:
        raise NotReady(f"{file.address}: not there any more") from None
    _verify(file, digest)
    return str(path)


def _verify(file: SourceFile, digest: hashlib._Hash) -> None:
    if (found := "sha256:" + digest.hexdigest()) != file.digest:
        raise NotReady(f"{file.address}: changed since it was found (now {found}, then {file.digest}); look again")


def require_times(source: str, valid_times: Iterable[datetime]) -> tuple[datetime, ...]:
    """Return the valid times in UTC; raises ValueError unless they are aware, ascending and at least one."""
    times = tuple(as_utc(time) for time in valid_times)
    if not times or any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise ValueError(f"{source}: valid times {[str(t) for t in times]} must be ascending and not empty")
    return times


def require_variables(source: str, provided: Iterable[str], wanted: VariableSet) -> None:
    """Raise BadInput for a variable that this source does not have."""
    allowed = tuple(provided)
    if unknown := [variable_id for variable_id in wanted.ids if variable_id not in allowed]:
        raise BadInput(f"{source}: does not provide {', '.join(unknown)}; it provides {', '.join(allowed)}")


def on_grid(
    grid: Grid,
    valid_times: tuple[datetime, ...],
    fields: Mapping[Variable, npt.NDArray[Any]],
    attributes: Mapping[str, str | int | float],
) -> xr.Dataset:
    """Return `fields`, each (valid_time, ny, nx) in the variable's units, as a float32 dataset with CF attributes."""
    time = {"standard_name": "time", "long_name": "valid time, UTC", "axis": "T"}
    coordinates = grid.coordinates().assign_coords(
        valid_time=("valid_time", np.array([datetime64(t) for t in valid_times], "datetime64[ns]"), time)
    )
    arrays = {
        variable.id: (
            ("valid_time", *grid.dims),
            np.asarray(values, np.float32),
            {**variable.attributes, "grid_mapping": "crs"},
        )
        for variable, values in fields.items()
    }
    return coordinates.assign(arrays).assign_attrs(dict(attributes))
