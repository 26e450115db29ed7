"""Validation against closed forms and an independent library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from scores.probability import crps_for_ensemble

from stormcast_tw.cycle import hours
from stormcast_tw.errors import Refused
from stormcast_tw.model.noise import standard_normal
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.training.draws import Samples
from stormcast_tw.training.processes import Team
from stormcast_tw.training.recipes import Validation
from stormcast_tw.training.validation import SEED, ensemble, residual_std, validate
from stormcast_tw.training_data.reader import TrainingData

ALONE = Team(0, 1, torch.device("cpu"))
SETTINGS = Validation(every=1, cycles=1, members=4, lead_hours=2)


def test_fair_crps_and_reference_are_those_of_the_scores_library_and_of_persistence(
    held_out: TrainingData, package: ModelPackage
):
    model = StormCast(package)
    found = validate(model, held_out, SETTINGS, ALONE, lambda: None, alone=False)
    assert found is not None
    assert found.leads == (1, 2)
    place = int(held_out.starts(2)[0])
    truth, observed = held_out.state(place, 3), held_out.observed(place, 3)
    for number, (lead, states) in enumerate(ensemble(model, held_out, 4, 2, place)):
        for v, name in enumerate(held_out.state_set.ids):
            where = observed[lead] if name == "tp01" else np.ones((16, 16), bool)
            members = xr.DataArray(states[:, v][:, where].astype(np.float64), dims=("member", "point"))
            target = xr.DataArray(truth[lead, v][where].astype(np.float64), dims="point")
            expected = float(crps_for_ensemble(members, target, "member", method="fair"))
            assert found.crps[name][number] == pytest.approx(expected, rel=1e-5)
            persistence = np.abs(truth[0, v][where].astype(np.float64) - truth[lead, v][where]).mean()
            assert found.reference[name][number] == pytest.approx(persistence, rel=1e-5)
    shares = [c / r for v in found.crps for c, r in zip(found.crps[v], found.reference[v], strict=True)]
    assert found.skill == pytest.approx(np.mean(shares), rel=1e-6)


def test_the_rollout_is_what_stormcast_steps(held_out: TrainingData, package: ModelPackage):
    place, model = int(held_out.starts(2)[0]), StormCast(package)
    time, background = Samples(held_out).at(place), held_out.background(place, 3)
    made = dict(ensemble(model, held_out, 2, 2, place))
    state = State.of(held_out.state(place).repeat(2, axis=0), package.state_set, time, model.device)
    given = [State.of(b[None], package.background_set, time + hours(n), model.device) for n, b in enumerate(background)]
    for lead in (1, 2):
        noise = np.stack([standard_normal(SEED, time, member, lead, (4, 16, 16)) for member in (0, 1)])
        state = model.step(state, given[lead - 1], given[lead], noise)
        np.testing.assert_array_equal(made[lead], state.numpy())


def test_spread_over_error_sums_before_its_roots(held_out: TrainingData, package: ModelPackage):
    """Persistence plus a tenth of the change in an hour: far too little spread."""
    found = validate(StormCast(package), held_out, SETTINGS, ALONE, lambda: None, alone=False)
    assert found is not None
    place = int(held_out.starts(2)[0])
    truth = held_out.state(place, 3)[:, 0].astype(np.float64)
    states = dict(ensemble(StormCast(package), held_out, 4, 2, place))[1][:, 0].astype(np.float64)
    spread = np.sqrt(5 / 4 * states.var(axis=0, ddof=1).sum() / ((states.mean(axis=0) - truth[1]) ** 2).sum())
    assert found.spread_over_error["t2m"][0] == pytest.approx(spread, rel=1e-3)
    assert spread < 0.3


def test_the_residual_of_persistence_is_the_change_in_an_hour(held_out: TrainingData, package: ModelPackage):
    found = residual_std(StormCast(package), "diffusion", held_out, 10_000, ALONE)
    pairs = [held_out.pair(int(place)) for place in held_out.starts()]
    for v, name in enumerate(held_out.state_set.ids):
        change = [(p.state_next[v].astype(np.float64) - p.state[v]) for p in pairs]
        if name == "tp01":
            change = [np.log1p(p.state_next[v].astype(np.float64)) - np.log1p(p.state[v]) for p in pairs]
            change = [c[p.observed] for c, p in zip(change, pairs, strict=True)]
        expected = np.sqrt(np.mean(np.concatenate([c.ravel() for c in change]) ** 2))
        assert found[name] == pytest.approx(expected, rel=1e-4)


def test_a_model_whose_states_are_not_finite_has_no_scores(held_out: TrainingData, package: ModelPackage):
    class Endless(torch.nn.Module):
        def forward(self, condition: torch.Tensor, *_: object) -> torch.Tensor:
            return torch.full((len(condition), 16, 8, 8), torch.inf)

    broken = replace(package, networks=package.networks | {"regression": Endless()})
    assert validate(StormCast(broken), held_out, SETTINGS, ALONE, lambda: None, alone=False) is None


def test_without_held_out_hours_nothing_is_measured(held_out: TrainingData, package: ModelPackage):
    class Empty(TrainingData):
        def starts(self, hours: int = 1) -> np.ndarray:
            return np.empty(0, np.int32)

    empty = Empty(held_out.artifact, "held_out")
    with pytest.raises(Refused, match="no 2 held-out hours follow each other"):
        validate(StormCast(package), empty, SETTINGS, ALONE, lambda: None, alone=False)
    with pytest.raises(Refused, match="has no held-out hours to measure"):
        residual_std(StormCast(package), "diffusion", empty, 4, ALONE)


def test_a_signal_is_heeded_between_cycles(held_out: TrainingData, package: ModelPackage):
    class Halted(Exception):
        pass

    calls = []

    def halt() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Halted

    with pytest.raises(Halted):
        validate(StormCast(package), held_out, SETTINGS.model_copy(update={"cycles": 3}), ALONE, halt, alone=False)
    assert len(calls) == 2
