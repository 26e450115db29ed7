"""Global forecasts with steps of several hours: the fields of each step, and the hourly fields between them.

Hourly fields are interpolated linearly in time, winds by components (data-formats.md 3.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.cycle import datetime64, hours
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.sources.base import Located, Reading, on_grid
from stormcast_tw.storage.provider_files import Used
from stormcast_tw.variables import Variable

FloatArray = npt.NDArray[np.float64]

STANDARD_GRAVITY = 9.80665
"""m s-2, WMO; converts height to geopotential."""

_GEOPOTENTIAL_500 = (45_000.0, 65_000.0)
_HEIGHT_500 = (4_500.0, 6_500.0)


@dataclass(frozen=True)
class Step:
    """One lead time of a run: fields (latitude, longitude) in our units by id, their grid, and where they came from."""

    lead_hours: int
    fields: Mapping[str, FloatArray]
    grid: Grid
    simulated: bool
    used: tuple[Used, ...]


def bracketing_leads(init_time: datetime, valid_times: Sequence[datetime], step_hours: int) -> tuple[int, ...]:
    """Return the leads, multiples of `step_hours`, ascending, just before and after (or at) every valid time."""
    step = hours(step_hours)
    leads: set[int] = set()
    for time in valid_times:
        count, rest = divmod(time - init_time, step)
        leads |= {count * step_hours, (count + bool(rest)) * step_hours}
    return tuple(sorted(leads))


def hourly(steps: Sequence[Step], located: Located) -> Reading:
    """Return the wanted variables at the wanted times, (valid_time, latitude, longitude), from ascending steps.

    Raises BadInput where the steps are not on one grid, ValueError for a time that they do not bracket.
    """
    init_time = located.forecast_from()
    for step in steps:
        if step.grid != steps[0].grid:
            raise BadInput(
                f"{step.used[0].address}: grid {step.grid.describe()}; allowed {steps[0].grid.describe()}, that of lead"
                f" {steps[0].lead_hours} h"
            )
    known = [datetime64(init_time + hours(step.lead_hours)) for step in steps]
    wanted = [datetime64(time) for time in located.valid_times]
    values = {v: interpolate_in_time([step.fields[v.id] for step in steps], known, wanted) for v in located.variables}
    attributes: dict[str, str | int | float] = {
        "source": located.source,
        "init_time": f"{init_time:%Y-%m-%dT%H:%M:%SZ}",
        "time_interpolation": f"linear in time between leads {', '.join(str(s.lead_hours) for s in steps)} h",
        "simulated": int(any(step.simulated for step in steps)),
    }
    dataset = on_grid(steps[0].grid, located.valid_times, values, attributes)
    return Reading(dataset, tuple(used for step in steps for used in step.used))


def interpolate_in_time(
    fields: Sequence[FloatArray], known: Sequence[np.datetime64], wanted: Sequence[np.datetime64]
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


def checked_in_our_units(values: FloatArray, variable: Variable, geopotential: float, address: str) -> FloatArray:
    """Return values in our units after the checks of `quality`; `geopotential` is from `geopotential_factor`."""
    if variable.standard_name == "geopotential":
        values = values * geopotential
    if variable.standard_name == "specific_humidity":
        values, _ = quality.clip_small_negatives(values, quality.HUMIDITY_NEGATIVE_LIMIT, variable, address)
    quality.check(values, variable, address)
    return values


def geopotential_factor(mean_500: float, address: str) -> float:
    """Return the factor from a file's `z` to geopotential: 1, or standard gravity where it holds heights.

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
