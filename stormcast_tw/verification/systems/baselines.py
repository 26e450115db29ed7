"""What a forecast has to beat. Each baseline is a *system*: (member, lead_time, y, x) float32, of one member or many.

=============  ==================================================================================
persistence    the prepared state at init_time, at every lead
rwrp           the RWRP run whose state the forecast started from, at the same valid times
global         the global model that drove the forecast, interpolated; no rain
extrapolation  the rain of init_time moved along its motion (nowcast.py); rain only
steps          the same, with noise for the scales that cannot be extrapolated (nowcast.py); rain only
perfect        the simulated world branched at init_time: the best that chance allows (simulated.py)
=============  ==================================================================================

The DETERMINISTIC ones are scored twice: as they are, and dressed with their own errors (dressing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.schema import array_attributes, member_coordinate, time_coordinates
from stormcast_tw.variables import STATE_SETS, VARIABLES
from stormcast_tw.verification.systems import nowcast
from stormcast_tw.verification.systems.dressing import MEMBERS, error_of
from stormcast_tw.verification.systems.start import Start
from stormcast_tw.verification.systems.truth import Truth

Array = npt.NDArray[np.float32]

SURFACE = STATE_SETS["surface"].ids
"""The variables that are verified."""
NO_RAIN = tuple(name for name in SURFACE if name != "tp01")

DETERMINISTIC = ("persistence", "rwrp", "global", "extrapolation")


def system(fields: Mapping[str, npt.ArrayLike], cycle: Cycle, grid: Grid, title: str) -> xr.Dataset:
    """Return a system from arrays (member, lead_time, y, x) at leads 1, 2, ...; raises BadInput unless finite."""
    arrays = {name: np.asarray(values, np.float32) for name, values in fields.items()}
    for name, values in arrays.items():
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise BadInput(
                f"{title} of {cycle}: {name} has {bad} of {values.size} values that are not finite; allowed 0"
            )
    members, leads = next(iter(arrays.values())).shape[:2]
    coordinates = xr.merge(
        [grid.coordinates(), time_coordinates(cycle, range(1, leads + 1)), member_coordinate(members)]
    )
    dims = ("member", "lead_time", *grid.dims)
    described = {
        name: (dims, values, array_attributes(VARIABLES[name].attributes, grid.dims)) for name, values in arrays.items()
    }
    return coordinates.assign(described).assign_attrs(title=title)


def deterministic(fields: Mapping[str, Array], cycle: Cycle, grid: Grid, title: str) -> xr.Dataset:
    """Return a system of one member from arrays (lead_time, y, x)."""
    return system({name: values[None] for name, values in fields.items()}, cycle, grid, title)


def persistence(state: xr.Dataset, cycle: Cycle, lead_hours: int, grid: Grid) -> xr.Dataset:
    """Return the prepared state at init_time, (y, x), at every lead: nothing changes, not even the rain of the hour.

    Raises NotReady if the forecast began without a state.
    """
    known = [name for name in SURFACE if np.isfinite(state[name].values).all()]
    if not known:
        raise NotReady(f"the forecast of {cycle} began without a state")
    fields = {name: np.broadcast_to(state[name].values, (lead_hours, *grid.shape)) for name in known}
    return deterministic(fields, cycle, grid, "persistence")


def global_background(background: xr.Dataset, cycle: Cycle, lead_hours: int, grid: Grid) -> xr.Dataset:
    """Return t2m, u10m and v10m of the prepared background (lead_time from 0, y, x): interpolated, not downscaled.

    Variables that a package's background lacks are absent.
    """
    present = [name for name in NO_RAIN if name in background]
    fields = {name: background[name].values[1 : lead_hours + 1] for name in present}
    return deterministic(fields, cycle, grid, "interpolated global background")


def deterministic_baselines(start: Start, truth: Truth) -> tuple[dict[str, xr.Dataset], dict[str, str]]:
    """Return the baselines of one member, and for those whose file is missing the reason."""
    present: dict[str, xr.Dataset] = {}
    absent: dict[str, str] = {}
    for name in DETERMINISTIC:
        try:
            present[name] = _DETERMINISTIC[name](start, truth)
        except NotReady as error:
            absent[name] = str(error)
    return present, absent


def _rwrp(start: Start, truth: Truth) -> xr.Dataset:
    if start.rwrp_run is None:
        raise NotReady("the forecast did not start from an RWRP run")
    fields = truth.rwrp(start.rwrp_run, start.cycle, start.lead_hours, start.grid)
    return deterministic(fields, start.cycle, start.grid, "RWRP")


def _extrapolation(start: Start, truth: Truth) -> xr.Dataset:
    past = rain_until_init(start, truth)
    velocity = nowcast.motion(past, _km_per_cell(start.grid))
    carried = nowcast.extrapolation(past[-1], velocity, start.lead_hours)
    return deterministic({"tp01": carried}, start.cycle, start.grid, "rain extrapolation")


_DETERMINISTIC: Mapping[str, Callable[[Start, Truth], xr.Dataset]] = {
    "persistence": lambda start, _: persistence(start.state, start.cycle, start.lead_hours, start.grid),
    "rwrp": _rwrp,
    "global": lambda start, _: global_background(start.background, start.cycle, start.lead_hours, start.grid),
    "extrapolation": _extrapolation,
}


def rain_until_init(start: Start, truth: Truth) -> npt.NDArray[np.float32]:
    """Return the rain of the hours up to init_time (3, y, x), mm; the last is what the forecast itself started from.

    Where an earlier hour was not observed, the rain of init_time takes its place: no motion is known there. Raises
    NotReady if the forecast began without rain.
    """
    past, now = truth.past_rain(start.cycle, start.grid), start.state["tp01"].values
    if not np.isfinite(now).all():
        raise NotReady(f"the forecast of {start.cycle} began without rain")
    return np.concatenate([np.where(np.isnan(past[:-1]), now, past[:-1]), now[None]])


def _km_per_cell(grid: Grid) -> float:
    """Return the mean spacing of a grid in km."""
    return float(np.mean(grid.spacing_km))


def steps_ensemble(start: Start, truth: Truth, seed: int, members: int = MEMBERS) -> xr.Dataset:
    """Return the STEPS ensemble from the rain up to init_time."""
    past, spacing = rain_until_init(start, truth), _km_per_cell(start.grid)
    velocity = nowcast.motion(past, spacing)
    rain = nowcast.steps(past, velocity, start.lead_hours, members, seed, spacing)
    return system({"tp01": rain}, start.cycle, start.grid, "STEPS")


def errors_at(start: Start, truth: Truth, now: datetime) -> dict[str, xr.Dataset]:
    """Return the errors (lead_time, y, x) of every deterministic baseline of a cycle."""
    truth_fields = truth.surface(start.cycle, start.lead_hours, start.grid, now)
    baselines, _ = deterministic_baselines(start, truth)
    return {name: error_of(baseline, truth_fields) for name, baseline in baselines.items()}
