"""One step of the model against closed forms: with zero output layers the denoiser is x / (1 + sigma^2)."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import scipy.fft
import torch

from stormcast_tw.errors import BadInput, BadPackage
from stormcast_tw.model.description import WidestWaves
from stormcast_tw.model.network import fold, unfold
from stormcast_tw.model.noise import standard_normal
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.sampler import sample
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast, shapiro
from stormcast_tw.model.waves import OCTAVES, WAVES
from stormcast_tw.variables import STATE_SETS
from tests.conftest import CYCLE, SMALL, state_fields

CPU = torch.device("cpu")


def initial(package: ModelPackage, members: int) -> State:
    values = np.stack(list(state_fields(SMALL).values()))[None].repeat(members, axis=0)
    return State.of(values, package.state_set, CYCLE.init_time, CPU)


def background(package: ModelPackage, lead: int) -> State:
    means = [scale.mean for scale in package.description.background.values()]
    values = np.broadcast_to(np.array(means, np.float32)[None, :, None, None], (1, len(means), *SMALL.shape))
    return State.of(values, package.background_set, CYCLE.valid_time(lead), CPU)


def noise(lead: int, members: int = 3) -> np.ndarray:
    return np.stack([standard_normal(0, CYCLE.init_time, m, lead, (4, *SMALL.shape)) for m in range(members)])


def transformed(package: ModelPackage, values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    rain = package.state_set.ids.index("tp01")
    values[:, rain] = np.log1p(values[:, rain])
    return values


def sampler_factor(package: ModelPackage) -> float:
    """What the sampler makes of unit noise under the exact denoiser of N(0, 1)."""
    ones = torch.ones(1, dtype=torch.float64)
    return float(sample(lambda x, sigma: x / (1 + sigma**2), ones, package.description.sampler))


def test_untrained_rollout_is_persistence_plus_scaled_noise(small_package: ModelPackage):
    model, state = StormCast(small_package), initial(small_package, 3)
    start, summed = transformed(small_package, state.numpy()), np.zeros((3, 4, *SMALL.shape))
    scale = np.array([s.residual_std for s in small_package.description.state.values()])[:, None, None]
    factor = sampler_factor(small_package)
    assert factor == pytest.approx(1.165, abs=0.001), "six calls of DPM-Solver++(2M) inflate the spread"
    for lead in range(1, 7):
        state = model.step(state, background(small_package, lead - 1), background(small_package, lead), noise(lead))
        summed += noise(lead)
        expected = start + factor * scale * summed
        assert transformed(small_package, state.numpy()) == pytest.approx(expected, abs=2e-3)
        assert state.valid_time == CYCLE.valid_time(lead)


def test_spread_grows_with_the_square_root_of_lead_time(small_package: ModelPackage):
    members = 24
    model, state = StormCast(small_package), initial(small_package, members)
    scale = np.array([s.residual_std for s in small_package.description.state.values()])
    for lead in range(1, 5):
        state = model.step(
            state, background(small_package, lead - 1), background(small_package, lead), noise(lead, members)
        )
        spread = transformed(small_package, state.numpy()).var(axis=0, ddof=1).mean(axis=(1, 2)) ** 0.5
        # 24 x 1024 draws leave a relative sampling error of 0.5 %.
        assert spread == pytest.approx(scale * sampler_factor(small_package) * lead**0.5, rel=0.02)


def test_members_do_not_know_their_batch(small_package: ModelPackage):
    model, state = StormCast(small_package), initial(small_package, 3)
    before, after = background(small_package, 0), background(small_package, 1)
    together = model.step(state, before, after, noise(1)).numpy()
    for m in range(3):
        alone = model.step(initial(small_package, 1), before, after, noise(1)[m : m + 1]).numpy()
        assert together[m] == pytest.approx(alone[0], abs=1e-4)


def test_state_is_held_to_the_physical_range(small_package: ModelPackage):
    state = initial(small_package, 1)
    dry = State(state.values * torch.tensor([1.0, 1.0, 1.0, 0.0])[:, None, None], state.variables, state.valid_time)
    model, before, after = StormCast(small_package), background(small_package, 0), background(small_package, 1)
    unbounded = model.unbounded_step(dry, before, after, noise(1, 1)).numpy()
    bounded = model.step(dry, before, after, noise(1, 1)).numpy()
    assert unbounded[:, 3].min() < 0
    assert bounded[:, 3].min() == 0
    traces = (unbounded[:, 3] > 0) & (unbounded[:, 3] < 0.05)
    assert traces.any()
    assert np.array_equal(bounded[:, 3], np.where(unbounded[:, 3] < np.float32(0.05), 0, unbounded[:, 3]))


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("length", [2, 4, 8, 24])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_keeps_of_its_change_what_shapiro_says(order: int, length: int, axis: int):
    points = torch.arange(96, dtype=torch.float64)
    wave = torch.cos(2 * np.pi * points / length) + 5.0
    fields = wave[:, None].expand(-1, 40) if axis == 0 else wave[None, :].expand(40, -1)
    middle = (slice(None), slice(8, -8)) if axis else (slice(8, -8), slice(None))
    kept = 5.0 + (1 - np.sin(np.pi / length) ** (2 * order)) * (fields - 5.0)
    np.testing.assert_allclose(shapiro(fields, order)[middle], kept[middle], atol=1e-12)


def test_a_package_that_filters_adds_filtered_changes_but_of_rain(small_package: ModelPackage):
    description = small_package.description.model_copy(update={"shapiro_order": 2})
    state, before, after = initial(small_package, 2), background(small_package, 0), background(small_package, 1)
    plain, filtered = (
        transformed(package, StormCast(package).unbounded_step(state, before, after, noise(1, 2)).numpy())
        - transformed(package, state.numpy())
        for package in (small_package, replace(small_package, description=description))
    )
    wanted = shapiro(torch.from_numpy(plain), 2).numpy()
    np.testing.assert_allclose(filtered[:, :3], wanted[:, :3], atol=2e-4)
    np.testing.assert_allclose(filtered[:, 3], plain[:, 3], atol=1e-6)
    assert np.abs(plain[:, :3] - wanted[:, :3]).max() > 0.1


def test_background_at_the_wrong_time_is_refused(small_package: ModelPackage):
    model, state = StormCast(small_package), initial(small_package, 1)
    with pytest.raises(BadInput, match=r"background is valid at 2026-06-11 08:00.*the step needs 2026-06-11 07:00"):
        model.step(state, background(small_package, 0), background(small_package, 2), noise(1, 1))


def test_wrong_shapes_and_values_are_refused(small_package: ModelPackage):
    model, state = StormCast(small_package), initial(small_package, 2)
    before, after = background(small_package, 0), background(small_package, 1)
    with pytest.raises(BadInput, match=r"noise has shape \(1, 4, 32, 32\), the state \(2, 4, 32, 32\)"):
        model.step(state, before, after, noise(1, 1))
    with pytest.raises(BadInput, match=r"variables .* are not the package's"):
        model.step(state, state, after, noise(1, 2))
    values = state.numpy().copy()
    values[0, 2, 3, 4] = np.nan
    with pytest.raises(BadInput, match="v10m is not finite everywhere"):
        State.of(values, STATE_SETS["surface"], CYCLE.init_time, CPU)
    with pytest.raises(BadInput, match=r"shape \(2, 3, 32, 32\) is not \(member, 4 variables, y, x\)"):
        State.of(values[:, :3], STATE_SETS["surface"], CYCLE.init_time, CPU)


def test_a_network_that_explodes_is_refused(small_package: ModelPackage):
    model = StormCast(small_package)
    infinite = np.full((1, 4, *SMALL.shape), 1e38, np.float32)
    with pytest.raises(BadPackage, match=r"demo: the state at 2026-06-11 07:00.* is not finite"):
        model.step(initial(small_package, 1), background(small_package, 0), background(small_package, 1), infinite)


def test_networks_see_the_target_hour(small_package: ModelPackage):
    """The condition's cos-zenith and background t+1 belong to the end of the step."""
    model, state = StormCast(small_package), initial(small_package, 1)
    before, after = background(small_package, 0), background(small_package, 1)
    args = (state.values, before.values, after.values)
    now, later = (model.condition(*args, CYCLE.init_time + timedelta(hours=h)) for h in (1, 2))
    changed = (now != later).any(dim=(0, 2, 3) if now.ndim == 5 else (2, 3))[0]
    assert changed.nonzero().flatten().tolist() == list(range(now.shape[1] - 5, now.shape[1]))
    assert now.shape[1] == small_package.description.channels["regression"].condition == 4 + 48 + 3 + 5


