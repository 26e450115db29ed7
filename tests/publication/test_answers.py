"""Answers from a published run: equal to plain numpy on its Zarr, and one clear line where there is none."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.products.board import unpacked
from stormcast_tw.products.zones import home_zones
from stormcast_tw.publication import answers, catalogue
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from tests.conftest import CYCLE, NOW, SMALL, Made, beside_by_hand
from tests.products.by_hand import random_forecast


@pytest.fixture(scope="module")
def members(made_once: Made) -> xr.Dataset:
    return xr.open_zarr(f"{made_once.run.uri}/forecast.zarr").load()


def test_a_place_is_what_numpy_reads(made_once: Made, members: xr.Dataset):
    found = answers.at_place(made_once.published, made_once.run, "23.31,120.79")
    here = members.sel(latitude=23.31, longitude=120.79, method="nearest")
    assert (found.spot.latitude, found.spot.longitude) == (pytest.approx(float(here.latitude)), float(here.longitude))
    for ours, name in ((found.temperature, "t2m"), (found.u, "u10m"), (found.v, "v10m"), (found.rain, "tp01")):
        np.testing.assert_array_equal(ours, here[name].transpose("member", "lead_time"))
    assert found.rain_in_zone is None
    zone = home_zones(SMALL).zones[-1]
    named = answers.at_place(made_once.published, made_once.run, zone.code)
    cells, _ = home_zones(SMALL).of(zone.code)
    rain = members["tp01"].values.reshape(*members["tp01"].shape[:2], -1)
    np.testing.assert_array_equal(named.rain_in_zone, rain[:, :, cells].max(axis=2))


@pytest.mark.parametrize(
    "text", ["蘭嶼", "蘭嶼鄉", "臺東縣蘭嶼鄉", "台東縣蘭嶼鄉", "lanyu", "Lanyu Township", "10014160"]
)
def test_a_place_by_each_of_its_names(text: str):
    spot = answers.find_spot(text, TAIWAN_2KM)
    assert (spot.en, spot.zh) == ("Lanyu Township", "臺東縣蘭嶼鄉")
    assert (round(spot.latitude, 2), round(spot.longitude, 2)) == (22.05, 121.54)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Atlantis", "no such place; allowed: a name, a code, or latitude,longitude"),
        ("Tao", r"did you mean .*Taoyuan"),
        ("中正區", "2 places have this name: 基隆市中正區 10017010, 臺北市中正區 63000050"),
        ("澎湖縣", "澎湖縣 Penghu County is outside the grid of taiwan"),
        ("0,0", "0,0: is outside the grid TAIWAN_2KM"),
    ],
)
def test_what_is_no_place_gets_one_line(text: str, said: str):
    with pytest.raises(BadInput, match=said):
        answers.find_spot(text, TAIWAN_2KM)


def test_cycles_differ_on_their_common_hours_only(made_once: Made, tmp_path_factory: pytest.TempPathFactory):
    """Two runs of one weather, six hours apart: on the hours that both have nothing differs, whatever the leads say."""
    weather = random_forecast(members=3, leads=18, grid=SMALL)
    start = weather["init_time"].values
    later = start + np.timedelta64(6, "h")
    old = weather.isel(lead_time=slice(12))
    new = weather.isel(lead_time=slice(6, 18))
    new = new.assign_coords(init_time=((), later), lead_time=new["valid_time"].values - later)
    hours = np.intersect1d(old["valid_time"], new["valid_time"])
    assert hours.size == 6
    rows = [answers._rows_on(members, hours, later, home_zones(SMALL)) for members in (old, new)]
    single = [{k: r for k, r in found.items() if not re.match("tp(03|24)", k[1])} for found in rows]
    assert single[0], "there is weather"
    assert single[0] == single[1]
    store = made_once.published
    with pytest.raises(NotReady, match="no run of the 8 cycles before it is published"):
        answers.run_before(store, "demo", made_once.run)
    same = answers.difference(store, made_once.run, made_once.run)
    assert all(change.new == change.old for change in same.changes)
    assert {(c.zone.code, c.hazard) for c in same.changes} <= {
        (row.zone, row.hazard) for row in unpacked(json.loads(store.read(made_once.run, "zones.json")))
    }


def test_nothing_published_is_said(made_once: Made):
    with pytest.raises(NotReady, match="nothing of 20260611T12Z is published in experiment demo"):
        answers.run_to_read(made_once.published, "demo", Cycle.parse("20260611T12Z"))


def test_rain_that_comes_later_makes_a_run_beside_the_first(made: Made):
    """The same forecast without and with the rain before: two runs of the products, the second is chosen."""
    forecast = made.work.get(made.run.address.model_copy(update={"kind": "forecast", "run": made.job.plan.run}))
    before = catalogue.make_products(made.work, forecast, NOW)
    first = catalogue.publish(made.published, made.work, forecast, before, NOW)
    assert first.address.run != made.run.address.run
    assert json.loads(made.published.read(first, "zones.json"))["run"] == first.address.run
    again = catalogue.make_products(made.work, forecast, NOW, beside_by_hand())
    assert again.address.run == made.run.address.run, "same plan, same run"
    recent = made.published.read_pointer("published/demo/recent.json").value
    assert [(run["run"], run["members"]) for run in recent["runs"]] == [(first.address.run, 2)]
    assert str(CYCLE) in str(first.address)
