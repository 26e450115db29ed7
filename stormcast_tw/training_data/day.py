"""One part of a training dataset: the 24 checked hours of a day and their share of the statistics. No files.

An hour is usable if its state, its rain and its background exist and pass every check; otherwise it stays empty, with
the reason. Checks across hours look one hour back, also into the day before, so that days can be made in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.cycle import datetime64, hours
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import RAIN_QPESUMS, require_terrain
from stormcast_tw.sources.translate.time_steps import interpolate_in_time
from stormcast_tw.storage.provider_files import Used
from stormcast_tw.training_data.archive import Archive, Array, KmScale, LargeScale, Refusal
from stormcast_tw.training_data.moments import MOMENTS, FloatArray, background_moments, state_moments, tendency_moments
from stormcast_tw.training_data.recipe import HOURS_A_DAY, DataRecipe, hours_of
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS, VariableSet


class Status(IntEnum):
    """The outcome of an hour: values of the dataset's `status`."""

    USABLE = 0
    MISSING = 1
    REFUSED = 2


@dataclass(frozen=True)
class Reference:
    """What every hour must match: terrain and land mask (y, x) on the model's grid, and the background's own grid."""

    ground: Mapping[str, Array]
    background_grid: Grid


@dataclass(frozen=True)
class _Hours:
    state: Array
    rain_source: npt.NDArray[np.int8]
    background: Array
    state_moments: FloatArray
    tendency_moments: FloatArray
    background_moments: FloatArray


@dataclass(frozen=True)
class Day(_Hours):
    """24 hours as the dataset holds them, hour first; NaN where not usable, 0 in `rain_source` and moments.

    `tendency_moments` are those of the change from the hour before, which for the first hour is in the day before.
    """

    reasons: Mapping[datetime, Refusal]
    """Why hours are not usable: NotReady for missing ones, BadInput for refused ones."""
    used: tuple[Used, ...]
    simulated: bool


def find_reference(archive: Archive, recipe: DataRecipe) -> Reference:
    """Return the terrain and the background's grid from the first training hour for which the archive has both.

    Raises NotReady if there is no such hour.
    """
    reason = ""
    for day, split in recipe.splits.items():
        for time in hours_of(day)[:: recipe.background_step_hours] if split == "training" else ():
            state, background = archive.km_scale([time])[time], archive.large_scale([time])[time]
            if isinstance(state, KmScale) and isinstance(background, LargeScale):
                return Reference(archive.ground(time), background.grid)
            reason = reason or str(background if isinstance(state, KmScale) else state)
    raise NotReady(
        f"{archive.describe()}: gives no hour of the training days of recipe {recipe.name}; of the first: {reason}"
    )


def make_day(archive: Archive, recipe: DataRecipe, reference: Reference, day: date) -> Day:
    """Return a day of the dataset."""
    state_set, background_set = STATE_SETS[recipe.state_set], BACKGROUND_SETS[recipe.background_set]
    grid, coarse, times = recipe.grid, reference.background_grid, hours_of(day)
    states, no_state = _states(archive, reference, state_set, times)
    anchors, no_anchor = _anchors(archive, recipe, reference, times)
    reasons = {time: why for time in times if (why := no_state.get(time) or no_anchor.get(time))}
    made = _empty(grid.shape, coarse.shape, len(state_set), len(background_set))
    for n, time in enumerate(times):
        if time in reasons:
            continue
        now, before = states[time], states.get(time - hours(1))
        made.state[n], made.rain_source[n] = now.values, now.rain_source
        made.background[n] = _between(anchors, time, recipe.background_step_hours)
        made.state_moments[n] = state_moments(now.values, now.rain_source, state_set)
        made.background_moments[n] = background_moments(made.background[n], coarse, grid, background_set)
        if before is not None:
            made.tendency_moments[n] = tendency_moments(
                now.values, before.values, now.rain_source, before.rain_source, state_set
            )
    given: list[KmScale | LargeScale] = [*states.values(), *anchors.values()]
    return Day(
        **vars(made),
        reasons=reasons,
        used=tuple(used for source in given for used in source.used),
        simulated=any(source.simulated for source in given),
    )


def _empty(fine: tuple[int, int], coarse: tuple[int, int], variables: int, drivers: int) -> _Hours:
    def nothing(*shape: int) -> Array:
        return np.full((HOURS_A_DAY, *shape), np.nan, np.float32)

    def zeros(count: int) -> FloatArray:
        return np.zeros((HOURS_A_DAY, count, len(MOMENTS)))

    return _Hours(
        nothing(variables, *fine),
        np.zeros((HOURS_A_DAY, *fine), np.int8),
        nothing(drivers, *coarse),
        zeros(variables),
        zeros(variables),
        zeros(drivers),
    )


