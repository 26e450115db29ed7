"""The board: which rows, in which order, and the file that holds them."""

import gzip
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from stormcast_tw.products.area import Observed, area_statistics
from stormcast_tw.products.board import About, Board, board, nearest, rows, to_json, unpacked
from stormcast_tw.products.zones import Zones, zones_on
from stormcast_tw.regions import HOME
from stormcast_tw.regions.taiwan import TAIWAN_2KM
from stormcast_tw.regions.taiwan.criteria import CRITERIA
from tests.products.test_area import GRID, quantity
from tests.products.test_borders import COUNTY, EAST, WEST, collection, square, write

ABOUT = About(
    experiment="demo", init_time="2026-06-11T06:00:00Z", run="0123456789ab", members=4, lead_hours=3, simulated=True,
    trained=True, status="complete", attribution="borders by hand",
)  # fmt: skip


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Zones:
    far = {"code": "9", "name_zh": "外島", "name_en": "Far", "level": "county"}
    document = collection((COUNTY, [square(120, 122)]), (WEST, [square(120, 121)]), (EAST, [square(121, 122)]),
                          (far, [square(130, 131)]))  # fmt: skip
    return zones_on(GRID, write(tmp_path_factory.mktemp("board"), document))


def night(**changed: np.ndarray) -> dict[str, xr.DataArray]:
    """Four members, three leads: calm, mild and dry, but for what is given by quantity."""
    calm = {"tp01": ("kg m-2", 0.0), "tp03": ("kg m-2", 0.0), "wind_speed": ("m s-1", 2.0), "t2m": ("K", 290.0)}
    made = {name: quantity(np.full((4, 3), value), name, units) for name, (units, value) in calm.items()}
    for name, values in changed.items():
        made[name].values[:] = values
    made["tp03"] = made["tp03"].isel(lead_time=slice(2, None))
    return made


def wet() -> dict[str, xr.DataArray]:
    """Heavy rain in the west, then in the east, and a gale: of one member each hour."""
    rain, wind = np.zeros((4, 3, *GRID.shape)), np.full((4, 3, *GRID.shape), 2.0)
    rain[0, 1, 0, 0], rain[1, 2, 1, 2], rain[2, 0, 1, 3] = 40, 55, 41
    wind[3, 0, 0, 1] = 21
    return night(tp01=rain, wind_speed=wind)


def made(zones: Zones, quantities: dict[str, xr.DataArray], observed: Observed | None = None) -> dict:
    return board(ABOUT, area_statistics(quantities, CRITERIA, zones, observed), zones, CRITERIA)


def test_rows_by_rank_then_chance_then_onset_and_a_county_first(zones: Zones):
    content = made(zones, wet())
    assert [(row.hazard, row.zone, row.hits) for row in unpacked(content)] == [
        ("wind_speed_9", "1", 1), ("wind_speed_9", "12", 1),
        ("tp01_40", "1", 3), ("tp01_40", "11", 2),
        ("wind_speed_6", "1", 1), ("wind_speed_6", "12", 1),  # at 1 h, before the rain of the west at 2 h
        ("tp01_40", "12", 1),
    ]  # fmt: skip
    rain = unpacked(content)[2]
    assert (rain.by_lead, rain.point_hits, rain.onset) == ([1, 1, 1], 1, [1, 2])
    assert (rain.peak, rain.peak_lead, rain.peak_member) == ([12.0, 40.5, 50.8, 55.0], 3, 1)
    assert rain.share == 0.094, "3 / 8 / 4"
    assert not rain.at_least
    assert content["nearest"] == []


def test_head_hazards_and_zones(zones: Zones):
    content = made(zones, wet())
    assert {key: content[key] for key in ABOUT.model_dump()} == ABOUT.model_dump()
    assert content["version"] == 1
    assert [zone["code"] for zone in content["zones"]] == ["1", "11", "12"]
    assert content["zones"][1] == {"code": "11", "level": "township", "parent": "1", "zh": "東鄉", "en": "East",
                                   "cells": 4, "coarse": False, "partial": False}  # fmt: skip
    assert [zone["zh"] for zone in content["outside"]] == ["外島"]
    hazards = {hazard["id"]: hazard for hazard in content["hazards"]}
    assert list(hazards) == [criterion.id for criterion in CRITERIA]
    assert {name: hazard["leads"] for name, hazard in hazards.items() if hazard["kind"] == "rain"} == {
        "tp24_500": [], "tp24_350": [], "tp03_200": [3], "tp24_200": [], "tp03_100": [3], "tp24_80": [],
        "tp01_40": [1, 2, 3],
    }  # fmt: skip
    assert hazards["t2m_cold_10"]["leads"] == [], "nobody said how high the ground is"
    assert (hazards["t2m_cold_10"]["threshold"], hazards["t2m_cold_10"]["unit"]) == (10.0, "°C")
    assert hazards["wind_speed_9"]["class"] == {"zh": "強風橙色燈號", "en": "strong wind, orange light"}


