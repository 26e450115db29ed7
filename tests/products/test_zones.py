"""The counties and townships of Taiwan on the grid, and any zones by setting."""

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.products.borders import Border, read_borders
from stormcast_tw.products.overlap import cell_shares, multipolygon
from stormcast_tw.products.zones import HALF, Zones, geojson, home_zones, zones_on
from stormcast_tw.regions import HOME
from stormcast_tw.regions.taiwan import TAIWAN_2KM
from stormcast_tw.settings import settings
from tests.conftest import ROOT
from tests.products.test_borders import COUNTY, EAST, WEST, collection, square, write

GRID = Grid("DEGREE", 23.125, 23.875, 4, 120.25, 121.75, 4)
"""Cells of 1/4 x 1/2 degree that fill 23 to 24 N, 120 to 122 E: column 0 and 1 lie in the west, 2 and 3 in the east."""


@pytest.fixture(scope="module")
def taiwan() -> Zones:
    return zones_on(TAIWAN_2KM, HOME.zones)


def test_inside_and_outside(taiwan: Zones):
    levels = [zone.level for zone in taiwan.zones]
    assert (levels.count("county"), levels.count("township")) == (19, 352)
    assert levels == sorted(levels), "counties first"
    outside = [zone for zone in taiwan.outside if zone.level == "county"]
    assert {zone.zh for zone in outside} == {"澎湖縣", "金門縣", "連江縣"}
    assert {zone.parent for zone in taiwan.outside if zone.level == "township"} == {zone.code for zone in outside}
    assert len(taiwan.outside) == 3 + 16
    assert not any(zone.partial for zone in taiwan.zones)


def test_five_townships_have_no_cell_of_their_own(taiwan: Zones):
    coarse = {zone.en for zone in taiwan.zones if zone.coarse}
    assert coarse == {f"{n} District" for n in ("Xinxing", "Central", "Datong", "Yancheng", "Qianjin")}
    assert all(len(taiwan.of(zone.code)[0]) for zone in taiwan.zones)
    own = [taiwan.of(zone.code)[1].min() for zone in taiwan.zones if zone.level == "township" and not zone.coarse]
    assert min(own) >= HALF


def test_names_and_codes(taiwan: Zones):
    every = (*taiwan.zones, *taiwan.outside)
    assert not any("台" in zone.zh for zone in every)
    named = {zone.code: (zone.zh, zone.en, zone.parent) for zone in every}
    assert len(named) == 22 + 368
    assert named["10015"] == ("花蓮縣", "Hualien County", None)
    assert named["63000"] == ("臺北市", "Taipei City", None)
    assert [zone.en for zone in every if zone.zh in ("蘭嶼鄉", "臺西鄉")] == ["Taixi Township", "Lanyu Township"]
    assert all(zone.code.startswith(zone.parent or "") for zone in every)


def test_a_county_has_the_cells_of_its_townships(taiwan: Zones):
    for county in (zone for zone in taiwan.zones if zone.level == "county"):
        parts = [taiwan.of(zone.code)[0] for zone in taiwan.zones if zone.parent == county.code]
        assert set(np.concatenate(parts)) <= set(taiwan.of(county.code)[0]), county.en


def test_shares_of_townships_make_those_of_their_county():
    """A border of two townships is one line: what a cell gives to one it takes from the other."""

    def shares(border: Border) -> np.ndarray:
        rings = ([np.stack(TAIWAN_2KM.index_of(r[:, 1], r[:, 0])[::-1], -1) + 0.5 for r in p] for p in border.polygons)
        return cell_shares(multipolygon(rings), TAIWAN_2KM.shape)

    borders = read_borders(HOME.zones).borders
    for code in ("10020", "10017"):  # the cities of Chiayi, inland, and Keelung, on the coast
        county = next(border for border in borders if border.code == code)
        parts = [shares(border) for border in borders if border.parent == code]
        assert len(parts) in (2, 7)
        np.testing.assert_allclose(np.sum(parts, axis=0), shares(county), atol=1e-9)


