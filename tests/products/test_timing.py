"""Windows and onset worked by hand, and what they have in common."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from stormcast_tw.products import make_products
from stormcast_tw.products.timing import highest, onset, reached_probability
from tests.products.by_hand import forecast, value

RAIN = [[0, 50, 0, 0], [0, 0, 50, 0], [0, 0, 0, 0]]
"""Three members: 50 mm at lead 2, at lead 3, never."""


def one(members: object) -> xr.DataArray:
    """The rain of members and leads at a single point."""
    made: xr.DataArray = forecast(np.shape(members)[1], tp01=members)["tp01"]
    return made.isel(latitude=[0], longitude=[0])


def reach(members: object) -> list[float]:
    made = reached_probability(one(members), (40.0,), "at or above", "t", {})
    assert made.dims == ("lead_time", "t", "latitude", "longitude")
    return list(made.values.ravel())


def first(members: object, *thresholds: float) -> list[float]:
    made = onset(one(members), thresholds or (40.0,), "at or above", "t", {})
    assert made.dims == ("t", "latitude", "longitude")
    return list(made.values.ravel())


def test_probability_within_a_window_by_hand():
    assert reach(RAIN) == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])


def test_a_window_takes_each_members_maximum_before_the_share():
    """At no hour do two members rain, yet within three hours all of them do."""
    products = make_products(forecast(3, tp01=[[45, 0, 0], [0, 45, 0], [0, 0, 45]]))
    assert value(products, "tp01_probability", lead=3, tp01_threshold=40.0) == pytest.approx(1 / 3)
    assert value(products, "tp01_reached_probability", lead=3, tp01_threshold=40.0) == 1.0


def test_the_highest_hour_is_found_before_the_quantiles():
    assert highest(one([[3, 1, 4, 1], [0, 2, 0, 5]])).values[..., 0, 0].tolist() == [[3, 3, 4, 4], [0, 2, 2, 5]]
    products = make_products(forecast(3, u10m=[[12, 0, 0], [0, 12, 0], [0, 0, 12]]))
    assert value(products, "wind_speed_quantile", lead=3, quantile=0.5) == 0
    assert value(products, "wind_speed_highest_quantile", lead=3, quantile=0.1) == 12


def test_onset_is_the_hour_at_which_half_have_reached_it():
    assert first(RAIN) == [3.0], "two of three"
    assert first([*RAIN, [0, 0, 0, 0]]) == [3.0], "two of four are half"
    assert first([[50, 0], [0, 0], [0, 0]]) == pytest.approx([np.nan], nan_ok=True), "one of three is not"
    assert first([[50, 0], [0, 50]]) == [1.0]


def test_of_two_thresholds_each_has_its_onset():
    assert first([[10, 20, 45]] * 2, 10.0, 40.0, 60.0) == pytest.approx([1, 3, np.nan], nan_ok=True)


def test_onset_counts_leads_not_places():
    later = one(RAIN).isel(lead_time=slice(1, None))
    assert onset(later, (40.0,), "at or above", "t", {}).item() == 3.0


def test_cold_reaches_downwards():
    made = onset(one([[9, 5, 9]]), (5.0,), "at or below", "t", {})
    assert made.item() == 2.0


@settings(max_examples=25)
@given(st.integers(1, 11), st.integers(0, 2**32 - 1))
def test_reached_never_falls_and_passes_a_half_at_the_onset(members: int, seed: int):
    rain = np.random.default_rng(seed).gamma(0.4, 20, (members, 6))
    shares, at = reach(rain), first(rain)[0]
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == pytest.approx((rain.astype(np.float32).max(axis=1) >= 40).mean())
    passed = [lead for lead, share in enumerate(shares, 1) if share >= 0.5 - 1e-6]
    assert at == passed[0] if passed else np.isnan(at)
