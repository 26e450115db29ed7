"""Rain accumulated over several hours of a forecast."""

from __future__ import annotations

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput

ACCUMULATION_HOURS = (1, 3, 6, 12)
"""Lengths in hours of the accumulations."""


def accumulate(forecast: xr.Dataset, hours: int) -> xr.DataArray:
    """Return every member's rain (member, lead_time, y, x) in kg m-2 (mm) over the `hours` hours ending at valid_time.

    Sums `tp01` over `hours` consecutive leads, so the result holds the later leads only: from lead `hours` on for a
    forecast that starts at lead 1, and none for a shorter forecast. An interval is never summed in part, nor completed
    with observed hours.
    Raises BadInput unless lead_time goes hour by hour from 1 h or later.
    """
    rain = forecast["tp01"]
    leads = rain["lead_time"].values / np.timedelta64(1, "h")
    if leads[0] < 1 or np.any(np.diff(leads) != 1):
        raise BadInput(f"rain cannot be summed over hours: lead_time is {leads.tolist()} h, allowed are 1, 2, 3, ... h")
    count = max(leads.size - hours + 1, 0)
    total = rain.isel(lead_time=slice(leads.size - count, None)).copy()
    for earlier in range(1, hours if count else 1):
        first = hours - 1 - earlier
        total.values += rain.isel(lead_time=slice(first, first + count)).values
    return total
