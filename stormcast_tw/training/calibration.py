"""What a finished package's ensembles are calibrated by, measured on held-out hours: their spread is to be their error.

Let e be the error of an ensemble's mean in a wave's amplitude and s2 the variance of its m members. Where the spread is
the error, e2 = (1 + 1/m) s2 (Fortin et al. 2014, 10.1175/JHM-D-14-0008.1).

A sampler of few steps makes too much of most waves: by octave of wavelength, s2 has to become e2 - s2/m (`gain`). A
diffusion understates its widest waves, the last to come out of the noise; and what no input tells of them errs alike
for hours, where a noise new every hour averages it out (`widest_waves`): with c what the members make of the noise's
amplitude, what is added makes (c + std)^2 of c^2, more by e2 - (1 + 1/m) s2. It persists as e does. What has a
transform is left as it is sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.model.waves import OCTAVES, WAVES, WAVES_A_SIDE, cosines, octaves
from stormcast_tw.training.draws import Samples, evenly
from stormcast_tw.training.processes import Team
from stormcast_tw.training.validation import SEED, ensemble
from stormcast_tw.training_data.reader import TrainingData

FloatArray = npt.NDArray[np.float64]
_MEMBERS = 2
_MOST_PERSISTENT, _LEAST = 0.95, 1e-6
_GAINS = (0.1, 1.5)
"""Least and most of what is believed."""


def calibration(
    model: StormCast, data: TrainingData, count: int, team: Team, halt: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    """Return `widest_waves` and `gain` of StateScale of every variable without a transform, for a package without any.

    Measured on ensembles of an hour from at most `count` held-out hours and those after them.
    """
    places = evenly(data.starts(2), count)[team.rank :: team.world]
    smooth = model.package.state_set.linear
    waves = np.zeros((4, len(smooth), WAVES))
    scales = np.zeros((2, len(smooth), OCTAVES))
    for place in places:
        halt()
        hour, later = (_hour_after(model, data, smooth, at) for at in (place, place + 1))
        waves += [
            (hour.error**2 + later.error**2) / 2,
            (hour.spread + later.spread) / 2,
            (hour.response + later.response) / 2,
            hour.error * later.error,
        ]
        scales += [hour.error_octaves + later.error_octaves, hour.spread_octaves + later.spread_octaves]
    hours_of_all = team.total(torch.tensor(float(len(places)))).item()
    widest = _widest(*team.total(torch.from_numpy(waves / hours_of_all)).cpu().numpy())
    errors, spreads = team.total(torch.from_numpy(scales)).cpu().numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.sqrt(np.maximum(errors / spreads - 1 / _MEMBERS, 0))
    return {
        data.state_set.ids[v]: {"widest_waves": widest[n], "gain": _believed(gain[n])} for n, v in enumerate(smooth)
    }


def _widest(
    squares: FloatArray, spread: FloatArray, response: FloatArray, products: FloatArray
) -> list[dict[str, list[float]]]:
    """Return WidestWaves of each variable from the means over hours (variable, wave)."""
    response = np.maximum(response, 0)
    whole = np.sqrt(response**2 + np.maximum(squares - (1 + 1 / _MEMBERS) * spread, 0))
    persistence = np.clip(products / np.maximum(whole, _LEAST) ** 2, 0, _MOST_PERSISTENT)
    rows = zip((whole - response).tolist(), persistence.tolist(), strict=True)
    return [{"std": std, "persistence": persists} for std, persists in rows]


def _believed(gain: FloatArray) -> list[float]:
    """Return gains within bounds; 1 where nothing was measured: a grid may have no wave of an octave."""
    return [float(np.clip(one, *_GAINS)) if isfinite(one) else 1.0 for one in gain]


class _Hour(NamedTuple):
    """Of an ensemble an hour ahead, in units of the residual's standard deviation.

    Of its widest waves (variable, wave) and of all others, summed by octave (variable, octave).
    """

    error: FloatArray
    """Of the mean amplitude."""
    spread: FloatArray
    """Variance of the members."""
    response: FloatArray
    """Covariance of the members with their noise, whose variance is 1."""
    error_octaves: FloatArray
    """Squares."""
    spread_octaves: FloatArray


def _hour_after(model: StormCast, data: TrainingData, smooth: list[int], place: int) -> _Hour:
    """Return the waves of an ensemble at the hour after `place`."""
    package, members = model.package, _MEMBERS
    shape, few = package.grid.shape, slice(WAVES_A_SIDE)
    unit = np.array([scale.residual_std for scale in package.description.state.values()])[smooth, None, None]
    y, x = (cosines(size) for size in shape)
    noise = package.noise(SEED, Samples(data).at(place), range(members))(1)
    ((_, states),) = ensemble(model, data, members, 1, place)
    said = y @ (states[:, smooth] / unit) @ x.T
    drawn = y[few] @ noise[:, smooth] @ x[few].T
    error = said.mean(axis=0) - y @ (data.state(place + 1)[0, smooth] / unit) @ x.T
    apart = said - said.mean(axis=0)
    spread = np.sum(apart**2, axis=0) / (members - 1)
    response = np.sum(apart[..., few, few] * (drawn - drawn.mean(axis=0)), axis=0) / (members - 1)
    waves = (len(smooth), WAVES)
    return _Hour(
        error=error[:, few, few].reshape(waves),
        spread=spread[:, few, few].reshape(waves),
        response=response.reshape(waves),
        error_octaves=_by_octave(error**2, shape),
        spread_octaves=_by_octave(spread, shape),
    )


def _by_octave(amplitudes: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return the sums (variable, octave) of (variable, wave in y, wave in x) without the widest waves."""
    nearest = np.rint(octaves(shape)).astype(int)
    nearest[:WAVES_A_SIDE, :WAVES_A_SIDE] = OCTAVES
    sums = [np.bincount(nearest.ravel(), one.ravel(), OCTAVES + 1)[:OCTAVES] for one in amplitudes]
    return np.array(sums)
