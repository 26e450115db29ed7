"""The numbers of a scorecard, as plain JSON values, from the statistics of its cycles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.schema import labels
from stormcast_tw.verification.scorecard.words import JUDGED
from stormcast_tw.verification.scores.intervals import LEVEL, RESAMPLES, cycles_a_day, gain, interval
from stormcast_tw.verification.scores.statistics import SCORES, STATISTICS, Stratum, scores, stratify, total

Array = npt.NDArray[Any]
Numbers = list[float | None]

CURVES = ("crps", "rmse", "mae", "bias", "spread", "spread_error")
"""Scores drawn against lead time."""
EVENT_SCORES = ("pod", "far", "csi", "ets", "hss", "frequency_bias", "brier", "fair_brier", "roc_area", "base_rate")
RANKED = "crps"
"""The score that verdicts are based on: proper, fair to any number of members, and the MAE for one."""
STRATA: tuple[Stratum, ...] = ("month", "season", "init_hour", "valid_hour", "regime")
FSS_WINDOWS = (5, 11)
"""Sides in points of the neighbourhoods with FSS by lead: 10 and 22 km on the 2 km grid."""


def scorecard(
    cycles: Sequence[xr.Dataset],
    *,
    package: str,
    truth: str,
    simulated: bool,
    trained: bool,
    forecast: str = "forecast",
    title: str = "預報評分卡 Forecast scorecard",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Return the contents of a scorecard as plain JSON values; numbers to 5 digits, None where there is no number.

    `cycles` are statistics of single cycles against one truth, which `truth` names; `package` names the model and
    `forecast` the system that is compared with all others. Intervals are 95 %. Raises BadInput if the forecast is in no
    cycle.
    """
    whole = total(cycles)
    if forecast not in whole["system"].values:
        raise BadInput(
            f"system {forecast}: in none of {len(cycles)} cycles, found are {whole['system'].values.tolist()}"
        )
    times = sorted(str(cycle["init_time"].values)[:13] for cycle in cycles)
    systems = whole["system"].values.tolist()
    pooled = scores(whole.sum("lead_time"))
    by_lead = scores(whole.sel(region=["all"]))
    gains = _gains(cycles, forecast, [system for system in systems if system != forecast], seed, resamples)
    return {
        "title": labels(simulated=simulated, trained=trained) + title,
        "simulated": simulated,
        "trained": trained,
        "package": package,
        "truth": truth,
        "cycles": len(cycles),
        "period": [f"{time.replace('-', '')}Z" for time in (times[0], times[-1])],
        "members": dict(zip(systems, whole["members"].values.tolist(), strict=True)),
        "cycles_of_system": {system: sum(_has(cycle, system) for cycle in cycles) for system in systems},
        "forecast": forecast,
        "leads": (whole["lead_time"].values / np.timedelta64(1, "h")).astype(int).tolist(),
        "intervals": {"level": LEVEL, "resamples": resamples, "block_cycles": cycles_a_day(cycles), "seed": seed},
        "definitions": {name: score.words for name, score in SCORES.items()},
        "curves": _curves(cycles, seed, resamples),
        "gains": gains,
        "pooled": {name: _nested(pooled[name].sel(region="all"), "variable", "system") for name in CURVES},
        "regions": {name: _nested(pooled[name], "region", "variable", "system") for name in ("crps", "rmse", "bias")},
        "strata": {by: _stratum(cycles, by) for by in STRATA},
        "events": {name: _nested(pooled[name].sel(region="all"), "event", "system") for name in EVENT_SCORES},
        "fss": _nested(pooled["fss"], "product", "rain_event", "window", "system"),
        "fss_by_lead": _nested(
            by_lead["fss"].sel(window=list(FSS_WINDOWS)), "window", "product", "rain_event", "system"
        ),
        "reliability": _reliability(pooled.sel(region="all")),
        "ranks": _nested(pooled["rank_share"].sel(region="all"), "variable", "system"),
        "spectra": _nested(pooled["power_ratio"], "spectrum", "system"),
        "octaves_km": pooled["octave"].values.tolist(),
        "sal": {name: _nested(pooled[name], "component", "system") for name in ("sal_mean", "sal_size")},
    }


def best_and_worst(
    cycles: Sequence[xr.Dataset], forecast: str = "forecast", baseline: str = "persistence"
) -> tuple[str, str]:
    """Return the cycles, as `20260611T06Z`, in which the forecast gains most and least on a baseline.

    The gain is the mean over temperature, wind vector and rain of 1 - CRPS / CRPS of the baseline, over all leads and
    points; a variable for which the baseline has no error counts 0. Raises BadInput if no cycle has both systems.
    """
    skill = {}
    for cycle in cycles:
        if {forecast, baseline} <= set(cycle["system"].values.tolist()):
            sums = cycle["crps"].sel(region="all", variable=["t2m", "wind", "tp01"]).sum("lead_time")
            ours, theirs = (sums.sel(system=name, drop=True) for name in (forecast, baseline))
            time = str(cycle["init_time"].values)[:13].replace("-", "")
            skill[f"{time}Z"] = float((1 - ours / theirs.where(theirs > 0)).fillna(0.0).mean())
    if not skill:
        raise BadInput(f"systems {forecast} and {baseline}: together in none of {len(cycles)} cycles")
    return max(skill, key=skill.__getitem__), min(skill, key=skill.__getitem__)


