"""Calibrate the ensembles of a finished package on held-out hours, so that their spread equals their error.

Let e be the error of the ensemble mean in the amplitude of a wave, and s2 the variance of its m members. Where the
spread equals the error, e2 = (1 + 1/m) s2 (Fortin et al. 2014, 10.1175/JHM-D-14-0008.1).

A sampler with few steps exaggerates most waves: by octave of wavelength, s2 has to become e2 - s2/m (`gain`). A
diffusion understates its widest waves, the last to emerge from the noise; and the part of them that no input determines
stays wrong in the same direction for hours, whereas noise that is new every hour averages out (`widest_waves`). With c
the members' response to the amplitude of the noise, the addition turns c^2 into (c + std)^2, larger by
e2 - (1 + 1/m) s2. It persists as e does. Variables with a transform are left as sampled.
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
"""Least and largest gain that is accepted."""


def calibration(
    model: StormCast, data: TrainingData, count: int, team: Team, halt: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    """Return StateScale's `widest_waves` and `gain` of every variable without a transform; the package has none yet.

    Measured on one-hour ensembles from at most `count` held-out hours and from the hours after them.
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
    return {data.state_set.ids[v]: {"widest_waves": widest[n], "gain": _clipped(gain[n])} for n, v in enumerate(smooth)}


def _widest(
    squares: FloatArray, spread: FloatArray, response: FloatArray, products: FloatArray
) -> list[dict[str, list[float]]]:
    """Return the WidestWaves of each variable, from means over hours (variable, wave)."""
    response = np.maximum(response, 0)
    whole = np.sqrt(response**2 + np.maximum(squares - (1 + 1 / _MEMBERS) * spread, 0))
    persistence = np.clip(products / np.maximum(whole, _LEAST) ** 2, 0, _MOST_PERSISTENT)
    rows = zip((whole - response).tolist(), persistence.tolist(), strict=True)
    return [{"std": std, "persistence": persists} for std, persists in rows]


def _clipped(gains: FloatArray) -> list[float]:
    """Return gains within bounds, and 1 where nothing was measured: a grid may have no wave of an octave."""
    return [float(np.clip(gain, *_GAINS)) if isfinite(gain) else 1.0 for gain in gains]


class _Hour(NamedTuple):
    """Statistics of an ensemble one hour ahead, in units of the residual's standard deviation.

    For its widest waves (variable, wave), and for all others, summed by octave (variable, octave).
    """

    error: FloatArray
    """Error of the mean amplitude."""
    spread: FloatArray
    """Variance of the members."""
    response: FloatArray
    """Covariance of the members with their noise, which has variance 1."""
    error_octaves: FloatArray
    """Squared errors."""
    spread_octaves: FloatArray


def _hour_after(model: StormCast, data: TrainingData, smooth: list[int], place: int) -> _Hour:
    """Return the statistics of an ensemble from `place`, at the hour after it."""
    package, members = model.package, _MEMBERS
    shape, few = package.grid.shape, slice(WAVES_A_SIDE)
    unit = np.array([scale.residual_std for scale in package.description.state.values()])[smooth, None, None]
    y, x = (cosines(size) for size in shape)
    noise = package.noise(SEED, Samples(data).at(place), range(members))(1)
    ((_, states),) = ensemble(model, data, members, 1, place)
    sampled = y @ (states[:, smooth] / unit) @ x.T
    drawn = y[few] @ noise[:, smooth] @ x[few].T
    error = sampled.mean(axis=0) - y @ (data.state(place + 1)[0, smooth] / unit) @ x.T
    deviation = sampled - sampled.mean(axis=0)
    spread = np.sum(deviation**2, axis=0) / (members - 1)
    response = np.sum(deviation[..., few, few] * (drawn - drawn.mean(axis=0)), axis=0) / (members - 1)
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
    sums = [np.bincount(nearest.ravel(), field.ravel(), OCTAVES + 1)[:OCTAVES] for field in amplitudes]
    return np.array(sums)
