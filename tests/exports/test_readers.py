"""products.nc in the hands of those who read it: cdo, GDAL, ncdump, xarray, cf_xarray and the compliance checker."""

import json
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import cf_xarray  # noqa: F401  registers ds.cf
import numpy as np
import pytest
import xarray as xr
from compliance_checker.base import BaseCheck
from pyproj import CRS

from stormcast_tw.exports.netcdf import to_netcdf
from stormcast_tw.products import PRODUCTS, make_products
from stormcast_tw.regions.taiwan.thresholds import HAZARDS
from stormcast_tw.settings import Attribution
from tests.conftest import SMALL
from tests.exports.checker import complaints, of_each_kind
from tests.products.by_hand import hills, random_forecast, random_observed
from tests.servers import require

HOURS = [f"2026-06-11T{hour:02d}:00:00" for hour in range(7, 19)]
FROM_DEBIAN = {"cdo": "cdo", "gdalinfo": "gdal-bin", "ncdump": "netcdf-bin"}
LENGTHS = (3, 6, 12)
WITHOUT_A_NAME = ("_probability", "_onset", "_missing_hours")
"""Names end so for which CF has no standard name; the checker asks none of what has flags."""


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    """As published by somebody who has filled in the settings."""
    whole = Attribution(creator_email="forecast@example.org", creator_url="https://example.org")
    made = make_products(
        random_forecast(members=3, grid=SMALL).assign_attrs(whole.stated), random_observed(SMALL), hills(SMALL)
    )
    rolled_out = {
        "id": "demo/run",
        "source": "by hand",
        "processing_level": "3",
        "date_created": "2026-06-11T09:00:00Z",
    }
    return made.assign_attrs(rolled_out)


