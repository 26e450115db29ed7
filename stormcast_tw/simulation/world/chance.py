"""Chance as time-stamped innovations: weather at a time depends on no innovation stamped later.

An innovation belongs to one whole hour and one stream; it is drawn from numpy's Philox keyed by (seed, stream, hour,
branches taken before that hour), so that any hour can be drawn without the hours before it. A process with finite
memory is a moving average of innovations; see `moving_average_kernel`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import as_utc

Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

EPOCH = datetime(1900, 1, 1, tzinfo=UTC)

UPSTREAM = "synoptic"
"""The stream of weather that forms elsewhere and arrives: looking upstream, one can see it before its hour."""
LOCAL = "local"
"""The part of those same innovations that forms here: nobody can see it before its hour."""

STREAMS = {UPSTREAM: 1, LOCAL: 1, "mesoscale": 2, "fine": 3, "cells": 4, "analysis": 5, "global": 6, "gauge": 7}
"""Sources of chance, independent unless they share a number; a number never changes its meaning."""


def hour_index(time: datetime) -> int:
    """Return whole hours since 1900-01-01 UTC; raises ValueError for a time that is not on the hour."""
    index, rest = divmod(as_utc(time) - EPOCH, timedelta(hours=1))
    if rest:
        raise ValueError(f"{time.isoformat()} is not a whole hour; simulated weather is hourly")
    return index


def hour_time(index: int) -> datetime:
    """Return the UTC time of an hour index; the inverse of `hour_index`."""
    return EPOCH + timedelta(hours=index)


class Branch(NamedTuple):
    """Where different chance begins: after `hour`; upstream, `foresight_hours` later, as those are already seen."""

    hour: int
    name: str
    foresight_hours: int = 0

    def matters(self, hour: int, stream: str = "") -> bool:
        """Return whether innovations stamped `hour` differ in this branch; without a stream, whether any of them do."""
        return self.hour + (self.foresight_hours if stream == UPSTREAM else 0) < hour


@dataclass(frozen=True)
class Chance:
    """A seed and the branches taken from it."""

    seed: int
    branches: tuple[Branch, ...] = ()

    def until(self, hour: int, stream: str = "") -> Chance:
        """Return the chance that matters at `hour`, without the branches that do not differ yet.

        Two chances that agree up to `hour` return equal values, so that their common past is computed once.
        """
        if all(branch.matters(hour, stream) for branch in self.branches):
            return self
        return Chance(self.seed, tuple(branch for branch in self.branches if branch.matters(hour, stream)))

    def normals(self, stream: str, hour: int, count: int) -> Array:
        """Return `count` standard normals (count,) stamped `hour`; the array is shared and read-only."""
        draw = _few_normals if count <= 4096 else _many_normals
        return draw(self.until(hour, stream), STREAMS[stream], hour, count)

    def uniforms(self, stream: str, hour: int, count: int) -> Array:
        """Return `count` uniforms in [0, 1) stamped `hour`, independent of the normals; shared and read-only."""
        return _uniforms(self.until(hour, stream), STREAMS[stream], hour, count)


def _generator(chance: Chance, stream: int, hour: int) -> np.random.Generator:
    keys = [_digest(branch.hour, branch.name) for branch in chance.branches]
    entropy = np.random.SeedSequence([chance.seed, stream, hour, *keys])
    return np.random.Generator(np.random.Philox(entropy))


@lru_cache(maxsize=4096)
def _digest(parting: int, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{parting}/{key}".encode()).digest()[:8], "little")


def _draw_normals(chance: Chance, stream: int, hour: int, count: int) -> Array:
    values = _generator(chance, stream, hour).standard_normal(count, dtype=np.float32)
    values.flags.writeable = False
    return values


_few_normals = lru_cache(maxsize=6144)(_draw_normals)
_many_normals = lru_cache(maxsize=24)(_draw_normals)


@lru_cache(maxsize=8192)
def _uniforms(chance: Chance, stream: int, hour: int, count: int) -> Array:
    values = _generator(chance, stream + 100, hour).random(count, dtype=np.float32)
    values.flags.writeable = False
    return values


@lru_cache(maxsize=64)
def moving_average_kernel(memory_hours: float, smooth: bool = False) -> FloatArray:
    """Return the weights (lags,) of a unit-variance process with this memory; lag 0 is the newest innovation.

    Plain: exp(-lag / memory), the moving-average form of a first-order autoregression. Smooth: (lag + 1) exp(-lag /
    memory), nearly differentiable, so that it changes little within an hour. Cut at four memories and tapered to zero.
    """
    lags = np.arange(int(np.ceil(4.0 * memory_hours)))
    weights = np.exp(-lags / memory_hours) * (1.0 - lags / lags.size)
    if smooth:
        weights = weights * (lags + 1.0)
    return np.asarray(weights / np.sqrt(np.sum(weights**2)), dtype=np.float64)
