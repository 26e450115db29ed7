"""Grids: description, round trips, and the direction of north."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pyproj import Geod

from stormcast_tw.grid import Grid, to_earth_relative, to_grid_relative
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM

LAMBERT = Grid.from_axes(
    "lambert",
    2000.0 * np.arange(-150, 150),
    2000.0 * np.arange(-60, 190),
    {"proj": "lcc", "lat_1": 10, "lat_2": 40, "lat_0": 23.6, "lon_0": 120, "R": 6370000.0},
)
MERCATOR = Grid.from_axes(
    "mercator",
    5000.0 * np.arange(500, 580),
    5000.0 * np.arange(-20, 50),
    {"proj": "merc", "lon_0": 120, "R": 6370000.0},
)


def test_the_forecast_grid_is_the_one_of_the_design():
    assert TAIWAN_2KM.shape == (224, 128)
    assert (TAIWAN_2KM.y[0], TAIWAN_2KM.y[-1], TAIWAN_2KM.x[0], TAIWAN_2KM.x[-1]) == (21.6, 25.6, 119.75, 122.25)
    assert TAIWAN_2KM.dy == pytest.approx(4 / 223)
    assert TAIWAN_2KM.dx == pytest.approx(2.5 / 127)


@pytest.mark.parametrize("grid", [TAIWAN_2KM, LAMBERT, MERCATOR], ids=lambda grid: grid.name)
def test_round_trips(grid: Grid):
    assert Grid.parse(json.loads(json.dumps(grid.describe()))) == grid
    assert Grid.of(grid.coordinates()).fingerprint == grid.fingerprint
    j, i = grid.index_of(*grid.latlon())
    rows, columns = np.meshgrid(np.arange(grid.ny), np.arange(grid.nx), indexing="ij")
    np.testing.assert_allclose(j, rows, atol=1e-6)
    np.testing.assert_allclose(i, columns, atol=1e-6)


def test_the_fingerprint_is_of_the_points_not_of_the_name():
    same = Grid("other name", 21.6, 25.6, 224, 119.75, 122.25, 128)
    assert same.fingerprint == TAIWAN_2KM.fingerprint
    assert Grid("shifted", 21.6, 25.6, 224, 119.7, 122.2, 128).fingerprint != TAIWAN_2KM.fingerprint


@pytest.mark.parametrize(("y", "message"), [((25.6, 21.6, 224), "axis y"), ((21.6, 25.6, 1), "axis y")])
def test_axes_must_ascend(y: tuple[float, float, int], message: str):
    with pytest.raises(ValueError, match=rf"{message} from {y[0]} to {y[1]} with {y[2]} points does not ascend"):
        Grid("bad", *y, 119.75, 122.25, 128)


def test_uneven_axes_are_refused():
    with pytest.raises(ValueError, match=r"axis x is uneven by 0\.5 with a spacing of 1"):
        Grid.from_axes("bad", [0.0, 1.0], [0.0, 1.5, 2.0])


@pytest.mark.parametrize("grid", [LAMBERT, MERCATOR], ids=lambda grid: grid.name)
def test_grid_north_is_the_azimuth_of_the_y_axis(grid: Grid):
    latitude, longitude = grid.latlon()
    ends = (longitude[:-1], latitude[:-1], longitude[1:], latitude[1:])
    forward, backward, _ = Geod(a=6370000, b=6370000).inv(*ends)
    halfway = np.radians(forward + (backward + 360) % 360 - 180) / 2
    # the y axis points this far clockwise of north, so north lies as far anticlockwise of the y axis
    angle = (grid.grid_north()[:-1] + grid.grid_north()[1:]) / 2
    np.testing.assert_allclose(angle, halfway, atol=1e-7)


def test_north_leans_left_east_of_the_central_meridian():
    east = LAMBERT.latlon()[1] - 120.0
    away = np.abs(east) > 0.01
    np.testing.assert_array_equal(np.sign(LAMBERT.grid_north()[away]), np.sign(east[away]))


def test_rotation_keeps_speed_and_has_an_inverse():
    angle = LAMBERT.grid_north()
    cos_alpha, sin_alpha = np.cos(angle), -np.sin(angle)
    u, v = np.full(angle.shape, 12.0), np.full(angle.shape, -7.0)
    eastward, northward = to_earth_relative(u, v, cos_alpha, sin_alpha)
    np.testing.assert_allclose(np.hypot(eastward, northward), np.hypot(u, v), rtol=1e-12)
    back = to_grid_relative(eastward, northward, cos_alpha, sin_alpha)
    np.testing.assert_allclose(back, (u, v), rtol=1e-12)
