"""The probability that a threshold is reached anywhere near a point: of each member the nearby maximum, then the share.

Schwartz and Sobash (2017, doi:10.1175/MWR-D-16-0400.1) call it the neighbourhood maximum ensemble probability; Roberts
et al. (2019, doi:10.1175/BAMS-D-18-0041.1) show it in operations. Where heavy rain falls within a few kilometres, no
two members place it in the same cell, and the probability at a point says little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.products.ensemble import stacked
from stormcast_tw.products.place import grid_of
from stormcast_tw.products.reached import Bits, count, reached
from stormcast_tw.regions.region import Side

RADIUS_KM = 15.0
"""How far from a point "near" is."""


def neighbourhood_probability(
    members: xr.DataArray,
    thresholds: Sequence[float],
    side: Side,
    name: str,
    attributes: Mapping[str, Any],
    radius_km: float = RADIUS_KM,
) -> xr.DataArray:
    """Return the share (lead_time, name, y, x) of the members that reach a threshold at any point within a radius.

    Points are as far apart as `Grid.spacing_km` says: on latitude and longitude 111.195 km a degree, along parallels
    times the cosine of the middle latitude, so that the same circle is drawn everywhere. Points whose distance equals
    the radius count; points outside the grid do not exist. `name` and `attributes` describe the threshold coordinate.
    """
    widths = circle(grid_of(members).spacing_km, radius_km)
    near = [count(_spread(reached(members, edge, side), widths)) / members.sizes["member"] for edge in thresholds]
    return stacked(members, near, name, thresholds, attributes)


def circle(spacing_km: tuple[float, float], radius_km: float) -> list[int]:
    """Return how many points to either side, along x, the circle reaches in its middle row, in the next one, and so on.

    `spacing_km` is that along y and x.
    """
    dy, dx = spacing_km
    rows = np.arange(int(radius_km / dy + _ROUNDING) + 1) * dy
    return [int(width / dx + _ROUNDING) for width in np.sqrt(np.maximum(radius_km**2 - rows**2, 0.0))]


_ROUNDING = 1e-9
"""Of a spacing: a point whose distance is the radius but for rounding counts."""


def _spread(bits: Bits, widths: Sequence[int]) -> Bits:
    """Return the bits with each of them set in the whole circle round it.

    The outermost rows are the narrowest: the row that is spread along x grows from one to the next.
    """
    widened, spread, reach, rows = bits.copy(), np.zeros_like(bits), 0, bits.shape[-2]
    for row in reversed(range(min(len(widths), rows))):
        while reach < widths[row]:
            reach += 1
            widened[..., reach:] |= bits[..., :-reach]
            widened[..., :-reach] |= bits[..., reach:]
        spread[..., row:, :] |= widened[..., : rows - row, :]
        spread[..., : rows - row, :] |= widened[..., row:, :]
    return spread
