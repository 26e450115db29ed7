"""Rain over several hours of which the first have been observed, and the last are forecast.

At lead k the sum over n hours is the observed rain of (T+k-n, T] plus the member's rain of (T, T+k], T being init_time.
What was not observed is not counted, so there the sum is "at least": `missing_hours` says where and how many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products.place import horizontal
from stormcast_tw.products.rain import accumulate

PROJECTED_HOURS = (3, 6, 12, 24)
"""Lengths in hours of the projected sums."""

OBSERVED = "observed"
"""The observed rain beside a forecast: (age, y, x), age 0 being the hour that ends at init_time."""

_DAY = 24
_HOUR = np.timedelta64(1, "h")
REACHED_BEFORE = ("not_reached", "reached", "not_known")
"""What `reached_before` says: 0, 1 or 2."""


def with_observed(forecast: xr.Dataset, observed: xr.Dataset | None) -> xr.Dataset:
    """Return the forecast with `observed` (age = 24, y, x), mm, of the hours of rain that end at init_time or before.

    `observed` holds `tp01` (valid_time, y, x) on the forecast's grid, NaN where no radar sees. An hour that it does not
    have is NaN everywhere, one that is older than a day is not used. Without any hour the forecast is returned alone.
    Raises BadInput for another grid, a time that is after init_time or not on the hour, and rain that cannot be.
    """
    if observed is None or not observed.sizes["valid_time"]:
        return forecast
    y, x = horizontal(forecast)
    for axis in (y, x):
        if axis not in observed.coords or not np.array_equal(observed[axis].values, forecast[axis].values):
            raise BadInput(f"observed rain: {axis} is not the forecast's; allowed is the forecast's grid only")
    ages = (forecast["init_time"].values - observed["valid_time"].values) / _HOUR
    for time, age in zip(observed["valid_time"].values, ages, strict=True):
        if age < 0 or age % 1 or np.count_nonzero(ages == age) > 1:
            stated = np.datetime_as_string(time, "m")
            raise BadInput(f"observed rain: valid_time {stated}; allowed are single whole hours up to init_time")
    rain = observed["tp01"].transpose("valid_time", y, x).values
    if np.isinf(rain).any() or (rain < 0).any():
        raise BadInput(f"observed rain: tp01 spans {np.nanmin(rain):g} to {np.nanmax(rain):g} kg m-2; allowed from 0")
    aged = np.full((_DAY, *rain.shape[1:]), np.nan, np.float32)
    used = ages < _DAY
    aged[ages[used].astype(int)] = rain[used]
    return forecast.assign({OBSERVED: (("age", y, x), aged)})


def projected(forecast: xr.Dataset, hours: int) -> xr.DataArray:
    """Return every member's rain (member, lead_time, y, x) in kg m-2 over the `hours` hours ending at valid_time.

    Of an hour before init_time that was not observed nothing is counted: see `missing_hours`. If no hour was observed
    at all, the sums are those of `accumulate`, which begin at lead `hours`. At these leads both are always the same.
    Raises BadInput unless lead_time goes hour by hour from 1 h.
    """
    if OBSERVED not in forecast:
        return accumulate(forecast, hours)
    total = accumulate(forecast, 1)
    if (first := total["lead_time"].values[0] / _HOUR) != 1:
        raise BadInput(f"rain cannot be joined to what was observed: the first lead_time is {first:g} h, allowed 1 h")
    rain = forecast["tp01"].values
    for earlier in range(1, min(hours, total.sizes["lead_time"])):
        total.values[:, earlier:] += rain[:, :-earlier]
    before = np.nancumsum(forecast[OBSERVED].values, axis=0, dtype=np.float64)
    for lead in range(1, min(hours, total.sizes["lead_time"] + 1)):
        total.values[:, lead - 1] += before[hours - lead - 1].astype(total.dtype)
    return total


def missing_hours(forecast: xr.Dataset, hours: int) -> xr.DataArray:
    """Return how many of the hours before init_time that a projected sum needs were not observed (lead_time, y, x).

    int8, 0 to hours - 1. Where it is not 0, the sum is a lower bound. `forecast` has `observed` beside it.
    """
    rain = forecast["tp01"].isel(member=0, drop=True)
    leads = (rain["lead_time"].values / _HOUR).astype(int)
    unknown = np.cumsum(np.isnan(forecast[OBSERVED].values), axis=0, dtype=np.int8)
    nothing = np.zeros(rain.shape[1:], np.int8)
    needed = [unknown[hours - lead - 1] if lead < hours else nothing for lead in leads]
    return rain.copy(data=np.stack(needed))


def reached_before(
    forecast: xr.Dataset, hours: int, thresholds: Sequence[float], name: str, attributes: Mapping[str, Any]
) -> xr.DataArray:
    """Return whether the observed rain of (T - hours, T] alone reaches each threshold: (name, y, x), int8.

    Values are the places in REACHED_BEFORE: where hours are missing and the others do not reach it, it is not known.
    `name` and `attributes` describe the threshold coordinate, in kg m-2. `forecast` has `observed` beside it.
    """
    hourly = forecast[OBSERVED].values[:hours]
    total = np.nansum(hourly, axis=0, dtype=np.float64).astype(np.float32)
    otherwise = np.where(np.isnan(hourly).any(axis=0), 2, 0)
    layers = [np.where(total >= np.float32(edge), 1, otherwise).astype(np.int8) for edge in thresholds]
    template = forecast["tp01"].isel(member=0, lead_time=0, drop=True)
    coordinate = (name, np.asarray(thresholds, np.float64), dict(attributes))
    return xr.DataArray(np.stack(layers), dims=(name, *template.dims), coords={**template.coords, name: coordinate})
