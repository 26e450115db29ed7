"""The probability-matched mean of every neighbourhood by itself, so that a mountain's rain is not placed elsewhere.

Matched over the whole domain, the largest amounts of all members go to wherever the mean is largest, often on the other
side of the island, and small areas of heavy rain shrink (Clark 2017, doi:10.1175/WAF-D-16-0199.1).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.products.ensemble import matched
from stormcast_tw.products.place import grid_of

PATCH_KM, AREA_KM = 32.0, 96.0
"""Distance between the centres of areas, and the side of an area. Snook et al. (2020, doi:10.1029/2020GL087839) found
60 and 180 km good for the plains of the United States; the ratio is theirs, but Taiwan is 140 km wide, and its rain
changes from windward to lee."""

Floats = npt.NDArray[np.float64]


def localised_probability_matched_mean(members: xr.DataArray) -> xr.DataArray:
    """Return the probability-matched mean of areas, joined: (member, lead_time, y, x) -> (lead_time, y, x).

    Areas of 96 km by 96 km, cut at the edges of the grid, lie round centres 32 km apart. Each is matched by itself, as
    `ensemble.probability_matched_mean` does the whole domain; a point takes the mean of the four areas whose centres
    are round it, weighted bilinearly, so that there are no edges between them.
    """
    ordered = members.transpose("member", "lead_time", ...)
    weights = [
        list(_areas(points, spacing))
        for points, spacing in zip(ordered.shape[-2:], grid_of(members).spacing_km, strict=True)
    ]
    joined = np.zeros(ordered.shape[1:], np.float64)
    for rows, weights_y in weights[0]:
        for columns, weights_x in weights[1]:
            area = ordered.values[:, :, rows, columns]
            weight = weights_y[:, None] * weights_x
            for lead in range(area.shape[1]):
                placed = matched(area[:, lead].reshape(len(area), -1)).reshape(weight.shape)
                joined[lead, rows, columns] += weight * placed
    return ordered.isel(member=0, drop=True).copy(data=joined.astype(members.dtype))


def _areas(points: int, spacing_km: float) -> Iterator[tuple[slice, Floats]]:
    """Yield the extent of every area along an axis, and its weights there, which of all areas add to 1 everywhere."""
    step, half = max(round(PATCH_KM / spacing_km), 1), round(AREA_KM / spacing_km / 2)
    for centre in range(0, points - 1 + step, step):
        first, last = max(centre - half, 0), min(centre + half, points)
        weights = np.maximum(1.0 - np.abs(np.arange(first, last) - centre) / step, 0.0)
        yield slice(first, last), weights
