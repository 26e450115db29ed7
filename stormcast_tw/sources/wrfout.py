"""One raw `wrfout` file: its grid, times, earth-relative winds and accumulated rain.

Format: WRF Users' Guide, "WRF output fields"; data-formats.md 2.2 and 2.3. WRF computes on a sphere of
6,370,000 m and writes U10 and V10 along its own grid axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import as_utc
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import EARTH_RADIUS_WRF, Grid, to_earth_relative
from stormcast_tw.lazy import lazy_import
from stormcast_tw.sources.formats.netcdf import NetCDF, open_netcdf
from stormcast_tw.storage.provider_files import Reader

if TYPE_CHECKING:
    import pyproj
else:
    pyproj = lazy_import("pyproj")

FloatArray = npt.NDArray[np.float64]

GRID_TOLERANCE = 0.01
"""How far, in cells, a point may lie from its place: XLAT and XLONG are float32, rounded to 0.0004 of a 2-km cell; with
a wrong earth radius (6,371,229 m) points would be 0.09 cell off over 450 cells."""

ROTATION_TOLERANCE = 1e-3
"""Largest difference between SINALPHA, COSALPHA and the projection's own: 0.03 m/s in a wind of 30 m/s."""

RAIN_TOTAL_RANGE = (-0.1, 20_000.0)
"""Accepted mm since the start of a run; checked because fill values would cancel in a difference."""

_LAMBERT, _POLAR, _MERCATOR, _LATITUDE_LONGITUDE = 1, 2, 3, 6
_PROJECTIONS = {_LAMBERT: "lcc", _POLAR: "stere", _MERCATOR: "merc"}
"""PROJ's name of each MAP_PROJ (WPS, module_llxy)."""
_TRUE_NORTH = (_MERCATOR, _LATITUDE_LONGITUDE)
"""Projections whose y axis points north everywhere."""
_UNITS = {
    "T2": "K", "PSFC": "Pa", "U10": "m s-1", "V10": "m s-1", "HGT": "m",
    "RAINC": "mm", "RAINNC": "mm", "RAINSH": "mm",
}  # fmt: skip
"""What WRF's registry says of the fields at the surface."""
_TIME_FORM = "%Y-%m-%d_%H:%M:%S"


@contextmanager
def open_wrfout(reader: Reader) -> Iterator[Wrfout]:
    """Open a wrfout file; raises BadInput if it is not NetCDF."""
    with open_netcdf(reader) as file:
        yield Wrfout(reader.address, file)


