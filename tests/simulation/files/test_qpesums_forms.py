"""QPESUMS in all its forms: no file knows the future, and what is written is what the readers give back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.grid import Grid
from stormcast_tw.simulation.files import opendata, qpepre, qpesums
from stormcast_tw.simulation.world.box import Sampler
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources import opendata as opendata_source
from stormcast_tw.sources import qpepre as qpepre_source
from stormcast_tw.sources import qpesums as qpesums_source
from stormcast_tw.sources.base import Source
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

TIME = datetime(2025, 6, 8, 6, tzinfo=UTC)
XML_KEY, OLD_KEY = "Observation/O-B0045-001.xml", "MSC/O-B0045-001.xml"

FORMS: dict[str, tuple[Callable[[World, datetime], bytes], str, Callable[[Folder], Source], str]] = {
    "binary rain": (qpesums.encode, qpesums_source.path(TIME), qpesums_source.Qpesums, "tp01"),
    "binary reflectivity": (
        qpesums.encode_reflectivity,
        qpesums_source.path(TIME, qpesums_source.REFLECTIVITY),
        lambda folder: qpesums_source.Qpesums(folder, qpesums_source.REFLECTIVITY),
        "refc",
    ),
    "QPEPRE": (
        qpepre.encode,
        qpepre_source.path(TIME, "taipei", "start"),
        lambda folder: qpepre_source.Qpepre(folder, "taipei", "start"),
        "tp01",
    ),
    "O-B0045-001 JSON": (opendata.rain_json, opendata_source.RAIN_KEY, opendata_source.OpenData, "tp01"),
    "O-B0045-001 XML": (
        opendata.rain_xml,
        XML_KEY,
        lambda folder: opendata_source.OpenData(folder, XML_KEY),
        "tp01",
    ),
    "O-B0045-001 XML of 2018": (
        opendata.old_rain_xml,
        OLD_KEY,
        lambda folder: opendata_source.OpenData(folder, OLD_KEY),
        "tp01",
    ),
    "O-A0059-001 JSON": (
        opendata.reflectivity_json,
        opendata_source.REFLECTIVITY_KEY,
        lambda folder: opendata_source.OpenData(folder, opendata_source.REFLECTIVITY_KEY),
        "refc",
    ),
}


@pytest.fixture(scope="module")
def read(world: World, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], xr.Dataset]:
    folder = tmp_path_factory.mktemp("qpesums")

    def one(form: str) -> xr.Dataset:
        encode, path, source_of, variable_id = FORMS[form]
        file = Path(folder, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(world, TIME))
        source = source_of(Folder(str(folder)))
        return source.read(source.find((TIME,), variable_set("asked", variable_id))).dataset

    return one


@pytest.mark.parametrize("form", FORMS)
def test_no_file_knows_the_future(form: str, world: World):
    encode = FORMS[form][0]
    assert encode(world, TIME) == encode(world.branch(TIME, "another future"), TIME)
    later = TIME + timedelta(hours=1)
    assert encode(world, later) != encode(world.branch(TIME, "another future"), later)


@pytest.mark.parametrize("form", FORMS)
def test_bytes_are_a_function_of_seed_and_time(form: str, forget):
    encode = FORMS[form][0]
    first = encode(World(5), TIME)
    forget()
    assert encode(World(5), TIME) == first
    assert encode(World(6), TIME) != first


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_simulated(form: str, read):
    assert read(form).attrs["simulated"] == 1


SIZES = {
    "binary rain": (561, 441, 20.0, 118.0),
    "binary reflectivity": (881, 921, 18.0, 115.0),
    "QPEPRE": (275, 162, 21.8875, 120.0),
    "O-B0045-001 JSON": (561, 441, 20.0, 118.0),
    "O-B0045-001 XML": (561, 441, 20.0, 118.0),
    "O-B0045-001 XML of 2018": (95, 75, 19.975, 117.975),
    "O-A0059-001 JSON": (881, 921, 18.0, 115.0),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_lies_on_its_own_grid(form: str, read):
    grid = Grid.of(read(form))
    ny, nx, south, west = SIZES[form]
    assert grid.shape == (ny, nx)
    assert (grid.y_first, grid.x_first) == pytest.approx((south, west), abs=1e-9)
    assert grid.dx == pytest.approx(0.075 if nx == 75 else 0.0125, abs=1e-9)


def test_all_forms_of_rain_are_the_same_rain(read, world: World):
    raw = qpesums.observed_rain(world, TIME)
    rain = np.where(raw < 0, np.nan, raw / 4).astype(np.float32)
    for form in ("binary rain", "O-B0045-001 JSON", "O-B0045-001 XML"):
        np.testing.assert_array_equal(read(form)["tp01"].values[0], rain)
    # QPEPRE's points are points 151 to 425 and 160 to 321 of the larger grid
    np.testing.assert_array_equal(read("QPEPRE")["tp01"].values[0], rain[151:426, 160:322])
    old = qpesums.observed_rain(world, TIME, opendata.OLD_GRID)
    np.testing.assert_array_equal(
        read("O-B0045-001 XML of 2018")["tp01"].values[0], np.where(old < 0, np.nan, old / 4).astype(np.float32)
    )
    assert np.nanmax(rain) > 10
    assert np.isnan(rain).any()


def test_reflectivity_is_marshall_and_palmers_of_the_rain(read, world: World):
    refc = read("binary reflectivity")
    here = refc["refc"].sel(latitude=slice(22, 25), longitude=slice(120.2, 121.8))
    latitude, longitude = np.meshgrid(here["latitude"], here["longitude"], indexing="ij")
    rain = Sampler(latitude, longitude)(world.box(TIME)["tp01"])
    echo = rain > 0.11
    np.testing.assert_allclose(here.values[0][echo], 10 * np.log10(200 * rain[echo].astype(float) ** 1.6), atol=0.051)
    assert (here.values[0][rain < 0.09] == -35).all()
    assert echo.sum() > 500
    assert (rain < 0.09).sum() > 500
    assert np.isnan(refc["refc"].values[0, 0, 0])


def test_the_open_reflectivity_has_no_no_echo(read):
    """-99 is "no echo" in the binary and "invalid" in the open data: the echoes are the same, the rest is not."""
    binary, opened = (read(form)["refc"].values for form in ("binary reflectivity", "O-A0059-001 JSON"))
    echo = np.isfinite(opened)
    np.testing.assert_allclose(opened[echo], binary[echo], atol=0.051)
    assert (binary[~echo & np.isfinite(binary)] == -35).all()


def test_plain_readers_read_them_too(world: World):
    """numpy.loadtxt, json and ElementTree without our readers: layout, order, notation."""
    raw = qpesums.observed_rain(world, TIME)
    rows = np.loadtxt(io.BytesIO(qpepre.encode(world, TIME)))
    assert rows.shape == (44550, 4)
    np.testing.assert_array_equal(rows[:, 0], np.arange(1, 44551))
    assert rows[162 * 3 + 5].tolist() == [492, 120.0625, 21.925, raw[154, 165] / 4]
    tree = json.loads(opendata.rain_json(world, TIME))["cwaopendata"]
    assert tree["dataset"]["datasetInfo"]["parameterSet"]["DateTime"] == "2025-06-08T14:00:00+08:00"
    numbers = [float(token) for token in tree["dataset"]["contents"]["content"].replace("\n", "").split(",")]
    assert np.array_equal(np.array(numbers).reshape(561, 441), raw / 4)
    root = ElementTree.fromstring(opendata.old_rain_xml(world, TIME))
    texts = [element.text for element in root.iter() if element.tag.endswith("parameterValue")]
    assert texts == ["117.975,19.975", "0.075", "202506081400", "75*95", "mm"]
