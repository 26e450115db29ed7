"""Standard normal noise that depends on what it is for and on nothing else."""

from __future__ import annotations

import hashlib
import struct
from datetime import datetime

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import as_utc


def standard_normal(
    base_seed: int, init_time: datetime, member: int, lead_hours: int, shape: tuple[int, ...], draw: int = 0
) -> npt.NDArray[np.float32]:
    """Return standard normal float32 values of `shape`, the same whatever the batch, the order or the device.

    numpy's Philox generator, its 128-bit key the BLAKE2b digest of (base_seed, init_time, member, lead_hours, draw).
    The mapping from Philox to normals is numpy's and may change between numpy versions; manifests name the version.
    """
    what = struct.pack("<Qqqqq", base_seed, int(as_utc(init_time).timestamp()), member, lead_hours, draw)
    key = int.from_bytes(hashlib.blake2b(what, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(shape, dtype=np.float32)
