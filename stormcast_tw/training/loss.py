"""What each network learns: exactly what `StormCast.step` and `StormCast.begin` will require of it.

Shapes: b sample of a batch, v variable, y, x. *Scaled* is (T(x) - mean) / std. The four networks differ in three
things: a scaled `base` and a `unit`, such that (scaled truth - base) / unit is learnt, and the channels they see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import expm1

import numpy as np
import torch

from stormcast_tw.cycle import hours
from stormcast_tw.model.description import Role
from stormcast_tw.model.network import fold, unfold
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.training.draws import Array, Draws, Key, Sample
from stormcast_tw.training.recipes import NoiseLaw

Forward = Callable[..., torch.Tensor]
"""A network, possibly compiled or wrapped for several processes."""


@dataclass(frozen=True)
class Batch:
    """Inputs (b, channel, y, x), target and weight (b, v, y, x); the weight is 0 where the truth is unknown."""

    condition: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


def known(states: Array, package: ModelPackage) -> Array:
    """Return states (..., variable, y, x) with unknown rain (NaN) set to its climatological mean after the transform.

    The network then sees 0 there, and the coverage tells it why. In a forecast it sees its own output of the hour
    before.
    """
    if "tp01" not in package.state_set.ids:
        return states
    place = package.state_set.ids.index("tp01")
    filled, rain = states.copy(), states[..., place, :, :]
    filled[..., place, :, :] = np.where(np.isnan(rain), expm1(package.description.state["tp01"].mean), rain)
    return filled


def from_own_hours(model: StormCast, sample: Sample, draws: Draws, update: int, position: int) -> Sample:
    """Return the pair at the end of a sample, starting from the state to which the model itself stepped.

    Brandstetter et al. (2022, arXiv 2202.03376) call it the pushforward trick: no gradient passes through the earlier
    hours.
    """
    package, ahead = model.package, len(sample.states) - 2
    if not ahead:
        return sample
    backgrounds = [
        State.of(values[None], package.background_set, sample.valid_time + hours(hour), model.device)
        for hour, values in enumerate(sample.backgrounds)
    ]
    state = State.of(known(sample.states[:1], package), package.state_set, sample.valid_time, model.device)
    for hour in range(ahead):
        rng = draws.generator("own hours", update, position, hour)
        noise = rng.standard_normal(sample.states[:1].shape, dtype=np.float32)
        state = model.step(state, backgrounds[hour], backgrounds[hour + 1], noise)
    pair = np.stack([state.numpy()[0], sample.states[-1]])
    return Sample(pair, sample.backgrounds[-2:], sample.observed, sample.valid_time + hours(ahead))


def perturbed(sample: Sample, package: ModelPackage, draws: Draws, update: int, position: int) -> Sample:
    """Return a pair whose first state has a large-scale error, as at later leads, so that correcting it is learnt.

    To every variable without a transform a smooth field of the widest waves is added, with a normally distributed
    amplitude of standard deviation `state_error` of the stage times the variable's hourly change.
    """
    rng, states = draws.generator("state error", update, position), sample.states.copy()
    for place, (variable, scale) in enumerate(zip(package.state_set, package.description.state.values(), strict=True)):
        size = draws.settings.state_error * scale.tendency_std * rng.standard_normal()
        if variable.transform == "identity":
            states[-2, place] += size * smooth_field(rng, package.grid.shape)
    return sample._replace(states=states)


def smooth_field(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return a random field (y, x) of unit variance over draws and points: cosines of at most one wave per side."""
    modes = [np.cos(np.pi * np.arange(3)[:, None] * (np.arange(size) + 0.5) / size) for size in shape]
    squares = [np.array([1.0, 0.5, 0.5])] * 2
    share = 1.0 / (1.0 + np.add.outer(np.arange(3) ** 2, np.arange(3) ** 2))
    share /= np.sqrt(np.sum(share**2 * np.multiply.outer(*squares)))
    field: Array = np.einsum("mn,my,nx->yx", share * rng.standard_normal((3, 3)), *modes).astype(np.float32)
    return field


def batch_of(
    model: StormCast,
    role: Role,
    samples: Sequence[Sample],
    weights: Sequence[float],
    corners: Sequence[Sequence[Key]] | None = None,
    crop: tuple[int, int] | None = None,
) -> Batch:
    """Return the batch of pairs for a network; `weights` by variable, `corners` (y, x) of the crops of each sample.

    The target of a diffusion is the residual of the package's regression on the same crop.
    """
    height, width = crop or model.package.grid.shape
    conditions, truths, counts = [], [], []
    for number, sample in enumerate(samples):
        channels, scaled = _both_hours(model, sample)
        count = _counts(model, sample, weights)
        for y, x in corners[number] if corners else ((0, 0),):
            part = (..., slice(y, y + height), slice(x, x + width))
            conditions.append(channels[part])
            truths.append(scaled[part])
            counts.append(count[part])
    condition, truth, weight = torch.stack(conditions), torch.stack(truths), torch.stack(counts)
    return _for_role(model, role, condition, truth, weight)