def _states(
    archive: Archive, reference: Reference, state_set: VariableSet, times: Sequence[datetime]
) -> tuple[dict[datetime, KmScale], dict[datetime, Refusal]]:
    """Return the states that could be read, starting with the hour before the day, and why other hours are unusable."""
    asked = [times[0] - hours(1), *times]
    outcomes = archive.km_scale(asked)
    states = {time: state for time, state in outcomes.items() if isinstance(state, KmScale)}
    why = {time: error for time, error in outcomes.items() if not isinstance(error, KmScale)}
    for time, state in states.items():
        before = time - hours(1)
        try:
            _examine(state, states.get(before), state_set, reference, before_is_valid=before not in why)
        except BadInput as error:
            why[time] = error
    return states, why


def _examine(
    state: KmScale, before: KmScale | None, state_set: VariableSet, reference: Reference, *, before_is_valid: bool
) -> None:
    """Raise BadInput for terrain of another grid, gross rain, a copy of the hour before, or a jump from it.

    A jump from an hour that itself failed a check says nothing; a copy of such an hour is still a copy.
    """
    _check_terrain(state, reference)
    for variable, now in zip(state_set, state.values, strict=True):
        rain = variable.id == "tp01"
        address = state.rain_address if rain else state.address
        if rain:
            quality.examine_rain(_observed(state, now), address)
        if before is None:
            continue
        then = before.values[state_set.ids.index(variable.id)]
        now, then = (_observed(state, now), _observed(before, then)) if rain else (now, then)
        if before_is_valid or np.array_equal(now, then, equal_nan=True):
            quality.examine_change(now, then, variable, address)


def _check_terrain(state: KmScale, reference: Reference) -> None:
    try:
        require_terrain(state.terrain, reference.ground["orog"])
    except BadInput as error:
        raise BadInput(f"{state.address}: {error}") from error


def _observed(state: KmScale, rain: Array) -> Array:
    return np.where(state.rain_source == RAIN_QPESUMS, rain, np.float32(np.nan))


def _anchors(
    archive: Archive, recipe: DataRecipe, reference: Reference, times: Sequence[datetime]
) -> tuple[dict[datetime, LargeScale], dict[datetime, Refusal]]:
    """Return the backgrounds that hours are interpolated between, and why hours of the day have none."""
    step = hours(recipe.background_step_hours)
    asked = [times[0] - step]
    while asked[-1] < times[-1]:
        asked.append(asked[-1] + step)
    outcomes, of = archive.large_scale(asked), BACKGROUND_SETS[recipe.background_set]
    anchors = {time: anchor for time, anchor in outcomes.items() if isinstance(anchor, LargeScale)}
    why: dict[datetime, Refusal] = {t: error for t, error in outcomes.items() if not isinstance(error, LargeScale)}
    for time, anchor in anchors.items():
        try:
            _check_anchor(anchor, anchors.get(time - step), reference.background_grid, of)
        except BadInput as error:
            why[time] = error
    no_anchor = {}
    for time in times:
        bad = next((why[anchor] for anchor in _brackets(time, step) if anchor in why), None)
        if bad is not None:
            no_anchor[time] = bad
    return anchors, no_anchor


def _check_anchor(anchor: LargeScale, before: LargeScale | None, grid: Grid, of: VariableSet) -> None:
    """Raise BadInput for another grid, or for a variable that is a copy of the previous background."""
    if anchor.grid != grid:
        raise BadInput(f"{anchor.address}: background grid {anchor.grid.describe()}; allowed {grid.describe()}")
    if before is None or before.values.shape != anchor.values.shape:
        return
    for variable, now, then in zip(of, anchor.values, before.values, strict=True):
        if np.array_equal(now, then) and np.ptp(now) > 0:
            raise BadInput(
                f"{anchor.address}: {variable.id} equals the analysis before at all of {now.size} points;"
                " allowed at some"
            )


def _brackets(time: datetime, step: timedelta) -> tuple[datetime, ...]:
    """Return the one or two whole steps of the day at or between which `time` lies."""
    since_midnight = timedelta(hours=time.hour)
    before = time - since_midnight % step
    return (before,) if before == time else (before, before + step)


def _between(anchors: Mapping[datetime, LargeScale], time: datetime, step_hours: int) -> FloatArray:
    """Return the background at `time`, linear between its brackets, as operations interpolate a global forecast."""
    known = _brackets(time, hours(step_hours))
    fields = [anchors[anchor].values.astype(np.float64) for anchor in known]
    (field,) = interpolate_in_time(fields, [datetime64(anchor) for anchor in known], [datetime64(time)])
    return np.asarray(field)


def status_of(why: Refusal | None) -> Status:
    """Return the status of an hour with this reason, or with none."""
    if why is None:
        return Status.USABLE
    return Status.MISSING if isinstance(why, NotReady) else Status.REFUSED
