"""When, and whether at all: what members reach at any hour since init_time, and the hour at which half of them have.

At leads 3, 6 and 12 the fields hold for the next 3, 6 and 12 hours. Only the hours of the forecast are searched, and of
a member first its highest hour is taken, then the share of the members or their quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.products.ensemble import stacked
from stormcast_tw.products.reached import Bits, count, reached
from stormcast_tw.regions.region import Side


def highest(members: xr.DataArray) -> xr.DataArray:
    """Return each member's highest value (member, lead_time, y, x) since init_time, in its units."""
    axis = members.get_axis_num("lead_time")
    return members.copy(data=np.maximum.accumulate(members.values, axis=axis))


def reached_probability(
    members: xr.DataArray, thresholds: Sequence[float], side: Side, name: str, attributes: Mapping[str, Any]
) -> xr.DataArray:
    """Return the share (lead_time, name, y, x) of the members that have reached a threshold at least once by then.

    `name` and `attributes` describe the threshold coordinate, in the units of the members.
    """
    shares = [count(_by_then(members, edge, side)) / members.sizes["member"] for edge in thresholds]
    return stacked(members, shares, name, thresholds, attributes)


def onset(
    members: xr.DataArray, thresholds: Sequence[float], side: Side, name: str, attributes: Mapping[str, Any]
) -> xr.DataArray:
    """Return the lead time in hours (name, y, x) at which half of the members have reached a threshold.

    NaN where fewer than half do. It is the lower median of the members' first hours, a member that never reaches the
    threshold counting as later than all others. `name` and `attributes` describe the threshold coordinate.
    """
    leads = np.asarray(members["lead_time"].values / np.timedelta64(1, "h"), members.dtype)
    layers = []
    for edge in thresholds:
        half = 2 * count(_by_then(members, edge, side)) >= members.sizes["member"]
        layers.append(np.where(half[-1], leads[half.argmax(axis=0)], np.nan)[None])
    return stacked(members.isel(lead_time=[-1]), layers, name, thresholds, attributes).isel(lead_time=0, drop=True)


def _by_then(members: xr.DataArray, threshold: float, side: Side) -> Bits:
    return np.bitwise_or.accumulate(reached(members, threshold, side), axis=1)
