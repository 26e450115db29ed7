"""Point scores against closed forms, the `scores` library and what is worked by hand."""

import numpy as np
import pytest
import xarray as xr
from scores.probability import crps_for_ensemble, rank_histogram

from stormcast_tw.verification.scores.ensemble import (
    differences,
    fair_crps,
    fair_energy_score,
    mean_error,
    rank,
    spread_over_error,
    variance,
)

GAUSSIAN = 0.54476
"""CRPS of N(0.3, 1.7) at 1.1 in closed form: s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)), z = 0.8 / 1.7."""


def gaussian(members: int, repeats: int = 1) -> np.ndarray:
    return np.random.default_rng(members).normal(0.3, 1.7, (members, repeats)).astype(np.float32)


def test_a_large_ensemble_has_the_gaussian_closed_form():
    made = fair_crps(differences(gaussian(200_000), np.array([1.1], np.float32)))
    assert made.item() == pytest.approx(GAUSSIAN, rel=0.01)


@pytest.mark.parametrize("members", [2, 4, 16])
def test_fair_crps_does_not_depend_on_the_number_of_members(members: int):
    """Unfair, two members would score 1.024."""
    repeats = 200_000
    made = fair_crps(differences(gaussian(members, repeats), np.full(repeats, 1.1, np.float32)))
    standard_error = float(made.std()) / repeats**0.5
    assert standard_error < 0.002
    assert float(made.mean(dtype=np.float64)) == pytest.approx(GAUSSIAN, abs=4 * standard_error)


def test_crps_by_hand():
    # Members 1 2 4, truth 3: mean |x - y| = (2 + 1 + 1) / 3; pairs 1 3 2 of mean 2, half of it 1.
    assert fair_crps(differences(np.array([4.0, 1.0, 2.0]), np.float64(3.0))) == pytest.approx(4 / 3 - 1)


def test_crps_of_one_member_is_the_absolute_error():
    np.testing.assert_array_equal(fair_crps(differences(np.array([[1.0, 5.0]]), np.array([3.0, 4.0]))), [2.0, 1.0])


def test_crps_agrees_with_the_scores_library():
    rng = np.random.default_rng(0)
    members, truth = rng.normal(size=(7, 50)) + 290, rng.normal(size=50) + 290
    library = crps_for_ensemble(xr.DataArray(members, dims=("member", "x")), xr.DataArray(truth, dims="x"), "member",
                                method="fair", preserve_dims="x")  # fmt: skip
    np.testing.assert_allclose(fair_crps(differences(members, truth)), library, rtol=1e-9)
    single = fair_crps(differences(members.astype(np.float32), truth.astype(np.float32)))
    np.testing.assert_allclose(single, library, atol=1e-4)  # 290 K in float32 is known to 3e-5 K


def test_mean_error_and_variance_by_hand():
    three = differences(np.array([1.0, 2.0, 6.0]), np.float64(2.0))
    assert mean_error(three) == pytest.approx(1.0)
    assert variance(three) == pytest.approx(7.0)  # squares 4 1 9 over 2
    assert variance(three[:1]) == 0.0


def test_rank_counts_members_below():
    made = rank(differences(np.array([[1.0], [3.0], [2.0]]), np.array([2.5])), np.random.default_rng(0))
    assert made.tolist() == [2]


def test_ties_are_drawn_evenly_as_the_library_shares_them():
    rng = np.random.default_rng(1)
    members, truth = np.floor(rng.gamma(0.5, 2, (4, 60_000))), np.floor(rng.gamma(0.5, 2, 60_000))
    made = np.bincount(rank(differences(members, truth), rng), minlength=5) / truth.size
    library = rank_histogram(xr.DataArray(members, dims=("member", "x")), xr.DataArray(truth, dims="x"), "member")
    np.testing.assert_allclose(made, library, atol=0.008)  # four standard errors of a share of 0.2
    dry = rank(np.zeros((4, 60_000)), rng)
    np.testing.assert_allclose(np.bincount(dry) / dry.size, 0.2, atol=0.008)


def test_energy_score_along_one_axis_is_the_crps():
    difference = np.random.default_rng(2).normal(size=(6, 30))
    np.testing.assert_allclose(
        fair_energy_score(difference, np.zeros_like(difference)), fair_crps(np.sort(difference, axis=0)), rtol=1e-9
    )


def test_energy_score_by_hand_and_turned():
    # Differences (3, 4) and (0, 0): lengths 5 and 0, their distance 5: 2.5 - 5 / 2 = 0.
    u, v = np.array([[3.0], [0.0]]), np.array([[4.0], [0.0]])
    assert fair_energy_score(u, v).item() == pytest.approx(0.0)
    assert fair_energy_score(u[:1], v[:1]).item() == 5.0
    rng = np.random.default_rng(3)
    u, v = rng.normal(size=(5, 9)), rng.normal(size=(5, 9))
    turned = (u + 1j * v) * np.exp(0.7j)
    np.testing.assert_allclose(fair_energy_score(turned.real, turned.imag), fair_energy_score(u, v), rtol=1e-9)


def test_spread_over_error_by_hand():
    # Variance 4 and squared error 9 of 2 members: sqrt(3 / 2 x 4 / 9).
    made = spread_over_error(np.array([40.0, 4.0, 4.0]), np.array([90.0, 9.0, 0.0]), np.array([2, 1, 2]))
    assert made[0] == pytest.approx((3 / 2 * 4 / 9) ** 0.5)
    assert np.isnan(made[1:]).all()
