"""QPESUMS: radar-and-gauge rain of the past hour, binary `.gz`.

Layout: data-formats.md 1.3, verified there on real files. The header gives the north-west corner, the rows run
from south to north; points are cell centres; the time stamp is UTC and the end of the hour.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.cycle import as_utc
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.sources.base import Located, Reading, on_grid, require_times, require_variables
from stormcast_tw.sources.files import Folder, Used
from stormcast_tw.variables import VARIABLES, VariableSet

LARGEST_BYTES = 8 << 20
"""Uncompressed bytes beyond which a file is not read on: 16 times the 441 x 561 product."""

SIMULATED_RADAR = b"SIMU"
"""The radar that simulated files list."""

_HEADER = struct.Struct("<9i4s10i 3i9i 20s6s 3i")


class Header(NamedTuple):
    """The header of a file of one level (nz = 1), 166 bytes, in file order."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    nx: int
    ny: int
    nz: int
    projection: bytes
    map_scale: int
    projection_latitude_1: int
    projection_latitude_2: int
    projection_longitude: int
    west: int
    north: int
    xy_scale: int
    dx: int
    dy: int
    dxy_scale: int
    height: int
    z_scale: int
    i_bb_mode: int
    reserved: tuple[int, ...]
    variable: bytes
    unit: bytes
    var_scale: int
    missing: int
    radars: int


def path(valid_time: datetime) -> str:
    """Return where the rain of the hour ending at `valid_time` is kept below the provider's root."""
    return f"{valid_time:%Y%m%d}/CB_GC_PCP_1H_RAD.{valid_time:%Y%m%d.%H%M}.gz"


@dataclass(frozen=True)
class Qpesums:
    """Observed rain of the hour ending at a time: tp01, mm, NaN where there is no observation."""

    folder: Folder
    name: str = "qpesums"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find one file a valid time, in their order.

        Raises NotReady while one is absent, BadInput for a variable other than tp01, ValueError for naive or
        unsorted times.
        """
        require_variables(self.name, ("tp01",), variables)
        times = require_times(self.name, valid_times)
        return Located(self.name, tuple(self.folder.find(path(time)) for time in times), times, variables)

    def read(self, located: Located) -> Reading:
        """Read what `find` found: tp01 (valid_time, latitude, longitude) float32, mm, NaN where missing.

        Raises NotReady if a file changed since, BadInput for anything that is not this product at this time.
        """
        grids: list[Grid] = []
        fields = []
        used: list[Used] = []
        simulated = False
        for file, valid_time in zip(located.files, located.valid_times, strict=True):
            with self.folder.open(file) as reader:
                rain, grid, marked = decode(reader.all(), file.address, valid_time)
                used.append(reader.used)
            quality.check(rain, VARIABLES["tp01"], file.address, missing_allowed=True)
            if grids and grid != grids[0]:
                raise BadInput(f"{file.address}: grid {grid.describe()} differs from {grids[0].describe()}")
            grids.append(grid)
            fields.append(rain)
            simulated |= marked
        attributes: dict[str, str | int | float] = {"source": located.source, "simulated": int(simulated)}
        dataset = on_grid(grids[0], located.valid_times, {VARIABLES["tp01"]: np.stack(fields)}, attributes)
        return Reading(dataset, tuple(used))


def decode(packed: bytes, address: str, valid_time: datetime) -> tuple[npt.NDArray[np.float32], Grid, bool]:
    """Decode the bytes of one `.gz`: rain in mm (ny, nx), south to north, NaN where missing; its grid; is it simulated.

    A simulated file names the radar `SIMU`, which no network has.
    Raises BadInput when it is not a whole gzip, or a number of its header is not what the product allows.
    """
    data = _unpack(packed, address)
    if len(data) < _HEADER.size:
        raise BadInput(f"{address}: {len(data)} bytes unpacked; allowed no fewer than the header's {_HEADER.size}")
    values = _HEADER.unpack_from(data)
    header = Header._make((*values[:23], values[23:32], *values[32:]))
    _check_time(header, address, valid_time)
    grid = _grid(header, address)
    offset = _HEADER.size + 4 * header.radars
    expected = offset + 2 * header.nx * header.ny
    if len(data) != expected:
        raise BadInput(
            f"{address}: {len(data)} bytes unpacked; its header ({header.nx} x {header.ny}) allows {expected}"
        )
    raw = np.frombuffer(data, "<i2", offset=offset).reshape(header.ny, header.nx)
    rain = raw.astype(np.float32) / np.float32(header.var_scale)
    rain[raw == header.missing * header.var_scale] = np.nan
    return rain, grid, SIMULATED_RADAR in data[_HEADER.size : offset]


def _unpack(packed: bytes, address: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            data = stream.read(LARGEST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{address}: {len(packed)} bytes are not a whole gzip file ({error})") from error
    if len(data) > LARGEST_BYTES:
        raise BadInput(f"{address}: unpacks to more than {LARGEST_BYTES} bytes; allowed {LARGEST_BYTES}")
    return data


def _check_time(header: Header, address: str, valid_time: datetime) -> None:
    try:
        found = datetime(*header[:6], tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"{address}: header time {header[:6]} is not a time") from None
    if found != as_utc(valid_time):
        raise BadInput(
            f"{address}: header time is {found:%Y-%m-%d %H:%M:%S} UTC;"
            f" allowed {as_utc(valid_time):%Y-%m-%d %H:%M:%S} UTC"
        )


def _grid(header: Header, address: str) -> Grid:
    """Check every number that places or scales the data; return the grid."""
    for name, found, allowed, good in (
        ("nz", header.nz, "1", header.nz == 1),
        ("proj", header.projection, "b'LL'", header.projection.rstrip(b"\0 ") == b"LL"),
        ("nx", header.nx, "2 to 4096", 2 <= header.nx <= 4096),
        ("ny", header.ny, "2 to 4096", 2 <= header.ny <= 4096),
        ("map_scale", header.map_scale, "above 0", header.map_scale > 0),
        ("xy_scale", header.xy_scale, f"map_scale, {header.map_scale}", header.xy_scale == header.map_scale),
        ("dxy_scale", header.dxy_scale, "above 0", header.dxy_scale > 0),
        ("dx", header.dx, "above 0", header.dx > 0),
        ("dy", header.dy, "above 0", header.dy > 0),
        ("varunit", header.unit, "b'mm'", header.unit.split(b"\0")[0].strip() == b"mm"),
        ("var_scale", header.var_scale, "1 to 1000", 1 <= header.var_scale <= 1000),
        ("missing", header.missing, "below 0", header.missing < 0),
        ("nradar", header.radars, "0 to 1000", 0 <= header.radars <= 1000),
    ):
        if not good:
            raise BadInput(f"{address}: header's {name} is {found!r}; allowed {allowed}")
    west, north = header.west / header.map_scale, header.north / header.map_scale
    south = north - (header.ny - 1) * header.dy / header.dxy_scale
    east = west + (header.nx - 1) * header.dx / header.dxy_scale
    if south < -90 or north > 90 or west < -180 or east > 360:
        raise BadInput(f"{address}: covers {south:g} to {north:g} N, {west:g} to {east:g} E; allowed on the globe")
    return Grid("QPESUMS", south, north, header.ny, west, east, header.nx)
