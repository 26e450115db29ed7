"""Simulated QPESUMS: one-hour rain in the provider's binary `.gz`, 441 x 561 points of 0.0125 degree.

Rows are stored south to north although the header gives the north-west corner, values are in quarters of a
millimetre, missing is -1 mm: outside the radars' range, and outside the simulated box.
"""

from __future__ import annotations

import gzip
import struct
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stormcast_tw.grid import Grid
from stormcast_tw.simulation.box import BOX, Sampler
from stormcast_tw.simulation.chance import hour_index
from stormcast_tw.simulation.geography import radar_coverage
from stormcast_tw.simulation.smooth_error import smooth_errors
from stormcast_tw.simulation.weather import World

GRID = Grid("QPESUMS", 20.0, 27.0, 561, 118.0, 123.5, 441)
SCALE, MISSING = 4, -1
_ERROR = 0.12
"""Standard deviation of the logarithm of the factor on rain: what gauges leave of the radar's error."""


@lru_cache(maxsize=1)
def _observed() -> tuple[npt.NDArray[np.bool_], Sampler]:
    """Which points are observed (561, 441), and the sampler of those points."""
    latitude, longitude = GRID.latlon()
    j, i = BOX.index_of(latitude, longitude)
    inside = (j >= 0) & (j <= BOX.ny - 1) & (i >= 0) & (i <= BOX.nx - 1)
    observed = inside & radar_coverage(latitude, longitude)
    return observed, Sampler(latitude[observed], longitude[observed])


def observed_rain(world: World, valid_time: datetime) -> npt.NDArray[np.int16]:
    """Return the rain of the hour ending at `valid_time` in quarters of a mm (561, 441), south to north; -4 missing."""
    observed, sample = _observed()
    error = smooth_errors(world.chance, "gauge", hour_index(valid_time), 1)[0]
    rain = sample(world.box(valid_time)["tp01"] * np.exp(np.float32(_ERROR) * error))
    raw = np.full(GRID.shape, MISSING * SCALE, dtype=np.int16)
    raw[observed] = np.rint(np.clip(rain, 0.0, 8000.0) * SCALE).astype(np.int16)
    return raw


def encode(world: World, valid_time: datetime) -> bytes:
    """Return the bytes of the file of the hour ending at `valid_time` (layout: provider's, little-endian)."""
    raw = observed_rain(world, valid_time)
    t = valid_time
    header = struct.pack("<9i", t.year, t.month, t.day, t.hour, t.minute, t.second, GRID.nx, GRID.ny, 1)
    header += b"LL  "
    header += struct.pack("<10i", 100, 3000, 6000, 12075, 11800, 2700, 100, 1250, 1250, 100000)
    header += struct.pack("<i", 0)
    header += struct.pack("<2i", 1, 0)
    header += struct.pack("<9i", *[0] * 9)
    header += b"CB_1H_GC Acc\0SIMULAT" + b"mm\0SIM"
    header += struct.pack("<3i", SCALE, MISSING, 1)
    header += b"SIMU"
    return gzip.compress(header + raw.astype("<i2").tobytes(), compresslevel=5, mtime=0)
