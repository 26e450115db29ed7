"""Scores of rain beyond the single point: fractions in neighbourhoods, and structure, amplitude and location."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array = npt.NDArray[Any]

WINDOWS = (1, 3, 5, 11, 21)
"""Sides of the square neighbourhoods in points: 2 to 42 km on the 2 km grid."""
WET = 0.1
"""Rain in mm from which a point counts as wet in SAL."""
OBJECT_SHARE, OBJECT_QUANTILE = 1 / 15, 0.95
"""A SAL object is where rain reaches 1/15 of the 95 % quantile of the wet points (Wernli et al. 2009)."""


def fractions(events: Array, observed: Array, windows: Sequence[int] = WINDOWS) -> Iterator[Array]:
    """Yield for each window the share of events among its observed points, (..., y, x) float32, 0 where not observed.

    `events` (..., y, x) are whole numbers (of members); `observed` (y, x) marks the points that count. At borders a
    window is cut, both at the edge of the domain and at unobserved points, and its share is of what is left; a truth
    with a missing strip is thus scored like the smaller domain. Libraries pad with zeros, mirror, or drop the border.
    Uses summed-area tables, exact in int32. Raises ValueError for an even window, which has no centre.
    """
    points, counted = (_summed(np.where(observed, counts, 0)) for counts in (np.int32(1), events))
    for window in windows:
        if window % 2 == 0:
            raise ValueError(f"a neighbourhood of {window} points has no centre; allowed are odd numbers")
        weight = observed / np.maximum(_windowed(points, window), 1).astype(np.float32)
        yield _windowed(counted, window) * weight


def _summed(counts: Array) -> Array:
    """Return the summed-area table (..., y + 1, x + 1) of counts (..., y, x)."""
    sums = np.zeros((*counts.shape[:-2], counts.shape[-2] + 1, counts.shape[-1] + 1), np.int32)
    np.cumsum(counts, axis=-2, out=sums[..., 1:, 1:])
    np.cumsum(sums[..., 1:, 1:], axis=-1, out=sums[..., 1:, 1:])
    return sums


def _windowed(sums: Array, window: int) -> Array:
    """Return the sums (..., y, x) over windows cut at the edges, from a summed-area table."""
    for axis in (-2, -1):
        size, half = sums.shape[axis] - 1, window // 2
        last = np.minimum(np.arange(size) + half + 1, size)
        first = np.maximum(np.arange(size) - half, 0)
        sums = np.take(sums, last, axis) - np.take(sums, first, axis)
    return sums


def fraction_errors(forecast: Array, truth: Array) -> tuple[Array, Array]:
    """Return sum (f - o)^2 and sum f^2 + sum o^2 of fractions (..., y, x), each (...), summed pairwise in float32.

    FSS = 1 - first / second (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1), after summing both over cycles
    (Mittermaier 2021, doi:10.1175/MWR-D-18-0106.1): a cycle without events adds 0 to both.
    """
    return _squares(forecast - truth), _squares(forecast) + _squares(truth)


def _squares(maps: Array) -> Array:
    flat = maps.reshape(*maps.shape[:-2], -1)
    total: Array = np.square(flat).sum(axis=-1)
    return total


@dataclass(frozen=True)
class _Shape:
    """What SAL uses of a field: mean, centre of mass (y, x) km, scattering of objects km, mean scaled volume."""

    mean: float
    centre: Array
    scattering: float
    volume: float


def sal(forecast: Array, truth: Array, spacing_km: tuple[float, float]) -> Array:
    """Return structure, amplitude and location of rain fields (y, x) in mm; 0, 0, 0 is perfect.

    Wernli et al. (2008, doi:10.1175/2008MWR2415.1), thresholds of Wernli et al. (2009); objects are connected at
    sides or corners; `spacing_km` is (dy, dx). Points that are NaN in either field count in neither. Structure and
    amplitude are NaN if both fields are dry and +-2 if one is; location is NaN if either is dry. pysteps' SAL needs
    scikit-image and drops objects below 50 points.
    """
    both = np.isfinite(forecast) & np.isfinite(truth)
    if not both.any():
        return np.full(3, np.nan)
    f, o = (_shape(np.where(both, field, 0.0), int(both.sum()), spacing_km) for field in (forecast, truth))
    if f is None and o is None:
        return np.full(3, np.nan)
    if f is None or o is None:
        sign = 2.0 if o is None else -2.0
        return np.array([sign, sign, np.nan])
    farthest = float(np.hypot(*((size - 1) * step for size, step in zip(truth.shape, spacing_km, strict=True))))
    location = (np.hypot(*(f.centre - o.centre)) + 2 * abs(f.scattering - o.scattering)) / farthest
    return np.array([_relative(f.volume, o.volume), _relative(f.mean, o.mean), location])


def _relative(forecast: float, truth: float) -> float:
    return 2 * (forecast - truth) / (forecast + truth)


def _shape(rain: Array, points: int, spacing_km: tuple[float, float]) -> _Shape | None:
    """Return what SAL uses of a field, None for a dry one; a field below WET everywhere is dry."""
    wet = rain[rain >= WET]
    if not wet.size:
        return None
    labels, count = ndimage.label(rain >= OBJECT_SHARE * np.quantile(wet, OBJECT_QUANTILE), np.ones((3, 3)))
    inside = labels > 0
    amount, of = rain[inside], labels[inside] - 1
    total, peak = np.bincount(of, amount, count), np.zeros(count)
    np.maximum.at(peak, of, amount)
    centres = [np.bincount(of, amount * place, count) / total for place in _places(inside, spacing_km)]
    centre = np.array([np.average(place, weights=rain[rain > 0]) for place in _places(rain > 0, spacing_km)])
    distances = np.hypot(centres[0] - centre[0], centres[1] - centre[1])
    return _Shape(
        mean=float(rain.sum(dtype=np.float64)) / points,
        centre=centre,
        scattering=float(np.average(distances, weights=total)),
        volume=float(np.average(total / peak, weights=total)),
    )


def _places(where: Array, spacing_km: tuple[float, float]) -> list[Array]:
    """Return y and x in km of the chosen points."""
    return [index * step for index, step in zip(np.nonzero(where), spacing_km, strict=True)]
