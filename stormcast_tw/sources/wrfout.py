"""One raw `wrfout` file: its grid, times, earth-relative winds and accumulated rain.

Format: WRF Users' Guide, "WRF output fields"; data-formats.md 2.2 and 2.3. WRF computes on a sphere of
6,370,000 m and writes U10 and V10 along its own grid axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from pyproj import Proj

from stormcast_tw.cycle import as_utc
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import EARTH_RADIUS_WRF, Grid, to_earth_relative
from stormcast_tw.sources.files import Reader
from stormcast_tw.sources.netcdf import NetCDF, open_netcdf

FloatArray = npt.NDArray[np.float64]

GRID_TOLERANCE = 0.01
"""Cells by which a point may miss its place: XLAT and XLONG are float32, worth 0.0004 of a 2-km cell; a wrong earth
radius (6,371,229 m) would miss by 0.09 cell over 450 cells."""

ROTATION_TOLERANCE = 1e-3
"""Largest difference between SINALPHA, COSALPHA and the projection's own: 0.03 m/s in a wind of 30 m/s."""

RAIN_TOTAL_RANGE = (-0.1, 20_000.0)
"""mm since the start of a run that can be believed; fill values would cancel in a difference."""

_LAMBERT, _MERCATOR = 1, 3
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
        times = [
            bytes(row.tobytes()).decode("ascii", "replace").strip("\0 ") for row in self.file.variable("Times").read()
        ]
        wanted = f"{as_utc(valid_time):{_TIME_FORM}}"
        if times.count(wanted) != 1:
            raise BadInput(
                f"{self.address}: Times holds {wanted} {times.count(wanted)} times; allowed once; found {times}"
            )
        return times.index(wanted)

    def grid(self, index: int) -> Grid:
        """Return the file's grid at time `index`.

        The origin is the south-west point of XLAT and XLONG (a crop's CEN_LAT is not its centre); every other point
        must then lie where DX and DY put it. Raises BadInput for another map projection or a point out of place.
        """
        projection = self._projection()
        x, y = Proj(projection)(self.field("XLONG", index), self.field("XLAT", index))
        dx, dy = float(self.file.attribute("DX")), float(self.file.attribute("DY"))
        ny, nx = x.shape
        error = max(
            float(np.max(np.abs(x - (x[0, 0] + dx * np.arange(nx))))) / dx,
            float(np.max(np.abs(y - (y[0, 0] + dy * np.arange(ny)[:, None])))) / dy,
        )
        if not error <= GRID_TOLERANCE:
            raise BadInput(
                f"{self.address}: XLAT and XLONG lie up to {error:.3g} cells from the projection"
                f" {projection}; allowed {GRID_TOLERANCE}"
            )
        y0, x0 = float(y[0, 0]), float(x[0, 0])
        pairs = tuple(sorted(projection.items()))
        return Grid("wrfout", y0, y0 + dy * (ny - 1), ny, x0, x0 + dx * (nx - 1), nx, pairs)

    def _projection(self) -> dict[str, float | str]:
        number = int(self.file.attribute("MAP_PROJ"))
        central, first = float(self.file.attribute("STAND_LON")), float(self.file.attribute("TRUELAT1"))
        sphere: dict[str, float | str] = {"lon_0": central, "R": EARTH_RADIUS_WRF}
        if number == _LAMBERT:
            second, origin = float(self.file.attribute("TRUELAT2")), float(self.file.attribute("MOAD_CEN_LAT"))
            return {"proj": "lcc", "lat_1": first, "lat_2": second, "lat_0": origin, **sphere}
        if number == _MERCATOR:
            return {"proj": "merc", "lat_ts": first, **sphere}
        raise BadInput(f"{self.address}: MAP_PROJ is {number}; allowed {_LAMBERT} (Lambert) and {_MERCATOR} (Mercator)")

    def earth_relative_wind(self, index: int, grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Return the eastward and northward 10 m wind, m s-1, each (ny, nx).

        Raises BadInput when a Lambert file lacks COSALPHA and SINALPHA, or when they contradict its projection.
        """
        u, v = self.field("U10", index), self.field("V10", index)
        if "COSALPHA" not in self.file.variables and "SINALPHA" not in self.file.variables:
            if int(self.file.attribute("MAP_PROJ")) == _MERCATOR:
                return u, v
            raise BadInput(f"{self.address}: COSALPHA and SINALPHA are absent; allowed only on Mercator (MAP_PROJ 3)")
        cos_alpha, sin_alpha = self.field("COSALPHA", index), self.field("SINALPHA", index)
        north = grid.grid_north()
        error = float(max(np.max(np.abs(sin_alpha + np.sin(north))), np.max(np.abs(cos_alpha - np.cos(north)))))
        if not error <= ROTATION_TOLERANCE:
            raise BadInput(
                f"{self.address}: COSALPHA and SINALPHA differ by up to {error:.3g} from the projection's north;"
                f" allowed {ROTATION_TOLERANCE}"
            )
        return to_earth_relative(u, v, cos_alpha, sin_alpha)

    def accumulated_rain(self, index: int) -> FloatArray:
        """Return all rain since the start of the run, mm, (ny, nx), bucket tips included. Raises BadInput."""
        total = self.field("RAINC", index) + self.field("RAINNC", index) + self.field("RAINSH", index)
        bucket = float(self.file.attributes.get("BUCKET_MM", 0.0))
        if bucket > 0:
            total = total + bucket * (self.field("I_RAINC", index) + self.field("I_RAINNC", index))
        low, high = RAIN_TOTAL_RANGE
        if not (np.min(total) >= low and np.max(total) <= high):
            raise BadInput(
                f"{self.address}: accumulated rain spans {np.min(total):.6g} to {np.max(total):.6g} mm;"
                f" allowed {low:g} to {high:g}"
            )
        return total

    def field(self, name: str, index: int) -> FloatArray:
        """Return a surface field at time `index` as float64 (ny, nx); raises BadInput if it is not in the file."""
        variable = self.file.variable(name)
        if variable.dimensions != ("Time", "south_north", "west_east"):
            raise BadInput(
                f"{self.address}: {name} has dimensions {variable.dimensions}; allowed Time, south_north, west_east"
            )
        return np.asarray(variable.read(index), dtype=np.float64)
