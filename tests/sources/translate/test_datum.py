"""The shift from TWD67 to WGS84, against the seven parameters worked out by hand on two ellipsoids."""

from __future__ import annotations

import numpy as np
import pytest

from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.translate.datum import to_wgs84

QPESUMS = Grid("QPESUMS", 20.0, 27.0, 561, 118.0, 123.5, 441)
RADAR = Grid("QPESUMS", 18.0, 29.0, 881, 115.0, 126.5, 921)
QPEPRE = Grid("QPEPRE", 21.8875, 25.3125, 275, 120.0, 122.0125, 162)


def to_earth_centred(latitude: np.ndarray, longitude: np.ndarray, a: float, f: float) -> np.ndarray:
    """Geodetic to geocentric coordinates at height 0, metres (3, ...)."""
    phi, lam, e2 = np.radians(latitude), np.radians(longitude), f * (2 - f)
    n = a / np.sqrt(1 - e2 * np.sin(phi) ** 2)
    return np.stack([n * np.cos(phi) * np.cos(lam), n * np.cos(phi) * np.sin(lam), n * (1 - e2) * np.sin(phi)])


def to_geodetic(xyz: np.ndarray, a: float, f: float) -> tuple[np.ndarray, np.ndarray]:
    """The inverse, by fixed-point iteration to 1e-14 rad."""
    x, y, z = xyz
    e2, p = f * (2 - f), np.hypot(x, y)
    phi = np.arctan2(z, p * (1 - e2))
    for _ in range(20):
        n = a / np.sqrt(1 - e2 * np.sin(phi) ** 2)
        phi = np.arctan2(z + e2 * n * np.sin(phi), p)
    return np.degrees(phi), np.degrees(np.arctan2(y, x))


def helmert(latitude: np.ndarray, longitude: np.ndarray, *, frame: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Seven parameters, position vector convention (`frame=-1`: coordinate frame), aust_SA to WGS84."""
    shift, scale = np.array([-752.0, -358.0, -179.0]), 2.329e-5
    rx, ry, rz = frame * np.array([-1.1698e-6, 1.8398e-6, 9.822e-7])
    rotation = np.array([[1.0, -rz, ry], [rz, 1.0, -rx], [-ry, rx, 1.0]])
    old = to_earth_centred(latitude, longitude, 6378160.0, 1 / 298.25)
    new = shift.reshape(3, *[1] * (old.ndim - 1)) + (1 + scale) * np.tensordot(rotation, old, axes=1)
    return to_geodetic(new, 6378137.0, 1 / 298.257223563)


def test_wgs84_is_left_as_it_is():
    assert to_wgs84(QPESUMS, "wgs84") is QPESUMS


def test_at_the_middle_of_taiwan_it_is_the_published_shift():
    latitude, longitude = helmert(np.array(23.6), np.array(121.0))
    assert (longitude - 121.0, latitude - 23.6) == (pytest.approx(0.00812, abs=6e-6), pytest.approx(-0.00178, abs=6e-6))
    here = Grid("here", 23.5, 23.7, 17, 120.9, 121.1, 17)
    moved = to_wgs84(here, "twd67")
    assert moved.x[8] - 121.0 == pytest.approx(0.00812, abs=6e-6)
    assert moved.y[8] - 23.6 == pytest.approx(-0.00178, abs=6e-6)


@pytest.mark.parametrize("grid", [QPESUMS, RADAR, QPEPRE], ids=["rain", "reflectivity", "QPEPRE"])
def test_the_grid_goes_where_the_seven_parameters_put_its_points(grid: Grid):
    moved = to_wgs84(grid, "twd67")
    assert moved.shape == grid.shape
    middle_y, middle_x = np.mean([grid.y_first, grid.y_last]), np.mean([grid.x_first, grid.x_last])
    west, east = helmert(np.full(2, middle_y), np.array([grid.x_first, grid.x_last]))[1]
    south, north = helmert(np.array([grid.y_first, grid.y_last]), np.full(2, middle_x))[0]
    assert (moved.x_first, moved.x_last) == pytest.approx((west, east), abs=1e-9)
    assert (moved.y_first, moved.y_last) == pytest.approx((south, north), abs=1e-9)
    latitude, longitude = helmert(*grid.latlon())
    moved_latitude, moved_longitude = moved.latlon()
    error = np.maximum(np.abs(moved_latitude - latitude), np.abs(moved_longitude - longitude))
    inside = (
        (latitude >= TAIWAN_2KM.y_first)
        & (latitude <= TAIWAN_2KM.y_last)
        & (longitude >= TAIWAN_2KM.x_first)
        & (longitude <= TAIWAN_2KM.x_last)
    )
    assert error.max() < 5e-4
    assert error[inside].max() < 2e-4


def test_the_other_convention_of_rotations_would_differ_by_three_metres():
    """The set is published without its convention: what that leaves open is no more than this."""
    one, other = helmert(*TAIWAN_2KM.latlon()), helmert(*TAIWAN_2KM.latlon(), frame=-1)
    assert 1e-6 < np.abs(np.array(one) - np.array(other)).max() < 3e-5
