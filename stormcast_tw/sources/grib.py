"""GRIB files message by message: whole, of the right time, on a latitude/longitude grid in one orientation.

WMO Manual on Codes, FM 92: section 0 holds `GRIB`, the edition and the length; the message ends with `7777`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import eccodes
import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid

_SCAN_KEYS = ("iScansNegatively", "jScansPositively", "jPointsAreConsecutive", "alternativeRowScanning")
_AXIS_KEYS = (
    "latitudeOfFirstGridPointInDegrees",
    "latitudeOfLastGridPointInDegrees",
    "longitudeOfFirstGridPointInDegrees",
    "iDirectionIncrementInDegrees",
)

SIMULATED_VERSION = "simu"
"""ECMWF experiment version of simulated messages."""

LARGEST_FIELD = 8_000_000
"""Points of a field that is still decoded: a globe of 0.1 degree has 6.5 million."""


@dataclass(frozen=True)
class Box:
    """A latitude/longitude box in degrees; points on its edges are inside."""

    south: float
    north: float
    west: float
    east: float

    @classmethod
    def around(cls, grid: Grid, margin: float) -> Box:
        """Return the box of all points of `grid`, wider by `margin` degrees on each side."""
        latitude, longitude = grid.latlon()
        return cls(
            float(latitude.min()) - margin,
            float(latitude.max()) + margin,
            float(longitude.min()) - margin,
            float(longitude.max()) + margin,
        )


@dataclass(frozen=True)
class Window:
    """The rows and columns of a message inside a box, south to north and west to east, and their grid."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    grid: Grid


def messages(data: bytes, address: str) -> Iterator[bytes]:
    """Yield every message of a file; raises BadInput where one does not begin, end or fit as it says."""
    if not data:
        raise BadInput(f"{address}: 0 bytes; allowed at least one GRIB message")
    start = 0
    while start < len(data):
        head = data[start : start + 16]
        edition = head[7] if len(head) == 16 else 0
        if head[:4] != b"GRIB" or edition not in (1, 2):
            raise BadInput(f"{address}: byte {start} begins with {head[:8]!r}; allowed GRIB of edition 1 or 2")
        length = int.from_bytes(head[8:16] if edition == 2 else head[4:7], "big")
        message = data[start : start + length]
        if length < 16 or len(message) < length:
            raise BadInput(f"{address}: the message at byte {start} is {length} bytes long; found {len(message)}")
        if message[-4:] != b"7777":
            raise BadInput(f"{address}: the message at byte {start} ends with {message[-4:]!r}; allowed b'7777'")
        yield message
        start += length


@contextmanager
def opened(message: bytes, address: str) -> Iterator[int]:
    """Open one message with eccodes; its errors become BadInput."""
    try:
        handle: int = eccodes.codes_new_from_message(message)
        try:
            yield handle
        finally:
            eccodes.codes_release(handle)
    except eccodes.CodesInternalError as error:
        raise BadInput(f"{address}: eccodes cannot read a message of {len(message)} bytes ({error})") from error


def identity(handle: int) -> tuple[str, int | None]:
    """Return a message's shortName and its pressure level in hPa, None for the surface."""
    on_pressure_level = eccodes.codes_get(handle, "typeOfLevel") == "isobaricInhPa"
    return eccodes.codes_get(handle, "shortName"), eccodes.codes_get(handle, "level") if on_pressure_level else None


def simulated(handle: int) -> bool:
    """True if the message is of ECMWF's experiment version `simu`, as simulated files are (0001 is operational)."""
    if not eccodes.codes_is_defined(handle, "experimentVersionNumber"):
        return False
    return str(eccodes.codes_get_string(handle, "experimentVersionNumber")).lower() == SIMULATED_VERSION


def check_time(handle: int, init_time: datetime, lead_time: timedelta, name: str, address: str) -> None:
    """Raise BadInput unless the message was initialised at `init_time` and is valid `lead_time` later."""
    for what, prefix, allowed in (("init", "data", init_time), ("valid", "validity", init_time + lead_time)):
        date, time = eccodes.codes_get(handle, f"{prefix}Date"), eccodes.codes_get(handle, f"{prefix}Time")
        found = f"{date:08d}T{time:04d}Z"
        if found != f"{allowed:%Y%m%dT%H%MZ}":
            raise BadInput(f"{address}: {name} has {what} time {found}; allowed {allowed:%Y%m%dT%H%MZ}")


