"""Simulated QPEPRE: one-hour rain as text, one row (idx lon lat mm) per point, 162 x 275 points of 0.0125 degree.

The rows run west to east, then south to north. The first line is a comment that says SIMULATED. We have seen no real
file and do not know whether it has one; readers such as numpy.loadtxt skip it.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import numpy as np

from stormcast_tw.simulation.files.qpesums import SCALE, observed_rain
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.qpepre import GRID


@lru_cache(maxsize=1)
def _rows() -> list[str]:
    """Return the part of every row that precedes the rain."""
    latitude, longitude = GRID.latlon()
    points = zip(longitude.ravel().tolist(), latitude.ravel().tolist(), strict=True)
    return [f"{number} {x:.4f} {y:.4f} " for number, (x, y) in enumerate(points, start=1)]


def encode(world: World, valid_time: datetime) -> bytes:
    """Return the text of the rain of the hour ending at `valid_time`; -1.00 where no radar sees.

    The text carries no time: clock and stamp are in the file's name (`sources.qpepre.path`).
    """
    raw = observed_rain(world, valid_time, GRID).ravel()
    texts = {value: f"{value / SCALE:.2f}\n" for value in np.unique(raw).tolist()}
    rows = zip(_rows(), raw.tolist(), strict=True)
    return ("# SIMULATED\n" + "".join(before + texts[value] for before, value in rows)).encode()
