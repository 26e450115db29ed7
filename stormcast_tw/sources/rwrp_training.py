"""RWRP's training archive: `wrfout_d01_YYYY-MM-DD_HH_interp`, already on pressure levels with earth-relative winds.

One file per hour (data-formats.md 2.3): `slp` in hPa, `z_p` height in m, `QVAPOR_p` mixing ratio, 31 `pres_levels` in
hPa. It has no rain. A file's name does not say which run it comes from, so it is read like an analysis. What it holds
below the ground is not documented and not used: values there are extrapolated as for raw files, from the lowest level
above ground.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import EARTH_RADIUS_WRF, Grid
from stormcast_tw.sources.base import Located, Reading, require_times, require_variables
from stormcast_tw.sources.rwrp import read_files
from stormcast_tw.sources.translate.pressure_levels import GRAVITY, Level, on_pressure_levels
from stormcast_tw.sources.wrfout import Wrfout
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import LEVELS_HPA, VARIABLES, VariableSet

FloatArray = npt.NDArray[np.float64]

SURFACE_VARIABLES = {
    # ours: theirs, and the factor to our units
    "t2m": ("T2", 1.0),
    "u10m": ("umet10", 1.0),
    "v10m": ("vmet10", 1.0),
    "sp": ("PSFC", 1.0),
    "msl": ("slp", 100.0),
    "tcwv": ("pw", 1.0),
    "orog": ("HGT", 1.0),
    "lsm": ("LANDMASK", 1.0),
}
LEVEL_VARIABLES = tuple(f"{letter}{level}" for letter in "uvtqz" for level in LEVELS_HPA)
_ON_LEVELS = ("umet_p", "vmet_p", "tk_p", "QVAPOR_p", "z_p")

TAIWAN_LAMBERT: tuple[tuple[str, float | str], ...] = (
    ("R", EARTH_RADIUS_WRF),
    ("lat_0", 23.8),
    ("lat_1", 10.0),
    ("lat_2", 40.0),
    ("lon_0", 120.0),
    ("proj", "lcc"),
)
"""The projection of public 2-km WRF grids of Taiwan (data-formats.md 2.2), for files that do not state theirs; the
points of XLAT and XLONG must then be evenly spaced in it."""


def path(valid_time: datetime) -> str:
    """Return the path of the hour of `valid_time`, below the archive's root."""
    return f"wrfout_d01_{valid_time:%Y-%m-%d_%H}_interp"


@dataclass(frozen=True)
class RwrpTraining:
    """The atmosphere of past hours: SURFACE_VARIABLES and LEVEL_VARIABLES.

    That is all of the state sets `surface` and `upper` but the rain. `projection` (PROJ parameters as sorted pairs) is
    used for files without MAP_PROJ; their points must be evenly spaced in it.
    """

    folder: Folder
    projection: tuple[tuple[str, float | str], ...] = field(default=TAIWAN_LAMBERT)
    around: Grid | None = None
    """Keep only the points around this grid: a ninth of an archive of 450 x 450 points covers TAIWAN_2KM. Of the other
    points only those in the same rows are read."""
    name: str = "rwrp_training"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find the file of every valid time, in their order.

        Raises NotReady if one is absent, BadInput for a variable that the archive does not have, ValueError for
        naive or unsorted times, or an init_time: the archive has none.
        """
        require_variables(self.name, (*SURFACE_VARIABLES, *LEVEL_VARIABLES), variables)
        if init_time is not None:
            raise ValueError(f"{self.name}: has no runs; asked for the one of {init_time}")
        times = require_times(self.name, valid_times)
        return Located(self.name, tuple(self.folder.find(path(time)) for time in times), times, variables)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, y, x) float32 on WRF's grid. Raises BadInput, NotReady."""
        return read_files(self.folder, located, self._fields)

    def _fields(self, wrfout: Wrfout, index: int, variables: VariableSet) -> tuple[Grid, dict[str, FloatArray]]:
        grid = wrfout.grid(index, dict(self.projection))
        rows, columns = None, slice(None)
        if self.around is not None:
            (rows, columns), grid = window(grid, self.around)

        def part(name: str, *level: int) -> FloatArray:
            dimensions = (*(["pres_bottom_top"] if level else []), "south_north", "west_east")
            return wrfout.array(name, index, dimensions, *level, rows=rows)[:, columns].astype(np.float64)

        fields: dict[str, FloatArray] = {}
        if set(LEVEL_VARIABLES) & set(variables.ids):
            fields |= _on_levels(wrfout, index, part)
        for variable_id in set(variables.ids) - set(fields):
            name, factor = SURFACE_VARIABLES[variable_id]
            fields[variable_id] = factor * part(name)
        return grid, fields


