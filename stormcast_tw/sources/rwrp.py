"""RWRP, the radar-assimilating WRF: raw `wrfout_d02` files on WRF's own projected grid.

Two sources of one provider: the state at a time, and the rain of the hour before it. data-formats.md 2.2, 2.3. The
training archive has another format: rwrp_training.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.sources.base import (
    Located,
    Reading,
    on_grid,
    require_init_time,
    require_times,
    require_variables,
)
from stormcast_tw.sources.translate.pressure_levels import mean_sea_level_pressure, on_pressure_levels
from stormcast_tw.sources.translate.time_steps import checked_in_our_units
from stormcast_tw.sources.wrfout import Wrfout, open_wrfout
from stormcast_tw.sources.wrfout_upper import read_atmosphere
from stormcast_tw.storage.provider_files import Folder, SourceFile, Used
from stormcast_tw.variables import LEVELS_HPA, VARIABLES, VariableSet

FloatArray = npt.NDArray[np.float64]
FieldsOf = Callable[[Wrfout, int, VariableSet], tuple[Grid, dict[str, FloatArray]]]
"""From a file, at the index of a time: its grid, and at least the wanted variables by id, (ny, nx), in our units."""

SURFACE_VARIABLES = {"t2m": "T2", "sp": "PSFC", "orog": "HGT", "lsm": "LANDMASK", "u10m": "U10", "v10m": "V10"}
"""Surface variables of a wrfout file: our id and its name."""

UPPER_VARIABLES = ("msl", "tcwv", *(f"{letter}{level}" for letter in "uvtqz" for level in LEVELS_HPA))
"""Variables computed from its three-dimensional fields, which are read only if one of these is requested."""


def path(init_time: datetime, valid_time: datetime) -> str:
    """Return the path of the output for `valid_time` of the run of `init_time`, below the provider's root."""
    return f"{init_time:%Y%m%d%H}/wrfout_d02_{valid_time:%Y-%m-%d_%H:%M:%S}"


def _find(folder: Folder, init_time: datetime, valid_time: datetime) -> SourceFile:
    """Find a run's output for a valid time under any name that WRF gives it; raises NotReady for none.

    With the namelist's `nocolons` the time has underscores; tools that repack the file add `.nc`.
    """
    usual = path(init_time, valid_time)
    for name in (usual, f"{usual}.nc", usual.replace(":", "_"), f"{usual.replace(':', '_')}.nc"):
        with contextlib.suppress(NotReady):
            return folder.find(name)
    raise NotReady(f"{folder.address(usual)}: not there yet")


@dataclass(frozen=True)
class RwrpState:
    """The atmosphere at a time, winds earth-relative: SURFACE_VARIABLES and UPPER_VARIABLES.

    Levels below the ground are extrapolated as in `pressure_levels`, whose `above_ground` identifies them by `sp`.
    """

    folder: Folder
    name: str = "rwrp"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find a run's output at every valid time: one file each, in their order.

        Raises NotReady if one is absent, BadInput for a variable RWRP does not have, ValueError for naive or
        unsorted times.
        """
        require_variables(self.name, (*SURFACE_VARIABLES, *UPPER_VARIABLES), variables)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        return Located(self.name, tuple(_find(self.folder, start, t) for t in times), times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, y, x) float32 on WRF's grid. Raises BadInput, NotReady."""
        return read_files(self.folder, located, _state)


def read_files(folder: Folder, located: Located, fields_of: FieldsOf) -> Reading:
    """Read one wrfout file per valid time into (valid_time, y, x) float32; `fields_of` reads the fields of each.

    Raises BadInput for a file of another run or time, a grid that moves, or implausible values.
    """
    grids: list[Grid] = []
    used: list[Used] = []
    fields: dict[str, list[FloatArray]] = {variable_id: [] for variable_id in located.variables.ids}
    simulated = False
    for file, valid_time in zip(located.files, located.valid_times, strict=True):
        with folder.open(file) as reader, open_wrfout(reader) as wrfout:
            if located.init_time is not None:
                wrfout.require_run(located.init_time)
            grid, by_id = fields_of(wrfout, wrfout.index_at(valid_time), located.variables)
            grids.append(grid)
            simulated |= wrfout.simulated
            for variable_id, values in fields.items():
                values.append(checked_in_our_units(by_id[variable_id], VARIABLES[variable_id], 1.0, file.address))
            used.append(reader.used)
    stacked = {VARIABLES[variable_id]: np.stack(values) for variable_id, values in fields.items()}
    dataset = on_grid(_common_grid(grids, located), located.valid_times, stacked, _attributes(located, simulated))
    return Reading(dataset, tuple(used))


