"""The contract of every row, and what a forecast's products have in common."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products import PRODUCTS, QUANTITIES, make_products, summarise
from stormcast_tw.products.table import beside
from stormcast_tw.regions.taiwan.thresholds import HAZARDS
from stormcast_tw.schema import encoding
from tests.products.by_hand import LAMBERT, forecast, hills, random_forecast, random_observed

SOURCE = random_forecast()
BESIDE = (random_observed(), hills())
WITHOUT_A_NAME = ("_probability", "_onset", "_missing_hours", "_reached_before")
"""CF has no standard name for these."""
OF_THE_RUN = ("_onset", "_reached_before")
"""These hold for the whole run."""


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    return make_products(SOURCE, *BESIDE)


@pytest.mark.parametrize("row", PRODUCTS.values(), ids=lambda row: row.name)
def test_every_row_keeps_its_contract(row, products: xr.Dataset):
    made = products[row.name]
    assert made.dims[-2:] == ("latitude", "longitude")
    assert (made.dims[0] == "lead_time") != row.name.endswith(OF_THE_RUN)
    assert made.dtype == (np.int8 if "flag_values" in made.attrs or "missing_hours" in row.name else np.float32)
    assert {"long_name", "units", "cell_methods", "grid_mapping", "coordinates"} <= set(made.attrs)
    assert ("standard_name" in made.attrs) != row.name.endswith(WITHOUT_A_NAME)
    linked = set(made.attrs["coordinates"].split())
    assert linked <= set(products.coords)
    assert all(set(products[name].dims) <= set(made.dims) for name in linked), "CF 5: no dimension of its own"
    assert row.quantity is QUANTITIES[row.quantity.name]
    for name in row.inputs:
        with pytest.raises(BadInput, match=f"the forecast has no .*{name}"):
            make_products(SOURCE.drop_vars(name), None, hills())


@pytest.mark.parametrize("row", PRODUCTS.values(), ids=lambda row: row.name)
def test_a_product_of_the_dataset_is_its_row_alone(row, products: xr.Dataset):
    """Pure: no row depends on the rows before it."""
    alone, there = row.compute(row.quantity.form(beside(SOURCE, *BESIDE))), products[row.name]
    at = {"lead_time": alone["lead_time"]} if "lead_time" in alone.dims else {}
    np.testing.assert_array_equal(alone.values, there.sel(at).values)


def test_the_issues_products_are_all_there(products: xr.Dataset):
    scalar = {f"{q}_{s}" for q in ("wind_speed", "t2m", "tp01", "tp03", "tp06", "tp12")
              for s in ("mean", "spread", "quantile")}  # fmt: skip
    matched = {f"tp{hours}_pmm" for hours in ("01", "03", "06", "12")}
    probable = {f"{hazard.name}_probability" for hazard in HAZARDS}
    others = {"wind_direction_mean", "beaufort_mean", "beaufort_quantile"}
    projected = {f"tp{hours}_{what}" for hours in ("03", "06", "12", "24")
                 for what in ("projected_quantile", "projected_lpmm", "projected_onset", "missing_hours",
                              "reached_before", "projected_neighbourhood_probability")}  # fmt: skip
    assert set(products) == set(PRODUCTS) >= scalar | matched | probable | others | projected


def test_without_observed_rain_and_orography_the_rest_is_the_same(products: xr.Dataset):
    made, needed = make_products(SOURCE), ("t2m_lowland", "tp24_projected")
    left_out = [name for name, row in PRODUCTS.items() if row.quantity.name in needed or not row.quantity.of_members]
    assert set(PRODUCTS) - set(made) == set(left_out)
    for name in [name for name in made if "projected" not in name]:
        xr.testing.assert_identical(made[name].variable, products[name].variable)
    later = {"lead_time": slice(2, None)}
    ours, whole = (dataset["tp03_projected_quantile"][later].variable for dataset in (made, products))
    xr.testing.assert_identical(ours, whole)
    assert bool(made["tp03_projected_quantile"][:2].isnull().all()), "missing as the sum is"


@pytest.mark.parametrize(
    ("heights", "found"), [(np.zeros((3, 2)), r"\(3, 2\)"), (np.array([[0, np.nan], [1, 2]]), "not finite")]
)
def test_an_orography_that_does_not_fit_is_refused(heights: np.ndarray, found: str):
    with pytest.raises(BadInput, match=f"orography: .*{found}"):
        make_products(forecast(), None, heights)


def test_what_lies_beside_the_forecast_is_left_as_it_was():
    rain, heights = random_observed(), hills()
    before = rain.copy(deep=True)
    make_products(forecast(), rain, heights)
    xr.testing.assert_identical(rain, before)
    np.testing.assert_array_equal(heights, hills())


def test_heat_and_cold_are_judged_where_people_live():
    products = make_products(forecast(t2m=[280.0, 300.0]), None, np.array([[0, 499], [500, 3000]]))
    for name in ("t2m_cold_lowland_probability", "t2m_cold_lowland_reached_probability"):
        assert products[name].values[0, 0].tolist() == [[0.5, 0.5], pytest.approx([np.nan] * 2, nan_ok=True)]
    assert products["t2m_cold_lowland_onset"].values[0].tolist()[0] == [1, 1]
    assert bool(products["t2m_cold_lowland_onset"][:, 1].isnull().all())
    assert products["t2m_cold_probability"].values[0, 0].tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_a_chance_says_of_what_it_is(products: xr.Dataset):
    """Point, neighbourhood and window probability share no label."""
    labels = [products[f"tp01_{suffix}"].attrs["long_name"]
              for suffix in ("probability", "neighbourhood_probability", "reached_probability", "onset")]  # fmt: skip
    assert len(set(labels)) == 4
    assert "within 15 km" in labels[1]
    assert products["tp01_neighbourhood_probability"].attrs["radius_km"] == 15.0
    assert "since init_time" in labels[2]


def test_what_is_since_init_time_has_bounds_that_begin_there(products: xr.Dataset):
    name = products["wind_speed_reached_probability"].attrs["coordinates"].split()[1]
    bounds = products[products[name].attrs["bounds"]].values
    assert (bounds[:, 0] == products["init_time"].values).all()
    assert (bounds[:, 1] == products["valid_time"].values).all()


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
    made = make_products(opened, *BESIDE)
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
    made = make_products(random_forecast(members=1), *BESIDE)
    assert set(PRODUCTS) - set(made) == {name for name in PRODUCTS if name.endswith("_spread")}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["t2m", "v10m", "tp01"])
def test_what_is_not_finite_is_refused(name: str, bad: float):
    source = forecast()
    source[name].values[2, 1, 0, 1] = bad
    with pytest.raises(BadInput, match=rf"{name}: .* not finite"):
        make_products(source)


def test_on_a_projected_grid_fields_point_at_latitude_and_longitude():
    made = make_products(random_forecast(grid=LAMBERT), random_observed(LAMBERT), hills(LAMBERT))
    assert set(made) == set(PRODUCTS)
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