def field(handle: int, box: Box, name: str, address: str) -> tuple[npt.NDArray[np.float64], Grid]:
    """Decode a message's values inside `box`: (latitude, longitude), south to north, west to east, and their grid.

    Longitudes run from the box's west, whether the message counts from 0, 180 or -180. Raises BadInput for another
    kind of grid, a message without points in the box, or one with missing values.
    """
    if (kind := eccodes.codes_get(handle, "gridType")) != "regular_ll":
        raise BadInput(f"{address}: {name} is on a {kind} grid; allowed regular_ll")
    _check_packing(handle, name, address)
    if missing := eccodes.codes_get(handle, "numberOfMissing"):
        raise BadInput(f"{address}: {name} has {missing} missing values; allowed 0")
    ny, nx = eccodes.codes_get(handle, "Nj"), eccodes.codes_get(handle, "Ni")
    scan = tuple(eccodes.codes_get(handle, key) for key in _SCAN_KEYS)
    axes = tuple(float(eccodes.codes_get(handle, key)) for key in _AXIS_KEYS)
    try:
        window = _window(ny, nx, scan, axes, box)
    except ValueError as error:
        raise BadInput(f"{address}: {name}: {error}") from error
    values: npt.NDArray[Any] = eccodes.codes_get_array(handle, "values")
    if values.size != ny * nx:
        raise BadInput(f"{address}: {name} has {values.size} values; its grid of {ny} x {nx} allows {ny * nx}")
    return values.reshape(ny, nx)[np.ix_(window.rows, window.columns)].astype(np.float64), window.grid


def _check_packing(handle: int, name: str, address: str) -> None:
    """Raise BadInput for numbers that eccodes and libaec trust: a wrong one makes them write outside their memory."""
    points = eccodes.codes_get(handle, "Ni") * eccodes.codes_get(handle, "Nj")
    checks: list[tuple[str, range | tuple[int, ...]]] = [
        ("numberOfDataPoints", (points,)),
        ("numberOfValues", range(points + 1)),
        ("bitsPerValue", range(33)),
    ]
    if eccodes.codes_get(handle, "packingType") == "grid_ccsds":
        checks += [("ccsdsBlockSize", (8, 16, 32, 64)), ("ccsdsRsi", range(1, 4097))]
    for key, allowed in checks:
        if (found := eccodes.codes_get(handle, key)) not in allowed:
            raise BadInput(f"{address}: {name}'s {key} is {found}; allowed {allowed}")
    if not 4 <= points <= LARGEST_FIELD:
        raise BadInput(f"{address}: {name} has {points} points; allowed 4 to {LARGEST_FIELD}")


@lru_cache(maxsize=16)
def _window(ny: int, nx: int, scan: tuple[int, ...], axes: tuple[float, ...], box: Box) -> Window:
    if scan[2:] != (0, 0):
        raise ValueError(f"scanning (columns first, alternating rows) is {scan[2:]}; allowed (0, 0)")
    first_latitude, last_latitude, first_longitude, step = axes
    latitude = np.linspace(first_latitude, last_latitude, ny)
    longitude = first_longitude + (-step if scan[0] else step) * np.arange(nx)
    longitude = box.west + np.mod(np.round(longitude - box.west, 6), 360.0)
    rows, columns = np.argsort(latitude), np.argsort(longitude)
    rows = rows[(latitude[rows] >= box.south) & (latitude[rows] <= box.north)]
    columns = columns[longitude[columns] <= box.east]
    if rows.size < 2 or columns.size < 2:
        raise ValueError(f"has {rows.size} x {columns.size} points in {box}; allowed 2 x 2 or more")
    grid = Grid.from_axes("global_ai", latitude[rows], longitude[columns])
    return Window(tuple(rows.tolist()), tuple(columns.tolist()), grid)
