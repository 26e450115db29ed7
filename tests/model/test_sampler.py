"""The samplers against the exact Gaussian: D = s^2 x / (s^2 + sigma^2) maps x_T to x_T s / sqrt(s^2 + sigma_max^2)."""

import itertools
import math

import pytest
import torch

from stormcast_tw.model.sampler import Denoiser, noise_levels, sample
from stormcast_tw.plan import Sampler


def exact(s: float) -> Denoiser:
    return lambda x, sigma: s**2 * x / (s**2 + sigma**2)


def spread_ratio(name: str, steps: int, s: float, sigma_max: float) -> float:
    """Sampled over true standard deviation; the map is linear, so that one number is enough."""
    sampler = Sampler(name=name, steps=steps, sigma_min=0.002, sigma_max=sigma_max, rho=7.0)
    sampled = sample(exact(s), torch.ones(1, dtype=torch.float64), sampler).item()
    return sampled / (sigma_max * s / math.sqrt(s**2 + sigma_max**2))


# Ratios measured elsewhere with an independent implementation: rows are (s, sigma_max), columns as in COLUMNS.
COLUMNS = (("edm_heun", 18), ("edm_heun", 36), ("dpmpp_2m", 18), ("dpmpp_2m", 36), ("edm_heun", 8))
TABLE = {
    (0.1, 80.0): (1.090, 1.019, 1.081, 1.021, 1.636),
    (0.1, 800.0): (1.220, 1.046, 1.105, 1.048, 2.772),
    (0.5, 80.0): (1.055, 1.012, 1.062, 1.013, 1.394),
    (0.5, 800.0): (1.132, 1.028, 1.127, 1.031, 1.839),
    (1.0, 80.0): (1.045, 1.010, 1.051, 1.011, 1.300),
    (1.0, 800.0): (1.107, 1.023, 1.115, 1.025, 1.719),
}


@pytest.mark.parametrize(("s", "sigma_max"), TABLE)
@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=[f"{n}-{k}" for n, k in COLUMNS])
def test_spread_on_the_exact_gaussian(s: float, sigma_max: float, column: int):
    assert spread_ratio(*COLUMNS[column], s, sigma_max) == pytest.approx(TABLE[s, sigma_max][column], abs=0.0016)


@pytest.mark.parametrize("name", ["edm_heun", "dpmpp_2m"])
def test_second_order_convergence(name: str):
    coarse, fine = (abs(spread_ratio(name, steps, 1.0, 80.0) - 1) for steps in (64, 128))
    assert 3.5 < coarse / fine < 4.8


@pytest.mark.parametrize(("name", "calls"), [("edm_heun", 11), ("dpmpp_2m", 6)])
def test_number_of_network_calls(name: str, calls: int):
    sampler, count = Sampler(name=name, steps=6, sigma_min=0.002, sigma_max=80.0, rho=7.0), 0

    def D(x: torch.Tensor, sigma: float) -> torch.Tensor:  # noqa: N802
        nonlocal count
        count += 1
        return x / (1 + sigma**2)

    sample(D, torch.zeros(2), sampler)
    assert count == calls == sampler.network_calls


def test_noise_levels_end_where_the_package_says():
    t = noise_levels(Sampler(name="edm_heun", steps=18, sigma_min=0.002, sigma_max=80.0, rho=7.0))
    assert len(t) == 19
    assert t[0] == pytest.approx(80.0)
    assert t[17] == pytest.approx(0.002)
    assert t[18] == 0.0
    assert all(high > low for high, low in itertools.pairwise(t))
