"""One GRIB message: its identity, its time, and its values on a latitude/longitude or Lambert grid.

WMO Manual on Codes, FM 92. `grib_index` finds and reads messages; `translate.grib_run` turns them into lead times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.lazy import lazy_import
from stormcast_tw.sources.formats import grib_packing
from stormcast_tw.sources.formats.grib_sections import sections

if TYPE_CHECKING:
    import pyproj
else:
    pyproj = lazy_import("pyproj")

eccodes = lazy_import("eccodes")

Key = tuple[str, int | None]
"""A message's shortName in eccodes, and its pressure level in hPa (None if it is on no pressure level)."""

_SCAN_KEYS = ("iScansNegatively", "jScansPositively", "jPointsAreConsecutive", "alternativeRowScanning")
_AXIS_KEYS = (
    "latitudeOfFirstGridPointInDegrees",
    "latitudeOfLastGridPointInDegrees",
    "longitudeOfFirstGridPointInDegrees",
    "iDirectionIncrementInDegrees",
)

SIMULATED_VERSION = "simu"
"""ECMWF experiment version of simulated messages."""
SIMULATED_SECTION = b"SIMULATED"
"""Local section (2) of simulated messages of other centres, with production status 2 (research products)."""

_UNNAMED = {(0, 1, 8): "tp"}
"""Parameters (discipline, category, number) that eccodes names for some centres and calls unknown for others."""


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

    def edges(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return latitude and longitude of points along its four edges."""
        steps = np.linspace(0.0, 1.0, 50)
        y, x = self.south + (self.north - self.south) * steps, self.west + (self.east - self.west) * steps
        south, north, west, east = (np.full_like(steps, e) for e in (self.south, self.north, self.west, self.east))
        return np.concatenate([south, north, y, y]), np.concatenate([x, x, west, east])


@dataclass(frozen=True)
class Window:
    """The rows and columns of a message inside a box, south to north and west to east, and their grid."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    grid: Grid


@dataclass(frozen=True)
class Lambert:
    """A conformal conic grid as a message describes it: degrees and metres, rows south to north, columns west to east.

    `radius` is the header's; a provider may have computed on a different one.
    """

    ny: int
    nx: int
    latitude: float
    longitude: float
    lat_1: float
    lat_2: float
    lat_0: float
    lon_0: float
    dy: float
    dx: float
    radius: float

    def grid(self, radius: float) -> Grid:
        """Return the grid on a sphere of `radius` metres; raises ValueError where the projection is impossible."""
        projection: dict[str, float | str] = {"proj": "lcc", "R": radius, "lat_0": self.lat_0, "lon_0": self.lon_0}
        projection |= {"lat_1": self.lat_1, "lat_2": self.lat_2}
        try:
            x, y = pyproj.Proj(projection)(self.longitude, self.latitude)
        except pyproj.exceptions.ProjError as error:
            raise ValueError(f"projection {projection} is impossible ({error})") from error
        if not (np.isfinite([x, y]).all() and 1.0 <= self.dx <= 1e6 and 1.0 <= self.dy <= 1e6):
            raise ValueError(f"begins at (x, y) = ({x}, {y}) m in steps of {self.dx}, {self.dy} m; allowed 1 to 1e6")
        ends = y, y + (self.ny - 1) * self.dy, self.ny, x, x + (self.nx - 1) * self.dx, self.nx
        return Grid("lambert", *ends, tuple(sorted(projection.items())))


TrueRadius = Callable[[Lambert], float]
"""Returns the earth radius in metres on which a provider computed a grid; raises ValueError if none fits."""


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


def identity(handle: int) -> Key:
    """Return what a message is: its shortName and its pressure level."""
    on_pressure_level = eccodes.codes_get(handle, "typeOfLevel") == "isobaricInhPa"
    name = eccodes.codes_get(handle, "shortName")
    if name == "unknown" and eccodes.codes_get(handle, "edition") == 2:
        numbers = ("discipline", "parameterCategory", "parameterNumber")
        name = _UNNAMED.get(tuple(eccodes.codes_get(handle, key) for key in numbers), name)
    return name, eccodes.codes_get(handle, "level") if on_pressure_level else None


def simulated(handle: int, message: bytes) -> bool:
    """True if a message says that it is simulated.

    ECMWF's messages say so by experiment version `simu` (0001 is operational), others by production status 2 and the
    word SIMULATED in the local section.
    """
    if eccodes.codes_is_defined(handle, "experimentVersionNumber"):
        version = str(eccodes.codes_get_string(handle, "experimentVersionNumber")).lower()
        if version == SIMULATED_VERSION:
            return True
    if message[7] != 2 or eccodes.codes_get(handle, "productionStatusOfProcessedData") != 2:
        return False
    local = [s for s in sections(message, "") or () if s.number == 2]
    return SIMULATED_SECTION in [message[s.start + 5 : s.start + s.length] for s in local]


def init_time(handle: int) -> str:
    """Return when a message's forecast began, as 20261122T0600Z."""
    return _time(handle, "data")


def check_time(handle: int, init_time: datetime, lead_time: timedelta, name: str, address: str) -> None:
    """Raise BadInput unless the message was initialised at `init_time` and is valid `lead_time` later."""
    for name_of_time, prefix, allowed in (("init", "data", init_time), ("valid", "validity", init_time + lead_time)):
        if (text := _time(handle, prefix)) != f"{allowed:%Y%m%dT%H%MZ}":
            raise BadInput(f"{address}: {name} has {name_of_time} time {text}; allowed {allowed:%Y%m%dT%H%MZ}")


def check_instant(handle: int, name: str, address: str) -> None:
    """Raise BadInput for a mean, sum or extreme over an interval: an instantaneous value is wanted."""
    if (kind := eccodes.codes_get(handle, "stepType")) != "instant":
        steps = eccodes.codes_get_string(handle, "stepRange")
        raise BadInput(f"{address}: {name} is {kind} over hours {steps}; allowed instant")


def check_sum_since_init(handle: int, name: str, address: str) -> None:
    """Raise BadInput unless a message is accumulated since the start of the forecast."""
    kind, start = eccodes.codes_get(handle, "stepType"), eccodes.codes_get(handle, "startStep")
    if (kind, start) != ("accum", 0):
        raise BadInput(f"{address}: {name} is {kind} from hour {start}; allowed accum from hour 0")


def relative_to_grid(handle: int) -> bool:
    """True if wind components are along the grid's axes, not east and north (flag table 3.3, bit 5)."""
    return bool(eccodes.codes_get(handle, "uvRelativeToGrid"))


def field(
    handle: int, box: Box, name: str, address: str, true_radius: TrueRadius | None = None
) -> tuple[npt.NDArray[np.float64], Grid]:
    """Decode a message's values around `box`: (y, x), south to north, west to east, and their grid.

    Longitudes run from the box's west, whether the message counts from 0, 180 or -180. A Lambert grid is cut to the
    rows and columns that hold the box; its radius is the header's unless `true_radius` gives another. Raises BadInput
    for another kind of grid, a message without points in the box, or one with missing values.
    """
    kind = eccodes.codes_get(handle, "gridType")
    if kind not in ("regular_ll", "lambert"):
        raise BadInput(f"{address}: {name} is on a {kind} grid; allowed regular_ll, lambert")
    grib_packing.check(handle, name, address)
    if missing := eccodes.codes_get(handle, "numberOfMissing"):
        raise BadInput(f"{address}: {name} has {missing} missing values; allowed 0")
    ny, nx = eccodes.codes_get(handle, "Nj"), eccodes.codes_get(handle, "Ni")
    scan = tuple(eccodes.codes_get(handle, key) for key in _SCAN_KEYS)
    try:
        if kind == "regular_ll":
            axes = tuple(float(eccodes.codes_get(handle, key)) for key in _AXIS_KEYS)
            window = _latlon_window(ny, nx, scan, axes, box)
        else:
            lambert = _lambert(handle, ny, nx, scan)
            radius = true_radius(lambert) if true_radius else lambert.radius
            window = _lambert_window(lambert, radius, box)
    except ValueError as error:
        raise BadInput(f"{address}: {name}: {error}") from error
    values: npt.NDArray[Any] = eccodes.codes_get_array(handle, "values")
    if values.size != ny * nx:
        raise BadInput(f"{address}: {name} has {values.size} values; its grid of {ny} x {nx} allows {ny * nx}")
    return values.reshape(ny, nx)[np.ix_(window.rows, window.columns)].astype(np.float64), window.grid


def _time(handle: int, prefix: str) -> str:
    date, time = eccodes.codes_get(handle, f"{prefix}Date"), eccodes.codes_get(handle, f"{prefix}Time")
    return f"{date:08d}T{time:04d}Z"


def _lambert(handle: int, ny: int, nx: int, scan: tuple[int, ...]) -> Lambert:
    if scan != (0, 1, 0, 0):
        raise ValueError(f"scanning (-i, +j, columns first, alternating rows) is {scan}; allowed (0, 1, 0, 0)")
    keys = ("latitudeOfFirstGridPoint", "longitudeOfFirstGridPoint", "Latin1", "Latin2", "LaD", "LoV")
    degrees = [float(eccodes.codes_get(handle, f"{key}InDegrees")) for key in keys]
    metres = [float(eccodes.codes_get(handle, key)) for key in ("DyInMetres", "DxInMetres", "radius")]
    return Lambert(ny, nx, *degrees, *metres)


@lru_cache(maxsize=16)
def _lambert_window(lambert: Lambert, radius: float, box: Box) -> Window:
    """Return the window of a Lambert grid that encloses `box`, as far as the grid reaches."""
    whole = lambert.grid(radius)
    indices = whole.index_of(*box.edges())
    if not np.isfinite(indices).all():
        raise ValueError(f"projection {dict(whole.projection)} cannot show {box}")
    rows, columns = (
        np.arange(max(int(np.floor(index.min())), 0), min(int(np.ceil(index.max())) + 1, count))
        for index, count in zip(indices, whole.shape, strict=True)
    )
    if rows.size < 2 or columns.size < 2:
        raise ValueError(f"has {rows.size} x {columns.size} points in {box}; allowed 2 x 2 or more")
    grid = Grid.from_axes("lambert", whole.y[rows], whole.x[columns], dict(whole.projection))
    return Window(tuple(rows.tolist()), tuple(columns.tolist()), grid)


@lru_cache(maxsize=16)
def _latlon_window(ny: int, nx: int, scan: tuple[int, ...], axes: tuple[float, ...], box: Box) -> Window:
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
    grid = Grid.from_axes("regular_ll", latitude[rows], longitude[columns])
    return Window(tuple(rows.tolist()), tuple(columns.tolist()), grid)
