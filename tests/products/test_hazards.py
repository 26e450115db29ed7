"""Thresholds that forecasters warn of."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.products import make_products
from stormcast_tw.regions.taiwan.thresholds import HAZARDS
from tests.products.by_hand import forecast, hills, observed, value


def test_heavy_rain_in_an_hour():
    products = make_products(forecast(tp01=[0.9, 5.0, 39.9, 40.0]))
    made = [value(products, "tp01_probability", tp01_threshold=mm) for mm in (1, 5, 10, 20, 40)]
    assert made == [0.75, 0.75, 0.5, 0.5, 0.25]


def test_extremely_heavy_rain_in_three_hours():
    products = make_products(forecast(tp01=[[40, 30, 30], [40, 30, 29], [90, 60, 50], [0, 0, 0]]))
    assert value(products, "tp03_probability", lead=3, tp03_threshold=100) == 0.5
    assert value(products, "tp03_probability", lead=3, tp03_threshold=200) == 0.25


def test_beaufort_6_9_and_12():
    products = make_products(forecast(u10m=[10.7, 10.8, 20.8, 32.7]))
    made = [value(products, "wind_speed_probability", wind_speed_threshold=v) for v in (10.8, 20.8, 32.7)]
    assert made == [0.75, 0.5, 0.25]


def test_heat_and_cold():
    celsius = np.array([38.0, 36.0, 10.0, 6.0])
    products = make_products(forecast(t2m=celsius + 273.15))
    assert [value(products, "t2m_heat_probability", t2m_heat_threshold=c + 273.15) for c in (36, 38)] == [0.5, 0.25]
    assert [value(products, "t2m_cold_probability", t2m_cold_threshold=c + 273.15) for c in (10, 6)] == [0.5, 0.25]


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    """Of twelve hours in which every threshold is reached by some members and not by others."""
    rng = np.random.default_rng(2)
    fields = {"tp01": rng.gamma(0.5, 60, (9, 12)), "t2m": 295 + 15 * rng.standard_normal((9, 12)),
              "u10m": 20 * rng.standard_normal((9, 12))}  # fmt: skip
    return make_products(forecast(12, **fields), observed(h0=3.0), hills())


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda hazard: hazard.name)
def test_a_more_severe_threshold_is_never_more_probable_nor_earlier(hazard, products: xr.Dataset):
    severe = np.array(hazard.thresholds) if hazard.side == "at or above" else -np.array(hazard.thresholds)
    assert np.all(np.diff(severe) > 0)
    name, south = f"{hazard.name}_threshold", {"latitude": 0}
    made = products[f"{hazard.name}_probability"].isel(lead_time=11, **south)
    assert bool((made.diff(name) <= 0).all())
    assert 0 < float(made.max()) <= 1
    if f"{hazard.name}_onset" in products:
        onset = products[f"{hazard.name}_onset"].isel(south).fillna(99)
        assert bool((onset.diff(name) >= 0).all())
    threshold = products[name].attrs
    assert {"standard_name", "long_name", "units"} <= set(threshold)
    assert hazard.side in threshold["long_name"]
