"""One CF NetCDF: the same values as the Zarr, no complaint of the checker, whole or not there."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.exports.netcdf import to_netcdf
from stormcast_tw.grid import Grid
from stormcast_tw.products import make_products
from stormcast_tw.schema import encoding
from tests.conftest import SMALL
from tests.exports.checker import complaints, of_each_kind
from tests.products.by_hand import LAMBERT, hills, random_forecast, random_observed

FORECAST = random_forecast(members=3, grid=SMALL)


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    return make_products(FORECAST, random_observed(SMALL), hills(SMALL))


@pytest.mark.parametrize("grid", [SMALL, LAMBERT], ids=["geographic", "lambert"])
def test_the_checker_has_no_complaint_of_products_and_members_in_one_file(grid: Grid, tmp_path: Path):
    source = random_forecast(members=3, grid=grid)
    made = make_products(source, random_observed(grid), hills(grid))
    to_netcdf(of_each_kind(made).merge(source), tmp_path / "all.nc")
    assert complaints(tmp_path / "all.nc", "cf:1.11") == {}


@pytest.mark.parametrize("from_zarr", [False, True], ids=["from memory", "from the Zarr"])
def test_values_equal_the_zarrs(products: xr.Dataset, tmp_path: Path, from_zarr: bool):
    products = of_each_kind(products)
    products.to_zarr(tmp_path / "p.zarr", zarr_format=3, consolidated=False, encoding=encoding(products))
    zarr = xr.open_zarr(tmp_path / "p.zarr", chunks=None, consolidated=False)
    to_netcdf(zarr if from_zarr else products, tmp_path / "p.nc")
    on_one_axis = {"valid_time": "time", "valid_time_bounds": "time_bounds"}
    sums = {str(name) for name in zarr.variables if str(name).startswith("valid_time_")} - {"valid_time_bounds"}
    assert {"valid_time_3h", "valid_time_since_init", "valid_time_since_init_bounds"} <= sums
    with xr.open_dataset(tmp_path / "p.nc", decode_coords="all") as netcdf:
        there = {str(name): on_one_axis.get(str(name), str(name)) for name in zarr.variables if name not in sums}
        ends = {name.replace("valid", "lead") for name in sums}
        assert set(netcdf.variables) == {*there.values(), *ends, "realization"}
        for name, called in there.items():
            np.testing.assert_array_equal(netcdf[called].values, zarr[name].values, err_msg=name)
            assert netcdf[called].dtype == zarr[name].dtype, name
        for name in sums:
            since = (zarr[name].values - zarr["init_time"].values) / np.timedelta64(1, "h")
            np.testing.assert_array_equal(netcdf[name.replace("valid", "lead")].values, since, err_msg=name)
        assert netcdf["realization"].item() == 3
        assert netcdf.attrs == zarr.attrs


def test_the_file_is_plain(products: xr.Dataset, tmp_path: Path):
    to_netcdf(products, tmp_path / "p.nc")
    with netCDF4.Dataset(tmp_path / "p.nc") as file:
        assert (file.simulated, file.trained) == (1, 0)
        assert file.title.startswith("SIMULATED UNTRAINED ")
        assert "coordinates" not in file.ncattrs()
        for variable in file.variables.values():
            assert variable.dtype in (np.float32, np.float64, np.int8, np.int32), variable.name
            assert all(np.asarray(variable.getncattr(a)).dtype != np.int64 for a in variable.ncattrs())
        force = file["beaufort_mean"]
        assert force.flag_values.dtype == np.int8
        assert len(force.flag_meanings.split()) == len(force.flag_values) == 13
        assert file["tp03_mean"].coordinates == "init_time lead_time lead_time_3h realization"
        assert file["tp03_quantile"].chunking() == [1, 1, *SMALL.shape]
        assert file["tp03_mean"].filters()["zlib"]
        assert "coordinates" not in file["crs"].ncattrs() + file["lead_time_3h_bounds"].ncattrs()
        assert file["time"].units == "hours since 1970-01-01"
        assert (file["lead_time"][:] == np.arange(1, 13)).all()


def test_the_dataset_is_left_as_it_was(products: xr.Dataset, tmp_path: Path):
    before = products.copy(deep=True)
    encodings = {name: dict(v.encoding) for name, v in products.variables.items()}
    to_netcdf(products, tmp_path / "p.nc")
    xr.testing.assert_identical(products, before)
    assert {name: dict(v.encoding) for name, v in products.variables.items()} == encodings


def test_what_cf_cannot_hold_is_refused_and_nothing_is_left(products: xr.Dataset, tmp_path: Path):
    path = tmp_path / "p.nc"
    path.write_text("yesterday's")
    with pytest.raises(BadInput, match="wet: type bool"):
        to_netcdf(products.assign(wet=products["tp01_mean"] > 1), path)
    assert path.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(products: xr.Dataset, tmp_path: Path):
    path = tmp_path / "p.nc"
    path.write_text("yesterday's")
    with pytest.raises(ValueError, match="Invalid name"):
        to_netcdf(products.assign_attrs({"": "an attribute without a name"}), path)
    assert path.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [path]
