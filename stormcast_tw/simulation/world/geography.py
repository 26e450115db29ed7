"""Orography, coast and radar coverage of Taiwan: a compact analytic approximation that can be evaluated anywhere.

Peaks have the published heights and positions of the mountains named beside them. The coast is a hand-made polygon of
46 capes and bays, good to a few kilometres; never use it for anything but simulated weather.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

KM_PER_DEGREE = 111.19

_COAST_TAIWAN = (
    (121.54, 25.30), (121.76, 25.17), (122.01, 25.01), (121.84, 24.86), (121.83, 24.70), (121.88, 24.59),
    (121.80, 24.44), (121.77, 24.30), (121.67, 24.18), (121.63, 24.00), (121.54, 23.62), (121.51, 23.47),
    (121.39, 23.10), (121.24, 22.87), (121.19, 22.75), (121.07, 22.68), (120.93, 22.40), (120.90, 22.20),
    (120.87, 21.90), (120.73, 21.92), (120.69, 22.05), (120.65, 22.25), (120.58, 22.38), (120.44, 22.45),
    (120.27, 22.60), (120.19, 22.86), (120.14, 23.00), (120.05, 23.12), (120.10, 23.28), (120.12, 23.40),
    (120.15, 23.52), (120.19, 23.78), (120.31, 23.93), (120.40, 24.08), (120.50, 24.27), (120.57, 24.37),
    (120.66, 24.49), (120.77, 24.64), (120.90, 24.85), (121.01, 25.00), (121.08, 25.06), (121.24, 25.12),
    (121.34, 25.14), (121.40, 25.18), (121.46, 25.26), (121.50, 25.29),
)  # fmt: skip
_COAST_FUJIAN = (
    (118.0, 24.3), (118.7, 24.55), (119.0, 24.9), (119.12, 25.15), (119.35, 25.28), (119.50, 25.45),
    (119.62, 25.70), (119.65, 25.95), (119.95, 26.30), (120.2, 26.8), (120.6, 27.3), (118.0, 27.3),
)  # fmt: skip

_ISLANDS = (
    # latitude, longitude, radius north-south and east-west in km
    (22.66, 121.49, 2.6, 2.6),  # Ludao
    (22.05, 121.55, 4.2, 5.0),  # Lanyu
    (23.58, 119.59, 8.0, 6.0),  # Penghu
    (25.52, 119.78, 13.0, 7.0),  # Pingtan
)

_MOUNTAINS = (
    # latitude, longitude, height m, half length and half width km, axis east of north in degrees
    (23.470, 120.957, 3700.0, 26.0, 15.0, 20.0),  # Yushan
    (24.383, 121.232, 3640.0, 24.0, 15.0, 40.0),  # Xueshan
    (24.361, 121.439, 3350.0, 20.0, 12.0, 30.0),  # Nanhu
    (24.120, 121.320, 3300.0, 26.0, 15.0, 15.0),  # Qilai
    (23.800, 121.200, 3050.0, 26.0, 17.0, 10.0),  # Danda
    (23.226, 120.908, 3350.0, 22.0, 15.0, 15.0),  # Guanshan
    (22.950, 120.830, 2500.0, 22.0, 14.0, 10.0),  # Zhuoxi
    (22.627, 120.761, 2900.0, 20.0, 10.0, 5.0),  # Beidawu
    (22.300, 120.780, 1000.0, 20.0, 8.0, 5.0),  # Dawu
    (24.650, 121.480, 1700.0, 26.0, 20.0, 45.0),  # Chatian
    (23.520, 120.700, 2000.0, 18.0, 10.0, 20.0),  # Alishan
    (23.500, 121.400, 1350.0, 32.0, 5.5, 17.0),  # Coastal Range, north
    (23.150, 121.280, 1450.0, 22.0, 5.5, 17.0),  # Coastal Range, south
    (25.180, 121.550, 900.0, 8.0, 9.0, 0.0),  # Yangmingshan
    (24.400, 120.850, 600.0, 30.0, 12.0, 30.0),  # Miaoli hills
    (22.050, 121.550, 400.0, 3.0, 3.0, 0.0),  # Lanyu
    (22.660, 121.490, 200.0, 2.0, 2.0, 0.0),  # Ludao
    (25.900, 118.900, 900.0, 70.0, 45.0, 35.0),  # Fujian
)

RADARS = {
    "Wufenshan": (25.07, 121.77),
    "Hualien": (23.99, 121.62),
    "Qigu": (23.15, 120.07),
    "Kenting": (21.90, 120.85),
}
RADAR_RANGE_KM = 195.0
"""Shorter than the real range, so that the north-west corner of TAIWAN_2KM is unobserved and stand-ins are used."""


def distance_km(
    latitude: npt.ArrayLike, longitude: npt.ArrayLike, latitude_0: float, longitude_0: float
) -> tuple[FloatArray, FloatArray]:
    """Return the distances (east, north) in km from a point, in the plane tangent there; any shape."""
    north = (np.asarray(latitude, dtype=np.float64) - latitude_0) * KM_PER_DEGREE
    east = (np.asarray(longitude, dtype=np.float64) - longitude_0) * KM_PER_DEGREE
    return east * np.cos(np.radians(latitude_0)), north


def land_mask(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return True on land; latitude and longitude in degrees, any shape."""
    latitude, longitude = np.broadcast_arrays(np.asarray(latitude, float), np.asarray(longitude, float))
    land = _inside(latitude, longitude, _COAST_TAIWAN) | _inside(latitude, longitude, _COAST_FUJIAN)
    for latitude_0, longitude_0, north_radius, east_radius in _ISLANDS:
        east, north = distance_km(latitude, longitude, latitude_0, longitude_0)
        land |= (east / east_radius) ** 2 + (north / north_radius) ** 2 < 1.0
    return land


