"""On what points a forecast is, which may be a part of the grid that was forecast."""

from __future__ import annotations

import json

import xarray as xr

from stormcast_tw.grid import Grid


def horizontal(forecast: xr.Dataset | xr.DataArray) -> tuple[str, str]:
    """Return the names of the two horizontal dimensions, y first."""
    return ("y", "x") if "y" in forecast.dims else ("latitude", "longitude")


def grid_of(forecast: xr.Dataset | xr.DataArray) -> Grid:
    """Return the grid of the points of a forecast, or of one of its fields; raises ValueError for uneven axes."""
    y, x = horizontal(forecast)
    crs = forecast["crs"].attrs
    return Grid.from_axes(crs["grid_name"], forecast[y], forecast[x], json.loads(crs.get("projection", "{}")))
