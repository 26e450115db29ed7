"""GeoTIFFs as rasterio and GDAL read them, and that GDAL, PROJ and eccodes live in one process."""

import json
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.exports import cog
from stormcast_tw.products import make_products
from tests.conftest import SMALL
from tests.exports.test_readers import said
from tests.products.by_hand import LAMBERT, random_forecast

SHOWN = ["tp03_mean", "beaufort_quantile", "tp01_probability"]
USES = {
    "eccodes": "h = eccodes.codes_grib_new_from_samples('regular_ll_sfc_grib2')\n"
               "eccodes.codes_set(h, 'packingType', 'grid_ccsds')\neccodes.codes_set_values(h, [0.0, 1.0] * 248)",
    "pyproj": "assert pyproj.Transformer.from_crs(4326, 3826, always_xy=True).transform(121, 23.5)[0] == 250000",
    "rasterio": "assert rasterio.crs.CRS.from_epsg(3826).to_wkt(version='WKT2_2019').startswith('PROJCRS')",
}  # fmt: skip
"""Each library, and something that needs its own PROJ or memory."""
FORKED = """
import os, sys, boto3, numpy  # what rasterio imports that holds neither PROJ nor GDAL
for script in sys.argv[1:]:
    if (child := os.fork()) == 0:
        exec(script)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0, script
"""


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    return make_products(random_forecast(members=3, grid=SMALL))[SHOWN]


@pytest.fixture(scope="module")
def files(products: xr.Dataset) -> dict[str, bytes]:
    return dict(cog.statistics(products=products))


def test_values_and_cells_are_those_of_the_products(files: dict[str, bytes], products: xr.Dataset):
    for name, true in (
        ("tp03_mean", products["tp03_mean"]),
        ("tp01_probability_20", products["tp01_probability"].sel(tp01_threshold=20)),
        ("beaufort_quantile_p90", products["beaufort_quantile"].sel(quantile=0.9)),
    ):
        with rasterio.io.MemoryFile(files[f"{name}.tif"]) as memory, memory.open() as file:
            np.testing.assert_array_equal(file.read()[:, ::-1], true.values, err_msg=name)
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.crs.to_epsg() == 4326
            for j, i in ((0, 0), (31, 31), (7, 20)):
                x, y = file.xy(SMALL.ny - 1 - j, i)
                assert (x, y) == pytest.approx((SMALL.x[i], SMALL.y[j]))
            assert np.isnan(file.nodata) if name != "beaufort_quantile_p90" else file.nodata == -1


def test_bands_say_when_and_tags_say_what(files: dict[str, bytes]):
    with rasterio.io.MemoryFile(files["tp03_mean.tif"]) as memory, memory.open() as file:
        assert file.descriptions[0] == "2026-06-11T07:00:00Z (+1 h)"
        assert file.descriptions[11] == "2026-06-11T18:00:00Z (+12 h)"
        assert set(file.units) == {"kg m-2"}
        assert file.tags()["SIMULATED"].startswith("SIMULATED")
        assert file.tags()["init_time"] == "2026-06-11T06:00:00Z"
        assert file.tags()["long_name"] == "rain in the past 3 hours, ensemble mean of the members' values"


def test_real_weather_has_no_such_tag_and_bytes_are_the_same_each_time(files: dict[str, bytes], products: xr.Dataset):
    one = products[["tp03_mean"]]
    (real,) = dict(cog.statistics(products=one.assign_attrs(simulated=0))).values()
    with rasterio.io.MemoryFile(real) as memory, memory.open() as file:
        assert "SIMULATED" not in file.tags()
    assert dict(cog.statistics(products=one.copy(deep=True)))["tp03_mean.tif"] == files["tp03_mean.tif"]


def test_a_field_of_all_leads_together_is_one_band(products: xr.Dataset):
    onset = products["tp03_mean"].max("lead_time").assign_attrs(units="h", long_name="onset")
    (data,) = dict(cog.statistics(products=products[[]].assign(onset=onset))).values()
    with rasterio.io.MemoryFile(data) as memory, memory.open() as file:
        assert (file.count, file.descriptions) == (1, ("onset",))


def test_a_projection_is_refused():
    with pytest.raises(BadInput, match="LAMBERT: a projection cannot be written as GeoTIFF"):
        list(cog.statistics(products=random_forecast(members=2, grid=LAMBERT)))


def test_gdal_of_the_system_reads_it(files: dict[str, bytes], tmp_path: Path):
    path = tmp_path / "tp03_mean.tif"
    path.write_bytes(files[path.name])
    info = json.loads(said("gdalinfo", "-json", path)[0])
    assert info["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    assert [band["description"] for band in info["bands"]][:1] == ["2026-06-11T07:00:00Z (+1 h)"]


def test_eccodes_pyproj_and_rasterio_live_in_one_process_in_every_order():
    scripts = ["\n".join([*(f"import {name}" for name in order), *(USES[name] for name in order)])
               for order in permutations(USES)]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", FORKED, *scripts], capture_output=True, text=True, timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
