"""Centres of typhoons: of vortices whose circulation is known, of the simulated typhoon, and of a quiet night."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.grid import Grid
from stormcast_tw.products.cyclone import ENDS, circulation, strike_probability, tracks, typhoon
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.world.weather import World
from tests.products.by_hand import forecast

SEA = Grid("SEA", 22.0, 24.0, 112, 120.0, 122.2, 112)
MIDDLE = (23.0, 121.1)


def vortices(centres: list[list[tuple[float, float] | None]], spin: float = 1e-3, core_km: float = 30.0) -> xr.Dataset:
    """Winds of members and leads: solid rotation of vorticity `spin` in a core round a centre, then fading as 1 / r."""
    members, leads = len(centres), len(centres[0])
    source = forecast(leads, SEA, u10m=np.zeros(members), v10m=np.zeros(members))
    (dy, dx), (j, i) = SEA.spacing_km, np.mgrid[: SEA.ny, : SEA.nx]
    for member, places in enumerate(centres):
        for lead, place in enumerate(places):
            if place is not None:
                at_j, at_i = (float(index) for index in SEA.index_of(*place))
                y, x = 1000 * dy * (j - at_j), 1000 * dx * (i - at_i)
                turn = 0.5 * spin / np.maximum(1.0, (np.hypot(y, x) / (1000 * core_km)) ** 2)
                source["u10m"].values[member, lead], source["v10m"].values[member, lead] = -turn * y, turn * x
    return source


def eastward(*longitudes: float | None) -> list[tuple[float, float] | None]:
    return [None if longitude is None else (23.0, longitude) for longitude in longitudes]


def test_solid_rotation_has_the_vorticity_it_was_given():
    made = circulation(vortices([[MIDDLE]], spin=0.8e-3, core_km=45.0))
    assert made.dims == ("member", "lead_time", "latitude", "longitude")
    assert float(made.max()) == pytest.approx(0.8e-3, rel=0.01)
    uneven = Grid("UNEVEN", 22.0, 23.0, 101, 120.0, 122.0, 101)
    shear = forecast(1, uneven, u10m=[0.0], v10m=[0.0])
    shear["u10m"].values[0, 0] = -1e-3 * 1000 * uneven.spacing_km[0] * np.arange(101)[:, None]
    assert circulation(shear).values[0, 0, 50, 50] == pytest.approx(1e-3, rel=1e-4)
    calm = circulation(forecast(1, SEA, u10m=[30.0], v10m=[5.0]))
    assert float(np.abs(calm).max()) < 1e-9


def test_on_a_projection_winds_are_turned_to_its_axes():
    grid = Grid("L", -1e5, 1e5, 101, 6e5, 8e5, 101, (("R", 6.37e6), ("lat_0", 23.5), ("lat_1", 10.0), ("lat_2", 40.0),
                ("lon_0", 115.0), ("proj", "lcc")))  # fmt: skip
    source, north = forecast(1, grid, u10m=[0.0], v10m=[0.0]), grid.grid_north()
    y, x = np.meshgrid(grid.y, grid.x - 7e5, indexing="ij")
    along_x, along_y = 0.4e-3 * (x - y), 0.4e-3 * (x + y)  # turns and spreads: turned wrongly, spreading would turn
    assert np.degrees(np.abs(north)).max() > 2, "the axes are turned"
    source["u10m"].values[0, 0] = along_x * np.cos(north) + along_y * np.sin(north)
    source["v10m"].values[0, 0] = along_y * np.cos(north) - along_x * np.sin(north)
    assert circulation(source).values[0, 0, 50, 50] == pytest.approx(0.8e-3, rel=0.01)


def test_a_centre_is_found_where_it_is():
    made = typhoon(vortices([eastward(121.0, 120.8), [(22.8, 121.2), (22.7, 121.0)]]))
    assert made is not None
    assert (made["members"], made["members_with_a_centre"]) == (2, 2)
    true = [(23.0, 121.0), (23.0, 120.8)], [(22.8, 121.2), (22.7, 121.0)]
    for track, places in zip(made["tracks"], true, strict=True):
        found = np.array(track["centres"])
        assert found[:, 0].tolist() == [1, 2]
        np.testing.assert_allclose(found[:, 1:3], places, atol=0.03)
        assert (found[:, 4] > 14).all()
        assert track["end"] == "in the domain"
    assert made["by_lead"][0] == {"lead_hours": 1, "members": 2, "latitude": pytest.approx(22.9, abs=0.03),
                                  "longitude": pytest.approx(121.1, abs=0.03)}  # fmt: skip


@pytest.mark.parametrize("spin", [0.45e-3, -1e-3], ids=["below the floor", "an anticyclone"])
def test_what_is_no_typhoon_is_not_found(spin: float):
    assert typhoon(vortices([[MIDDLE, MIDDLE]], spin=spin)) is None


def test_after_it_has_left_nothing_is_taken_for_it():
    """A second whirl appears 180 km away in the hour after: too far to be the same."""
    source = vortices([eastward(120.4, 120.1, None, None)])
    noise = vortices([[None, None, (23.0, 121.9), (23.0, 121.9)]], spin=0.7e-3)
    for name in ("u10m", "v10m"):
        source[name].values += noise[name].values
    (track,) = tracks(source)
    assert [centre.lead for centre in track.centres] == [1, 2]
    assert track.end == "left the domain"


def test_a_centre_may_be_away_for_two_hours_over_the_mountains_not_for_three():
    for hidden, leads, end in ((2, [1, 2, 5], "in the domain"), (3, [1, 2], "lost")):
        (track,) = tracks(vortices([eastward(121.3, 121.2, *[None] * hidden, 121.0)]))
        assert ([centre.lead for centre in track.centres], track.end) == (leads, end)
    assert "lost" in ENDS


def test_a_member_without_a_centre_has_no_track_and_counts_in_the_share():
    source = vortices([eastward(121.4, 120.8), [None, None]])
    found = tracks(source)
    assert [track.member for track in found] == [0]
    struck = strike_probability(found, source)
    assert set(np.unique(struck.values)) == {0, 0.5}
    at = {"latitude": 23.0, "method": "nearest"}
    assert float(struck.sel(longitude=121.1, **at)) == 0.5, "between the hours it passes here"
    assert struck.attrs["radius_km"] == 50.0
    south = struck.sel(longitude=121.1, method="nearest")
    reached = south["latitude"].values[south.values > 0]
    assert (23.0 - reached.min()) * 111.195 == pytest.approx(50, abs=2.1)


def truth(cycle: Cycle, world: World, leads: int) -> xr.Dataset:
    """The simulated truth as a forecast of one member."""
    hours = [world.surface(cycle.valid_time(lead)) for lead in range(1, leads + 1)]
    source = forecast(leads, TAIWAN_2KM, u10m=[0.0], v10m=[0.0])
    for name in ("u10m", "v10m"):
        source[name].values[0] = [hour[name].values for hour in hours]
    return source


def test_the_simulated_typhoon_is_followed_until_it_leaves():
    made = typhoon(truth(Cycle(datetime(2026, 8, 12, 6, tzinfo=UTC)), World(), 12))
    assert made is not None
    (track,) = made["tracks"]
    assert [row[0] for row in track["centres"]] == list(range(1, 11))
    assert track["end"] == "left the domain"
    assert track["centres"][0][1:3] == pytest.approx([22.94, 121.10], abs=0.15)
    assert track["centres"][-1][1:3] == pytest.approx([23.03, 119.82], abs=0.15)
    assert len(json.dumps(made | {"tracks": [track] * 36})) < 20_000, "three dozen members, twelve hours"


def test_a_quiet_day_has_none():
    assert typhoon(truth(Cycle(datetime(2026, 1, 30, 18, tzinfo=UTC)), World(), 6)) is None
