"""Validation as in operations: ensembles rolled out from fixed held-out hours and scored lead by lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import expm1, isfinite

import numpy as np
import numpy.typing as npt
import torch

from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadPackage, Refused
from stormcast_tw.forecast.rollout import rollout
from stormcast_tw.model.description import Role
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.plan import Frozen
from stormcast_tw.training.draws import Samples, evenly
from stormcast_tw.training.loss import batch_of, known
from stormcast_tw.training.processes import Team
from stormcast_tw.training.recipes import Validation
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.verification.scores.ensemble import differences, fair_crps, mean_error, spread_over_error, variance

FloatArray = npt.NDArray[np.float64]
_SUMS = ("crps", "variance", "squared_error", "reference", "count")
SEED = 20_240_601
"""Seed of the noise of validations: the same in every run, so that they can be compared."""


class Scores(Frozen):
    """Scores by variable and lead, rain where it was observed, in the variable's units.

    `reference` is the mean absolute error of persistence or, at lead 0 (a state from the background alone), of the
    climatological mean. `skill` is the mean of crps / reference over variables and leads: lower is better.
    """

    cycles: int
    members: int
    leads: tuple[int, ...]
    crps: dict[str, tuple[float, ...]]
    spread_over_error: dict[str, tuple[float | None, ...]]
    reference: dict[str, tuple[float, ...]]
    skill: float


def validate(
    model: StormCast, data: TrainingData, settings: Validation, team: Team, halt: Callable[[], None], *, alone: bool
) -> Scores | None:
    """Return the scores of ensembles from fixed held-out hours, shared among the processes; None if not finite.

    With `alone`, states are made from the background alone and scored at lead 0. Raises Refused without held-out hours.
    """
    leads = (0,) if alone else tuple(range(1, settings.lead_hours + 1))
    places = places_of(data, settings.lead_hours, settings.cycles)
    sums = np.zeros((len(data.state_set), len(leads), len(_SUMS)))
    for first in range(0, len(places), team.world):
        halt()
        if first + team.rank < len(places):
            sums += _cycle(model, data, settings.members, leads, places[first + team.rank])
    total = team.total(torch.from_numpy(sums)).cpu().numpy()
    return _scores(total, data.state_set.ids, leads, len(places), settings.members)


def places_of(data: TrainingData, hours_ahead: int, count: int) -> Sequence[int]:
    """Return at most `count` places followed by `hours_ahead` hours, always the same; raises Refused if none is."""
    places = evenly(data.starts(hours_ahead), count)
    if not places:
        raise Refused(f"{data.artifact.uri}: no {hours_ahead} held-out hours follow each other")
    return places


def residual_std(model: StormCast, role: Role, data: TrainingData, count: int, team: Team) -> dict[str, float]:
    """Return by variable the divisor that gives a diffusion's target a mean square of 1 (transformed units).

    Measured on whole grids of at most `count` held-out hours, as the regression errs less on training hours; of rain,
    only where it was observed. Raises Refused without held-out hours, or for a residual that is 0 or not finite.
    """
    places = evenly(data.starts(), count)
    if not places:
        raise Refused(f"{data.artifact.uri}: has no held-out hours to measure the regression's residual on")
    sums = np.zeros((2, len(data.state_set)))
    for place in places[team.rank :: team.world]:
        batch = batch_of(model, role, [Samples(data)[place, 0]], [1.0] * len(data.state_set))
        sums[0] += (batch.weight * batch.target**2).sum(dim=(0, 2, 3), dtype=torch.float64).cpu().numpy()
        sums[1] += batch.weight.sum(dim=(0, 2, 3), dtype=torch.float64).cpu().numpy()
    squares, counts = team.total(torch.from_numpy(sums)).cpu().numpy()
    stds = {}
    scales = model.package.description.state
    for number, (variable, scale) in enumerate(scales.items()):
        unit = scale.background_only_residual_std if role.startswith("background_only") else scale.residual_std
        value = float((unit or 1.0) * np.sqrt(squares[number] / counts[number])) if counts[number] else float("nan")
        if not isfinite(value) or value <= 0:
            raise Refused(f"{data.artifact.uri}: the residual of {variable} is {value}; allowed above 0")
        stds[variable] = value
    return stds


def _cycle(model: StormCast, data: TrainingData, members: int, leads: tuple[int, ...], place: int) -> FloatArray:
    """Return the sums (variable, lead, sum) of one ensemble; NaN where the model's states are not finite."""
    package, hours_ahead = model.package, max(leads)
    truth, observed = data.state(place, hours_ahead + 1), data.observed(place, hours_ahead + 1)
    if leads == (0,):
        means = zip(package.state_set, package.description.state.values(), strict=True)
        climate = [expm1(scale.mean) if v.transform == "log1p" else scale.mean for v, scale in means]
        reference = np.broadcast_to(np.array(climate, np.float32)[:, None, None], truth[0].shape)
    else:
        reference = known(truth[0], package)
    sums = np.zeros((len(data.state_set), len(leads), len(_SUMS)))
    try:
        for number, (lead, state) in enumerate(ensemble(model, data, members, hours_ahead, place)):
            for v, variable in enumerate(data.state_set.ids):
                where = observed[lead] if variable == "tp01" else np.ones(observed[lead].shape, bool)
                sums[v, number] = _sums(state[:, v][:, where], truth[lead, v][where], reference[v][where])
    except BadPackage:
        sums[:] = np.nan
    return sums


