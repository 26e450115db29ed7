"""Where and when a cycle takes place: the parts of the domain, and sums over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import as_utc
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import KM_PER_DEGREE

Array = npt.NDArray[Any]

REGIONS = ("all", "land", "sea", "above_1000m")
_PARTS = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [1, 1, 0, 1]], np.float64)
"""Which of REGIONS the parts of the domain belong to: sea, land below 1000 m, land above."""


@dataclass(frozen=True)
class Strata:
    """Where and when a cycle takes place: masks (latitude, longitude) of land and of land above 1000 m, regime, time.

    Sea is all that is not land. Raises BadInput if a point above 1000 m is not land or the masks differ in shape, and
    ValueError for a naive time.
    """

    land: xr.DataArray
    above_1000m: xr.DataArray
    regime: str
    init_time: datetime
    part: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        land, high = (np.asarray(mask.values, bool) for mask in (self.land, self.above_1000m))
        if land.shape != high.shape or bool((high & ~land).any()):
            raise BadInput(f"masks: land is {land.shape}, above 1000 m {high.shape}; the second must lie in the first")
        object.__setattr__(self, "init_time", as_utc(self.init_time))
        object.__setattr__(self, "part", land.astype(np.int8) + high)


@dataclass(frozen=True)
class Frame:
    """What all systems of a cycle share: its strata, spacing (dy, dx) in km, lead hours, seed, sizes of the axes."""

    strata: Strata
    spacing_km: tuple[float, float]
    leads: tuple[int, ...]
    seed: int
    sizes: Mapping[str, int]

    def regions(self, maps: Array, counts: Array) -> Array:
        """Return the sums (k, region) of maps (k, y, x) over the points where `counts` (y, x) is true."""
        parts = self.strata.part[counts]
        chosen = np.stack([np.bincount(parts, values, 3) for values in maps[:, counts]])
        return chosen @ _PARTS

    def table(self, key: Array, counts: Array, size: int) -> Array:
        """Return how often (region, size) each value 0..size-1 of `key` (y, x) occurs where `counts` is true."""
        places = self.strata.part[counts].astype(np.intp) * size + key[counts]
        occurrences: Array = _PARTS.T @ np.bincount(places, minlength=3 * size).reshape(3, size)
        return occurrences

    def rng(self, system: str, variable: str, lead: int) -> np.random.Generator:
        """Return the generator that breaks the ties of one variable at one lead."""
        hour = int(self.strata.init_time.timestamp()) // 3600
        return np.random.default_rng((self.seed, hour, crc32(system.encode()), crc32(variable.encode()), lead))


def spacing_km(truth: xr.Dataset, horizontal: tuple[str, ...]) -> tuple[float, float]:
    """Return (dy, dx) in km; dx from degrees at the mean latitude, from which it differs by up to 2 % over Taiwan."""
    dy, dx = (float(np.ptp(truth[dim].values)) / (truth.sizes[dim] - 1) for dim in horizontal)
    if horizontal != ("latitude", "longitude"):
        return dy / 1000, dx / 1000
    return dy * KM_PER_DEGREE, dx * KM_PER_DEGREE * float(np.cos(np.radians(truth["latitude"].values.mean())))