@pytest.fixture(scope="module")
def file(products: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readers") / "products.nc"
    to_netcdf(products, path)
    return path


@pytest.fixture(scope="module")
def kinds(products: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readers") / "kinds.nc"
    to_netcdf(of_each_kind(products), path)
    return path


def said(*command: object) -> tuple[str, str]:
    """What a program of Debian's prints, and what it complains of."""
    name = str(command[0])
    require(shutil.which(name), name, f"apt-get install {FROM_DEBIAN[name]}")
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_cdo_reads_every_field_and_true_dates(file: Path):
    out, err = said("cdo", "sinfon", file)
    assert set(re.findall(r"(\w+) *$", out.split("Grid coordinates")[0], re.MULTILINE)) >= set(PRODUCTS)
    assert "skipped" not in err
    assert "Unsupported" not in err
    assert "Bounds = true" in out
    assert "ForecastRefTime =  2026-06-11T06:00:00" in out
    assert said("cdo", "-s", "showtimestamp", file)[0].split() == HOURS


def test_cdo_selects_all_thresholds_of_a_probability(file: Path, products: xr.Dataset, tmp_path: Path):
    said("cdo", "-s", "selname,tp01_probability", file, tmp_path / "one.nc")
    assert said("cdo", "-s", "ntime", tmp_path / "one.nc")[0].split() == ["12"]
    with xr.open_dataset(tmp_path / "one.nc") as one:
        found = one["tp01_probability"]
        assert found.dims == ("time", "tp01_threshold", "latitude", "longitude")
        assert np.datetime_as_string(one["time"].values, "s").tolist() == HOURS
        np.testing.assert_array_equal(found.values, products["tp01_probability"].values)


def test_gdal_reads_a_field_north_up_with_its_times(file: Path, products: xr.Dataset):
    out, _ = said("gdalinfo", "-json", "-stats", f"NETCDF:{file}:tp03_mean")
    info = json.loads(out)
    assert len(info["bands"]) == 12
    assert info["metadata"][""]["NETCDF_DIM_time_DEF"] == "{12,6}"
    first_hour = (np.datetime64(HOURS[0]) - np.datetime64("1970-01-01T00", "h")) / np.timedelta64(1, "h")
    assert [float(b["metadata"][""]["NETCDF_DIM_time"]) for b in info["bands"]] == [first_hour + n for n in range(12)]
    assert info["geoTransform"][5] < 0
    largest = float(products["tp03_mean"].isel(lead_time=2).max())
    assert float(info["bands"][2]["metadata"][""]["STATISTICS_MAXIMUM"]) == pytest.approx(largest)
    assert len(json.loads(said("gdalinfo", "-json", f"NETCDF:{file}:tp01_probability")[0])["bands"]) == 12 * 5


def test_ncdump_shows_one_time_axis(file: Path):
    out, err = said("ncdump", "-h", file)
    assert err == ""
    assert re.search(r"^\ttime = UNLIMITED ; // \(12 currently\)$", out, re.MULTILINE)
    assert re.findall(r'(\w+):standard_name = "time"', out) == ["time"]
    assert re.findall(r'(\w+):units = "hours since', out) == ["init_time", "time"]
    for hazard in HAZARDS:
        assert f"\tfloat {hazard.name}_probability(time, {hazard.name}_threshold, latitude, longitude) ;" in out


def test_cf_xarray_finds_each_coordinate_once(file: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = xr.open_dataset(file)
        assert np.datetime_as_string(opened.cf["time"].values, "s").tolist() == HOURS
        for key in ("T", "Y", "X", "latitude", "longitude", "forecast_period", "forecast_reference_time"):
            assert opened.cf[key].size
        assert opened["tp12_mean"].cf["time"].size == 12
        assert opened.cf.bounds["time"] == ["time_bounds"]
        opened.close()


@pytest.mark.parametrize("hours", LENGTHS)
def test_a_sum_says_its_interval_in_bounds_and_cell_methods(file: Path, hours: int):
    with xr.open_dataset(file) as opened:
        for name in (f"tp{hours:02d}_{statistic}" for statistic in ("mean", "spread", "quantile", "pmm")):
            assert f"time: sum (interval: 1 hour comment: of the {hours} hours" in opened[name].attrs["cell_methods"]
            assert f"lead_time_{hours}h" in opened[name].encoding["coordinates"].split()
        end = opened[f"lead_time_{hours}h"]
        assert end.values.tolist() == list(range(1, 13))
        bounds = opened[end.attrs["bounds"]].values
        assert (bounds[:, 1] == end.values).all()
        assert (bounds[:, 0] == end.values - hours).all()
        hour = opened["time_bounds"].values
        assert (hour[:, 1] - hour[:, 0] == np.timedelta64(1, "h")).all()


def test_the_compliance_checker_has_no_complaint(kinds: Path):
    """CF 1.11 is the newest that the checker (6.1.0) knows."""
    assert complaints(kinds, "cf:1.11") == {}


def test_discovery_attributes_lack_only_what_does_not_exist(kinds: Path, products: xr.Dataset):
    """CF has no standard name for how likely and when a threshold is reached, and no field here has a vertical axis."""
    said = complaints(kinds, "acdd:1.3")
    lacking = [text for weight in (BaseCheck.HIGH, BaseCheck.MEDIUM) for text in said.get(weight, [])]
    assert {text for text in lacking if "vertical" not in text} == {"standard_name"}
    nameless = [name for name in of_each_kind(products) if name.endswith(WITHOUT_A_NAME)]
    assert len([text for text in lacking if text == "standard_name"]) == len(nameless)


def test_the_grid_has_an_ellipsoid_and_cells(file: Path):
    with xr.open_dataset(file) as opened:
        wkt = CRS.from_wkt(opened["crs"].attrs["crs_wkt"])
        assert wkt.ellipsoid.semi_major_metre == opened["crs"].attrs["semi_major_axis"] == 6378137.0
        for axis, step in (("latitude", SMALL.dy), ("longitude", SMALL.dx)):
            edges = opened[opened[axis].attrs["bounds"]].values
            np.testing.assert_allclose(edges.mean(axis=1), opened[axis].values)
            np.testing.assert_allclose(edges[:, 1] - edges[:, 0], step)
            np.testing.assert_allclose(edges[1:, 0], edges[:-1, 1], err_msg="cells touch")
        assert "area: mean" in opened["tp01_mean"].attrs["cell_methods"]