def test_details_are_what_each_width_of_neighbourhood_lacks(small_package: ModelPackage):
    """Added up they are the state less its widest mean; one is checked point by point against numpy."""
    description = small_package.description.model_copy(update={"detail_widths": (3, 9)})
    model = StormCast(replace(small_package, description=description))
    start = initial(small_package, 2)
    values = start.values + torch.from_numpy(noise(0, 2))
    fixed = (background(small_package, 0).values, background(small_package, 1).values, CYCLE.valid_time(1))
    seen = model.condition(values, *fixed).double().numpy()
    assert seen.shape[1] == description.channels["regression"].condition == 4 * 3 + 48 + 3 + 5
    state, fine, coarse = seen[:, :4], seen[:, 4:8], seen[:, 8:12]
    units = np.array([s.std / s.tendency_std for s in description.state.values()])[:, None, None]

    def mean(width: int) -> np.ndarray:
        half, out = width // 2, np.empty_like(state)
        for y, x in np.ndindex(SMALL.shape):
            near = state[..., max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
            out[..., y, x] = near.mean(axis=(2, 3))
        return out

    assert fine == pytest.approx(units * (state - mean(3)), abs=2e-4)
    assert fine + coarse == pytest.approx(units * (state - mean(9)), abs=2e-4)


def test_background_details_are_its_change_and_its_distance_from_the_state(small_package: ModelPackage):
    update = {"detail_widths": (3,), "background_details": True}
    description = small_package.description.model_copy(update=update)
    plain, model = StormCast(small_package), StormCast(replace(small_package, description=description))
    values = initial(small_package, 2).values + torch.from_numpy(noise(0, 2))
    before, after = background(small_package, 0).values, background(small_package, 1).values
    args = (values, before, after, CYCLE.valid_time(1))
    without, seen = plain.condition(*args).double().numpy(), model.condition(*args).double().numpy()
    assert seen.shape[1] == description.channels["regression"].condition == 4 * 2 + 3 + 48 + 3 + 5
    assert seen[:, 11 : 11 + 24] == pytest.approx(without[:, 4:28], abs=1e-6)
    assert seen[:, 35:59] == pytest.approx(10 * (without[:, 28:52] - without[:, 4:28]), abs=1e-4)
    for place, name in enumerate(("t2m", "u10m", "v10m")):
        field = values[:, place].double().numpy()
        near = np.stack([np.pad(one, 1, mode="constant", constant_values=np.nan) for one in field])
        windows = np.lib.stride_tricks.sliding_window_view(near, (3, 3), axis=(1, 2))
        driver = before[0, small_package.background_set.ids.index(name)].double().numpy()
        expected = (np.nanmean(windows, axis=(3, 4)) - driver) / description.state[name].tendency_std
        assert seen[:, 8 + place] == pytest.approx(expected, abs=2e-3)


def test_fold_and_unfold_are_inverse():
    x = torch.arange(2 * 3 * 8 * 4.0).reshape(2, 3, 8, 4)
    assert fold(x, 2).shape == (2, 12, 4, 2)
    assert torch.equal(unfold(fold(x, 2), 2), x)
    assert torch.equal(fold(x, 2)[0, 0], x[0, 0, ::2, ::2])


def test_a_package_multiplies_what_its_sampler_makes_and_adds_the_widest_waves_that_it_lacks(
    small_package: ModelPackage,
):
    """By scipy's DCT-II: of the change in u10m, by wavelength; 4 x 4 amplitudes are larger by the noise's instead."""
    std, gain = np.linspace(0.5, 3.0, WAVES), np.linspace(0.4, 1.1, OCTAVES)
    waves = WidestWaves(std=tuple(std), persistence=(0.0,) * WAVES)
    state = dict(small_package.description.state)
    state["u10m"] = state["u10m"].model_copy(update={"widest_waves": waves, "gain": tuple(gain)})
    measured = replace(small_package, description=small_package.description.model_copy(update={"state": state}))
    start = initial(small_package, 2)
    before, after = background(small_package, 0), background(small_package, 1)
    changes = StormCast(measured).unbounded_step(start, before, after, noise(1, 2)).numpy() - start.numpy()
    plain = StormCast(small_package).unbounded_step(start, before, after, noise(1, 2)).numpy() - start.numpy()
    np.testing.assert_allclose(changes[:, [0, 2, 3]], plain[:, [0, 2, 3]], atol=1e-4)
    amplitudes = scipy.fft.dctn(changes[:, 1], axes=(1, 2), norm="ortho") / state["u10m"].residual_std
    expected = sampler_factor(small_package) * scipy.fft.dctn(noise(1, 2)[:, 1], axes=(1, 2), norm="ortho")
    y, x = (np.arange(size) / (2 * size) for size in SMALL.shape)
    with np.errstate(divide="ignore"):
        wavelength = 1 / np.hypot(*np.meshgrid(y, x, indexing="ij"))
    factor = np.interp(np.log2(wavelength), np.arange(2, OCTAVES + 2), gain)
    factor[:4, :4] = 1 + std.reshape(4, 4) / sampler_factor(small_package)
    np.testing.assert_allclose(amplitudes, factor * expected, atol=2e-3)
