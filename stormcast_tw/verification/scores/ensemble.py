"""Pointwise scores of an ensemble, each a map to be summed; one sort of the differences serves them all.

Every function takes `differences` (member, ...), sorted along the member, and returns (...) in float32. They are
implemented here, and tested against the `scores` library, because the library's functions each sort anew, return
float64 and share ties between ranks: on a cycle of 16 members and 11 systems that is seconds against a minute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def differences(members: Array, truth: Array) -> Array:
    """Return members (member, ...) minus truth (...), sorted along the member, in the precision of the members.

    Scores of differences lose no precision to the size of the values: float32 resolves 3e-5 K at 300 K, but 1e-7 K in a
    difference of 1 K.
    """
    difference: Array = members - truth
    difference.sort(axis=0)
    return difference


def fair_crps(sorted_differences: Array) -> Array:
    """Return the fair continuous ranked probability score, mean |x - y| - mean of |x - x'| / 2 over pairs x != x'.

    Ferro (2014, doi:10.1002/qj.2270): its expectation does not depend on the number of members. The sum over pairs is
    sum (2 i - M - 1) x_(i) of the sorted members (Hersbach 2000). One member: the absolute error.
    """
    count = len(sorted_differences)
    distance: Array = np.abs(sorted_differences).mean(axis=0)
    if count == 1:
        return distance
    weight = (2.0 * np.arange(1, count + 1) - count - 1) / (count * (count - 1))
    pairs: Array = np.tensordot(weight.astype(sorted_differences.dtype), sorted_differences, axes=1)
    return distance - pairs


def mean_error(sorted_differences: Array) -> Array:
    """Return the ensemble mean minus the truth."""
    error: Array = sorted_differences.mean(axis=0)
    return error


def variance(sorted_differences: Array) -> Array:
    """Return the unbiased variance of the members (divisor M - 1); 0 for a single member, which has none."""
    if len(sorted_differences) == 1:
        return np.zeros_like(sorted_differences[0])
    spread: Array = sorted_differences.var(axis=0, ddof=1)
    return spread


def rank(sorted_differences: Array, rng: np.random.Generator) -> Array:
    """Return how many members lie below the truth, 0..M; ties (rain: many are 0) are broken at random.

    Hamill (2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2): the truth may take any of the ties + 1 places.
    """
    below: Array = np.count_nonzero(sorted_differences < 0, axis=0)
    ties = np.count_nonzero(sorted_differences == 0, axis=0)
    drawn: Array = (rng.random(below.shape, np.float32) * (ties + 1)).astype(below.dtype)
    below += np.minimum(drawn, ties)
    return below


def fair_energy_score(u: Array, v: Array) -> Array:
    """Return the fair energy score of vector differences: the CRPS with the length of vectors for |x|, in m s-1.

    `u`, `v` are member minus truth (member, ...), in the same order of members, hence unsorted. Gneiting and Raftery
    (2007, doi:10.1198/016214506000001437), fair as in Ferro (2014). One member: the length of the vector error.
    """
    count = len(u)
    distance: Array = np.hypot(u, v).mean(axis=0)
    if count == 1:
        return distance
    pairs = np.zeros_like(distance)
    for apart in range(1, count):
        east, north = u[apart:] - u[:-apart], v[apart:] - v[:-apart]
        east *= east
        north *= north
        east += north
        pairs += np.sqrt(east, out=east).sum(axis=0)
    return distance - pairs / (count * (count - 1))


def spread_over_error(variance_sum: Array, squared_error_sum: Array, members: Array) -> Array:
    """Return sqrt((M + 1) / M x variance) / sqrt(squared error of the mean), of sums over the same points.

    1 for a perfect ensemble of any size (Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1); sums are taken before roots.
    NaN for one member and where there is no error.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = np.sqrt((members + 1) / members * variance_sum / squared_error_sum)
    return np.where((members > 1) & (np.asarray(squared_error_sum) > 0), ratio, np.nan)
