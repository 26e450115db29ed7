"""Neighbourhoods: a true circle, the maximum of each member first, and the same as the definition written out."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.grid import Grid
from stormcast_tw.products.ensemble import probability
from stormcast_tw.products.neighbourhood import circle, neighbourhood_probability
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from tests.products.by_hand import LAMBERT, forecast, random_forecast

PLAIN = Grid("PLAIN", 23.0, 23.4, 41, 120.0, 120.4, 37)
EDGES = (20.0, 60.0)


def near(members: xr.DataArray, radius_km: float = 15.0, thresholds: tuple[float, ...] = EDGES) -> xr.DataArray:
    return neighbourhood_probability(members, thresholds, "at or above", "threshold", {"units": "kg m-2"}, radius_km)


def written_out(members: xr.DataArray, grid: Grid, radius_km: float) -> np.ndarray:
    """The definition: of every point all points within the radius, the largest value there, the share of members."""
    (dy, dx), (ny, nx) = grid.spacing_km, grid.shape
    j, i = (a.ravel() for a in np.mgrid[:ny, :nx])
    within = np.hypot((j[:, None] - j) * dy, (i[:, None] - i) * dx) <= radius_km
    flat = members.values.reshape(*members.shape[:2], -1)
    largest = np.stack([flat[..., within[point]].max(axis=-1) for point in range(ny * nx)], axis=-1)
    shares = np.stack([(largest >= np.float32(edge)).mean(axis=0) for edge in EDGES], axis=1)
    return shares.reshape(*shares.shape[:2], ny, nx)


@pytest.mark.parametrize("members", [1, 9])
@pytest.mark.parametrize("radius_km", [0.5, 4.0, 9.0, 100.0])
def test_equals_the_definition(members: int, radius_km: float):
    grid = Grid("P", 23.0, 23.12, 13, 120.0, 120.2, 11)
    rain = random_forecast(members, 2, grid)["tp01"]
    rain.values[np.random.default_rng(5).random(rain.shape) < 0.9] = 0
    np.testing.assert_allclose(near(rain, radius_km).values, written_out(rain, grid, radius_km), rtol=1e-6)


def test_one_wet_cell_wets_a_circle():
    source = forecast(1, PLAIN, tp01=[0.0, 0.0])
    source["tp01"].values[0, 0, 20, 18] = 60
    made = near(source["tp01"])
    assert made.dims == ("lead_time", "threshold", "latitude", "longitude")
    assert set(np.unique(made.values)) == {0, 0.5}
    dy, dx = PLAIN.spacing_km
    away = np.hypot((np.arange(41)[:, None] - 20) * dy, (np.arange(37) - 18) * dx)
    np.testing.assert_array_equal(made.values[0, 1] > 0, away <= 15)
    assert away[made.values[0, 1] > 0].max() > 14.5, "as far as the radius"


def test_of_each_member_the_maximum_then_the_share():
    """Two members with rain in different cells nearby: each point 1 of 2, near them 2 of 2."""
    source = forecast(1, PLAIN, tp01=[0.0, 0.0])
    source["tp01"].values[0, 0, 20, 17] = source["tp01"].values[1, 0, 20, 19] = 60
    assert float(probability(source["tp01"], EDGES, "at or above", "t", {}).max()) == 0.5
    assert float(near(source["tp01"])[0, 1, 20, 18]) == 1.0


def test_a_radius_of_nothing_is_the_point_and_a_larger_one_is_never_less_probable():
    rain = random_forecast(5, 3, PLAIN)["tp01"]
    point = probability(rain, EDGES, "at or above", "threshold", {"units": "kg m-2"})
    made = [near(rain, radius_km) for radius_km in (0.0, 3.0, 8.0)]
    xr.testing.assert_identical(made[0], point)
    assert bool((made[0] <= made[1]).all() and (made[1] <= made[2]).all())
    assert float(made[1].mean()) > float(made[0].mean())


def test_cold_spreads_as_heat_does():
    made = neighbourhood_probability(-random_forecast(3, 1, PLAIN)["tp01"], (-60.0, -20.0), "at or below", "t", {})
    expected = near(random_forecast(3, 1, PLAIN)["tp01"], thresholds=(60.0, 20.0))
    np.testing.assert_array_equal(made.values, expected.values)


def test_the_circle_is_drawn_in_kilometres():
    assert circle((2.0, 2.0), 4.0) == [2, 1, 0]
    assert circle((1.0, 2.0), 3.0) == [1, 1, 1, 0], "a distance equal to the radius counts"
    assert circle((0.1, 0.1), 0.3) == [3, 2, 2, 0], "but for rounding"
    # A degree is 111.195 km, and 101.9 km along 23.6 N: 1.995 km and 2.006 km, so 7 cells either way.
    assert circle(TAIWAN_2KM.spacing_km, 15.0) == [7, 7, 7, 6, 6, 5, 4, 2]
    assert circle(LAMBERT.spacing_km, 4.0) == [2, 1, 0]