@pytest.mark.parametrize("en", ["Lanyu Township", "Datong District", "Xiulin Township"])
def test_shares_are_what_shapely_cuts(taiwan: Zones, en: str):
    shapely = pytest.importorskip("shapely")
    code = next(zone.code for zone in taiwan.zones if zone.en == en)
    border = next(b for b in read_borders(HOME.zones).borders if b.code == code)
    polygon = shapely.MultiPolygon([(rings[0], rings[1:]) for rings in border.polygons])
    cells, shares = taiwan.of(code)
    y, x = TAIWAN_2KM.y[cells // TAIWAN_2KM.nx], TAIWAN_2KM.x[cells % TAIWAN_2KM.nx]
    dy, dx = TAIWAN_2KM.dy, TAIWAN_2KM.dx
    boxes = shapely.box(x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2)
    np.testing.assert_allclose(shares, shapely.area(shapely.intersection(polygon, boxes)) / (dy * dx), atol=1e-8)


def test_half_a_cell_is_enough_and_less_is_not(tmp_path: Path):
    # The west ends at the middle of column 1; the east begins a little before the middle of column 2.
    file = write(tmp_path, collection((WEST | {"parent": None}, [square(120, 120.75)]),
                                      (EAST | {"parent": None}, [square(121.24, 122)])))  # fmt: skip
    zones = zones_on(GRID, file)
    assert zones.of("12")[0].tolist() == [0, 1, 4, 5, 8, 9, 12, 13]
    assert zones.of("12")[1] == pytest.approx([1, 0.5] * 4)
    assert zones.of("11")[0].tolist() == [2, 3, 6, 7, 10, 11, 14, 15]
    assert zones.of("11")[1] == pytest.approx([0.52, 1] * 4)
    less = write(tmp_path, collection((WEST | {"parent": None}, [square(120, 120.74)])), "less.json")
    assert zones_on(GRID, less).of("12")[0].tolist() == [0, 4, 8, 12]


def test_a_small_zone_takes_the_land_it_touches(tmp_path: Path):
    """Its harbour reaches into two cells of sea, which are not its own; its county gets what it takes."""
    harbour = [[120.9, 23.4], [121.1, 23.4], [121.1, 23.6], [120.9, 23.6], [120.9, 23.4]]
    file = write(tmp_path, collection((COUNTY, [square(120, 121.1)]), (EAST, [harbour])))
    zones = zones_on(GRID, file)
    assert [zone.coarse for zone in zones.zones] == [False, True]
    assert zones.of("11")[0].tolist() == [5, 9], "columns 2 and 3 are at most a fifth land"
    alone = zones_on(GRID, write(tmp_path, collection((EAST | {"parent": None}, [harbour])), "alone.json"))
    assert alone.of("11")[0].tolist() == [5, 6, 9, 10], "without any land around it all that it touches"


def test_a_zone_that_reaches_beyond_the_grid_says_so(tmp_path: Path):
    file = write(tmp_path, collection((COUNTY, [square(121, 122.5)]), (WEST | {"parent": None}, [square(130, 131)])))
    zones = zones_on(GRID, file)
    assert [(zone.code, zone.partial) for zone in zones.zones] == [("1", True)]
    assert [zone.code for zone in zones.outside] == ["12"]


def test_a_zone_whose_parts_are_elsewhere(tmp_path: Path):
    """A county of which only a corner lies on the grid, and whose township does not: it is judged by the corner."""
    corner = [[121.9, 23.9], [123, 23.9], [123, 25], [121.9, 25], [121.9, 23.9]]
    zones = zones_on(GRID, write(tmp_path, collection((COUNTY, [corner]), (EAST, [square(122.5, 123)]))))
    assert [(zone.code, zone.coarse, zone.partial) for zone in zones.zones] == [("1", True, True)]
    assert zones.of("1")[0].tolist() == [15]


def test_no_zone_on_the_grid_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="none of its 1 zones lies on grid DEGREE"):
        zones_on(GRID, write(tmp_path, collection((COUNTY, [square(130, 131)]))))


def test_polygons_on_each_other_are_refused(tmp_path: Path):
    twice = [[square(120, 121)], [square(120.4, 121.4)]]
    file = write(tmp_path, collection((COUNTY, twice), kind="MultiPolygon"))
    with pytest.raises(BadInput, match="zone 1: its polygons are not valid: Self-intersection"):
        zones_on(GRID, file)


def test_a_projected_grid_has_zones_too(taiwan: Zones):
    axis = np.arange(60) * 2000.0 - 59e3
    true_at_24 = {"proj": "lcc", "lat_1": 24.0, "lat_2": 24.0, "lat_0": 23.9, "lon_0": 120.9, "R": 6371000.0}
    grid = Grid.from_axes("LCC", axis, axis, true_at_24)
    (nantou,) = (zone.code for zone in taiwan.zones if zone.en == "Nantou County")
    there, here = zones_on(grid, HOME.zones).of(nantou)[1].sum() * 4.0, taiwan.of(nantou)[1].sum()
    assert there == pytest.approx(here * np.prod(TAIWAN_2KM.spacing_km), rel=0.01), "square kilometres"


