"""The simulated island against the real one's numbers."""

import numpy as np
import pytest

from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.world.box import BOX, INNER, Sampler, terrain
from stormcast_tw.simulation.world.geography import land_mask, orography, radar_coverage

LATITUDE, LONGITUDE = TAIWAN_2KM.latlon()


def test_land_has_the_size_of_taiwan():
    assert int(land_mask(LATITUDE, LONGITUDE).sum()) == pytest.approx(9170, rel=0.02)


def test_terrain_peaks_where_a_two_kilometre_model_has_it():
    height = orography(LATITUDE, LONGITUDE)
    assert height.max() == pytest.approx(3485.0, rel=0.03)
    assert np.all(height[~land_mask(LATITUDE, LONGITUDE)] == 0.0)
    assert np.all(height[land_mask(LATITUDE, LONGITUDE)] > 0.0)


@pytest.mark.parametrize(
    ("name", "latitude", "longitude", "land"),
    [
        ("Taipei", 25.04, 121.53, True),
        ("Taichung", 24.15, 120.68, True),
        ("Kaohsiung", 22.65, 120.35, True),
        ("Hualien", 23.97, 121.55, True),
        ("Lanyu", 22.05, 121.55, True),
        ("Ludao", 22.66, 121.49, True),
        ("Taiwan Strait", 24.20, 119.90, False),
        ("Pacific", 23.50, 122.10, False),
    ],
)
def test_places_are_land_or_sea(name: str, latitude: float, longitude: float, land: bool):
    assert bool(land_mask(latitude, longitude)) == land, name


def test_small_islands_are_a_few_points():
    for latitude, longitude in ((22.05, 121.55), (22.66, 121.49)):
        near = np.hypot(LATITUDE - latitude, LONGITUDE - longitude) < 0.12
        assert 3 <= int(land_mask(LATITUDE, LONGITUDE)[near].sum()) <= 25


def test_a_corner_is_not_observed_by_radar():
    missing = ~radar_coverage(LATITUDE, LONGITUDE)
    assert 0.003 < missing.mean() < 0.03
    assert missing[-1, 0]
    assert LATITUDE[missing].min() > 24.0


def test_the_box_continues_the_forecast_grid():
    for axis in ("x", "y"):
        np.testing.assert_allclose(getattr(BOX, axis)[32:-32], getattr(TAIWAN_2KM, axis), atol=1e-9)


def test_sampling_is_exact_on_linear_fields_and_refuses_points_outside():
    latitude, longitude = BOX.latlon()
    points = np.array([21.61, 23.456, 25.59]), np.array([119.76, 121.234, 122.24])
    values = Sampler(*points)((2.0 * latitude - longitude).astype(np.float32))
    np.testing.assert_allclose(values, 2.0 * points[0] - points[1], atol=1e-4)
    with pytest.raises(ValueError, match="outside the simulated"):
        Sampler(np.array([20.0]), np.array([121.0]))


def test_flow_goes_round_the_island():
    """A unit wind on the island is slowed in the mountains, hastened at their ends, and non-divergent."""
    ground = terrain()
    u_from_u, v_from_u, _, v_from_v = (part[INNER] for part in ground.flow)
    high = ground.broad[INNER] > 2000.0
    assert u_from_u[high].mean() < 0.65
    assert v_from_v[high].mean() < 0.4
    strait = (LONGITUDE < 120.0) & (np.abs(LATITUDE - 24.0) < 0.3)
    assert v_from_v[strait].mean() > 1.05
    divergence = np.gradient(u_from_u, axis=1) + np.gradient(v_from_u, axis=0)
    assert np.abs(divergence).max() < 0.05
