"""Simulated QPESUMS: one-hour rain and composite reflectivity in the provider's binary `.gz`, on 0.0125 degree.

Rows are stored south to north although the header gives the north-west corner. Rain is in quarters of a millimetre on
441 x 561 points, with -1 mm for missing: outside the radars' range and outside the simulated box. Reflectivity is in
tenths of dBZ on 921 x 881 points, with -999 outside coverage and -99 where there is no echo.
"""

from __future__ import annotations

import gzip
import struct
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stormcast_tw.grid import Grid
from stormcast_tw.simulation.world.box import BOX, Sampler
from stormcast_tw.simulation.world.chance import hour_index
from stormcast_tw.simulation.world.geography import radar_coverage
from stormcast_tw.simulation.world.smooth_error import smooth_errors
from stormcast_tw.simulation.world.weather import World

GRID = Grid("QPESUMS", 20.0, 27.0, 561, 118.0, 123.5, 441)
REFLECTIVITY_GRID = Grid("QPESUMS", 18.0, 29.0, 881, 115.0, 126.5, 921)
SCALE, MISSING = 4, -1
REFLECTIVITY_SCALE, OUTSIDE, NO_ECHO = 10, -999, -99
_ERROR = 0.12
"""Standard deviation of the logarithm of the factor on rain: the radar's error that remains after gauge correction."""

_MARSHALL_PALMER = (200.0, 1.6)
"""Z = 200 R^1.6, mm6 m-3 from mm h-1 (Marshall and Palmer 1948). R is the mean of the hour that ends at the valid time:
simulated rain has no finer time resolution, so simulated echoes are smoother and weaker than real ones."""
_LEAST_RAIN = 0.1
"""mm h-1: below it (7 dBZ) there is no echo."""


@lru_cache(maxsize=4)
def _observed(grid: Grid) -> tuple[npt.NDArray[np.bool_], Sampler]:
    """Return which points of a grid (ny, nx) are observed, and the sampler of those points."""
    latitude, longitude = grid.latlon()
    j, i = BOX.index_of(latitude, longitude)
    inside = (j >= 0) & (j <= BOX.ny - 1) & (i >= 0) & (i <= BOX.nx - 1)
    observed = inside & radar_coverage(latitude, longitude)
    return observed, Sampler(latitude[observed], longitude[observed])


def observed_rain(world: World, valid_time: datetime, grid: Grid = GRID) -> npt.NDArray[np.int16]:
    """Return the rain of the hour ending at `valid_time` in quarters of a mm (ny, nx), south to north; -4 missing."""
    observed, sample = _observed(grid)
    error = smooth_errors(world.chance, "gauge", hour_index(valid_time), 1)[0]
    rain = sample(world.box(valid_time)["tp01"] * np.exp(np.float32(_ERROR) * error))
    raw = np.full(grid.shape, MISSING * SCALE, dtype=np.int16)
    raw[observed] = np.rint(np.clip(rain, 0.0, 8000.0) * SCALE).astype(np.int16)
    return raw


def observed_reflectivity(world: World, valid_time: datetime) -> npt.NDArray[np.int16]:
    """Return the composite reflectivity in tenths of dBZ (881, 921), south to north; -9990 outside, -990 no echo."""
    observed, sample = _observed(REFLECTIVITY_GRID)
    rain = sample(world.box(valid_time)["tp01"])
    factor, power = _MARSHALL_PALMER
    dbz = 10.0 * np.log10(factor) + 10.0 * power * np.log10(np.maximum(rain, _LEAST_RAIN))
    raw = np.full(REFLECTIVITY_GRID.shape, OUTSIDE * REFLECTIVITY_SCALE, dtype=np.int16)
    echo = np.rint(dbz * REFLECTIVITY_SCALE)
    raw[observed] = np.where(rain < _LEAST_RAIN, NO_ECHO * REFLECTIVITY_SCALE, echo).astype(np.int16)
    return raw


def encode(world: World, valid_time: datetime) -> bytes:
    """Return the bytes of the file of the hour ending at `valid_time` (the provider's layout, little-endian)."""
    names = b"CB_1H_GC Acc\0SIMULAT" + b"mm\0SIM"
    return _pack(observed_rain(world, valid_time), valid_time, GRID, 100, names, (SCALE, MISSING))


def encode_reflectivity(world: World, valid_time: datetime) -> bytes:
    """Return the bytes of the composite reflectivity of `valid_time`."""
    names = b"composite ref\0SIMULA" + b"dBZ\0SI"
    codes = (REFLECTIVITY_SCALE, OUTSIDE)
    return _pack(observed_reflectivity(world, valid_time), valid_time, REFLECTIVITY_GRID, 1000, names, codes)


def _pack(
    raw: npt.NDArray[np.int16], t: datetime, grid: Grid, map_scale: int, names: bytes, codes: tuple[int, int]
) -> bytes:
    west, north = round(grid.x_first * map_scale), round(grid.y_last * map_scale)
    header = struct.pack("<9i", t.year, t.month, t.day, t.hour, t.minute, t.second, grid.nx, grid.ny, 1)
    header += b"LL  "
    header += struct.pack("<10i", map_scale, 3000, 6000, 12075, west, north, map_scale, 1250, 1250, 100000)
    header += struct.pack("<i", 0)
    header += struct.pack("<2i", 1, 0)
    header += struct.pack("<9i", *[0] * 9)
    header += names
    header += struct.pack("<3i", *codes, 1)
    header += b"SIMU"
    return gzip.compress(header + raw.astype("<i2").tobytes(), compresslevel=5, mtime=0)