def ensemble(
    model: StormCast, data: TrainingData, members: int, hours_ahead: int, place: int
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Yield (lead, states (member, variable, y, x)) of a forecast from the hour at `place`."""
    package, init_time = model.package, Samples(data).at(place)
    background = [
        State.of(values[None], package.background_set, init_time + hours(hour), model.device)
        for hour, values in enumerate(data.background(place, hours_ahead + 1))
    ]
    noise = package.noise(SEED, init_time, range(members))
    if not hours_ahead:
        yield 0, model.begin(background[0], noise(0)).numpy()
        return
    initial = np.repeat(known(data.state(place), package), members, axis=0)
    state = State.of(initial, package.state_set, init_time, model.device)
    for lead, later in rollout(model, state, background, noise, range(1, hours_ahead + 1)):
        yield lead, later.numpy()


def _sums(
    states: npt.NDArray[np.float32], truth: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]
) -> FloatArray:
    """Return the sums over points of the scores of members (member, point) against the truth (point)."""
    sorted_differences = differences(states, truth)
    maps = (
        fair_crps(sorted_differences),
        variance(sorted_differences),
        mean_error(sorted_differences) ** 2,
        np.abs(reference - truth),
        np.ones(truth.shape),
    )
    return np.array([np.sum(field, dtype=np.float64) for field in maps])


def _scores(
    total: FloatArray, ids: tuple[str, ...], leads: tuple[int, ...], cycles: int, members: int
) -> Scores | None:
    crps, spread, error, reference, count = np.moveaxis(total, -1, 0)
    if not np.isfinite(total).all():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        share = crps / reference
    share = share[np.isfinite(share)]
    if not share.size:
        return None
    ratio = spread_over_error(spread, error, np.full(spread.shape, members))
    points = np.maximum(count, 1)
    return Scores(
        cycles=cycles,
        members=members,
        leads=leads,
        crps={v: tuple(row) for v, row in zip(ids, (crps / points).tolist(), strict=True)},
        spread_over_error={
            v: tuple(None if np.isnan(value) else value for value in row)
            for v, row in zip(ids, ratio.tolist(), strict=True)
        },
        reference={v: tuple(row) for v, row in zip(ids, (reference / points).tolist(), strict=True)},
        skill=float(share.mean()),
    )