@dataclass(frozen=True)
class Wrfout:
    """An open file. Fields are (south_north, west_east) = (ny, nx), south to north, in WRF's units."""

    address: str
    file: NetCDF

    @property
    def init_time(self) -> datetime:
        """Start of the run, SIMULATION_START_DATE, UTC."""
        text = str(self.file.attribute("SIMULATION_START_DATE"))
        try:
            return datetime.strptime(text, _TIME_FORM).replace(tzinfo=UTC)
        except ValueError:
            raise BadInput(f"{self.address}: SIMULATION_START_DATE is {text!r}; allowed YYYY-MM-DD_hh:mm:ss") from None

    @property
    def simulated(self) -> bool:
        """True if the file's TITLE says SIMULATED."""
        return "SIMULATED" in str(self.file.attributes.get("TITLE", "")).upper()

    def require_run(self, init_time: datetime) -> None:
        """Raise BadInput unless this is output of the run of `init_time`."""
        if self.init_time != init_time:
            raise BadInput(
                f"{self.address}: SIMULATION_START_DATE is {self.init_time:{_TIME_FORM}};"
                f" allowed {init_time:{_TIME_FORM}}"
            )

    def index_at(self, valid_time: datetime) -> int:
        """Return the index of `valid_time` in `Times`; raises BadInput unless it is there exactly once."""
        stamps = self.file.variable("Times")
        if stamps.dtype.kind != "S" or not stamps.shape:
            raise BadInput(f"{self.address}: Times is of type {stamps.dtype} and shape {stamps.shape}; allowed text")
        times = [bytes(row.tobytes()).decode("ascii", "replace").strip("\0 ") for row in stamps.read()]
        wanted = f"{as_utc(valid_time):{_TIME_FORM}}"
        if times.count(wanted) != 1:
            raise BadInput(
                f"{self.address}: Times holds {wanted} {times.count(wanted)} times; allowed once; found {times}"
            )
        return times.index(wanted)

    def grid(self, index: int, declared: Mapping[str, float | str] | None = None) -> Grid:
        """Return the file's grid at time `index`.

        The origin is the south-west point of XLAT and XLONG (a crop's CEN_LAT is not its centre); every other point
        must then lie where DX and DY put it. `declared` is the projection of a file that has no MAP_PROJ; its points
        must be evenly spaced in it. Raises BadInput for another map projection or a point out of place.
        """
        if declared is not None and "MAP_PROJ" not in self.file.attributes:
            return self._closed_grid(index, declared)
        if int(self.number("MAP_PROJ")) == _LATITUDE_LONGITUDE:
            if (pole := self.number("POLE_LAT", 90.0)) != 90.0:
                raise BadInput(f"{self.address}: POLE_LAT is {pole:g}; allowed 90: the grid is rotated")
            return self._closed_grid(index, {})
        return self._closed_grid(index, self._projection(), (self.number("DX"), self.number("DY")))

    def _closed_grid(
        self, index: int, projection: Mapping[str, float | str], spacing: tuple[float, float] | None = None
    ) -> Grid:
        """Return the grid that begins at the south-west point; raises BadInput unless every point lies on it.

        `spacing` is dx and dy; without it they are taken from XLAT and XLONG.
        """
        dims = ("south_north", "west_east")
        longitude, latitude = self.array("XLONG", index, dims), self.array("XLAT", index, dims)
        if min(shape := longitude.shape) < 2:
            raise BadInput(f"{self.address}: XLONG is {shape}; allowed at least 2 by 2 points")
        pairs = tuple(sorted(projection.items()))
        try:
            x0, dx, y0, dy, error = _lattice(pairs, shape, longitude.tobytes(), latitude.tobytes(), spacing)
        except pyproj.exceptions.ProjError as wrong:
            raise BadInput(f"{self.address}: there is no projection {projection} ({wrong})") from None
        if not (dx > 0 and dy > 0):
            raise BadInput(f"{self.address}: grid spacing is {dx:g} by {dy:g}; allowed above 0")
        if not error <= GRID_TOLERANCE:
            raise BadInput(
                f"{self.address}: XLAT and XLONG lie up to {error:.3g} cells from the projection"
                f" {projection or 'latitude-longitude'}; allowed {GRID_TOLERANCE}"
            )
        ny, nx = shape
        return Grid("wrfout", y0, y0 + dy * (ny - 1), ny, x0, x0 + dx * (nx - 1), nx, pairs)

    def _projection(self) -> dict[str, float | str]:
        number = int(self.number("MAP_PROJ"))
        if number not in _PROJECTIONS:
            allowed = ", ".join(f"{code} ({name})" for code, name in _PROJECTIONS.items())
            raise BadInput(
                f"{self.address}: MAP_PROJ is {number}; allowed {allowed}, {_LATITUDE_LONGITUDE} (latitude-longitude)"
            )
        central, first = self.number("STAND_LON"), self.number("TRUELAT1")
        sphere: dict[str, float | str] = {"proj": _PROJECTIONS[number], "lon_0": central, "R": EARTH_RADIUS_WRF}
        if number == _LAMBERT:
            second, origin = self.number("TRUELAT2"), self.number("MOAD_CEN_LAT")
            return {**sphere, "lat_1": first, "lat_2": second, "lat_0": origin}
        if number == _POLAR:
            return {**sphere, "lat_ts": first, "lat_0": float(np.copysign(90.0, first))}
        return {**sphere, "lat_ts": first}

    def number(self, name: str, default: float | None = None) -> float:
        """Return a global attribute that is one number; raises BadInput for any other, or if absent with no default."""
        value = default if default is not None and name not in self.file.attributes else self.file.attribute(name)
        if np.ndim(value) or not np.issubdtype(np.asarray(value).dtype, np.number) or not np.isfinite(value):
            raise BadInput(f"{self.address}: {name} is {str(value)[:40]!r}; allowed one number")
        return float(value)

    def earth_relative_wind(self, index: int, grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Return the eastward and northward 10 m wind, m s-1, each (ny, nx). Raises BadInput as `rotation` does."""
        return to_earth_relative(self.field("U10", index), self.field("V10", index), *self.rotation(index, grid))

    def rotation(self, index: int, grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Return COSALPHA and SINALPHA, (ny, nx), with which `to_earth_relative` turns grid-relative winds.

        Raises BadInput when they contradict the projection, or are absent where grid north is not true north.
        """
        north = grid.grid_north()
        if "COSALPHA" not in self.file.variables and "SINALPHA" not in self.file.variables:
            if int(self.number("MAP_PROJ")) in _TRUE_NORTH:
                return np.ones(grid.shape), np.zeros(grid.shape)
            raise BadInput(
                f"{self.address}: COSALPHA and SINALPHA are absent; allowed only on Mercator (MAP_PROJ 3) and"
                " latitude-longitude (6)"
            )
        cos_alpha, sin_alpha = self.field("COSALPHA", index), self.field("SINALPHA", index)
        misses = [np.max(np.abs(sin_alpha + np.sin(north))), np.max(np.abs(cos_alpha - np.cos(north)))]
        error = float(np.max(misses))  # NaN stays NaN
        if not error <= ROTATION_TOLERANCE:
            raise BadInput(
                f"{self.address}: COSALPHA and SINALPHA differ by up to {error:.3g} from the projection's north;"
                f" allowed {ROTATION_TOLERANCE}"
            )
        return cos_alpha, sin_alpha

    def accumulated_rain(self, index: int) -> FloatArray:
        """Return all rain since the start of the run, mm, (ny, nx), bucket tips included. Raises BadInput."""
        bucket = self.number("BUCKET_MM", 0.0)
        total = self.field("RAINNC", index)
        if bucket > 0:
            total = total + bucket * self.field("I_RAINNC", index)
        for name, scheme in (("RAINC", "CU_PHYSICS"), ("RAINSH", "SHCU_PHYSICS")):
            if name not in self.file.variables and self._has_no(scheme, name):
                continue
            total = total + self.field(name, index)
            if bucket > 0 and name == "RAINC":
                total = total + bucket * self.field(f"I_{name}", index)
        low, high = RAIN_TOTAL_RANGE
        if not (np.min(total) >= low and np.max(total) <= high):
            raise BadInput(
                f"{self.address}: accumulated rain spans {np.min(total):.6g} to {np.max(total):.6g} mm;"
                f" allowed {low:g} to {high:g}"
            )
        return total

    def _has_no(self, scheme: str, name: str) -> bool:
        """True if the header says that a scheme is off; raises BadInput where its rain is absent but it is not."""
        if scheme in self.file.attributes and self.number(scheme) == 0:
            return True
        said = self.file.attributes.get(scheme, "absent")
        raise BadInput(f"{self.address}: has no variable {name}; allowed only where {scheme} is 0, it is {said}")

    def field(self, name: str, index: int) -> FloatArray:
        """Return a surface field at time `index` as float64 (ny, nx); raises BadInput if it is not in the file."""
        return self.array(name, index, ("south_north", "west_east")).astype(np.float64)

    def array(
        self, name: str, index: int, dimensions: tuple[str, ...], *leading: int, rows: slice | None = None
    ) -> npt.NDArray[np.float32]:
        """Return a variable of these dimensions after Time, at time `index`, as float32.

        `leading` fixes the first of these dimensions, for example to read one level; `rows` selects part of the next.
        Raises BadInput for a variable that is absent, has other dimensions, is empty, or is not numeric.
        """
        variable = self.file.variable(name)
        if variable.dimensions != ("Time", *dimensions):
            raise BadInput(
                f"{self.address}: {name} has dimensions {variable.dimensions}; allowed Time, {', '.join(dimensions)}"
            )
        if not np.issubdtype(variable.dtype, np.number) or 0 in variable.shape:
            raise BadInput(
                f"{self.address}: {name} is of type {variable.dtype} and shape {variable.shape}; allowed any numbers"
            )
        self._require_units(name, variable.attributes)
        try:
            return np.asarray(variable.numbers(index, *leading, rows=rows), dtype=np.float32)
        except BadInput as error:
            raise error if str(error).startswith(self.address) else BadInput(f"{self.address}: {error}") from error

    def _require_units(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Raise BadInput where a variable says units other than WRF's own; most tools leave them as they are."""
        units, allowed = str(attributes.get("units", "")).strip(), _UNITS.get(name)
        if allowed is not None and units not in ("", allowed):
            raise BadInput(f"{self.address}: {name} is in {units!r}; allowed {allowed!r}")


@lru_cache(maxsize=2)
def _lattice(
    projection: tuple[tuple[str, float | str], ...],
    shape: tuple[int, int],
    longitude: bytes,
    latitude: bytes,
    spacing: tuple[float, float] | None,
) -> tuple[float, float, float, float, float]:
    """Return the first x, dx, the first y, dy, and how far, in cells, the worst point lies from its place.

    In metres, or degrees if there is no projection. Cached, because all files of an archive have the same points and
    projecting them would take most of the reading time.
    """
    x, y = (np.frombuffer(axis, np.float32).reshape(shape).astype(np.float64) for axis in (longitude, latitude))
    if projection:
        x, y = pyproj.Proj(dict(projection))(x, y)
    (ny, nx), x0, y0 = shape, float(x[0, 0]), float(y[0, 0])
    dx, dy = spacing or (float(x[0, -1] - x0) / (nx - 1), float(y[-1, 0] - y0) / (ny - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        misses = [np.max(np.abs(x - (x0 + dx * np.arange(nx)))) / dx]
        misses += [np.max(np.abs(y - (y0 + dy * np.arange(ny)[:, None]))) / dy]
    return x0, dx, y0, dy, float(np.max(misses))  # NaN stays NaN
