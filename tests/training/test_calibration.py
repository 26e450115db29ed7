"""What a package is calibrated by, against numpy and scipy on ensembles that are known: persistence plus noise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch

from stormcast_tw.model.noise import standard_normal
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.sampler import sample
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.model.waves import OCTAVES
from stormcast_tw.training.calibration import calibration
from stormcast_tw.training.draws import Samples
from stormcast_tw.training.processes import Team
from stormcast_tw.training.validation import SEED
from stormcast_tw.training_data.reader import TrainingData

ALONE = Team(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def found(held_out: TrainingData, package: ModelPackage) -> dict:
    return calibration(StormCast(package), held_out, 10_000, ALONE, lambda: None)


def test_a_calibration_makes_of_spread_what_errors_have(held_out: TrainingData, package: ModelPackage, found: dict):
    assert list(found) == ["t2m", "u10m", "v10m"], "rain has a transform"
    share, places, members = share_of_noise(package), held_out.starts(2), 2
    y, x = (np.arange(16) / 32,) * 2
    with np.errstate(divide="ignore"):
        octave = np.rint(np.clip(np.log2(1 / np.hypot(y[:, None], x)) - 2, 0, OCTAVES - 1))
    octave[:4, :4] = -1
    noise = np.array([[noise_of(held_out, int(p) + hour, package, members) for hour in (0, 1)] for p in places])
    for v, variable in enumerate(("t2m", "u10m", "v10m")):
        unit = package.description.state[variable].residual_std
        states = np.stack([held_out.state(int(place), 3)[:, v].astype(np.float64) for place in places])
        said = share * scipy.fft.dctn(noise[:, :, :, v].astype(np.float64), axes=(3, 4), norm="ortho")
        change = scipy.fft.dctn(np.diff(states, axis=1) / unit, axes=(2, 3), norm="ortho")
        error = said.mean(axis=2) - change
        spread = said.var(axis=2, ddof=1)
        square, variance = ((one**p).mean(axis=(0, 1)) for one, p in ((error, 2), (spread, 1)))
        response = variance[:4, :4] / share
        missing = square[:4, :4] - 1.5 * variance[:4, :4]
        whole = np.sqrt(response**2 + np.maximum(missing, 0))
        assert (missing > 0).any()
        widest = found[variable]["widest_waves"]
        assert widest["std"] == pytest.approx((whole - response).ravel(), rel=1e-3, abs=1e-3)
        persistence = (error[:, 0] * error[:, 1]).mean(axis=0)[:4, :4] / whole**2
        assert widest["persistence"] == pytest.approx(np.clip(persistence, 0, 0.95).ravel(), abs=1e-3)
        for n, gain in enumerate(found[variable]["gain"]):
            there = octave == n
            if not there.any():
                assert gain == 1, "the grid has no such wave"
                continue
            expected = np.sqrt(max(square[there].sum() / variance[there].sum() - 0.5, 0))
            assert gain == pytest.approx(np.clip(expected, 0.1, 1.5), rel=1e-3)


def share_of_noise(package: ModelPackage) -> float:
    ones = torch.ones(1, dtype=torch.float64)
    return float(sample(lambda x, sigma: x / (1 + sigma**2), ones, package.description.sampler))


def noise_of(held_out: TrainingData, place: int, package: ModelPackage, members: int) -> np.ndarray:
    shape = (len(package.state_set), *package.grid.shape)
    time = Samples(held_out).at(place)
    return np.stack([standard_normal(SEED, time, member, 1, shape) for member in range(members)])