def _inside(
    latitude: FloatArray, longitude: FloatArray, corners: tuple[tuple[float, float], ...]
) -> npt.NDArray[np.bool_]:
    """Even-odd rule: count the edges that a ray to the east crosses."""
    inside = np.zeros(latitude.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y0 != y1:
            crosses = (latitude >= min(y0, y1)) & (latitude < max(y0, y1))
            inside ^= crosses & (longitude < x0 + (latitude - y0) * (x1 - x0) / (y1 - y0))
    return inside


def orography(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> FloatArray:
    """Return the height of the ground in m, 0 over sea, as a 2-km model sees it; degrees, any shape.

    Mountains are anisotropic Gaussians joined by a sixth-power norm; valleys of 6 to 20 km are cut into high ground.
    """
    latitude, longitude = np.broadcast_arrays(np.asarray(latitude, float), np.asarray(longitude, float))
    joined = np.zeros(latitude.shape)
    for latitude_0, longitude_0, height, length, width, axis in _MOUNTAINS:
        east, north = distance_km(latitude, longitude, latitude_0, longitude_0)
        sine, cosine = np.sin(np.radians(axis)), np.cos(np.radians(axis))
        along, across = east * sine + north * cosine, east * cosine - north * sine
        bump = height * np.exp(-0.5 * ((along / length) ** 2 + (across / width) ** 2))
        joined += bump**6
    smooth = joined ** (1.0 / 6.0)
    rough = smooth * (0.87 + 0.12 * _valleys(latitude, longitude)) + 8.0
    return np.where(land_mask(latitude, longitude), np.maximum(rough, 2.0), 0.0)


def _valleys(latitude: FloatArray, longitude: FloatArray) -> FloatArray:
    """Return ridges and valleys in [-1, 1], mostly across the island; a sum of fixed plane waves."""
    east, north = distance_km(latitude, longitude, 23.6, 121.0)
    total = np.zeros(latitude.shape)
    for number in range(14):
        wavelength = 6.0 + 1.1 * number
        direction = np.radians(100.0 * number * 0.618034 % 100.0 + 40.0)
        phase = 2.0 * np.pi * (east * np.cos(direction) + north * np.sin(direction)) / wavelength
        total += np.cos(phase + 2.4 * number**2) * np.sqrt(wavelength / 20.0)
    return np.asarray(np.clip(total / 4.0, -1.0, 1.0), dtype=np.float64)


def radar_coverage(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return True within RADAR_RANGE_KM of one of the four radars; degrees, any shape."""
    covered = np.zeros(np.broadcast(latitude, longitude).shape, dtype=bool)
    for latitude_0, longitude_0 in RADARS.values():
        east, north = distance_km(latitude, longitude, latitude_0, longitude_0)
        covered |= np.hypot(east, north) <= RADAR_RANGE_KM
    return covered