def _has(cycle: xr.Dataset, system: str) -> bool:
    if system not in cycle["system"].values:
        return False
    return bool((cycle["count"].sel(system=system) > 0).any())


def _whole_domain(cycles: Sequence[xr.Dataset], names: Sequence[str]) -> list[xr.Dataset]:
    regional = [name for name in names if "region" in STATISTICS[name][0]]
    return [cycle[list(names)].sel(region="all") if regional else cycle[list(names)] for cycle in cycles]


def _curves(cycles: Sequence[xr.Dataset], seed: int, resamples: int) -> dict[str, Any]:
    curves = {}
    for name in CURVES:
        made = interval(_whole_domain(cycles, SCORES[name].needs), name, seed=seed, resamples=resamples)
        curves[name] = _bounded(made, "variable", "system")
    return curves


def _gains(
    cycles: Sequence[xr.Dataset], forecast: str, baselines: Sequence[str], seed: int, resamples: int
) -> dict[str, Any]:
    """Return by variable and baseline the gain in CRPS at every lead, its interval and verdict."""
    needed = _whole_domain(cycles, SCORES[RANKED].needs)
    gains: dict[str, Any] = {}
    for baseline in baselines:
        made = gain(needed, RANKED, forecast, baseline, seed=seed, resamples=resamples)
        for variable in made["variable"].values.tolist():
            here = made.sel(variable=variable)
            if bool(here["estimate"].notnull().any()):
                bounded = {key: _numbers(here[name]) for key, name in _KEYS.items()}
                gains.setdefault(variable, {})[baseline] = bounded | {"verdict": _verdicts(here)}
    return {variable: gains[variable] for variable in (*JUDGED, "u10m", "v10m") if variable in gains}


_KEYS = {"value": "estimate", "low": "low", "high": "high"}


def _verdicts(made: xr.Dataset) -> list[str]:
    """Return `better` or `worse` if a difference is real, else `equal`; `unsure` without interval, `` without gain."""
    verdicts = []
    for value, real, low in zip(made["estimate"].values, made["is_real"].values, made["low"].values, strict=True):
        if np.isnan(value):
            verdicts.append("")
        else:
            verdicts.append("unsure" if np.isnan(low) else "equal" if not real else "better" if value > 0 else "worse")
    return verdicts


def _bounded(made: xr.Dataset, *dims: str) -> dict[str, Any]:
    """Return by variable and system the values at every lead and their intervals, None where there are none."""
    values, low, high = (_nested(made[name], *dims) for name in _KEYS.values())
    nothing = [None] * made.sizes["lead_time"]
    return {
        variable: {
            system: {"value": one, **{key: bound.get(variable, {}).get(system, nothing) for key, bound in
                                      (("low", low), ("high", high))}}
            for system, one in by_system.items()
        }
        for variable, by_system in values.items()
    }  # fmt: skip


def _stratum(cycles: Sequence[xr.Dataset], by: Stratum) -> dict[str, Any]:
    """Return by label the number of cycles, and the CRPS over all leads by variable and system."""
    by_label = {}
    for label, sums in stratify(_whole_domain(cycles, ("count", "crps", "cycles")), by).items():
        pooled = sums.sum("lead_time") if "lead_time" in sums.dims else sums
        crps = SCORES["crps"].formula(pooled)
        by_label[label] = {"cycles": int(sums["cycles"]), "crps": _nested(crps, "variable", "system")}
    return by_label


def _reliability(pooled: xr.Dataset) -> dict[str, Any]:
    """Return by event and ensemble the forecast probabilities, observed frequencies, shares and ROC points."""
    by_event: dict[str, Any] = {}
    for system, members in zip(pooled["system"].values.tolist(), pooled["members"].values.tolist(), strict=True):
        if members == 1:
            continue
        here = pooled.sel(system=system).isel(holding=slice(0, members + 1))
        for event in pooled["event"].values.tolist():
            curves = here.sel(event=event)
            if bool(curves["forecast_share"].notnull().any()):
                names = ("forecast_probability", "observed_frequency", "forecast_share", "hit_rate", "false_alarm_rate")
                by_event.setdefault(event, {})[system] = {name: _numbers(curves[name]) for name in names}
    return by_event


def _nested(array: xr.DataArray, *dims: str) -> dict[str, Any]:
    """Return an array as dictionaries nested by `dims`, ending in a number or a list; empty branches are left out."""
    ordered = array.transpose(*dims, ...)
    nested: dict[str, Any] = _branches(
        ordered.values, [[str(label) for label in array[dim].values.tolist()] for dim in dims]
    )
    return nested


def _branches(values: Array, labels_of: Sequence[Sequence[str]]) -> Any:
    if not labels_of:
        return _numbers(values) if values.ndim else _numbers(values)[0]
    pairs = zip(labels_of[0], values, strict=True)
    return {label: _branches(part, labels_of[1:]) for label, part in pairs if not np.isnan(part).all()}


def _numbers(values: npt.ArrayLike) -> Numbers:
    """Return values of at most one dimension to 5 significant digits, None for NaN."""
    return [None if np.isnan(value) else float(f"{value:.5g}") for value in np.asarray(values).ravel().tolist()]
