"""Statistics by zone: by hand on a county of two townships, and against loops on Taiwan."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.products.area import Observed, area_statistics, zone_values
from stormcast_tw.products.borders import read_borders
from stormcast_tw.products.overlap import cell_shares, multipolygon
from stormcast_tw.products.zones import Zones, zones_on
from stormcast_tw.regions import HOME
from stormcast_tw.regions.region import Criterion, Text
from stormcast_tw.regions.taiwan import TAIWAN_2KM
from tests.products.test_borders import COUNTY, EAST, WEST, collection, square, write

GRID = Grid("ROW", 23.25, 23.75, 2, 120.25, 122.25, 5)
"""Two rows of five cells, half a degree wide; the last column is sea."""
WORD = Text("", "")


def criterion(threshold: float, name: str = "rain", **other: Any) -> Criterion:
    given = {"id": f"{name}_{threshold:g}", "kind": "rain", "quantity": name, "hours": 1, "units": "kg m-2",
             "side": "at or above", "rank": 1, "name": WORD, "reaches": WORD, "judged": WORD}  # fmt: skip
    return Criterion(threshold=threshold, **(given | other))


def quantity(values: object, name: str = "rain", units: str = "kg m-2") -> xr.DataArray:
    """(member, lead_time, y, x) of values that lack the dimensions of the map, or have them."""
    data = np.asarray(values, np.float32)
    data = data if data.ndim == 4 else np.broadcast_to(data[:, :, None, None], (*data.shape, *GRID.shape)).copy()
    leads = (np.arange(data.shape[1]) + 1).astype("m8[h]").astype("m8[ns]")
    dims = ("member", "lead_time", "latitude", "longitude")
    return xr.DataArray(data, {"lead_time": leads}, dims, name=name, attrs={"units": units})


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Zones:
    """A county, columns 0 to 3; in the west columns 0 and 1, of this only half; in the east columns 2 and 3."""
    document = collection((COUNTY, [square(120, 122)]), (WEST, [square(120, 120.75)]), (EAST, [square(121, 122)]))
    return zones_on(GRID, write(tmp_path_factory.mktemp("area"), document))


def made(zones: Zones, values: xr.DataArray, *criteria: Criterion, zone: str = "1", **more: Any) -> xr.Dataset:
    return area_statistics({str(values.name): values}, criteria, zones, **more).sel(zone=zone)


def test_a_zone_is_hit_where_no_point_is_likely(zones: Zones):
    """Three members of four reach 40 mm, each in another cell and hour; the last does over the sea."""
    rain = quantity(np.zeros((4, 3)))
    rain[0, 0, 0, 0] = rain[1, 2, 1, 1] = rain[2, 2, 0, 3] = rain[3, 1, 0, 4] = 40
    whole = made(zones, rain, criterion(40))
    assert (whole["hits"].item(), whole["point_hits"].item()) == (3, 1)
    assert whole["hits_by_lead"].values.tolist() == [[1, 0, 2]]
    assert whole.attrs == {"members": 4}
    assert [made(zones, rain, criterion(40), zone=code)["hits"].item() for code in ("12", "11")] == [2, 1]


def test_several_cells_of_a_member_count_once_and_of_members_together(zones: Zones):
    rain = quantity(np.zeros((3, 2)))
    rain[0, :, :, 2:4] = 50
    rain[1, 1, 0, 3] = 40
    east = made(zones, rain, criterion(40), zone="11")
    assert (east["hits"].item(), east["point_hits"].item()) == (2, 2)
    assert east["hits_by_lead"].values.tolist() == [[1, 2]]


def test_onset_is_a_whole_hour_by_which_a_share_of_those_that_hit_has(zones: Zones):
    # Members hit at 1, 2, 2, 4 h, the fifth never: 10 % of four are the first of them, half are the second.
    first = quantity([[9, 9, 0, 0], [0, 9, 9, 0], [0, 9, 0, 0], [0, 0, 0, 9], [0, 0, 0, 0]])
    assert made(zones, first, criterion(9))["onset"].values.tolist() == [[1, 2]]
    # Of eleven 10 % are two.
    late = np.zeros((11, 3))
    late[0, 0] = late[1:, 2] = 9
    assert made(zones, quantity(late), criterion(9))["onset"].values.tolist() == [[3, 3]]
    assert np.isnan(made(zones, quantity(late), criterion(10))["onset"].values).all()


def test_peaks_and_where_the_highest_is(zones: Zones):
    # The members' highest are 10, 30, 20, 0, 40.
    rain = quantity([[10, 1, 0], [5, 30, 2], [20, 20, 20], [0, 0, 0], [1, 40, 40]])
    peak = made(zones, rain, criterion(99))
    assert peak["peak"].values.ravel() == pytest.approx([4, 20, 36, 40])
    assert (peak["peak_lead"].item(), peak["peak_member"].item()) == (2, 4), "of equals the first hour"
    assert peak["hits"].item() == 0


def test_the_share_of_the_area_goes_by_what_is_inside(zones: Zones):
    """Column 1 is only half in the west: its two cells weigh 1/2, those of column 0 weigh 1."""
    rain = quantity(np.zeros((2, 2)))
    rain[0, 0, 0, 0] = rain[0, 1, 0, 1] = 5
    west = made(zones, rain, criterion(5), zone="12")
    assert west["share"].item() == pytest.approx((1 + 0.5) / 3 / 2), "at any hour, mean over both members"
    assert made(zones, rain, criterion(5))["share"].item() == pytest.approx(2 / 8 / 2)


def test_hours_that_nobody_knows_are_not_hours_without(zones: Zones):
    """A 3-hour sum begins at lead 3; one that has no lead at all but these is asked with one that has."""
    hourly, sums = quantity(np.zeros((2, 4))), quantity(np.full((2, 4), 7), "sum").isel(lead_time=slice(2, None))
    both = area_statistics({"rain": hourly, "sum": sums}, [criterion(5), criterion(5, "sum")], zones).sel(zone="1")
    assert both["hits_by_lead"].sel(criterion="rain_5").values.tolist() == [0, 0, 0, 0]
    unknown = both.sel(criterion="sum_5")
    assert np.array_equal(unknown["hits_by_lead"], [np.nan, np.nan, 2, 2], equal_nan=True)
    assert unknown["onset"].values.tolist() == [3, 3]
    assert not unknown["at_least"].item(), "what is judged is known"


def test_a_cell_that_nobody_knows_makes_it_at_least(zones: Zones):
    rain = quantity(np.zeros((2, 2)))
    rain[0, 0, 0, 2] = 40
    rain[:, 0, 1, 3] = np.nan
    assert [made(zones, rain, criterion(40), zone=code)["at_least"].item() for code in ("1", "11", "12")] == [1, 1, 0]
    assert made(zones, rain, criterion(40))["hits_by_lead"].values.tolist() == [[1, 0]]
    never = made(zones, quantity(np.full((2, 2), np.nan)), criterion(40))
    assert np.isnan(never["hits_by_lead"].values).all()
    assert np.isnan(never["peak"].values).all()
    assert np.isnan(never["peak_lead"].item())


def test_what_observations_add(zones: Zones):
    mask = xr.zeros_like(quantity(np.zeros((1, 2))).isel(member=0), bool)
    mask[1, 0, 0] = True
    past = quantity(np.zeros((1, 1)))[0, 0]
    past[0, 2], past[0, 0] = 39, np.nan
    observed = Observed({"rain": mask}, {"rain": past})
    both = area_statistics({"rain": quantity(np.zeros((2, 2)))}, [criterion(39), criterion(40)], zones, observed)
    assert both["at_least"].values.tolist() == [[True, False, True]] * 2, "the county, the east, the west"
    assert both["reached_before"].values.tolist() == [[True, True, False], [False] * 3]


def test_cold_is_severe_downwards(zones: Zones):
    cold = criterion(283.15, "t2m", side="at or below", units="K")
    kelvin = quantity(np.array([[10.0, 12], [11, 13], [9, 14]]) + 273.15, "t2m", "K")
    down = made(zones, kelvin, cold)
    assert down["hits_by_lead"].values.tolist() == [[2, 0]], "10.0 reaches it"
    assert down["peak"].values.ravel() - 273.15 == pytest.approx([10.8, 10, 9.2, 9], abs=1e-4)
    assert (down["peak_lead"].item(), down["peak_member"].item()) == (1, 2)


def test_criteria_of_the_plains(zones: Zones):
    """Mountains, here the west and a column of the east, do not count; without a height of the ground nothing does."""
    cold = criterion(283.15, "t2m", side="at or below", units="K", ground_below=500.0)
    kelvin = quantity(np.full((2, 1), 280.0), "t2m", "K")
    ground = xr.DataArray(np.broadcast_to([2000.0, 500, 800, 499, 0], GRID.shape), dims=("latitude", "longitude"))
    both = area_statistics({"t2m": kelvin}, [cold], zones, orography=ground)
    assert both["hits"].values.tolist() == [[2, 2, 0]]
    assert both["share"].values[0] == pytest.approx([1, 1, np.nan], nan_ok=True), "of the plains"
    assert np.isnan(both["hits_by_lead"].sel(zone="12")).all()
    assert np.isnan(both["peak_lead"].sel(zone="12")).all()
    kelvin[:, :, :, 3] = 290
    assert area_statistics({"t2m": kelvin}, [cold], zones, orography=ground)["hits"].values.tolist() == [[0, 0, 0]]
    assert area_statistics({"t2m": kelvin}, [cold], zones).sizes["criterion"] == 0
    high = area_statistics({"t2m": kelvin}, [cold], zones, orography=ground + 501)
    assert high["hits_by_lead"].isnull().all(), "no plains at all"


def test_what_is_wrong_is_refused(zones: Zones):
    rain, half = quantity(np.zeros((2, 2))), quantity(np.zeros((2, 2)))
    half[0, 0, 0, 0] = np.nan
    with pytest.raises(BadInput, match="some members are not finite where others are"):
        made(zones, half, criterion(1))
    with pytest.raises(BadInput, match=r"rain by zone: it is \(2, 4\), allowed \(2, 5\)"):
        made(zones, rain[..., :4], criterion(1))
    other = quantity(np.zeros((1, 2)), "other")
    with pytest.raises(BadInput, match=r"they have \[1, 2\] members"):
        area_statistics({"rain": rain, "other": other}, [criterion(1), criterion(1, "other")], zones)
    with pytest.raises(BadInput, match="orography by zone"):
        made(zones, rain, criterion(1, ground_below=500.0), orography=xr.DataArray(np.zeros((2, 4))))


def test_values_of_zones(zones: Zones):
    ramp = quantity(np.arange(20.0).reshape(2, 1, 2, 5))
    ramp = quantity(np.concatenate([ramp, -ramp], axis=1))
    assert zone_values(ramp, zones, "maximum").sel(zone="11").values.tolist() == [[8, -2], [18, -12]]
    assert zone_values(ramp, zones, "minimum").sel(zone="11").values.tolist() == [[2, -8], [12, -18]]
    assert zone_values(ramp, zones, "median").sel(zone="12").values.tolist() == [[3, -3], [13, -13]]


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_county_is_never_less_likely_than_its_townships(zones: Zones, members: int, leads: int, seed: int):
    rng = np.random.default_rng(seed)
    rain = quantity(rng.gamma(0.4, 10, (members, leads, *GRID.shape)).round())
    every = area_statistics({"rain": rain}, [criterion(10), criterion(20)], zones)
    county = every.sel(zone="1")
    for code in ("11", "12"):
        township = every.sel(zone=code)
        assert (county["hits"] >= township["hits"]).all()
        assert (county["hits_by_lead"] >= township["hits_by_lead"]).all()
        assert (county["point_hits"] >= township["point_hits"]).all()
        assert (county["peak"] >= township["peak"]).all()
        same = (county["hits"] == township["hits"]).values
        assert not (county["onset"] > township["onset"]).values[same].any()
    assert (every["point_hits"] <= every["hits"]).all()
    assert (every["hits_by_lead"].max("lead_time") <= every["hits"]).all()
    assert (every["hits"].sel(criterion="rain_20") <= every["hits"].sel(criterion="rain_10")).all()


@pytest.fixture(scope="module")
def taiwan() -> Zones:
    return zones_on(TAIWAN_2KM, HOME.zones)


def test_against_loops_on_taiwan(taiwan: Zones):
    rng = np.random.default_rng(3)
    rain = rng.gamma(0.3, 8, (3, 2, *TAIWAN_2KM.shape)).astype(np.float32)
    every = area_statistics({"rain": quantity(rain)}, [criterion(60)], taiwan).isel(criterion=0)
    flat = rain.reshape(3, 2, -1)
    for number, zone in enumerate(taiwan.zones):
        cells, shares = taiwan.of(zone.code)
        here = flat[:, :, cells]
        reached = here >= 60
        one = every.isel(zone=number)
        assert one["hits"] == reached.any(axis=(1, 2)).sum()
        assert one["hits_by_lead"].values.tolist() == reached.any(axis=2).sum(axis=0).tolist()
        assert one["point_hits"] == reached.sum(axis=0).max()
        highest = here.max(axis=(1, 2))
        np.testing.assert_allclose(one["peak"], np.quantile(highest, (0.1, 0.5, 0.9, 1)), rtol=1e-6)
        assert here[one["peak_member"].item(), int(one["peak_lead"]) - 1].max() == highest.max()
        expected = np.mean([shares[any_hour].sum() / shares.sum() for any_hour in reached.any(axis=1)])
        assert one["share"].item() == pytest.approx(expected)
    assert 0 < (every["hits"] > 0).sum() < len(taiwan), "not everywhere, not nowhere"


def test_wind_over_the_sea_only_hits_no_land(taiwan: Zones):
    """40 m/s on every cell that is less than half land. A zone that took all cells it touches would be hit."""
    land = np.zeros(TAIWAN_2KM.shape)
    for border in read_borders(HOME.zones).borders:
        if border.parent is None:
            rings = (
                [np.stack(TAIWAN_2KM.index_of(r[:, 1], r[:, 0])[::-1], -1) + 0.5 for r in p] for p in border.polygons
            )
            land += cell_shares(multipolygon(rings), TAIWAN_2KM.shape)
    assert ((land > 0) & (land < 0.5)).sum() > 300, "the coast"
    wind = quantity(np.where(land < 0.5, 40.0, 3.0)[None, None], "wind_speed", "m s-1")
    gale = [c for c in HOME.criteria if c.quantity == "wind_speed"]
    assert len(gale) == 3
    assert not area_statistics({"wind_speed": wind}, gale, taiwan)["hits"].any()
    ashore = quantity(np.where(land < 0.5, 40.0, 33.0)[None, None], "wind_speed", "m s-1")
    assert area_statistics({"wind_speed": ashore}, gale, taiwan)["hits"].all()
