"""All members in one NetCDF file, for those who ask for it: as large as the rest of a published run together."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import xarray as xr

from stormcast_tw.exports.netcdf import to_netcdf


def netcdf(*, members: xr.Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield `members.nc`: the published members (time, member, latitude, longitude), their values unchanged."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "members.nc")
        to_netcdf(members, path)
        yield path.name, path.read_bytes()
