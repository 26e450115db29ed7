"""Wind speed, direction and force worked by hand."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.products import make_products
from stormcast_tw.products.surface import BEAUFORT_LIMITS, BEAUFORT_NAMES, beaufort
from tests.products.by_hand import forecast, value


def test_speed_is_formed_per_member_before_the_mean():
    products = make_products(forecast(u10m=[3, -3, 4, -4], v10m=[4, -4, -3, 3]))
    assert value(products, "wind_speed_mean") == 5, "the mean vector is calm, the mean speed is not"
    assert value(products, "wind_speed_spread") == 0


@pytest.mark.parametrize(
    ("u", "v", "direction"),
    [(0, -5, 0), (-5, 0, 90), (0, 5, 180), (5, 0, 270), (-5, -5, 45)],
    ids=["northerly", "easterly", "southerly", "westerly", "north-easterly"],
)
def test_direction_is_where_the_wind_comes_from(u: float, v: float, direction: float):
    products = make_products(forecast(u10m=[u] * 4, v10m=[v] * 4))
    assert value(products, "wind_direction_mean") == pytest.approx(direction)


def test_direction_is_that_of_the_mean_vector():
    """Two members from 350 degrees and two from 10 give north, not south."""
    angle = np.radians([350.0, 350.0, 10.0, 10.0])
    products = make_products(forecast(u10m=-10 * np.sin(angle), v10m=-10 * np.cos(angle)))
    assert np.cos(np.radians(value(products, "wind_direction_mean"))) == pytest.approx(1.0)
    # A strong easterly outweighs two weak northerlies: arctan2(12, 2 + 2) from north.
    products = make_products(forecast(u10m=[-12, 0, 0], v10m=[0, -2, -2]))
    assert value(products, "wind_direction_mean") == pytest.approx(71.565, abs=1e-3)


def test_north_is_zero_and_calm_has_no_direction():
    products = make_products(forecast(u10m=[1e-6] * 2, v10m=[-5] * 2))
    assert value(products, "wind_direction_mean") == 0.0, "359.99999 is 0 in float32, not 360"
    assert np.isnan(value(make_products(forecast(u10m=[5, -5])), "wind_direction_mean"))


@pytest.mark.parametrize(("force", "limit"), list(enumerate(BEAUFORT_LIMITS, start=1)))
def test_a_limit_belongs_to_the_force_above_it(force: int, limit: float):
    at = np.float32(limit)
    speeds = xr.DataArray(np.array([np.nextafter(at, np.float32(0)), at]), dims="x")
    assert beaufort(speeds).values.tolist() == [force - 1, force]


def test_forces_run_from_calm_to_hurricane():
    made = beaufort(xr.DataArray(np.array([0.0, 0.2, 12.0, 90.0], np.float32), dims="x"))
    assert [BEAUFORT_NAMES[force] for force in made.values] == ["calm", "calm", "strong_breeze", "hurricane"]
    assert made.dtype == np.int8


def test_force_of_the_mean_and_of_the_quantiles():
    products = make_products(forecast(u10m=[5.0, 10.0, 10.0, 18.2]))
    # Mean 10.8 is Beaufort 6; quantiles 6.5, 10.0 and 15.74 are 4, 5 and 7.
    assert value(products, "beaufort_mean") == 6
    assert [value(products, "beaufort_quantile", quantile=q) for q in (0.1, 0.5, 0.9)] == [4, 5, 7]
