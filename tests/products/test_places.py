"""The forecast of one place: its hours, series and hazards."""

import json

import jsonschema
import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products.area import area_statistics
from stormcast_tw.products.board import board, to_json
from stormcast_tw.products.places import Place, places
from stormcast_tw.products.zones import Zones, zones_on
from stormcast_tw.regions.taiwan.criteria import CRITERIA
from tests.products.test_area import GRID, quantity
from tests.products.test_board import ABOUT, night, wet
from tests.products.test_borders import COUNTY, EAST, WEST, collection, square, write


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Zones:
    document = collection((COUNTY, [square(120, 122)]), (WEST, [square(120, 121)]), (EAST, [square(121, 122)]))
    return zones_on(GRID, write(tmp_path_factory.mktemp("places"), document))


def made(zones: Zones, quantities: dict[str, xr.DataArray]) -> dict[str, dict]:
    content = board(ABOUT, area_statistics(quantities, CRITERIA, zones), zones, CRITERIA)
    return {place["zone"]["code"]: place for place in places(quantities, content, zones)}


def test_a_place_by_hand(zones: Zones):
    kelvin = 290.15 + np.arange(4.0)[:, None, None, None] + np.array([0, 0, 0, 5, 9])
    place = made(zones, wet() | {"t2m": night(t2m=kelvin)["t2m"]})["11"]
    assert place["zone"]["zh"] == "東鄉"
    assert (place["init_time"], place["run"], place["simulated"]) == (ABOUT.init_time, ABOUT.run, True)
    assert place["valid_time"][0] == "2026-06-11T07:00:00Z"
    assert place["local_time"][0] == "2026-06-11T15:00:00+08:00"
    rain, warm = place["series"]["tp01"], place["series"]["t2m"]
    assert rain["highest"] == [[0, 0, 0], [0, 0, 55], [41, 0, 0], [0, 0, 0]], "a list a member, without the west's"
    assert rain["median"]["p90"] == [0, 0, 0]
    assert rain["lowest"] is None
    # The cells of the east: half at 17, half at 22 degrees, a degree more with each member; the sea is not its.
    assert warm["highest"] == [[22] * 3, [23] * 3, [24] * 3, [25] * 3]
    assert warm["median"] == {"p10": [19.8] * 3, "p50": [21.0] * 3, "p90": [22.2] * 3}
    assert warm["lowest"] == {"p10": [17.3] * 3, "p50": [18.5] * 3, "p90": [19.7] * 3}
    assert warm["unit"] == "°C"


def test_its_hazards_are_the_rows_of_the_board_in_words(zones: Zones):
    by_code = made(zones, wet())
    east = by_code["11"]["hazards"]
    assert [(row["hazard"], row["hits"], row["p"]) for row in east] == [("tp01_40", 2, 0.5)]
    assert east[0]["criterion"]["zh"] == "達大雨的1小時準則（40毫米以上）"
    assert [row["hazard"] for row in by_code["12"]["hazards"]] == ["wind_speed_9", "wind_speed_6", "tp01_40"]
    assert "gusts" in by_code["12"]["hazards"][0]["not_judged"]["en"]
    assert made(zones, night())["1"]["hazards"] == []


def test_the_file_is_what_its_schema_says(zones: Zones):
    for place in made(zones, wet()).values():
        content = json.loads(to_json(place))
        jsonschema.validate(content, Place.model_json_schema(by_alias=True))
        assert Place.model_validate(content).model_dump(mode="json", by_alias=True) == content


def test_sixteen_members_and_twelve_hours_are_small(zones: Zones):
    """All numbers of the longest form, every criterion reached."""
    rng = np.random.default_rng(1)
    shape = (16, 12, *GRID.shape)
    wide = {
        name: quantity(low + rng.random(shape), name, units)
        for name, low, units in (("tp01", 100, "kg m-2"), ("tp03", 300, "kg m-2"), ("tp24", 600, "kg m-2"),
                                 ("wind_speed", 40, "m s-1"), ("t2m", 312, "K"))
    }  # fmt: skip
    ground = xr.DataArray(np.zeros(GRID.shape), dims=("latitude", "longitude"))
    about = ABOUT.model_copy(update={"members": 16, "lead_hours": 12})
    content = board(about, area_statistics(wide, CRITERIA, zones, orography=ground), zones, CRITERIA)
    (first, *_) = places(wide, content, zones)
    assert len(first["hazards"]) == 12, "all but the cold"
    assert len(to_json(first)) <= 12_000


def test_what_it_cannot_show_is_refused(zones: Zones):
    quantities = wet()
    content = board(ABOUT, area_statistics(quantities, CRITERIA, zones), zones, CRITERIA)
    del quantities["t2m"]
    with pytest.raises(BadInput, match="t2m"):
        next(places(quantities, content, zones))
