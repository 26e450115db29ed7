"""Wind at 10 m: of every member, and of the ensemble mean vector."""

from __future__ import annotations

import numpy as np
import xarray as xr

BEAUFORT_LIMITS = (0.3, 1.6, 3.4, 5.5, 8.0, 10.8, 13.9, 17.2, 20.8, 24.5, 28.5, 32.7)
"""Lowest speed in m s-1 of Beaufort forces 1 to 12 (WMO-No. 306, code table 1100)."""

BEAUFORT_NAMES = (
    "calm", "light_air", "light_breeze", "gentle_breeze", "moderate_breeze", "fresh_breeze", "strong_breeze",
    "near_gale", "gale", "strong_gale", "storm", "violent_storm", "hurricane",
)  # fmt: skip
"""WMO's names of forces 0 to 12."""


OROGRAPHY = "orog"
"""The height of the ground beside a forecast (y, x), m: the invariant `orog` of the model package."""
LOWLAND_BELOW_M = 500.0
"""Height below which heat and cold are judged where people live; ours, there is no official one."""


def lowland(forecast: xr.Dataset) -> xr.DataArray:
    """Return t2m (member, lead_time, y, x) in K, NaN where the orography is 500 m or more."""
    return forecast["t2m"].where(forecast[OROGRAPHY] < LOWLAND_BELOW_M)


def wind_speed(forecast: xr.Dataset) -> xr.DataArray:
    """Return the speed (member, lead_time, y, x) of every member in m s-1: sqrt(u^2 + v^2)."""
    speed = xr.apply_ufunc(np.hypot, forecast["u10m"], forecast["v10m"])
    return xr.DataArray(speed)


def wind_vector(forecast: xr.Dataset) -> xr.DataArray:
    """Return the wind (member, lead_time, y, x) of every member in m s-1 as the complex number u + i v."""
    u, v = forecast["u10m"], forecast["v10m"]
    vector = np.empty(u.shape, np.complex64)
    vector.real, vector.imag = u.values, v.transpose(*u.dims).values
    return u.copy(data=vector)


def vector_mean_direction(wind: xr.DataArray) -> xr.DataArray:
    """Return where the mean of the vectors u + i v (member, ...) comes from: degrees clockwise from north, [0, 360).

    NaN where the mean vector is exactly zero: it has no direction.
    """
    mean = wind.mean("member", dtype=np.complex128, skipna=False)
    degrees = np.asarray((270.0 - np.degrees(np.angle(mean.values))) % 360.0, np.float32)
    degrees[degrees == 360.0] = 0.0  # 359.99999 rounds to this in float32
    degrees[mean.values == 0] = np.nan
    return mean.copy(data=degrees)


def beaufort(speed: xr.DataArray) -> xr.DataArray:
    """Return the Beaufort force (int8, 0 to 12) of speeds in m s-1, any shape; a limit belongs to the higher force."""
    limits = np.asarray(BEAUFORT_LIMITS, speed.dtype)
    return speed.copy(data=np.searchsorted(limits, speed.values, side="right").astype(np.int8))
