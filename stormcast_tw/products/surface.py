"""Wind at 10 m."""

from __future__ import annotations

import numpy as np
import xarray as xr


def wind_speed(forecast: xr.Dataset) -> xr.DataArray:
    """Return the speed in m s-1 of every member: sqrt(u^2 + v^2)."""
    speed = xr.apply_ufunc(np.hypot, forecast["u10m"], forecast["v10m"])
    return xr.DataArray(speed)


def vector_mean_direction(forecast: xr.Dataset) -> xr.DataArray:
    """Return where the ensemble's mean wind vector comes from, in degrees clockwise from north, [0, 360)."""
    u, v = forecast["u10m"].mean("member"), forecast["v10m"].mean("member")
    direction = xr.apply_ufunc(lambda u, v: np.degrees(np.arctan2(-u, -v)) % 360.0, u, v)
    return xr.DataArray(direction)
