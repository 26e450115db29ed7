"""The contract of every row, and what a forecast's products have in common."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products import PRODUCTS, QUANTITIES, make_products, summarise
from stormcast_tw.regions.taiwan.thresholds import HAZARDS
from stormcast_tw.schema import encoding
from tests.products.by_hand import LAMBERT, forecast, random_forecast

SOURCE = random_forecast()


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    return make_products(SOURCE)


@pytest.mark.parametrize("row", PRODUCTS.values(), ids=lambda row: row.name)
def test_every_row_keeps_its_contract(row, products: xr.Dataset):
    made = products[row.name]
    assert (made.dims[0], *made.dims[-2:]) == ("lead_time", "latitude", "longitude")
    assert made.dtype == (np.int8 if "flag_values" in made.attrs else np.float32)
    assert {"long_name", "units", "cell_methods", "grid_mapping", "coordinates"} <= set(made.attrs)
    assert ("standard_name" in made.attrs) != row.name.endswith("_probability"), "CF has no name for probabilities"
    assert set(made.attrs["coordinates"].split()) <= set(products.coords)
    assert row.quantity is QUANTITIES[row.quantity.name]
    for name in row.inputs:
        with pytest.raises(BadInput, match=f"the forecast has no .*{name}"):
            make_products(SOURCE.drop_vars(name))


@pytest.mark.parametrize("row", PRODUCTS.values(), ids=lambda row: row.name)
def test_a_product_of_the_dataset_is_its_row_alone(row, products: xr.Dataset):
    """Pure: no row depends on the rows before it."""
    alone = row.compute(row.quantity.form(SOURCE))
    there = products[row.name].sel(lead_time=alone["lead_time"])
    np.testing.assert_array_equal(alone.values, there.values)


def test_the_issues_products_are_all_there(products: xr.Dataset):
    scalar = {f"{q}_{s}" for q in ("wind_speed", "t2m", "tp01", "tp03", "tp06", "tp12")
              for s in ("mean", "spread", "quantile")}  # fmt: skip
    matched = {f"tp{hours}_pmm" for hours in ("01", "03", "06", "12")}
    probable = {f"{hazard.name}_probability" for hazard in HAZARDS}
    others = {"wind_direction_mean", "beaufort_mean", "beaufort_quantile"}
    assert set(products) == set(PRODUCTS) >= scalar | matched | probable | others


def test_the_forecast_is_left_as_it_was():
    source = random_forecast(members=2)
    before = source.copy(deep=True)
    make_products(source)
    xr.testing.assert_identical(source, before)
    assert source["lead_time"].attrs == before["lead_time"].attrs


def test_coordinates_keep_their_attributes(products: xr.Dataset):
    for name in ("lead_time", "latitude", "longitude", "valid_time", "init_time", "crs", "valid_time_bounds"):
        xr.testing.assert_identical(products[name].variable, SOURCE[name].variable)


def test_a_lazily_opened_forecast_gives_the_same_products(products: xr.Dataset, tmp_path):
    SOURCE.to_zarr(tmp_path / "forecast.zarr")
    opened = xr.open_zarr(tmp_path / "forecast.zarr", chunks=None)
    made = make_products(opened)
    xr.testing.assert_equal(made, products)
    assert all(made[name].encoding == {} for name in made), "the forecast's chunks are not the products'"
    made.to_zarr(tmp_path / "products.zarr", encoding=encoding(made))


def test_products_inherit_what_the_forecast_is(products: xr.Dataset):
    assert products.attrs["title"] == "SIMULATED UNTRAINED StormCast Taiwan ensemble products"
    assert (products.attrs["simulated"], products.attrs["trained"], products.attrs["members"]) == (1, 0, 5)
    assert "member" not in products.dims


def test_a_temperature_spread_is_a_difference(products: xr.Dataset):
    assert products["t2m_spread"].attrs["units_metadata"] == "temperature: difference"
    assert products["t2m_mean"].attrs["units_metadata"] == "temperature: on_scale"


def test_of_one_member_there_is_no_spread():
    made = make_products(random_forecast(members=1))
    assert set(PRODUCTS) - set(made) == {name for name in PRODUCTS if name.endswith("_spread")}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["t2m", "v10m", "tp01"])
def test_what_is_not_finite_is_refused(name: str, bad: float):
    source = forecast()
    source[name].values[2, 1, 0, 1] = bad
    with pytest.raises(BadInput, match=rf"{name}: .* not finite"):
        make_products(source)


def test_on_a_projected_grid_fields_point_at_latitude_and_longitude():
    made = make_products(random_forecast(grid=LAMBERT))
    for name in made:
        assert made[name].dims[-2:] == ("y", "x")
        assert {"latitude", "longitude"} <= set(made[name].attrs["coordinates"].split())


def test_summary_speaks_in_display_units():
    source = forecast(t2m=[293.15] * 4, tp01=[10, 20, 30, 40], u10m=[12] * 4)
    source["tp01"].values[:, :, 1, 1] = 0
    row = summarise(make_products(source))[0]
    assert row == {
        "lead (h)": 1,
        "valid (UTC)": "2026-06-11T07:00",
        "mean temp. (°C)": "20.0 to 20.0",
        "wind mean (m/s)": "12.0",
        "p90 (m/s)": "12.0",
        "p90 (Bft)": "6",
        "rain mean (mm)": "25.0",
        "p90 (mm)": "37.0",
        "P(≥ 40 mm)": "25%",
    }
