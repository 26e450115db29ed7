"""A global AI model initialised from the ECMWF analysis: `EC-pangu` GRIB files every six hours.

Hourly fields are interpolated linearly in time, winds by components. data-formats.md 2.3, 3.1, 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw import quality
from stormcast_tw.cycle import Cycle, datetime64, hours
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import TAIWAN_2KM, Grid
from stormcast_tw.sources import grib
from stormcast_tw.sources.base import (
    Located,
    SourceFile,
    exists,
    on_grid,
    read_file,
    require_times,
    require_variables,
    source_file,
)
from stormcast_tw.variables import VARIABLES, Variable, VariableSet

FloatArray = npt.NDArray[np.float64]

INIT_AGES_HOURS = (6, 12, 18)
"""A cycle at T is driven by the run of T-6, else T-12, else T-18: the run of T itself is not out yet at T."""

STEP_HOURS = 6
"""Hours between the files of a run."""

MARGIN_DEGREES = 1.0
"""Kept around the wanted grid: four cells of 0.25 degree, enough to bracket it on grids up to 0.5 degree."""

STANDARD_GRAVITY = 9.80665
"""m s-2, WMO: geopotential of a height."""

_GEOPOTENTIAL_500 = (45_000.0, 65_000.0)
_HEIGHT_500 = (4_500.0, 6_500.0)

_SURFACE = {"2t": "t2m", "10u": "u10m", "10v": "v10m", "msl": "msl", "sp": "sp", "tcwv": "tcwv"}
PROVIDED: dict[tuple[str, int | None], str] = {
    (short_name, None): variable_id for short_name, variable_id in _SURFACE.items()
} | {
    (variable_id[0], variable.level_hpa): variable_id
    for variable_id, variable in VARIABLES.items()
    if variable.level_hpa is not None
}
"""Our id of every message we read, by (shortName, pressure level in hPa or None)."""


def address(root: str, init_time: datetime, lead_hours: int) -> str:
    """Return where the forecast of `init_time` at `lead_hours` is kept."""
    return f"{root}/{init_time:%Y%m%d%H}/EC-pangu_{init_time:%Y%m%d%H}-{lead_hours}.grb"


@dataclass(frozen=True)
class GlobalAI:
    """The large scale, cut to the surroundings of `grid`: surface and pressure-level variables in our units."""

    root: str
    grid: Grid = field(default=TAIWAN_2KM)
    name: str = "global_ai"

    def find(self, valid_times: tuple[datetime, ...], variables: VariableSet) -> Located:
        """Find the newest run, 6, 12 or 18 h before the first time's cycle, whose files bracket all valid times.

        Returns one file a six-hourly lead, ascending. Raises NotReady while there is no such run, BadInput for a
        variable this source does not have, ValueError for naive or unsorted times.
        """
        require_variables(self.name, PROVIDED.values(), variables)
        times = require_times(self.name, valid_times)
        cycle = Cycle.at_or_before(times[0])
        missing = []
        for age in INIT_AGES_HOURS:
            init_time = cycle.init_time - hours(age)
            addresses = [address(self.root, init_time, lead) for lead in bracketing_leads(init_time, times)]
            absent = [a for a in addresses if not exists(a)]
            if not absent:
                files = tuple(source_file(a) for a in addresses)
                return Located(self.name, files, times, variables, init_time)
            missing.append(f"{absent[0]} and {len(absent) - 1} more" if len(absent) > 1 else absent[0])
        raise NotReady(
            f"{self.name}: no run brackets {times[0]:%Y%m%dT%H%MZ} to {times[-1]:%Y%m%dT%H%MZ}; absent: "
            + ", ".join(missing)
        )

    def read(self, located: Located) -> xr.Dataset:
        """Read what `find` found: (valid_time, latitude, longitude) float32, hourly by interpolation in time.

        Only the messages asked for are decoded, cut to `grid` and a margin. Raises NotReady if a file changed
        since, BadInput for a missing, repeated or damaged message, another date or step, or unbelievable values.
        """
        if located.init_time is None:
            raise ValueError(f"{self.name}: a located forecast needs an init_time")
        leads = bracketing_leads(located.init_time, located.valid_times)
        box = grib.Box.around(self.grid, MARGIN_DEGREES)
        steps: list[_Step] = []
        for file, lead in zip(located.files, leads, strict=True):
            step = _read_step(file, located.init_time, lead, located.variables, box)
            if steps and step.grid != steps[0].grid:
                raise BadInput(f"{file.address}: grid {step.grid.describe()}; allowed {steps[0].grid.describe()}")
            steps.append(step)
        known = [datetime64(located.init_time + hours(lead)) for lead in leads]
        wanted = [datetime64(time) for time in located.valid_times]
        values = {
            v: interpolate_in_time([step.fields[v.id] for step in steps], known, wanted) for v in located.variables
        }
        attributes: dict[str, str | int | float] = {
            "source": located.source,
            "init_time": f"{located.init_time:%Y-%m-%dT%H:%M:%SZ}",
            "time_interpolation": f"linear in time between leads {', '.join(map(str, leads))} h",
            "simulated": int(any(step.simulated for step in steps)),
        }
        return on_grid(steps[0].grid, located.valid_times, values, attributes)


@dataclass(frozen=True)
class _Step:
    """What one file says: fields (latitude, longitude) in our units by id, and their grid."""

    fields: dict[str, FloatArray]
    grid: Grid
    simulated: bool


def bracketing_leads(init_time: datetime, valid_times: tuple[datetime, ...]) -> tuple[int, ...]:
    """Return the six-hourly leads, ascending, just before and after (or at) every valid time."""
    step = hours(STEP_HOURS)
    leads: set[int] = set()
    for time in valid_times:
        count, rest = divmod(time - init_time, step)
        leads |= {count * STEP_HOURS, (count + bool(rest)) * STEP_HOURS}
    return tuple(sorted(leads))


def interpolate_in_time(
    fields: list[FloatArray], known: list[np.datetime64], wanted: list[np.datetime64]
) -> FloatArray:
    """Interpolate `fields` (ny, nx) of ascending `known` times linearly to `wanted` times: (wanted, ny, nx).

    Raises ValueError for a time outside the known ones.
    """
    out = []
    for time in wanted:
        if not known[0] <= time <= known[-1]:
            raise ValueError(f"time {time} is not between {known[0]} and {known[-1]}")
        after = int(np.searchsorted(np.array(known), time))
        if known[after] == time:
            out.append(fields[after])
            continue
        weight = (time - known[after - 1]) / (known[after] - known[after - 1])
        out.append((1.0 - weight) * fields[after - 1] + weight * fields[after])
    return np.stack(out)


def _read_step(file: SourceFile, init_time: datetime, lead_hours: int, variables: VariableSet, box: grib.Box) -> _Step:
    """Return the wanted fields of one file; z500 is read with any geopotential, to tell it from height."""
    heights = any(variable.standard_name == "geopotential" for variable in variables)
    wanted = tuple(dict.fromkeys((*variables.ids, *(("z500",) if heights else ()))))
    step = _decode_step(file, init_time, lead_hours, wanted, box)
    factor = geopotential_factor(float(step.fields["z500"].mean()), file.address) if heights else 1.0
    fields = {v.id: _vouched(step.fields[v.id], v, factor, file.address) for v in variables}
    return _Step(fields, step.grid, step.simulated)


def _decode_step(
    file: SourceFile, init_time: datetime, lead_hours: int, wanted: tuple[str, ...], box: grib.Box
) -> _Step:
    """Return the wanted messages of one file as they are; raises BadInput unless each is there once, on one grid."""
    fields: dict[str, FloatArray] = {}
    grids: dict[str, Grid] = {}
    simulated = False
    for message in grib.messages(read_file(file), file.address):
        with grib.opened(message, file.address) as handle:
            variable_id = PROVIDED.get(grib.identity(handle))
            if variable_id not in wanted:
                continue
            if variable_id in fields:
                raise BadInput(f"{file.address}: {variable_id} appears twice; allowed once")
            grib.check_time(handle, init_time, hours(lead_hours), variable_id, file.address)
            fields[variable_id], grids[variable_id] = grib.field(handle, box, variable_id, file.address)
            simulated |= grib.simulated(handle)
    if absent := [variable_id for variable_id in wanted if variable_id not in fields]:
        raise BadInput(
            f"{file.address}: has no message for {', '.join(absent)}; found {len(fields)}, allowed {len(wanted)}"
        )
    grid = grids[wanted[0]]
    for variable_id, other in grids.items():
        if other != grid:
            raise BadInput(f"{file.address}: {variable_id} is on {other.describe()}; allowed {grid.describe()}")
    return _Step(fields, grid, simulated)


def _vouched(values: FloatArray, variable: Variable, geopotential: float, address: str) -> FloatArray:
    """Return values in our units after the checks of quality."""
    if variable.standard_name == "geopotential":
        values = values * geopotential
    if variable.standard_name == "specific_humidity":
        values, _ = quality.clip_small_negatives(values, quality.HUMIDITY_NEGATIVE_LIMIT, variable, address)
    quality.check(values, variable, address)
    return values


def geopotential_factor(mean_500: float, address: str) -> float:
    """Return what turns a file's `z` into geopotential: 1, or standard gravity where it holds heights.

    `mean_500` is the mean of z at 500 hPa: about 57,000 m2 s-2, or 5,800 m. Raises BadInput for anything else.
    """
    if _GEOPOTENTIAL_500[0] <= mean_500 <= _GEOPOTENTIAL_500[1]:
        return 1.0
    if _HEIGHT_500[0] <= mean_500 <= _HEIGHT_500[1]:
        return STANDARD_GRAVITY
    raise BadInput(
        f"{address}: z500 averages {mean_500:.6g}; allowed {_GEOPOTENTIAL_500[0]:g} to {_GEOPOTENTIAL_500[1]:g}"
        f" (geopotential, m2 s-2) or {_HEIGHT_500[0]:g} to {_HEIGHT_500[1]:g} (height, m)"
    )