def predict(network: Forward, condition: torch.Tensor, factor: int) -> torch.Tensor:
    """Return the output of a regression (b, v, y, x)."""
    no_noise = torch.zeros(condition.shape[0], device=condition.device)
    output: torch.Tensor = network(fold(condition, factor), no_noise, None)
    return unfold(output, factor)


def regression_terms(network: Forward, batch: Batch, factor: int) -> torch.Tensor:
    """Return the weighted mean squared error of every sample and variable (b, v); the mean of these is the loss."""
    error = predict(network, batch.condition, factor) - batch.target
    return (batch.weight * error**2).mean(dim=(2, 3))


def diffusion_terms(
    network: Forward, batch: Batch, factor: int, noise: torch.Tensor, sigma: torch.Tensor
) -> torch.Tensor:
    """Return the squared error of the denoised times (sigma^2 + 1) / sigma^2, for every sample and variable (b, v).

    Karras et al. (2022), table 1, with sigma_data 1. `noise` is standard normal (b, v, y, x), `sigma` (b).
    """
    level = sigma[:, None, None, None]
    noisy = fold(batch.target + level * noise, factor)
    denoised: torch.Tensor = network(noisy, sigma, fold(batch.condition, factor))
    error = unfold(denoised, factor) - batch.target
    return (batch.weight * (level**2 + 1) / level**2 * error**2).mean(dim=(2, 3))


def noise_of(
    draws: Draws, law: NoiseLaw, update: int, positions: Sequence[int], target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the noise (b, v, y, x) and its levels (b) for the given positions of an update."""
    shape = tuple(target.shape[1:])
    noise = torch.stack([draws.noise(update, position, shape, target.device) for position in positions])
    levels = [draws.sigma(update, position, law) for position in positions]
    return noise, torch.tensor(levels, dtype=torch.float32, device=target.device)


def _both_hours(model: StormCast, sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the condition of a step (channel, y, x) and its scaled truth (v, y, x).

    Both hours pass through the model's own `condition` as two members; its first channels are the scaled state.
    """
    states = np.stack([known(sample.states[-2], model.package), sample.states[-1]])
    pair, backgrounds = (torch.from_numpy(a).to(model.device) for a in (states, sample.backgrounds[-2:]))
    valid_time = sample.valid_time + hours(len(sample.states) - 1)
    both = model.condition(pair, backgrounds[:1], backgrounds[1:], valid_time)
    return both[0], both[1, : len(model.package.state_set)]


def _counts(model: StormCast, sample: Sample, weights: Sequence[float]) -> torch.Tensor:
    """Return the weight of each point (v, y, x): the variable's weight, for rain only where it was observed."""
    weight = torch.tensor(weights, dtype=torch.float32, device=model.device)[:, None, None]
    count = weight.expand(-1, *model.package.grid.shape).clone()
    if "tp01" in model.package.state_set.ids:
        count[model.package.state_set.ids.index("tp01")] *= torch.from_numpy(sample.observed).to(model.device)
    return count


def _for_role(
    model: StormCast, role: Role, condition: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor
) -> Batch:
    description, device = model.package.description, model.device
    state, shared = len(description.state), description.channels["background_only_regression"].condition
    alone = role.startswith("background_only")
    base = torch.zeros_like(truth) if alone else condition[:, :state]
    condition = condition[:, -shared:] if alone else condition
    scales = description.state.values()
    units = [1.0 if alone else scale.tendency_std / scale.std for scale in scales]
    if role.endswith("diffusion"):
        regression: Role = "background_only_regression" if alone else "regression"
        with torch.no_grad():
            prediction = predict(model.package.networks[regression], condition, description.fold)
        base = base + _column(units, device) * prediction
        condition = torch.cat([condition, base], dim=1)
        stds = [scale.background_only_residual_std if alone else scale.residual_std for scale in scales]
        units = [(std or 1.0) / scale.std for std, scale in zip(stds, scales, strict=True)]
    target = (truth - base) / _column(units, device)
    return Batch(condition, torch.where(weight > 0, target, 0.0), weight)


def _column(values: Sequence[float], device: torch.device) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