def test_only_some_cells(taiwan: Zones):
    south = np.broadcast_to((TAIWAN_2KM.y < 22.5)[:, None], TAIWAN_2KM.shape)
    zones = taiwan.where(south)
    assert 0 < len(zones) < len(taiwan)
    assert all(TAIWAN_2KM.y[zones.of(zone.code)[0] // TAIWAN_2KM.nx].max() < 22.5 for zone in zones.zones)
    whole = next(zone.code for zone in zones.zones if zone.en == "Lanyu Township")
    assert np.array_equal(zones.of(whole)[1], taiwan.of(whole)[1])


def test_zones_by_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taiwan: Zones):
    assert home_zones(TAIWAN_2KM).digest == taiwan.digest
    file = write(tmp_path, collection(({"ID": 7, "name_zh": "流域", "name_en": "Basin"}, [square(120.5, 121)])))
    monkeypatch.setenv("STORMCAST_TW_ZONES__PATH", str(file.path))
    monkeypatch.setenv("STORMCAST_TW_ZONES__CODE", "ID")
    settings.cache_clear()
    assert [(zone.code, zone.zh) for zone in home_zones(TAIWAN_2KM).zones] == [("7", "流域")]


def test_the_digest_is_of_file_reading_and_grid(tmp_path: Path, taiwan: Zones):
    file = write(tmp_path, collection((COUNTY, [square(120, 121)])))
    first = zones_on(GRID, file).digest
    other = Grid("OTHER", 23.0, 24.0, 5, 120.0, 122.0, 5)
    renamed = file.model_copy(update={"level": "kind"})
    same = Grid("SAME", GRID.y_first, GRID.y_last, 4, GRID.x_first, GRID.x_last, 4)
    assert zones_on(same, file).digest == first
    assert len({first, zones_on(other, file).digest, zones_on(GRID, renamed).digest, taiwan.digest}) == 4


def test_as_geojson(tmp_path: Path):
    file = write(tmp_path, collection((COUNTY, [square(120, 122)]), (WEST | {"parent": None}, [square(130, 131)])))
    zones = zones_on(GRID, file)
    made = geojson(zones, read_borders(file), {"1": {"hits": 4}})
    assert [feature["id"] for feature in made["features"]] == ["1"], "those on the grid"
    assert made["features"][0]["properties"] == {
        "code": "1", "level": "county", "parent": None, "name_zh": "縣", "name_en": "County", "hits": 4,
    }  # fmt: skip
    assert made["features"][0]["geometry"] == {"type": "MultiPolygon", "coordinates": [[square(120, 122)]]}


def make_zones() -> Any:
    spec = importlib.util.spec_from_file_location("make_zones", ROOT / "docs" / "make_zones.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_the_file_again():
    """From an atlas in its own words, in another order; and the file that ships is in the form the script writes."""
    script = make_zones()
    county = {"COUNTYCODE": "66000", "COUNTYNAME": "台中市", "COUNTYENG": "Taichung City"}
    towns = [{**county, "TOWNCODE": f"6600000{n}", "TOWNNAME": f"台{n}", "TOWNENG": f"T{n}"} for n in (2, 1)]
    shape = {"type": "Polygon", "arcs": [[0]]}
    atlas = {
        "transform": {}, "arcs": [[[0, 0]]],
        "objects": {"nation": {}, "towns": {"geometries": [shape | {"properties": town} for town in towns]},
                    "counties": {"geometries": [shape | {"properties": county, "id": "66000"}]}},
    }  # fmt: skip
    made = script.zones_of(atlas)
    zones = [geometry["properties"] for level in made["objects"].values() for geometry in level["geometries"]]
    assert [(z["code"], z["parent"], z["name_zh"]) for z in zones] == [
        ("66000", None, "臺中市"), ("66000001", "66000", "臺1"), ("66000002", "66000", "臺2"),
    ]  # fmt: skip
    shipped = script.ZONES.read_bytes()
    document = json.loads(gzip.decompress(shipped))
    assert gzip.decompress(script.packed(document)) == gzip.decompress(shipped)
    assert shipped[4:8] == bytes(4), "no time of making"
