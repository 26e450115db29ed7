"""Standard normal noise, a function of what it is used for (seed, init_time, member, lead, draw) and nothing else."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import as_utc
from stormcast_tw.model.waves import WAVES_A_SIDE, cosines

Array = npt.NDArray[np.float32]
Noise = Callable[[int], Array]
"""Maps a lead in hours to its noise (member, variable, y, x)."""


def standard_normal(
    base_seed: int, init_time: datetime, member: int, lead_hours: int, shape: tuple[int, ...], draw: int = 0
) -> Array:
    """Return standard normal float32 values of `shape`, the same for any batch, order or device.

    The generator is numpy's Philox; its 128-bit key is the BLAKE2b digest of (base_seed, init_time, member, lead_hours,
    draw). The mapping from Philox to normals is numpy's and may change between numpy versions; manifests name the
    version.
    """
    purpose = struct.pack("<Qqqqq", base_seed, int(as_utc(init_time).timestamp()), member, lead_hours, draw)
    key = int.from_bytes(hashlib.blake2b(purpose, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(shape, dtype=np.float32)


def hourly_noise(
    base_seed: int,
    init_time: datetime,
    members: Sequence[int],
    persistence: npt.NDArray[np.float64],
    shape: tuple[int, int],
) -> Noise:
    """Return the noise of `members` by lead: standard normal and white at every lead, correlated in time as given.

    `persistence` (variable, wave) is the correlation of the amplitudes of the widest waves at one lead with those at
    the next: a first-order autoregression, as for the patterns of ECMWF's SPPT (Palmer et al. 2009, Technical
    Memorandum 598), here applied to the amplitudes of the draws themselves, so that the noise at every lead keeps the
    distribution that the networks were trained on.
    """
    y, x = (cosines(size)[:WAVES_A_SIDE] for size in shape)
    persists = persistence.reshape(-1, WAVES_A_SIDE, WAVES_A_SIDE)
    new = np.sqrt(1 - persists**2)

    def white(member: int, lead: int) -> Array:
        return standard_normal(base_seed, init_time, member, lead, (len(persistence), *shape))

    @cache
    def amplitudes(member: int, lead: int) -> npt.NDArray[np.float64]:
        drawn = y @ white(member, lead) @ x.T
        return drawn if lead <= 1 else persists * amplitudes(member, lead - 1) + new * drawn

    def noise(member: int, lead: int) -> Array:
        drawn = white(member, lead)
        if lead <= 1 or not persistence.any():
            return drawn
        difference = amplitudes(member, lead) - y @ drawn @ x.T
        drawn += (y.T @ difference @ x).astype(np.float32)
        return drawn

    return lambda lead: np.stack([noise(member, lead) for member in members])
