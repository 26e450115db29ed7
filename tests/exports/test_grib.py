"""GRIB 2 as eccodes and cfgrib read it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import eccodes
import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.exports import grib
from stormcast_tw.products import make_products
from stormcast_tw.settings import settings
from tests.conftest import SMALL
from tests.products.by_hand import LAMBERT, random_forecast

MEMBERS = random_forecast(members=3, grid=SMALL)
STEP = 2.0**-16
ABOUT = ("productDefinitionTemplateNumber", "shortName", "units", "stepRange", "validityTime", "typeOfLevel", "level")


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    return make_products(MEMBERS).isel(lead_time=[0, 1, 2, 11])


@pytest.fixture(scope="module")
def files(products: xr.Dataset) -> dict[str, bytes]:
    return dict(grib.statistics(products=products)) | dict(grib.members(members=MEMBERS.isel(lead_time=[0, 1])))


def said(handle: int, key: str) -> Any:
    return (eccodes.codes_get_long if key == "centre" else eccodes.codes_get)(handle, key)


def messages(data: bytes, index: bytes, *keys: str) -> Iterator[tuple[dict[str, Any], list[Any], np.ndarray]]:
    """Each message by its line of the index: the line, what eccodes says of it, its map south to north."""
    for line in map(json.loads, index.splitlines()):
        message = data[line["_offset"] : line["_offset"] + line["_length"]]
        handle = eccodes.codes_new_from_message(message)
        values = eccodes.codes_get_values(handle)
        values[values == eccodes.codes_get(handle, "missingValue")] = np.nan
        yield line, [said(handle, key) for key in keys], values.reshape(SMALL.shape)[::-1]
        eccodes.codes_release(handle)


@pytest.mark.parametrize(
    ("name", "lead", "expected"),
    [
        ("tp01_members", 2, [11, "tp", "kg m**-2", "1-2", 800, "surface", 0]),
        ("t2m_members", 2, [1, "2t", "K", "2", 800, "heightAboveGround", 2]),
        ("u10m_members", 2, [1, "10u", "m s**-1", "2", 800, "heightAboveGround", 10]),
        ("v10m_members", 2, [1, "10v", "m s**-1", "2", 800, "heightAboveGround", 10]),
        ("tp03_mean", 3, [12, "tp", "kg m**-2", "0-3", 900, "surface", 0]),
        ("tp03_mean", 12, [12, "tp", "kg m**-2", "9-12", 1800, "surface", 0]),
        ("wind_speed_spread", 1, [2, "10si", "m s**-1", "1", 700, "heightAboveGround", 10]),
        ("tp01_probability_40", 1, [9, "tpg40", "%", "0-1", 700, "surface", 0]),
        ("t2m_cold_probability_6", 1, [5, "2t", "K", "1", 700, "heightAboveGround", 2]),
        ("tp12_quantile_p90", 12, [10, "tp", "kg m**-2", "0-12", 1800, "surface", 0]),
        ("t2m_quantile_p10", 1, [6, "2t", "K", "1", 700, "heightAboveGround", 2]),
    ],
)
def test_eccodes_reads_what_was_meant(files: dict[str, bytes], name: str, lead: int, expected: list[Any]):
    found = messages(files[f"{name}.grib2"], files[f"{name}.index"], *ABOUT)
    line, about, _ = next(each for each in found if each[0]["step"] == expected[3])
    assert about == expected
    assert int(line["step"].rpartition("-")[2]) == lead


def test_values_are_those_of_the_products(files: dict[str, bytes], products: xr.Dataset):
    for name, true, scale in (
        ("tp06_mean", products["tp06_mean"][3:], 1),
        ("wind_speed_probability_9", products["wind_speed_probability"][:, 1], 100),
        ("t2m_quantile_p50", products["t2m_quantile"][:, 1], 1),
    ):
        read = [values for *_, values in messages(files[f"{name}.grib2"], files[f"{name}.index"])]
        assert len(read) == len(true), "no message where all of a lead is missing"
        for found, expected in zip(read, scale * true.values.astype(float), strict=True):
            step = (expected.max() - expected.min()) * STEP + 1e-5
            np.testing.assert_allclose(found, expected, rtol=0, atol=step, err_msg=name)


@pytest.mark.parametrize(
    ("name", "kind", "limit"),
    [("wind_speed_probability_6", 3, ("Lower", 1, 108)), ("t2m_cold_probability_10", 4, ("Upper", 2, 28315)),
     ("t2m_heat_probability_38", 3, ("Lower", 2, 31115)), ("tp03_probability_200", 3, ("Lower", 0, 200))],
)  # fmt: skip
def test_a_probability_says_of_what(files: dict[str, bytes], name: str, kind: int, limit: tuple[str, int, int]):
    keys = ("probabilityType", f"scaleFactorOf{limit[0]}Limit", f"scaledValueOf{limit[0]}Limit")
    assert next(messages(files[f"{name}.grib2"], files[f"{name}.index"], *keys))[1] == [kind, *limit[1:]]


def test_missing_points_are_a_bitmap(products: xr.Dataset):
    holed = products[["t2m_mean"]].copy(deep=True)
    holed["t2m_mean"][0, 3, 4] = np.nan
    made = dict(grib.statistics(products=holed))
    _, about, values = next(messages(made["t2m_mean.grib2"], made["t2m_mean.index"], "bitmapPresent", "packingType"))
    assert about == [1, "grid_ccsds"]
    assert np.argwhere(np.isnan(values)).tolist() == [[3, 4]]


def test_origin_is_a_setting_and_simulated_is_marked(products: xr.Dataset, monkeypatch: pytest.MonkeyPatch):
    keys = ("centre", "subCentre", "productionStatusOfProcessedData", "section2Length", "dataDate", "dataTime")
    one = products[["t2m_mean"]].isel(lead_time=slice(0, 1))

    def of(dataset: xr.Dataset) -> list[Any]:
        made = dict(grib.statistics(products=dataset))
        return next(messages(made["t2m_mean.grib2"], made["t2m_mean.index"], *keys))[1]

    assert of(one) == [255, 255, 2, 5 + len("SIMULATED"), 20260611, 600]
    monkeypatch.setenv("STORMCAST_TW_GRIB_CENTRE", "39")
    settings.cache_clear()
    handle = eccodes.codes_new_from_message(
        dict(grib.statistics(products=one.assign_attrs(simulated=0, experiment="oper")))["t2m_mean.grib2"]
    )
    assert [said(handle, key) for key in keys[:3]] == [39, 255, 0]
    eccodes.codes_release(handle)


@pytest.mark.parametrize(
    ("name", "called", "sizes"),
    [("tp01_members", "tp", {"number": 3, "step": 2}), ("t2m_mean", "t2m", {"step": 4}),
     ("tp03_probability_100", "tpg100", {"step": 2})],
)  # fmt: skip
def test_cfgrib_makes_an_array_of_each_file(
    files: dict[str, bytes], tmp_path: Path, name: str, called: str, sizes: dict[str, int]
):
    path = tmp_path / f"{name}.grib2"
    path.write_bytes(files[path.name])
    with xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""}, decode_timedelta=True) as read:
        assert {k: v for k, v in read[called].sizes.items() if k in ("number", "step")} == sizes
        np.testing.assert_allclose(read["latitude"].values[::-1], SMALL.y, atol=1e-4)
        np.testing.assert_allclose(read["longitude"].values, SMALL.x, atol=1e-4)
        if name == "tp01_members":
            step = float(MEMBERS["tp01"].max()) * STEP + 1e-5
            np.testing.assert_allclose(
                read[called].values[:, :, ::-1], MEMBERS["tp01"].values[:, :2], rtol=0, atol=step
            )


NO_WORDS = re.compile(
    r"beaufort_|wind_direction_|.*_l?pmm$|.*_(highest_quantile|neighbourhood_probability|reached_probability|onset)$"
    r"|.*_(projected|lowland|missing_hours|reached_before)"
)


def test_what_fm_92_has_no_words_for_is_left_out(files: dict[str, bytes], products: xr.Dataset):
    for name in map(str, products.data_vars):
        written = [path for path in files if path.startswith((f"{name}.", f"{name}_p", f"{name}_1", f"{name}_3"))]
        assert bool(NO_WORDS.match(name)) is (not written), name


def test_a_projection_is_refused_and_bytes_are_the_same_each_time(products: xr.Dataset):
    with pytest.raises(BadInput, match="LAMBERT: a projection cannot be written as GRIB 2"):
        list(grib.members(members=random_forecast(members=2, grid=LAMBERT)))
    one = products[["tp03_probability"]]
    assert list(grib.statistics(products=one)) == list(grib.statistics(products=one.copy(deep=True)))
