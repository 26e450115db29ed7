"""The sums that are kept of a scored cycle. A month, season or region is a sum of them, a score a function of sums.

`score_cycle` makes the statistics of one cycle, `total` adds cycles, `stratify` adds them by month or regime or hour,
`scores` turns any of these into scores. STATISTICS lists what is kept, SCORES what is computed from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.verification.scores.categories import brier, categorical_scores, reliability, roc
from stormcast_tw.verification.scores.ensemble import spread_over_error
from stormcast_tw.verification.scores.strata import Strata
from stormcast_tw.verification.scores.sums import STATISTICS, score_cycle

__all__ = ["SCORES", "STATISTICS", "Score", "Strata", "align", "score_cycle", "scores", "stratify", "total"]

Stratum = Literal["all", "month", "season", "init_hour", "regime", "valid_hour"]


@dataclass(frozen=True)
class Score:
    """A function of summed statistics.

    `needs` are the statistics it reads; the first is the sample that both sides of a comparison must have. `best` is
    "low", "high" or the best value; empty for scores that are shown but not ranked.
    """

    needs: tuple[str, ...]
    formula: Callable[[xr.Dataset], xr.DataArray]
    best: Literal["low", "high", ""] | float
    words: str


def _mean(name: str, count: str = "count") -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda sums: (sums[name] / sums[count]).where(sums[count] > 0)


def _root_mean(name: str) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda sums: _mean(name)(sums) ** 0.5


def _bias(sums: xr.Dataset) -> xr.DataArray:
    return _mean("error")(sums).where(sums["variable"] != "wind")


def _spread(sums: xr.Dataset) -> xr.DataArray:
    return _root_mean("variance")(sums).where(sums["members"] > 1)


def _spread_over_error(sums: xr.Dataset) -> xr.DataArray:
    ratio = xr.apply_ufunc(spread_over_error, sums["variance"], sums["squared_error"], sums["members"])
    return xr.DataArray(ratio)


def _category(name: str) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda sums: categorical_scores(sums["contingency"])[name]


def _brier(name: str) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda sums: brier(sums["probability_table"], sums["members"])[name]


def _fss(sums: xr.Dataset) -> xr.DataArray:
    reference = sums["fss_reference"]
    return (1.0 - sums["fss_error"] / reference).where(reference > 0)


def _power_ratio(sums: xr.Dataset) -> xr.DataArray:
    ratio = (sums["power"] / sums["power_truth"]).where(sums["power_truth"] > 0)
    return ratio.isel(octave=slice(1, -1))


_MOMENTS = ("count", "squared_error")
SCORES: Mapping[str, Score] = {
    "crps": Score(("count", "crps"), _mean("crps"), "low", "fair CRPS (one member: MAE; wind: energy score)"),
    "rmse": Score(_MOMENTS, _root_mean("squared_error"), "low", "root mean square error of the ensemble mean"),
    "mae": Score(("count", "absolute_error"), _mean("absolute_error"), "low", "mean absolute error of the mean"),
    "bias": Score(("count", "error"), _bias, 0.0, "mean error of the ensemble mean"),
    "spread": Score(("count", "variance"), _spread, "", "root mean variance of the members"),
    "spread_error": Score((*_MOMENTS, "variance"), _spread_over_error, 1.0, "spread over error, 1 is calibrated"),
    "rank_share": Score(("rank",), lambda sums: (sums["rank"] / sums["rank"].sum("below")).where(
        sums["rank"].sum("below") > 0), "", "rank histogram, flat is calibrated"),
    "pod": Score(("contingency",), _category("pod"), "high", "probability of detection"),
    "far": Score(("contingency",), _category("far"), "low", "false alarm ratio"),
    "csi": Score(("contingency",), _category("csi"), "high", "critical success index"),
    "ets": Score(("contingency",), _category("ets"), "high", "equitable threat score"),
    "hss": Score(("contingency",), _category("hss"), "high", "Heidke skill score"),
    "frequency_bias": Score(("contingency",), _category("frequency_bias"), 1.0, "frequency bias"),
    "brier": Score(("probability_table",), _brier("brier"), "low", "Brier score"),
    "fair_brier": Score(("probability_table",), _brier("fair_brier"), "low", "fair Brier score"),
    "base_rate": Score(("probability_table",), _brier("base_rate"), "", "how often the event was observed"),
    "roc_area": Score(("probability_table",), lambda sums: roc(sums["probability_table"])["roc_area"], "high",
                      "area under the ROC"),
    "fss": Score(("fss_points", "fss_error", "fss_reference"), _fss, "high", "fractions skill score"),
    "power_ratio": Score(("spectrum_fields", "power", "power_truth"), _power_ratio, 1.0,
                         "variance of forecast over truth by octave"),
    "sal_mean": Score(("sal_fields", "sal"), _mean("sal", "sal_fields"), 0.0, "mean of SAL"),
    "sal_size": Score(("sal_fields", "sal_absolute"), _mean("sal_absolute", "sal_fields"), "low", "mean size of SAL"),
}  # fmt: skip
"""Every score with one number per entry of its dimensions; `scores` adds reliability and ROC curves."""


def scores(total: xr.Dataset) -> xr.Dataset:
    """Return every score of SCORES, the reliability and ROC curves, and `cycles`, of summed statistics.

    Dimensions are those of the statistics, less those that a score sums over. NaN where there is nothing to score; a
    cycle without rain has added zeros and causes no NaN. Works on any sum, also over leads or regions, and on
    statistics with further leading dimensions.
    """
    by_name = {name: score.formula(total).assign_attrs(long_name=score.words) for name, score in SCORES.items()}
    table = total["probability_table"]
    curves = {**reliability(table, total["members"]), **roc(table)[["hit_rate", "false_alarm_rate"]]}
    return xr.Dataset({**by_name, **curves, "cycles": total["cycles"]}, attrs=total.attrs)


def total(cycles: Iterable[xr.Dataset]) -> xr.Dataset:
    """Return the sum of the statistics of cycles (or of sums of them): counts in int64, the rest in float64.

    Systems, leads and ranks are the union; a system that a cycle lacks adds nothing there. init_time and regime are
    dropped. Raises BadInput without cycles, and for a system whose number of members changes.
    """
    kept = align(cycles)
    added = {}
    for name, statistic in kept[0].data_vars.items():
        kind = np.int64 if statistic.dtype.kind in "iu" else np.float64
        summed = np.zeros(statistic.shape, kind)
        for cycle in kept:
            summed = summed + cycle[name].values
        added[name] = (statistic.dims, summed, statistic.attrs)
    return xr.Dataset(added, kept[0].coords, kept[0].attrs)


def align(cycles: Iterable[xr.Dataset]) -> list[xr.Dataset]:
    """Return the cycles on the union of their systems, leads and ranks, 0 where one lacks them; raises as `total`."""
    given = [cycle.drop_vars(("init_time", "regime", "valid_time"), errors="ignore") for cycle in cycles]
    if not given:
        raise BadInput("statistics of 0 cycles cannot be added, allowed are 1 or more")
    members: dict[str, int] = {}
    for cycle in given:
        for system, count in zip(cycle["system"].values.tolist(), cycle["members"].values.tolist(), strict=True):
            if members.setdefault(system, count) != count:
                raise BadInput(f"system {system}: {count} members in one cycle, {members[system]} in another")
    bare = [cycle.drop_vars("members") for cycle in given]
    order = list(members)
    together = [cycle.sel(system=order) for cycle in xr.align(*bare, join="outer", fill_value=0, copy=False)]
    axis = ("system", np.array([members[system] for system in order]))
    return [cycle.assign_coords(members=axis) for cycle in together]


_SEASONS = ("DJF", "DJF", "MAM", "MAM", "MAM", "JJA", "JJA", "JJA", "SON", "SON", "SON", "DJF")
_LABELS: Mapping[str, Callable[[xr.Dataset], str]] = {
    "all": lambda cycle: "all",
    "month": lambda cycle: str(cycle["init_time"].values.astype("datetime64[M]")),
    "season": lambda cycle: _SEASONS[int(cycle["init_time"].dt.month) - 1],
    "init_hour": lambda cycle: f"{int(cycle['init_time'].dt.hour):02d}Z",
    "regime": lambda cycle: str(cycle["regime"].values),
}


def stratify(cycles: Sequence[xr.Dataset], by: Stratum) -> dict[str, xr.Dataset]:
    """Return the sums of cycles by label, sorted: `all`, `2026-06`, `JJA`, `06Z` or the name of a regime.

    By `valid_hour` (UTC) leads are summed too, so the result has no lead_time. Seasons of all years are added.
    """
    pieces: dict[str, list[xr.Dataset]] = {}
    for cycle in cycles:
        for label, piece in _by_valid_hour(cycle) if by == "valid_hour" else [(_LABELS[by](cycle), cycle)]:
            pieces.setdefault(label, []).append(piece)
    return {label: total(pieces[label]) for label in sorted(pieces)}


def _by_valid_hour(cycle: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    hour = (cycle["init_time"] + cycle["lead_time"]).dt.hour
    pieces = []
    for valid_hour in np.unique(hour):
        leads = np.flatnonzero(hour == valid_hour)
        pieces.append((f"{valid_hour:02d}Z", cycle.isel(lead_time=leads).sum("lead_time")))
    return pieces