@dataclass(frozen=True)
class RwrpRain:
    """Rain in the hour ending at a time, mm, from a run with output at both ends of the hour."""

    folder: Folder
    name: str = "rwrp"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find a run's output at both ends of the hours that end at the valid times: ascending.

        Raises NotReady if one is absent, BadInput for a variable other than tp01, ValueError for naive or unsorted
        times.
        """
        require_variables(self.name, ("tp01",), variables)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        files = tuple(_find(self.folder, start, end) for end in _ends(times))
        return Located(self.name, files, times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: tp01 (valid_time, y, x) float32, mm, on WRF's grid.

        Negative differences down to -0.1 mm become 0 and are counted in the attribute `clipped_negatives`.
        Raises BadInput or NotReady.
        """
        variable = VARIABLES["tp01"]
        grids: list[Grid] = []
        used: list[Used] = []
        simulated = False
        totals: dict[datetime, FloatArray] = {}
        files: dict[datetime, str] = {}
        for file, end in zip(located.files, _ends(located.valid_times), strict=True):
            with self.folder.open(file) as reader, open_wrfout(reader) as wrfout:
                wrfout.require_run(located.forecast_from())
                index = wrfout.index_at(end)
                totals[end], files[end] = wrfout.accumulated_rain(index), file.address
                grids.append(wrfout.grid(index))
                simulated |= wrfout.simulated
                used.append(reader.used)
        grid = _common_grid(grids, located)
        rain, clipped = [], 0
        for time in located.valid_times:
            difference = totals[time] - totals[time - hours(1)]
            values, count = quality.clip_small_negatives(difference, quality.RAIN_NEGATIVE_LIMIT, variable, files[time])
            quality.check(values, variable, files[time])
            rain.append(values)
            clipped += count
        dataset = on_grid(grid, located.valid_times, {variable: np.stack(rain)}, _attributes(located, simulated))
        dataset["tp01"].attrs["clipped_negatives"] = clipped
        return Reading(dataset, tuple(used))


def _ends(valid_times: tuple[datetime, ...]) -> tuple[datetime, ...]:
    """Return the times, ascending, at which the hours that end at `valid_times` begin or end."""
    return tuple(sorted({end for time in valid_times for end in (time - hours(1), time)}))


def _state(wrfout: Wrfout, index: int, variables: VariableSet) -> tuple[Grid, dict[str, FloatArray]]:
    grid, wanted = wrfout.grid(index), set(variables.ids)
    fields: dict[str, FloatArray] = {}
    if {"u10m", "v10m"} & wanted:
        fields["u10m"], fields["v10m"] = wrfout.earth_relative_wind(index, grid)
    if set(UPPER_VARIABLES) & wanted:
        fields |= _upper(wrfout, index, grid)
    for variable_id in wanted - set(fields):
        fields[variable_id] = wrfout.field(SURFACE_VARIABLES[variable_id], index)
    return grid, fields


def _upper(wrfout: Wrfout, index: int, grid: Grid) -> dict[str, FloatArray]:
    """Return all of UPPER_VARIABLES."""
    surface_pressure = wrfout.field("PSFC", index)
    quality.check(surface_pressure, VARIABLES["sp"], wrfout.address)
    atmosphere = read_atmosphere(wrfout, index, grid)
    levels = on_pressure_levels(atmosphere.levels(), surface_pressure, LEVELS_HPA, wrfout.address)
    msl = mean_sea_level_pressure(atmosphere.level(0))
    return {"msl": msl, "tcwv": atmosphere.water_vapour(), **levels}


def _common_grid(grids: list[Grid], located: Located) -> Grid:
    """Return the grid that all times share; raises BadInput if they differ, as in a moving nest."""
    for grid in grids:
        if grid != grids[0]:
            raise BadInput(
                f"{located.files[-1].address}: the grid moves from {_corner(grids[0])} to {_corner(grid)}; allowed one"
            )
    return grids[0]


def _corner(grid: Grid) -> str:
    return f"{grid.ny} x {grid.nx} points from (x, y) = ({grid.x_first:.0f}, {grid.y_first:.0f}) m"


def _attributes(located: Located, simulated: bool) -> dict[str, str | int | float]:
    run = {} if located.init_time is None else {"init_time": f"{located.init_time:%Y-%m-%dT%H:%M:%SZ}"}
    return {"source": located.source, **run, "simulated": int(simulated)}
