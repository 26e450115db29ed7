"""The daily cycle: how warm the sun has made the ground by a given hour."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from stormcast_tw.simulation.world.chance import hour_time
from stormcast_tw.simulation.world.climate import LATITUDE_0, LONGITUDE_0
from stormcast_tw.solar import cos_zenith

_MEMORY_HOURS = 3.0


@lru_cache(maxsize=4096)
def _sun(hour: int) -> float:
    return max(0.0, float(cos_zenith(hour_time(hour), LATITUDE_0, LONGITUDE_0)))


@lru_cache(maxsize=4096)
def heating(hour: int) -> float:
    """Return the ground's warmth, dimensionless: about 1 on a summer afternoon, -0.35 before dawn, daily mean near 0.

    The sine of the sun's elevation averaged with a memory of three hours, less its mean over the past 24 hours.
    """
    lags = np.arange(24)
    sun = np.array([_sun(hour - int(lag)) for lag in lags])
    weights = np.exp(-lags / _MEMORY_HOURS)
    warmth = float(weights @ sun / weights.sum())
    return 2.2 * (warmth - float(sun.mean()))
