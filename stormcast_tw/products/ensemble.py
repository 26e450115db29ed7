"""Statistics over the ensemble, computed from the values of every member.

Each takes (member, lead_time, ...) and returns (lead_time, ...) or (lead_time, coordinate, ...) in the precision of the
members, without attributes.
Members must be finite: a NaN would count as "not exceeded", so `make_products` refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.regions.region import Side

QUANTILES = (0.1, 0.5, 0.9)
Array = npt.NDArray[Any]
HOLDS: dict[Side, Callable[[Array, Array], Array]] = {"at or above": np.greater_equal, "at or below": np.less_equal}
"""What reaching a threshold means on either side."""


def mean(members: xr.DataArray) -> xr.DataArray:
    """Return the ensemble mean (...), summed in float64."""
    return members.mean("member", dtype=np.float64, skipna=False).astype(members.dtype)


def spread(members: xr.DataArray) -> xr.DataArray:
    """Return the sample standard deviation (...): squared deviations over M - 1 (ddof = 1), for M >= 2 members.

    With M - 1 its square is the unbiased variance, which is what spread-skill ratios compare (Fortin et al. 2014).
    Raises ValueError for a single member.
    """
    if members.sizes["member"] < 2:
        raise ValueError("the spread of one member is not defined")
    return members.std("member", ddof=1, skipna=False)


def quantiles(members: xr.DataArray, levels: Sequence[float] = QUANTILES) -> xr.DataArray:
    """Return the quantiles (lead_time, quantile, ...), by default 10, 50 and 90 %.

    Linear between order statistics at rank q (M - 1), numpy's default (Hyndman and Fan 1996, type 7).
    """
    ordered = np.sort(members.values, axis=members.get_axis_num("member"))
    rank = np.moveaxis(ordered, members.get_axis_num("member"), 0)
    layers = []
    for position in (level * (len(rank) - 1) for level in levels):
        low, high = rank[int(np.floor(position))], rank[int(np.ceil(position))]
        layers.append(low + (high - low) * members.dtype.type(position % 1))
    return stacked(members, layers, "quantile", levels, {"long_name": "quantile of the ensemble", "units": "1"})


def probability(
    members: xr.DataArray, thresholds: Sequence[float], side: Side, name: str, attributes: Mapping[str, Any]
) -> xr.DataArray:
    """Return the share (lead_time, name, ...) of the members at or above, or at or below, a threshold: 0, 1/M, ..., 1.

    `name` and `attributes` describe the threshold coordinate, in the units of the members. A threshold is compared in
    the members' precision: a float32 speed of 20.8 reaches 20.8, although its binary value is less.
    """
    axis, holds = members.get_axis_num("member"), HOLDS[side]
    edges = np.asarray(thresholds, members.dtype)
    layers = [np.count_nonzero(holds(members.values, edge), axis=axis) / members.sizes["member"] for edge in edges]
    return stacked(members, layers, name, thresholds, attributes)


def probability_matched_mean(members: xr.DataArray) -> xr.DataArray:
    """Return the mean's pattern with the members' distribution: (member, lead_time, y, x) -> (lead_time, y, x).

    Ebert (2001, doi:10.1175/1520-0493(2001)129<2461:AOAPMS>2.0.CO;2), with the median of each block in place of every
    M-th value. At each lead separately, the M N values of all members at all N points are pooled and sorted, and the
    median of the n-th block of M goes to the point whose ensemble mean is n-th. Of points with equal means the earlier
    in grid order (south to north, west to east) takes the smaller value.
    """
    ordered = members.transpose("member", "lead_time", ...)
    placed = [matched(lead.reshape(len(lead), -1)) for lead in np.moveaxis(ordered.values, 1, 0)]
    template = ordered.isel(member=0, drop=True)
    return template.copy(data=np.reshape(placed, template.shape))


def matched(members_mn: Array) -> Array:
    """Return the probability-matched mean (points,) of members (member, points)."""
    members, points = members_mn.shape
    blocks = np.sort(members_mn, axis=None).reshape(points, members)
    medians = (blocks[:, (members - 1) // 2] + blocks[:, members // 2]) / 2
    placed: Array = np.empty_like(medians)
    placed[np.argsort(members_mn.mean(axis=0, dtype=np.float64), kind="stable")] = medians
    return placed


def stacked(
    members: xr.DataArray, layers: Sequence[Array], name: str, at: Sequence[float], attributes: Mapping[str, Any]
) -> xr.DataArray:
    """Return maps (lead_time, ...) of members (member, lead_time, ...), one a value of a coordinate, in one array.

    It is (lead_time, name, ...) in the members' precision; `at` are the values of the coordinate `name`.
    """
    template = members.isel(member=0, drop=True)
    coordinate = (name, np.asarray(at, np.float64), dict(attributes))
    data = np.stack([layer.astype(members.dtype, copy=False) for layer in layers], axis=1)
    return xr.DataArray(
        data, dims=(template.dims[0], name, *template.dims[1:]), coords={**template.coords, name: coordinate}
    )
