"""The seasonal climate of the Taiwan region: profiles on 13 pressure levels and their balance.

Means and seasonal half ranges (positive: larger in summer) follow the statistics of ERA5 over Taiwan for 2019-08 to
2021-12 at 1000, 850, 500 and 250 hPa; the levels between are filled in by hand.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stormcast_tw.simulation.world.chance import hour_time
from stormcast_tw.solar import year_phase

FloatArray = npt.NDArray[np.float64]

LEVELS_HPA = (1000, 925, 850, 700, 600, 500, 400, 300, 250, 200, 150, 100, 50)
R_DRY = 287.05
GRAVITY = 9.80665
LATITUDE_0, LONGITUDE_0 = 23.6, 121.0
CORIOLIS = 2.0 * 7.292e-5 * np.sin(np.radians(LATITUDE_0))

MSL_MEAN, MSL_SUMMER = 101326.0, -620.0
_SUMMER_PEAK = 2.0 * np.pi * 212.0 / 365.25
"""Phase of 31 July: the sea lags the sun by six weeks."""

_T = (
    (296.7, 292.8, 289.1, 281.5, 275.0, 267.3, 256.8, 241.8, 233.5, 222.5, 210.5, 197.5, 209.0),
    (5.3, 5.2, 4.8, 3.6, 3.3, 3.2, 2.9, 2.6, 2.2, 0.8, -1.0, -2.0, 2.0),
)
_U = (
    (-2.4, -1.5, -0.8, 4.0, 7.0, 10.2, 13.0, 15.5, 16.6, 16.0, 10.0, 2.0, -5.0),
    (2.2, 2.2, 1.5, -5.0, -9.0, -13.0, -17.0, -21.0, -23.5, -25.0, -24.0, -15.0, -10.0),
)
_V = (
    (-2.8, -1.5, 0.3, 1.2, 1.8, 2.4, 2.5, 2.0, 1.6, 1.0, 0.0, -0.5, 0.0),
    (5.2, 4.2, 2.4, 0.5, 0.0, -0.7, -1.5, -3.0, -4.0, -5.0, -4.0, -2.0, 0.0),
)
_Q = (
    (14.3, 12.2, 10.3, 6.2, 3.8, 2.17, 1.15, 0.35, 0.141, 0.05, 0.012, 0.0032, 0.0029),
    (5.0, 4.4, 3.4, 2.6, 1.9, 1.4, 0.8, 0.28, 0.11, 0.03, 0.005, 0.0005, 0.0),
)


def summerness(hour: int) -> float:
    """Return the season from -1 (late January) to 1 (31 July)."""
    return float(np.cos(year_phase(hour_time(hour)) - _SUMMER_PEAK))


def season_window(hour: int, centre_day: float, half_width_days: float) -> float:
    """Return a bell curve over the year in [0, 1]: 1 on `centre_day` and 0.61 at `half_width_days` from it."""
    day = year_phase(hour_time(hour)) * 365.25 / (2.0 * np.pi)
    distance = (day - centre_day + 182.625) % 365.25 - 182.625
    return float(np.exp(-0.5 * (distance / half_width_days) ** 2))


@lru_cache(maxsize=64)
def profile(letter: str, summer: float) -> FloatArray:
    """Return the profile (13,) of t (K), u, v (m s-1) or q (kg kg-1) for a season from -1 to 1."""
    mean, amplitude = np.array({"t": _T, "u": _U, "v": _V, "q": _Q}[letter])
    values = mean + amplitude * summer
    return np.asarray(values * (1e-3 if letter == "q" else 1.0))


def log_pressure_integral(profile_values: FloatArray) -> FloatArray:
    """Return the integral (13,) over -d ln p of a profile from 1000 hPa up to each level (trapezoidal rule)."""
    log_p = -np.log(np.array(LEVELS_HPA, dtype=np.float64))
    layers = 0.5 * (profile_values[1:] + profile_values[:-1]) * np.diff(log_p)
    return np.concatenate([[0.0], np.cumsum(layers)])


def log_pressure_slope(profile_values: npt.NDArray[np.complex128] | FloatArray) -> npt.NDArray[np.complex128]:
    """Return the derivative (13,) of a profile with respect to -ln p."""
    log_p = -np.log(np.array(LEVELS_HPA, dtype=np.float64))
    return np.asarray(np.gradient(np.asarray(profile_values, dtype=np.complex128), log_p))


def mean_sea_level_pressure(summer: float) -> float:
    """Return the seasonal sea level pressure at the reference point, Pa."""
    return MSL_MEAN + MSL_SUMMER * summer
