"""The CF conventions of a NetCDF or Zarr variable: its times, its packing, and the part of a map around a grid.

CF Conventions 1.11, sections 2.5.1 (missing data), 4.4 (time coordinate) and 8.1 (packed data).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.sources.formats.arrays import MARGIN_DEGREES
from stormcast_tw.sources.formats.grib import Box, Window
from stormcast_tw.sources.formats.netcdf import Array

FloatArray = npt.NDArray[np.float64]

LONGEST_AXIS = 2_000_000
"""Most values of an axis: an hourly one from 1900 reaches 1.5 million in 2071."""

_UNITS = re.compile(
    r"(second|minute|hour|day)s? since (\d{4})-(\d\d?)-(\d\d?)"
    r"(?:[ T](\d\d?):(\d\d)(?::(\d\d)(?:\.0*)?)?)?(?: ?(?:Z|UTC))?"
)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_FARTHEST = 1e10
"""Most seconds from a reference time: three centuries."""


def times(values: FloatArray, attributes: Mapping[str, Any], address: str) -> npt.NDArray[np.datetime64]:
    """Convert a time coordinate's `column` to datetime64[ns] by its `units` and `calendar`; raises BadInput."""
    units, calendar = str(attributes.get("units")), str(attributes.get("calendar", "standard"))
    match = _UNITS.fullmatch(units)
    if match is None or calendar not in _CALENDARS:
        raise BadInput(
            f"{address}: its time is in {units!r} of calendar {calendar!r}; allowed e.g. 'hours since 1900-01-01'"
        )
    unit, year, month, day, *clock = match.groups()
    hour, minute, second = (int(part or 0) for part in clock)
    try:
        start = np.datetime64(f"{year}-{int(month):02}-{int(day):02}T{hour:02}:{minute:02}:{second:02}", "s")
    except ValueError:
        raise BadInput(f"{address}: its time is in {units!r}, which is not a date") from None
    seconds = values * _SECONDS[unit]
    if not np.all(np.abs(seconds) <= _FARTHEST):
        raise BadInput(
            f"{address}: its time reaches {np.max(np.abs(seconds)):.6g} s from {start}; allowed {_FARTHEST:g}"
        )
    return np.asarray(start + np.round(seconds).astype("timedelta64[s]"), "datetime64[ns]")


def unpacked(values: npt.NDArray[Any], attributes: Mapping[str, Any], name: str, address: str) -> FloatArray:
    """Apply a variable's scale_factor and add_offset to its values; those marked as missing become NaN."""
    numbers = _numbers(values, name, address)
    out = numbers * _attribute(attributes, "scale_factor", 1.0, address) + _attribute(
        attributes, "add_offset", 0.0, address
    )
    for marker in ("_FillValue", "missing_value"):
        if marker in attributes:
            out[numbers == _attribute(attributes, marker, np.nan, address)] = np.nan
    return out


def column(variable: Array, address: str) -> FloatArray:
    """Return a coordinate's values (n,); raises BadInput unless they are finite numbers along one dimension."""
    if len(variable.shape) != 1 or not 1 <= variable.shape[0] <= LONGEST_AXIS:
        raise BadInput(
            f"{address}: {variable.name} has shape {variable.shape}; allowed one dimension of 1 to {LONGEST_AXIS}"
        )
    numbers = _numbers(variable.read(), variable.name, address)
    if not np.isfinite(numbers).all():
        raise BadInput(f"{address}: {variable.name} holds {numbers[~np.isfinite(numbers)][0]}; allowed finite numbers")
    return numbers


def window(latitude: FloatArray, longitude: FloatArray, around: Grid, address: str) -> Window:
    """Return the rows and columns around a grid, a margin included, south to north and west to east.

    Longitudes may count from 0, 180 or -180. Raises BadInput where the axes are uneven or do not cover the grid.
    """
    farthest = float(np.max(np.abs(latitude))), float(np.max(np.abs(longitude)))
    if farthest[0] > 90.001 or farthest[1] > 720:
        raise BadInput(f"{address}: latitude reaches {farthest[0]:g}, longitude {farthest[1]:g}; allowed 90 and 720")
    box, inner = Box.around(around, MARGIN_DEGREES), Box.around(around, 0.0)
    longitude = box.west + np.mod(np.round(longitude - box.west, 6), 360.0)
    rows, columns = np.argsort(latitude), np.argsort(longitude)
    rows = rows[(latitude[rows] >= box.south) & (latitude[rows] <= box.north)]
    columns = columns[longitude[columns] <= box.east]
    y, x = latitude[rows], longitude[columns]
    covered = min(y.size, x.size) >= 2 and (
        y[0] <= inner.south and y[-1] >= inner.north and x[0] <= inner.west and x[-1] >= inner.east
    )
    if not covered:
        raise BadInput(f"{address}: its {y.size} x {x.size} points near {inner} do not cover it; it must be covered")
    try:
        grid = Grid.from_axes("latlon", y, x)
    except ValueError as error:
        raise BadInput(f"{address}: {error}") from error
    return Window(tuple(rows.tolist()), tuple(columns.tolist()), grid)


def cut(values: npt.NDArray[Any], part: Window) -> npt.NDArray[Any]:
    """Return the window's part of maps (..., latitude, longitude)."""
    return values[..., np.array(part.rows)[:, None], np.array(part.columns)]


def _numbers(values: npt.NDArray[Any], name: str, address: str) -> FloatArray:
    if values.dtype.kind not in "iuf":
        raise BadInput(f"{address}: {name} holds {values.dtype}; allowed numbers")
    return np.asarray(values, np.float64)


def _attribute(attributes: Mapping[str, Any], name: str, default: float, address: str) -> float:
    try:
        return float(attributes.get(name, default))
    except (TypeError, ValueError):
        raise BadInput(f"{address}: attribute {name} is {attributes[name]!r}; allowed a number") from None
