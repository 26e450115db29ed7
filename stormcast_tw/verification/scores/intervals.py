"""How certain a score is: block bootstrap over cycles, for scores that are functions of sums.

Resampling cycles and adding them up is one matrix product: (resamples x cycles) times (cycles x statistics). The
`scores` library's block bootstrap copies the data for every resample (a thousand times the statistics of a year) and
draws from numpy's global generator; here the seed is an argument and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats

from stormcast_tw.verification.scores.statistics import SCORES, Score, align

Array = npt.NDArray[Any]
Formula = Callable[[xr.Dataset], xr.DataArray]

RESAMPLES, LEVEL = 1000, 0.95
SAME_SAMPLE = 0.01
"""Two systems are compared only if their numbers of points differ by no more than this share."""
_TOGETHER = 100
"""Resamples that are scored at once; this limits memory."""


def cycles_a_day(cycles: Sequence[xr.Dataset]) -> int:
    """Return the number of cycles per day at their median spacing, at least 1: the default length of a block.

    Errors of cycles within a day are not independent, because they share their weather.
    """
    times = np.sort([cycle["init_time"].values for cycle in cycles])
    if len(times) < 2:
        return 1
    return max(1, round(float(np.timedelta64(24, "h") / np.median(np.diff(times)))))


def drawn(count: int, block: int, resamples: int, rng: np.random.Generator) -> Array:
    """Return how often each of `count` cycles is drawn (resample, cycle): circular blocks, `count` cycles in all.

    Blocks preserve what neighbours share (Kunsch 1989, doi:10.1214/aos/1176347265). They begin anywhere and wrap from
    the end to the start, so that every cycle is drawn equally often (Politis and Romano 1992; 1994,
    doi:10.1080/01621459.1994.10476870). The last block is cut to length.
    """
    starts = rng.integers(0, count, (resamples, -(-count // block)))
    places = (starts[:, :, None] + np.arange(block)).reshape(resamples, -1)[:, :count] % count
    flat = places + count * np.arange(resamples)[:, None]
    return np.bincount(flat.ravel(), minlength=resamples * count).reshape(resamples, count)


def block_bootstrap(
    cycles: Sequence[xr.Dataset],
    formula: Formula,
    *,
    seed: int,
    block: int | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> xr.Dataset:
    """Return estimate, low and high of `formula` applied to the sum of cycles, whatever its dimensions.

    `cycles` are statistics of single cycles with init_time, in any order; pass only the variables that the formula
    reads. `block` is the number of consecutive cycles drawn together, by default a day's. The interval lies between
    percentiles that are further out than `level`, by the factor that Student's t and the divisor n - 1 require for n
    blocks (Hesterberg 2015, doi:10.1080/00031305.2015.1089789): without it a few blocks give too narrow intervals. low
    and high are NaN for fewer than two blocks, and where a tenth of the resamples has no score.
    """
    ordered = sorted(cycles, key=lambda cycle: cycle["init_time"].values)
    block = block or cycles_a_day(ordered)
    stacked = xr.concat(align(ordered), "cycle", data_vars="all", coords="minimal", compat="override", join="exact")
    estimate = formula(stacked.sum("cycle"))
    blocks = len(ordered) / block
    if blocks < 2:
        unknown = xr.full_like(estimate, np.nan)
        return xr.Dataset({"estimate": estimate, "low": unknown, "high": unknown})
    weights = drawn(len(ordered), block, resamples, np.random.default_rng(seed)).astype(np.float64)
    parts = []
    for first in range(0, resamples, _TOGETHER):
        some = xr.DataArray(weights[first : first + _TOGETHER], dims=("resample", "cycle"))
        parts.append(formula(stacked.map(lambda sums, some=some: xr.dot(some, sums, dim="cycle"))))
    values = xr.concat(parts, "resample").transpose("resample", ...)
    tail = float(stats.norm.cdf(-np.sqrt(blocks / (blocks - 1)) * stats.t.ppf((1 + level) / 2, blocks - 1)))
    enough = values.notnull().mean("resample") > 0.9
    with np.errstate(all="ignore"):
        low, high = np.nanquantile(values.where(enough, 0.0).values, (tail, 1 - tail), axis=0)
    bounds = {name: estimate.copy(data=bound).where(enough) for name, bound in (("low", low), ("high", high))}
    return xr.Dataset({"estimate": estimate, **bounds})


def interval(cycles: Sequence[xr.Dataset], score: str, *, seed: int, **how: Any) -> xr.Dataset:
    """Return estimate, low and high of a score of SCORES for every system; `how` as in `block_bootstrap`."""
    chosen = SCORES[score]
    return block_bootstrap([cycle[list(chosen.needs)] for cycle in cycles], chosen.formula, seed=seed, **how)


def gain(cycles: Sequence[xr.Dataset], score: str, system: str, baseline: str, *, seed: int, **how: Any) -> xr.Dataset:
    """Return estimate, low, high and `is_real` of how much better `system` is than `baseline`: above 0 is better.

    The gain is the difference of a score, oriented by its best value (SCORES); where that is a number, of the distance
    from it. A difference is real only if its interval excludes 0. Only cycles, leads and variables for which both have
    data count, and they are drawn together; NaN where their samples still differ by more than 1 %, and for scores that
    are not ranked.
    """
    chosen = SCORES[score]
    paired = [_paired(cycle, chosen, system, baseline) for cycle in cycles]

    def difference(sums: xr.Dataset) -> xr.DataArray:
        merit = _merit(chosen.formula(sums), chosen.best)
        counts = _sample(sums, chosen)
        ours, theirs = (counts.sel(system=name, drop=True) for name in (system, baseline))
        same = np.abs(ours - theirs) <= SAME_SAMPLE * np.maximum(ours, theirs)
        return (merit.sel(system=system, drop=True) - merit.sel(system=baseline, drop=True)).where(same)

    bounds = block_bootstrap(paired, difference, seed=seed, **how)
    return bounds.assign(is_real=(bounds["low"] > 0) | (bounds["high"] < 0))


def _paired(cycle: xr.Dataset, score: Score, system: str, baseline: str) -> xr.Dataset:
    """Return the sums of the two systems, 0 where either has no sample."""
    names = cycle["system"].values.tolist()
    if system not in names or baseline not in names:
        return cycle[list(score.needs)].sel(system=[name for name in (system, baseline) if name in names]) * 0
    both = cycle[list(score.needs)].sel(system=[system, baseline])
    in_both = (_sample(both, score) > 0).all("system")
    return both.where(in_both, 0).transpose(*both.dims)


def _sample(sums: xr.Dataset, score: Score) -> xr.DataArray:
    """Return the size of the sample: the first statistic a score needs, summed over the axes of tables."""
    counts = sums[score.needs[0]]
    return counts.sum([dim for dim in ("below", "outcome", "holding", "observed") if dim in counts.dims])


def _merit(values: xr.DataArray, best: str | float) -> xr.DataArray:
    """Return values oriented so that more is better; ratios, whose best is 1, by the magnitude of their logarithm."""
    if best == "high":
        return values
    if best == "low":
        return -values
    if best == 1.0:
        return -abs(_logarithm(values.where(values > 0)))
    return -abs(values) if best == 0.0 else xr.full_like(values, np.nan)


def _logarithm(values: xr.DataArray) -> xr.DataArray:
    return values.copy(data=np.log(values.values))
