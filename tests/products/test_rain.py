"""Sums of rain: whole or not given, and formed before any statistic."""

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.products import make_products
from stormcast_tw.products.rain import accumulate
from tests.conftest import CYCLE
from tests.products.by_hand import forecast, value

COUNTING = np.tile(np.arange(1.0, 13.0), (2, 1))
"""Two members with 1 mm in the first hour, 2 in the second, ..."""


@pytest.mark.parametrize(
    ("hours", "sums"),
    [(1, list(range(1, 13))), (3, list(range(6, 34, 3))), (6, [21, 27, 33, 39, 45, 51, 57]), (12, [78])],
)
def test_sums_of_the_counting_world(hours: int, sums: list[int]):
    source = forecast(12, tp01=COUNTING)
    made = accumulate(source, hours)
    assert made.isel(member=0, latitude=0, longitude=0).values.tolist() == sums
    assert made["lead_time"].values[0] == np.timedelta64(hours, "h")
    assert source["tp01"].values[0, :, 0, 0].tolist() == list(range(1, 13)), "the forecast is left as it was"


def test_a_sum_is_never_partial():
    products = make_products(forecast(12, tp01=COUNTING))
    for hours in (3, 6, 12):
        for name in (f"tp{hours:02d}_{s}" for s in ("mean", "spread", "quantile", "pmm")):
            whole = products["lead_time"] >= np.timedelta64(hours, "h")
            others = [dim for dim in products[name].dims if dim != "lead_time"]
            assert np.array_equal(products[name].notnull().all(others), whole), name
            assert np.array_equal(products[name].notnull().any(others), whole), name
    assert value(products, "tp03_mean", lead=3) == 6
    assert value(products, "tp12_mean", lead=12) == 78


def test_a_probability_is_missing_where_the_sum_is():
    """Not zero: nobody looked."""
    made = make_products(forecast(12, tp01=COUNTING))["tp03_probability"].sel(tp03_threshold=[100, 200])
    assert bool(made.isel(lead_time=slice(0, 2)).isnull().all())
    assert bool((made.isel(lead_time=slice(2, None)) == 0).all())


def test_sums_are_formed_per_member_before_the_statistics():
    """The same 9 mm at different hours: hourly rain is uncertain, the sum is not."""
    products = make_products(forecast(3, tp01=[[9, 0, 0], [0, 9, 0], [0, 0, 9]]))
    assert value(products, "tp01_spread", lead=3) == pytest.approx(27**0.5)
    assert value(products, "tp03_spread", lead=3) == 0
    assert value(products, "tp03_quantile", lead=3, quantile=0.9) == 9


@pytest.mark.parametrize(("leads", "sums"), [(2, {"tp01"}), (3, {"tp01", "tp03"}), (11, {"tp01", "tp03", "tp06"})])
def test_a_short_forecast_has_no_long_sums(leads: int, sums: set[str]):
    products = make_products(forecast(leads))
    assert {str(name)[:4] for name in products if str(name).startswith("tp")} == sums
    assert ("valid_time_3h" in products.coords) == ("tp03" in sums)


def test_each_sum_has_bounds_of_its_own_length():
    products = make_products(forecast(12, tp01=COUNTING))
    init = np.datetime64(CYCLE.init_time.replace(tzinfo=None), "ns")
    for hours in (3, 6, 12):
        time = products[f"tp{hours:02d}_mean"].attrs["coordinates"].split()[1]
        assert time == f"valid_time_{hours}h"
        bounds = products[products[time].attrs["bounds"]].sel(lead_time=np.timedelta64(hours, "h"))
        assert bounds.values.tolist() == [init.item(), (init + np.timedelta64(hours, "h")).item()]
        assert np.array_equal(products[time], products["valid_time"])


def test_the_observed_hour_is_refused():
    source = forecast(3)
    at_zero = source.assign_coords(lead_time=source["lead_time"] - np.timedelta64(1, "h"))
    with pytest.raises(BadInput, match=r"lead_time is \[0.0, 1.0, 2.0\] h"):
        accumulate(at_zero, 3)
    with pytest.raises(BadInput, match=r"lead_time is \[1.0, 3.0\] h"):
        accumulate(source.isel(lead_time=[0, 2]), 1)


def test_a_forecast_of_later_leads_sums_what_it_has():
    later = forecast(12, tp01=COUNTING).isel(lead_time=slice(3, None))
    made = accumulate(later, 3)
    assert made["lead_time"].values[0] == np.timedelta64(6, "h")
    assert float(made[0, 0, 0, 0]) == 4 + 5 + 6
