"""Statistics over members worked by hand, and the properties they have for any members."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from stormcast_tw.products.ensemble import mean, probability, probability_matched_mean, quantiles, spread


def members(*values: object) -> xr.DataArray:
    """One value or one (y, x) map a member, at a single lead."""
    data = np.asarray(values, np.float32)
    data = data.reshape(len(data), 1, *(data.shape[1:] or (1, 1)))
    return xr.DataArray(data, dims=("member", "lead_time", "y", "x"))


def test_mean_and_spread_by_hand():
    four = members(1, 2, 3, 6)
    assert mean(four).item() == 3.0
    # Deviations -2 -1 0 3, squares 4 1 0 9: 14 / 3.
    assert spread(four).item() == pytest.approx((14 / 3) ** 0.5)


def test_spread_of_one_member_is_refused():
    with pytest.raises(ValueError, match="one member"):
        spread(members(1))


def test_mean_does_not_drift_with_the_number_of_members():
    assert mean(members(*[290.1] * 1000)).item() == np.float32(290.1)


def test_quantiles_are_linear_between_order_statistics():
    # Sorted 0 2 4 8 at ranks 0, 1/3, 2/3, 1: the 10 % quantile lies 0.3 of the way from 0 to 2.
    made = quantiles(members(0, 8, 2, 4))
    assert made["quantile"].values.tolist() == [0.1, 0.5, 0.9]
    assert made.values.ravel() == pytest.approx([0.6, 3.0, 4 + 0.7 * 4])


def test_quantiles_agree_with_numpy_and_never_cross():
    many = xr.DataArray(np.random.default_rng(0).gamma(0.3, 5, (16, 2, 5, 4)).astype(np.float32),
                        dims=("member", "lead_time", "y", "x"))  # fmt: skip
    made = quantiles(many)
    assert made.dims == ("lead_time", "quantile", "y", "x")
    np.testing.assert_allclose(
        made.transpose("quantile", ...), np.quantile(many.values, (0.1, 0.5, 0.9), axis=0), rtol=1e-6
    )
    assert bool((made.diff("quantile") >= 0).all())


def test_quantiles_of_one_member_are_that_member():
    assert quantiles(members(7)).values.ravel().tolist() == [7.0, 7.0, 7.0]


def test_a_value_equal_to_the_threshold_counts_on_either_side():
    five = members(4, 5, 5, 6, 9)
    above = probability(five, (5.0, 9.0), "at or above", "threshold", {"units": "1"})
    below = probability(five, (5.0, 3.0), "at or below", "threshold", {"units": "1"})
    assert above.values.ravel() == pytest.approx([0.8, 0.2])
    assert below.values.ravel() == pytest.approx([0.6, 0.0])
    assert above["threshold"].values.tolist() == [5.0, 9.0]
    assert above["threshold"].attrs == {"units": "1"}


def test_thresholds_are_compared_in_the_precision_of_the_members():
    """The float32 nearest to 20.8 is below 20.8, yet a wind of 20.8 has reached Beaufort 9."""
    assert float(np.float32(20.8)) < 20.8
    assert probability(members(20.8), (20.8,), "at or above", "threshold", {}).item() == 1.0


def test_probability_matched_mean_of_two_members_on_two_by_three_points():
    made = probability_matched_mean(members([[0, 2, 4], [1, 0, 8]], [[0, 6, 2], [0, 3, 10]]))
    # Mean [[0 4 3] [.5 1.5 9]]. Pooled 00 00 12 23 46 8-10: medians 0 0 1.5 2.5 5 9, placed by the rank of the mean.
    assert made.values[0].tolist() == [[0, 5, 2.5], [0, 1.5, 9]]
    assert made.dims == ("lead_time", "y", "x")


def test_probability_matched_mean_of_three_members_takes_the_middle_of_each_block():
    made = probability_matched_mean(members([[1, 20]], [[4, 3]], [[2, 30]]))
    # Pooled 1 2 3 | 4 20 30.
    assert made.values[0].tolist() == [[2, 20]]


def test_of_equal_means_the_earlier_point_takes_the_smaller_value():
    made = probability_matched_mean(members([[1, 3], [0, 4]], [[3, 1], [4, 0]]))
    # All means are 2; pooled 00 11 33 44.
    assert made.values[0].tolist() == [[0, 1], [3, 4]]


def test_leads_are_matched_separately():
    one, other = members([[1, 2]], [[3, 4]]), members([[100, 0]], [[200, 0]])
    both = xr.concat([one, other], "lead_time")
    made = probability_matched_mean(both)
    xr.testing.assert_equal(made.isel(lead_time=[0]), probability_matched_mean(one))
    xr.testing.assert_equal(made.isel(lead_time=[1]), probability_matched_mean(other))


@given(st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_matching_keeps_the_pooled_distribution_and_the_order_of_the_mean(count: int, seed: int):
    values = np.random.default_rng(seed).gamma(0.3, 10, (count, 1, 4, 5)).astype(np.float32).round(1)
    array = xr.DataArray(values, dims=("member", "lead_time", "y", "x"))
    made = probability_matched_mean(array).values.ravel()
    blocks = np.sort(values.ravel()).reshape(20, count)
    np.testing.assert_allclose(np.sort(made), np.median(blocks, axis=1), rtol=1e-6)
    order = np.argsort(values.mean(0, dtype=np.float64).ravel(), kind="stable")
    assert np.all(np.diff(made[order]) >= 0)


def test_of_identical_members_every_statistic_is_the_member():
    map_ = np.arange(6.0).reshape(2, 3)
    same = members(map_, map_, map_)
    for statistic in (mean, probability_matched_mean):
        np.testing.assert_array_equal(statistic(same).values[0], map_)
    np.testing.assert_array_equal(spread(same), 0)