def _on_levels(wrfout: Wrfout, index: int, part: Callable[..., FloatArray]) -> dict[str, FloatArray]:
    """Return the LEVEL_VARIABLES of the part of the map that `part` reads, from a surface field or a numbered level."""
    surface_pressure = part("PSFC")
    quality.check(surface_pressure, VARIABLES["sp"], wrfout.address)
    available = _pressure_levels(wrfout, index)
    if absent := [level for level in LEVELS_HPA if level not in available]:
        raise BadInput(
            f"{wrfout.address}: pres_levels lacks {absent} hPa; found {[f'{level:g}' for level in available]}"
        )
    # extrapolation below the ground needs all levels up to the lowest one that is above ground everywhere
    clear = max((level for level in available if 100.0 * level <= surface_pressure.min()), default=min(available))
    chosen = sorted((level for level in available if level >= clear or level in LEVELS_HPA), reverse=True)
    levels = _levels(part, {level: available.index(level) for level in chosen}, surface_pressure.shape)
    return on_pressure_levels(levels, surface_pressure, LEVELS_HPA, wrfout.address)


def _pressure_levels(wrfout: Wrfout, index: int) -> list[float]:
    """Return `pres_levels` in hPa, whose first dimension may be time."""
    variable = wrfout.file.variable("pres_levels")
    timed = variable.dimensions[:1] == ("Time",)
    if variable.dimensions[int(timed) :] != ("pres_bottom_top",) or variable.dtype.kind not in "fiu":
        raise BadInput(
            f"{wrfout.address}: pres_levels has dimensions {variable.dimensions} and type {variable.dtype};"
            " allowed pres_bottom_top, numbers"
        )
    levels = [float(level) for level in (variable.read(index) if timed else variable.read())]
    if not all(0.0 < level < 1100.0 for level in levels) or len(set(levels)) != len(levels):
        raise BadInput(f"{wrfout.address}: pres_levels is {levels}; allowed hPa, each once")
    return levels


def _levels(part: Callable[..., FloatArray], chosen: dict[float, int], shape: tuple[int, ...]) -> Iterator[Level]:
    """Yield the chosen levels (hPa: index in the file), reading each only when it is reached."""
    for level, number in chosen.items():
        u, v, t, ratio, height = (part(name, number) for name in _ON_LEVELS)
        yield Level(np.full(shape, 100.0 * level), u, v, t, ratio / (1.0 + ratio), GRAVITY * height)


@lru_cache(maxsize=8)
def window(grid: Grid, around: Grid) -> tuple[tuple[slice, slice], Grid]:
    """Return the rows and columns of `grid` that cover `around` with two points to spare, and their grid.

    If `grid` does not cover it, the part that exists is returned; regridding then raises the error.
    """
    slices, ends = [], list[tuple[float, float, int]]()
    for index, axis in zip(grid.index_of(*around.latlon()), (grid.y, grid.x), strict=True):
        first = min(max(int(np.floor(index.min())) - 2, 0), axis.size - 2)
        last = max(min(int(np.ceil(index.max())) + 2, axis.size - 1), first + 1)
        slices.append(slice(first, last + 1))
        ends.append((float(axis[first]), float(axis[last]), last - first + 1))
    return (slices[0], slices[1]), Grid(grid.name, *ends[0], *ends[1], grid.projection)
