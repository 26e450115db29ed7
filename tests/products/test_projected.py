"""Projected rain worked by hand: observed hours, then forecast hours; an hour that is missing is never a dry hour."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products import make_products
from stormcast_tw.products.projected import missing_hours, projected, reached_before, with_observed
from stormcast_tw.products.rain import accumulate
from tests.products.by_hand import TWO, forecast, observed, random_forecast, random_observed

NAN = np.nan
MEMBERS = [[10, 20, 30, 40], [1, 2, 3, 4]]
"""mm in the hours T+1 to T+4 of two members."""
BEFORE = observed(
    h0=[[100, 5], [5, NAN]],
    # the hour that ends at T-1 was not delivered
    h2=[[7, 7], [7, NAN]],
)
"""South-west had 100 mm in the hour before T; no radar sees the north-east."""
SOURCE = with_observed(forecast(4, tp01=MEMBERS), BEFORE)


def of(field: xr.DataArray, y: int, x: int) -> list[float]:
    return field.isel(latitude=y, longitude=x).transpose(..., "lead_time").values.tolist()


def test_three_hours_by_hand():
    made = projected(SOURCE, 3)
    # Lead 1 needs (T-2, T]: hours T-1, missing, and T. Lead 2 needs T. From lead 3 on all is forecast.
    assert of(made, 0, 1) == [[5 + 10, 5 + 30, 60, 90], [5 + 1, 5 + 3, 6, 9]]
    assert of(made, 0, 0) == [[110, 130, 60, 90], [101, 103, 6, 9]]
    assert of(made, 1, 1) == [[10, 30, 60, 90], [1, 3, 6, 9]]
    missing = missing_hours(SOURCE, 3)
    assert missing.dtype == np.int8
    assert of(missing, 0, 1) == of(missing, 0, 0) == [1, 0, 0, 0]
    assert of(missing, 1, 1) == [2, 1, 0, 0]


def test_six_hours_by_hand():
    # Lead 1 needs T-4 to T, of which T-1, T-3 and T-4 are missing; lead 4 needs T-1 and T.
    assert of(projected(SOURCE, 6), 0, 1)[0] == [7 + 5 + 10, 7 + 5 + 30, 7 + 5 + 60, 5 + 100]
    assert of(missing_hours(SOURCE, 6), 0, 1) == [3, 2, 1, 1]
    assert of(missing_hours(SOURCE, 6), 1, 1) == [5, 4, 3, 2]


def test_a_day_is_never_whole_within_the_forecast():
    assert of(missing_hours(SOURCE, 24), 0, 1) == [21, 20, 19, 18]
    assert of(projected(SOURCE, 24), 0, 1)[0] == [22, 42, 72, 112]


def test_reached_before_by_hand():
    made = reached_before(SOURCE, 3, (5.0, 12.0, 100.0), "threshold", {"units": "kg m-2"})
    assert made.dims == ("threshold", "latitude", "longitude")
    # The known hours add to 107, 12, 12 and none; with one of them missing, what is not reached is not known.
    assert made.values.tolist() == [[[1, 1], [1, 2]], [[1, 1], [1, 2]], [[1, 2], [2, 2]]]
    whole = with_observed(forecast(4, tp01=MEMBERS), observed(h0=4, h1=4, h2=4))
    assert reached_before(whole, 3, (12.0, 12.5), "threshold", {}).values[:, 0, 0].tolist() == [1, 0]


def test_the_probability_counts_what_has_fallen():
    products = make_products(forecast(4, tp01=MEMBERS), BEFORE)
    first = products["tp03_projected_probability"].sel(tp03_projected_threshold=100.0).isel(lead_time=0)
    assert first.values.tolist() == [[1, 0], [0, 0]]
    assert np.isnan(products["tp03_probability"].isel(lead_time=0)).all()
    assert products["tp03_reached_before"].sel(tp03_projected_threshold=100.0).values.tolist() == [[1, 2], [2, 2]]
    onset = products["tp03_projected_onset"].sel(tp03_projected_threshold=50.0)
    assert onset.values.tolist()[0] == [1, 3]


@pytest.mark.parametrize("hours", [3, 6, 12])
def test_whole_forecast_sums_are_those_of_accumulate(hours: int):
    plain = random_forecast()
    made, sums = projected(with_observed(plain, random_observed()), hours), accumulate(plain, hours)
    np.testing.assert_array_equal(made.sel(lead_time=sums["lead_time"]).values, sums.values)


@pytest.mark.parametrize("hours", [3, 6, 12, 24])
def test_what_is_joined_is_the_sum_of_one_series(hours: int):
    """Observed and forecast hours in one row of 36: a running sum over it."""
    rng = np.random.default_rng(4)
    before, after = rng.gamma(0.5, 9, 24), rng.gamma(0.5, 9, 12)
    source = with_observed(forecast(12, tp01=[after]), observed(**{f"h{age}": before[23 - age] for age in range(24)}))
    series = np.concatenate([before, after])
    expected = [series[24 + lead - hours : 24 + lead].sum() for lead in range(1, 13)]
    np.testing.assert_allclose(of(projected(source, hours), 0, 0)[0], expected, rtol=1e-6)
    assert int(missing_hours(source, hours).max()) == 0


@pytest.mark.parametrize("nothing", [None, BEFORE.isel(valid_time=slice(0, 0))])
def test_without_any_observed_hour_the_first_leads_are_missing_as_before(nothing: xr.Dataset | None):
    plain = forecast(4, tp01=MEMBERS)
    source = with_observed(plain, nothing)
    xr.testing.assert_identical(projected(source, 3), accumulate(plain, 3))
    made = make_products(plain, nothing)
    assert not [name for name in made if "missing" in name or "before" in name or name.startswith("tp24")]


def test_hours_of_the_day_before_yesterday_are_not_used():
    source = with_observed(forecast(tp01=[[1, 1, 1]]), observed(h23=5, h24=500))
    assert of(projected(source, 24), 0, 0)[0] == [6 - 5 + 0, 2, 3], "T-23 has left the 24 hours at lead 1"
    assert reached_before(source, 24, (5.0, 500.0), "threshold", {}).values[:, 0, 0].tolist() == [1, 2]


def later(rain: xr.Dataset, by: np.timedelta64) -> xr.Dataset:
    return rain.assign_coords(valid_time=rain["valid_time"] + by)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (later(observed(h0=1), np.timedelta64(1, "h")), "2026-06-11T07:00"),
        (later(observed(h0=1), np.timedelta64(-1, "m")), "2026-06-11T05:59"),
        (xr.concat([observed(h0=1), observed(h0=2)], "valid_time", data_vars="minimal"), "single"),
        (observed(h0=-1.0), "spans -1 to -1"),
        (observed(h0=np.inf), "spans"),
        (observed(h0=1).isel(latitude=[0]), "latitude is not the forecast's"),
    ],
    ids=["in the future", "not on the hour", "twice", "negative", "infinite", "another grid"],
)  # fmt: skip
def test_what_cannot_be_observed_rain_is_refused(wrong: xr.Dataset, message: str):
    with pytest.raises(BadInput, match=f"observed rain: .*{message}"):
        with_observed(forecast(), wrong)


def test_a_forecast_of_later_leads_cannot_be_joined():
    source = with_observed(forecast(4, tp01=MEMBERS).isel(lead_time=slice(1, None)), BEFORE)
    with pytest.raises(BadInput, match="first lead_time is 2 h, allowed 1 h"):
        projected(source, 3)


def test_the_forecast_is_left_as_it_was():
    source = forecast(4, tp01=MEMBERS)
    before = source.copy(deep=True)
    projected(with_observed(source, BEFORE), 3)
    xr.testing.assert_identical(source, before)
    assert TWO.shape == source["tp01"].shape[-2:]