def test_what_observations_alone_reached_has_a_row(zones: Zones):
    past = quantity(np.zeros((1, 1)))[0, 0]
    past[1, 3] = 120
    content = made(zones, night(tp03=np.full((4, 3, 1, 1), 10.0)), Observed(before={"tp03": past}))
    assert [(r.hazard, r.zone, r.hits, r.onset, r.reached_before, r.by_lead) for r in unpacked(content)] == [
        ("tp03_100", "1", 0, None, True, [None, None, 0]), ("tp03_100", "11", 0, None, True, [None, None, 0]),
    ]  # fmt: skip


def test_on_a_quiet_night_the_nearest_are_named(zones: Zones):
    """Rain of 36 of 40 mm lies 10 % below, wind of 9.9 of 10.8 m/s 8 %, 35.5 of 36 degrees 0.05 of 10 K."""
    rain = np.zeros((4, 3, *GRID.shape))
    rain[2, 1, 0, 0] = 36
    quiet = night(tp01=rain, wind_speed=np.full((4, 3, 1, 1), 9.9), t2m=np.full((4, 3, 1, 1), 35.5 + 273.15))
    ground = xr.DataArray(np.zeros(GRID.shape), dims=("latitude", "longitude"))
    statistics = area_statistics(quiet, CRITERIA, zones, orography=ground)
    content = board(ABOUT, statistics, zones, CRITERIA)
    assert content["rows"]["hits"] == []
    assert [(row["hazard"], row["zone"], row["peak"][-1]) for row in content["nearest"]] == [
        ("t2m_heat_36", "1", 35.5), ("wind_speed_6", "1", 9.9), ("tp01_40", "1", 36.0),
    ]  # fmt: skip
    assert content["nearest"][2]["onset"] is None
    unknown = area_statistics({"tp01": quantity(np.full((2, 2), np.nan), "tp01")}, CRITERIA, zones)
    assert nearest(unknown, zones, CRITERIA) == [], "what nobody knows is near nothing"


def test_the_file_is_what_its_schema_says(zones: Zones):
    content = json.loads(to_json(made(zones, wet())))
    jsonschema.validate(content, Board.model_json_schema(by_alias=True))
    assert Board.model_validate(content).model_dump(mode="json", by_alias=True) == content
    del content["rows"]["hits"]
    with pytest.raises(jsonschema.ValidationError, match="'hits' is a required property"):
        jsonschema.validate(content, Board.model_json_schema(by_alias=True))
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"share": float("nan")})


def test_same_members_same_bytes(zones: Zones):
    assert to_json(made(zones, wet())) == to_json(made(zones, wet()))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_order_of_any_night(zones: Zones, seed: int):
    rng = np.random.default_rng(seed)
    shape = (4, 3, *GRID.shape)
    quantities = night(tp01=rng.gamma(0.4, 40, shape), wind_speed=rng.gamma(2, 5, shape))
    statistics = area_statistics(quantities, CRITERIA, zones)
    every = rows(statistics, zones, CRITERIA)
    rank = {criterion.id: criterion.rank for criterion in CRITERIA}
    keys = [(-rank[row.hazard], -row.hits) for row in every]
    assert keys == sorted(keys)
    at = {(row.hazard, row.zone): n for n, row in enumerate(every)}
    assert all(at[hazard, "1"] < n for (hazard, zone), n in at.items() if zone != "1"), "a county before its townships"
    assert unpacked(board(ABOUT, statistics, zones, CRITERIA)) == every


def storm(members: int, leads: int) -> dict[str, xr.DataArray]:
    """A vortex that crosses the south of Taiwan, each member's on a track of its own, with rain in two bands."""
    rng = np.random.default_rng(0)
    y, x = TAIWAN_2KM.latlon()
    shape = (members, leads, *TAIWAN_2KM.shape)
    wind, rain = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for m in range(members):
        for lead in range(leads):
            north, east = 22.4 + 0.1 * lead + rng.normal(0, 0.2), 121.6 - 0.25 * lead + rng.normal(0, 0.2)
            radius = np.hypot(y - north, (x - east) * 0.92) / 0.35
            wind[m, lead] = 34 * radius * np.exp(1 - radius)
            rain[m, lead] = 45 * np.exp(-((radius - 1) ** 2)) + rng.gamma(0.3, 12, TAIWAN_2KM.shape)
    made = {"tp01": quantity(rain, "tp01"), "wind_speed": quantity(wind, "wind_speed", "m s-1")}
    total = quantity(np.cumsum(rain, axis=1), "tp24")
    return made | {"tp24": total, "tp03": quantity(rain + np.roll(rain, 1, 1), "tp03")}


def test_a_typhoon_on_taiwan_is_a_small_file(tmp_path: Path):
    zones = zones_on(TAIWAN_2KM, HOME.zones)
    statistics = area_statistics(storm(8, 12), HOME.criteria, zones)
    content = board(ABOUT, statistics, zones, HOME.criteria)
    data = to_json(content)
    assert len(content["rows"]["hits"]) > 1000, "many rows"
    per_row = len(to_json(content["rows"])) / len(content["rows"]["hits"])
    assert per_row < 100
    assert len(data) - per_row * len(content["rows"]["hits"]) < 65_000, "head, hazards and zones"
    assert len(gzip.compress(data)) < 0.25 * len(data)
