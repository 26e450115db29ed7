"""A forecast in a few numbers per hour."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.products.surface import beaufort


def summarise(products: xr.Dataset) -> list[dict[str, Any]]:
    """Return one row per lead for people in a hurry: the domain's temperature range, highest wind and highest rain.

    The probability is that of the most endangered grid point, not of an exceedance anywhere in the domain.
    """
    return [_row(products.isel(lead_time=lead)) for lead in range(products.sizes["lead_time"])]


def _row(here: xr.Dataset) -> dict[str, Any]:
    celsius = here["t2m_mean"] - 273.15
    windy = here["wind_speed_quantile"].sel(quantile=0.9).max()
    heavy = here["tp01_probability"].sel(tp01_threshold=40.0).max()
    return {
        "lead (h)": int(here["lead_time"] / np.timedelta64(1, "h")),
        "valid (UTC)": str(here["valid_time"].values)[:16],
        "mean temp. (°C)": f"{float(celsius.min()):.1f} to {float(celsius.max()):.1f}",
        "wind mean (m/s)": f"{float(here['wind_speed_mean'].max()):.1f}",
        "p90 (m/s)": f"{float(windy):.1f}",
        "p90 (Bft)": str(int(beaufort(windy))),
        "rain mean (mm)": f"{float(here['tp01_mean'].max()):.1f}",
        "p90 (mm)": f"{float(here['tp01_quantile'].sel(quantile=0.9).max()):.1f}",
        "P(≥ 40 mm)": f"{float(heavy):.0%}",
    }
