"""What is learnt, against the model that will run it: with networks that say the target, a step gives the truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import log

import numpy as np
import pytest
import torch

from stormcast_tw.model.network import fold
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.model.untrained import untrained_package
from stormcast_tw.training.draws import Draws, Sample
from stormcast_tw.training.loss import (
    batch_of,
    diffusion_terms,
    from_own_hours,
    known,
    noise_of,
    perturbed,
    regression_terms,
    smooth_field,
)
from stormcast_tw.training.recipes import NoiseLaw, Role, Stage
from stormcast_tw.variables import VARIABLES
from tests.conftest import SMALL

TIME = datetime(2023, 7, 1, 5, tzinfo=UTC)
ONES = (1.0, 1.0, 1.0, 1.0)
CPU = torch.device("cpu")
STAGE = Stage(updates=10, batch=4, learning_rate=1e-3, ema_half_life=10, rollout_hours=2)


class Says(torch.nn.Module):
    """A network that says the same whatever it sees."""

    def __init__(self, answer: torch.Tensor):
        super().__init__()
        self.answer = answer

    def forward(self, *_: object) -> torch.Tensor:
        return self.answer


@pytest.fixture(scope="module")
def package() -> ModelPackage:
    fields = {
        name: np.full(SMALL.shape, value, np.float32) for name, value in (("lsm", 1), ("orog", 90), ("coverage", 1))
    }
    return untrained_package(SMALL, fields, begins_alone=True)


def sample(package: ModelPackage, seed: int = 0, hours: int = 2) -> Sample:
    rng = np.random.default_rng(seed)

    def around(scales) -> np.ndarray:
        mean, std = (np.array([getattr(s, name) for s in scales])[:, None, None] for name in ("mean", "std"))
        return (mean + std * rng.standard_normal((hours, len(scales), *SMALL.shape))).astype(np.float32)

    states = around(list(package.description.state.values()))
    states[:, 3] = np.expm1(np.abs(states[:, 3]))
    states[:, 3][states[:, 3] < VARIABLES["tp01"].trace] = 0.0
    return Sample(states, around(list(package.description.background.values())), rng.random(SMALL.shape) < 0.7, TIME)


def with_networks(package: ModelPackage, **networks: torch.nn.Module) -> StormCast:
    return StormCast(replace(package, networks=package.networks | networks))


def states_of(package: ModelPackage, one: Sample) -> tuple[State, State, State]:
    state = State.of(one.states[-2][None], package.state_set, TIME, CPU)
    before, after = (
        State.of(one.backgrounds[n][None], package.background_set, TIME + timedelta(hours=2 + n), CPU) for n in (-2, -1)
    )
    return state, before, after


@pytest.mark.parametrize("alone", [False, True])
def test_networks_that_say_their_targets_make_the_truth(package: ModelPackage, alone: bool):
    one, said = sample(package), torch.randn(1, 4, *SMALL.shape, generator=torch.Generator().manual_seed(3))
    prefix = "background_only_" if alone else ""
    everywhere = one._replace(observed=np.ones(SMALL.shape, bool))
    model = with_networks(package, **{f"{prefix}regression": Says(fold(said, 2))})
    diffusion: Role = "background_only_diffusion" if alone else "diffusion"
    residual = batch_of(model, diffusion, [everywhere], ONES).target
    model = with_networks(model.package, **{diffusion: Says(fold(residual, 2))})
    state, before, after = states_of(package, one)
    noise = np.random.default_rng(1).standard_normal((1, 4, *SMALL.shape), dtype=np.float32)
    made = model.begin(after, noise) if alone else model.step(state, before, after, noise)
    for v, name in enumerate(package.state_set.ids):
        np.testing.assert_allclose(made.numpy()[0, v], one.states[-1, v], rtol=2e-4, atol=2e-4, err_msg=name)


def test_a_regression_that_says_its_target_leaves_no_residual_and_has_no_loss(package: ModelPackage):
    one = sample(package)
    batch = batch_of(StormCast(package), "regression", [one], ONES)
    oracle = Says(fold(batch.target, 2))
    assert float(regression_terms(oracle, batch, 2).abs().max()) == 0.0
    left = batch_of(with_networks(package, regression=oracle), "diffusion", [one], ONES)
    assert float(left.target.abs().max()) < 1e-3


def test_the_target_is_the_change_in_an_hour_in_units_of_its_standard_deviation(package: ModelPackage):
    one = sample(package)
    batch = batch_of(StormCast(package), "regression", [one], ONES)
    transformed = one.states.astype(np.float64)
    transformed[:, 3] = np.log1p(transformed[:, 3])
    for v, scale in enumerate(package.description.state.values()):
        expected = (transformed[1, v] - transformed[0, v]) / scale.tendency_std
        where = one.observed if v == 3 else np.ones(SMALL.shape, bool)
        np.testing.assert_allclose(batch.target[0, v].numpy()[where], expected[where], atol=2e-4)
    assert batch.condition.shape[1] == package.description.channels["regression"].condition


def test_losses_are_means_with_weights_by_variable_and_rain_counts_where_it_was_observed(package: ModelPackage):
    one = sample(package)
    batch = batch_of(StormCast(package), "regression", [one], (1.0, 2.0, 0.0, 3.0))
    silent = Says(torch.zeros_like(fold(batch.target, 2)))
    terms = regression_terms(silent, batch, 2)[0]
    target = batch_of(StormCast(package), "regression", [one], ONES).target[0].numpy().astype(np.float64)
    square = target**2
    assert terms[:3].tolist() == pytest.approx([square[0].mean(), 2 * square[1].mean(), 0.0], rel=1e-5)
    assert float(terms[3]) == pytest.approx(3 * (square[3] * one.observed).mean(), rel=1e-5)


def test_rain_that_nobody_knows_changes_no_loss_and_no_gradient(package: ModelPackage):
    one = sample(package)
    spoiled = one.states.copy()
    spoiled[1, 3][~one.observed] = np.nan
    model = StormCast(package)
    whole, lacking = (batch_of(model, "diffusion", [s], ONES) for s in (one, one._replace(states=spoiled)))
    for name in ("condition", "target", "weight"):
        torch.testing.assert_close(getattr(whole, name), getattr(lacking, name))
    spoiled[0, 3][0, 0] = np.nan
    filled = known(spoiled, package)
    assert np.log1p(filled[0, 3, 0, 0]) == pytest.approx(package.description.state["tp01"].mean, rel=1e-6)


def test_the_denoising_loss_of_saying_nothing_is_sigma_2_plus_1_over_sigma_2(package: ModelPackage):
    """With D = 0 and a target of unit variance the loss is (sigma^2 + 1) / sigma^2; with D the target it is 0."""
    one = sample(package)
    batch = batch_of(StormCast(package), "diffusion", [one], ONES)
    unit = replace(batch, target=torch.ones_like(batch.target), weight=torch.ones_like(batch.weight))
    sigma = torch.tensor([0.5])
    silent, oracle = (Says(fold(factor * unit.target, 2)) for factor in (0.0, 1.0))
    noise = torch.zeros_like(batch.target)
    assert diffusion_terms(silent, unit, 2, noise, sigma).flatten().tolist() == pytest.approx([5.0] * 4)
    assert float(diffusion_terms(oracle, unit, 2, noise, sigma).abs().max()) == 0.0


def test_crops_are_parts_of_the_whole(package: ModelPackage):
    one, model = sample(package), StormCast(package)
    whole = batch_of(model, "regression", [one], ONES)
    part = batch_of(model, "regression", [one], ONES, corners=[[(8, 4), (2, 16)]], crop=(16, 8))
    for a, b in ((whole.condition, part.condition), (whole.target, part.target), (whole.weight, part.weight)):
        assert len(b) == 2
        torch.testing.assert_close(a[0, :, 8:24, 4:12], b[0])
        torch.testing.assert_close(a[0, :, 2:18, 16:24], b[1])


def test_own_hours_are_the_models_own_forecast(package: ModelPackage):
    """The untrained package is persistence plus noise of 5 % of the change: so is the state a sample begins from."""
    one, model = sample(package, hours=4), StormCast(package)
    draws = Draws(0, "rollout", STAGE)
    pair = from_own_hours(model, one, draws, 7, 1)
    assert pair.valid_time == TIME + timedelta(hours=2)
    np.testing.assert_array_equal(pair.states[-1], one.states[-1])
    np.testing.assert_array_equal(pair.backgrounds, one.backgrounds[-2:])
    scale = package.description.state["t2m"]
    added = (pair.states[0, 0] - one.states[0, 0]) / scale.residual_std
    assert added.std() == pytest.approx(2**0.5 * 1.165, rel=0.1), "two hours of noise, as the sampler inflates it"
    np.testing.assert_array_equal(from_own_hours(model, one, draws, 7, 1).states, pair.states)
    assert np.abs(from_own_hours(model, one, draws, 8, 1).states - pair.states).max() > 0
    assert from_own_hours(model, sample(package), draws, 7, 1).states.shape[0] == 2


def test_first_states_err_at_large_scale_and_the_truth_does_not(package: ModelPackage):
    one = sample(package)
    draws = Draws(0, "regression", STAGE.model_copy(update={"state_error": 0.4}))
    pairs = [perturbed(one, package, draws, update, at) for update in range(100) for at in range(4)]
    errors = np.stack([pair.states - one.states for pair in pairs])
    assert not errors[:, 1].any()
    assert not errors[:, 0, 3].any(), "rain, which has a transform"
    changes = np.array([scale.tendency_std for scale in package.description.state.values()])[:3]
    size = np.sqrt((errors[:, 0, :3] ** 2).mean(axis=(0, 2, 3)))
    assert size == pytest.approx(0.4 * changes, rel=0.15)
    again = perturbed(one, package, draws, 3, 1)
    np.testing.assert_array_equal(again.states, pairs[13].states)


def test_a_smooth_field_has_unit_variance_and_one_wave_a_side():
    rng = np.random.default_rng(1)
    fields = np.stack([smooth_field(rng, (40, 24)) for _ in range(4000)])
    assert (fields**2).mean() == pytest.approx(1.0, abs=0.04)
    power = np.abs(np.fft.rfft2(np.concatenate([fields, fields[:, ::-1]], axis=1), axes=(1,))) ** 2
    assert power[:, 3:40].sum() < 1e-6 * power.sum()


def test_noise_levels_follow_the_law_one_in_each_slice_of_a_batch():
    law, draws = NoiseLaw(mean=-0.3, std=1.7), Draws(1, "diffusion", STAGE.model_copy(update={"batch": 8}))
    target = torch.zeros(8, 1, 4, 4)
    levels = np.array([[log(draws.sigma(u, p, law)) for p in range(8)] for u in range(400)])
    assert levels.mean() == pytest.approx(-0.3, abs=0.05)
    assert levels.std() == pytest.approx(1.7, rel=0.03)
    assert (np.diff(levels, axis=1) > 0).all()
    noise, sigma = noise_of(draws, law, 5, (2, 3), target)
    assert torch.log(sigma).tolist() == pytest.approx(levels[5, 2:4].tolist(), rel=1e-5)
    again, _ = noise_of(draws, law, 5, (3,), target)
    torch.testing.assert_close(noise[1], again[0], rtol=0, atol=0)
    assert float(torch.stack([draws.noise(u, 0, (64, 64), CPU) for u in range(8)]).std()) == pytest.approx(1, abs=0.02)
