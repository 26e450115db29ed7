"""Which members reach a threshold: one bit each, so that neighbourhoods and hours of all members are searched at once.

`Bits` are uint8 (words, lead_time, y, x); a word holds eight members, and bits without a member are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.products.ensemble import HOLDS
from stormcast_tw.regions.region import Side

Bits = npt.NDArray[np.uint8]


def reached(members: xr.DataArray, threshold: float, side: Side) -> Bits:
    """Return where members (member, lead_time, y, x) are at or above, or at or below, a threshold.

    It is compared in the members' precision, as in `ensemble.probability`.
    """
    values = members.transpose("member", "lead_time", ...).values
    edge, bits = values.dtype.type(threshold), np.zeros((-(-len(values) // 8), *values.shape[1:]), np.uint8)
    for number, member in enumerate(values):  # four times as fast as np.packbits along the first axis
        bits[number // 8] |= HOLDS[side](member, edge).view(np.uint8) << np.uint8(number % 8)
    return bits


def count(bits: Bits) -> npt.NDArray[Any]:
    """Return the number of members (lead_time, y, x) whose bit is set."""
    return np.asarray(np.bitwise_count(bits).sum(axis=0, dtype=np.int32))
