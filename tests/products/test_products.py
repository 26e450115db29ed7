"""Products of a small forecast worked by hand."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.products import PRODUCTS, make_products, summarise
from stormcast_tw.schema import member_coordinate, time_coordinates
from tests.conftest import CYCLE

GRID = Grid("TWO", 23.0, 23.1, 2, 120.0, 120.1, 2)


def forecast(**members: list[float]) -> xr.Dataset:
    """Four members that are the same at every point and lead."""
    fields = {"t2m": [290.0] * 4, "u10m": [0.0] * 4, "v10m": [0.0] * 4, "tp01": [0.0] * 4} | members
    shape = (4, 3, *GRID.shape)
    coordinates = xr.merge([GRID.coordinates(), time_coordinates(CYCLE, range(1, 4)), member_coordinate(4)])
    arrays = {
        name: (("member", "lead_time", *GRID.dims), np.broadcast_to(np.float32(v)[:, None, None, None], shape))
        for name, v in fields.items()
    }
    return coordinates.assign(arrays).assign_attrs(title="SIMULATED ensemble forecast", simulated=1)


def value(products: xr.Dataset, name: str, **where: float) -> float:
    return float(products[name].sel(**where).isel(lead_time=0, latitude=0, longitude=0))


def test_speed_is_formed_per_member_before_the_mean():
    products = make_products(forecast(u10m=[3.0, -3.0, 4.0, -4.0], v10m=[4.0, -4.0, -3.0, 3.0]))
    assert value(products, "wind_speed_mean") == pytest.approx(5.0), "the mean vector is calm, the mean speed is not"


@pytest.mark.parametrize(
    ("u", "v", "direction"),
    [(0.0, -5.0, 0.0), (-5.0, 0.0, 90.0), (0.0, 5.0, 180.0), (5.0, 0.0, 270.0), (-5.0, -5.0, 45.0)],
    ids=["northerly", "easterly", "southerly", "westerly", "north-easterly"],
)
def test_direction_is_where_the_wind_comes_from(u: float, v: float, direction: float):
    assert value(make_products(forecast(u10m=[u] * 4, v10m=[v] * 4)), "wind_direction_mean") == pytest.approx(direction)


def test_direction_is_that_of_the_mean_vector():
    """Two members from 350 degrees and two from 10 give north, not south."""
    angle = np.radians([350.0, 350.0, 10.0, 10.0])
    products = make_products(forecast(u10m=list(-10 * np.sin(angle)), v10m=list(-10 * np.cos(angle))))
    assert np.cos(np.radians(value(products, "wind_direction_mean"))) == pytest.approx(1.0)


def test_quantiles_are_linear_between_order_statistics():
    products = make_products(forecast(tp01=[0.0, 8.0, 2.0, 4.0]))
    # Four members at ranks 0, 1/3, 2/3, 1: the 10 % quantile lies 0.3 of the way from 0 to 2.
    assert value(products, "tp01_quantile", quantile=0.1) == pytest.approx(0.6)
    assert value(products, "tp01_quantile", quantile=0.5) == pytest.approx(3.0)
    assert value(products, "tp01_quantile", quantile=0.9) == pytest.approx(4 + 0.7 * 4)
    assert value(products, "tp01_mean") == pytest.approx(3.5)


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=lambda p: p.name)
def test_every_row_keeps_its_contract(product):
    source = forecast(u10m=[1.0, 2.0, 3.0, 4.0])
    before = source.copy(deep=True)
    made = make_products(source)[product.name]
    xr.testing.assert_identical(source, before)
    assert made.dtype == np.float32
    assert made.dims[-3:] == ("lead_time", "latitude", "longitude")
    assert {"standard_name", "long_name", "units", "grid_mapping"} <= set(made.attrs)
    with pytest.raises(BadInput, match=f"the forecast has no .*{product.inputs[0]}"):
        make_products(source.drop_vars(product.inputs[0]))


def test_products_inherit_what_the_forecast_is():
    products = make_products(forecast())
    assert products.attrs["title"] == "SIMULATED ensemble products"
    assert products.attrs["simulated"] == 1
    assert "member" not in products.dims


def test_summary_speaks_in_degrees_celsius():
    row = summarise(make_products(forecast(t2m=[293.15] * 4, tp01=[1.0, 2.0, 3.0, 4.0])))[0]
    assert row["lead (h)"] == 1
    assert row["valid (UTC)"] == "2026-06-11T07:00"
    assert row["temperature mean (°C)"] == "20.0 to 20.0"
    assert row["rain mean max (mm/h)"] == "2.5"
