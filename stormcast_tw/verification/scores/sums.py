"""The sums of one cycle: what is kept of a forecast once its truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import datetime64
from stormcast_tw.errors import BadInput
from stormcast_tw.products.ensemble import probability_matched_mean
from stormcast_tw.products.rain import accumulate
from stormcast_tw.verification.scores.categories import EVENTS, OUTCOMES, RAIN_EVENTS, outcome
from stormcast_tw.verification.scores.ensemble import (
    differences,
    fair_crps,
    fair_energy_score,
    mean_error,
    rank,
    variance,
)
from stormcast_tw.verification.scores.spatial import WINDOWS, fraction_errors, fractions, sal
from stormcast_tw.verification.scores.spectra import OCTAVES, octave_power
from stormcast_tw.verification.scores.strata import REGIONS, Frame, Strata, spacing_km

Array = npt.NDArray[Any]
Fields = dict[str, Array]

VARIABLES = ("t2m", "u10m", "v10m", "wind_speed", "wind", "tp01")
"""Variables scored at points; `wind` is the vector."""
SPECTRA = ("t2m", "wind", "tp01")
"""Variables with spectra; for wind, the sum of the power of both components."""
PRODUCTS = ("point", "probability")
"""Forecasts whose fractions are compared: probability-matched mean (0 or 1 at a point), or ensemble probabilities."""
COMPONENTS = ("structure", "amplitude", "location")

_POINTS = ("system", "variable", "lead_time", "region")
_EVENTS = ("system", "event", "lead_time", "region")
_WINDOWS = ("system", "product", "rain_event", "window", "lead_time")
_SPECTRA = ("system", "spectrum", "lead_time")
_SAL = ("system", "lead_time", "component")

STATISTICS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    # name: (dimensions, type, what is summed)
    "count": (_POINTS, "i4", "points where truth and every member are finite"),
    "error": (_POINTS, "f8", "ensemble mean minus truth; nothing of the wind vector"),
    "absolute_error": (_POINTS, "f8", "absolute value (wind: length) of ensemble mean minus truth"),
    "squared_error": (_POINTS, "f8", "square of ensemble mean minus truth"),
    "crps": (_POINTS, "f8", "fair CRPS; of the wind vector the fair energy score"),
    "variance": (_POINTS, "f8", "variance of the members, divisor M - 1"),
    "rank": ((*_POINTS, "below"), "i4", "points by the number of members below the truth, ties at random"),
    "contingency": ((*_EVENTS, "outcome"), "i4", "points by outcome of the point forecast: rain PMM, else the mean"),
    "probability_table": ((*_EVENTS, "holding", "observed"), "i4", "points by the number of members holding the event"),
    "fss_points": (_WINDOWS, "i4", "centres of windows, whole domain"),
    "fss_error": (_WINDOWS, "f8", "squared difference of fractions"),
    "fss_reference": (_WINDOWS, "f8", "squared fractions of the forecast and of the truth"),
    "power": ((*_SPECTRA, "octave"), "f8", "variance in an octave of wavelength, mean of the members"),
    "power_truth": ((*_SPECTRA, "octave"), "f8", "variance of the truth in an octave"),
    "spectrum_fields": (_SPECTRA, "i4", "fields with no point missing, the only ones that have a spectrum"),
    "sal": (_SAL, "f8", "structure, amplitude, location of the rain PMM"),
    "sal_absolute": (_SAL, "f8", "their absolute values"),
    "sal_fields": (_SAL, "i4", "fields where the component is defined"),
    "cycles": ((), "i4", "cycles"),
}
"""Every statistic: additive, never NaN, 0 where there is no data."""


def score_cycle(
    systems: Mapping[str, xr.Dataset], truth: xr.Dataset, strata: Strata, *, seed: int = 0, workers: int = 2
) -> xr.Dataset:
    """Return the statistics of one cycle: STATISTICS by system, variable, event, lead_time, region, ...

    `systems` map names to datasets (member, lead_time, y, x) of t2m in K, u10m, v10m in m s-1 and tp01 in mm, or some
    of them. `truth` (lead_time, y, x) determines the points and the hourly leads; leads that a system lacks do not
    count. A point where the truth or any member is NaN does not count in that system's sums; `count` is the number
    that does. 3-hour sums need three full hours. Ties of ranks are drawn by (seed, init_time, system, variable, lead),
    so that scoring piece by piece gives the same result. Systems are scored in `workers` threads.

    Coordinates are init_time, valid_time and regime; `members` (system) is M. Raises BadInput for a system or masks on
    other points, and for leads that are not consecutive hours.
    """
    horizontal = tuple(map(str, next(iter(truth.data_vars.values())).dims[-2:]))
    if strata.part.shape != tuple(truth.sizes[dim] for dim in horizontal):
        raise BadInput(f"masks are of {strata.part.shape} points, the truth of {dict(truth.sizes)}")
    members = {name: system.sizes["member"] for name, system in systems.items()}
    leads = tuple((truth["lead_time"].values / np.timedelta64(1, "h")).astype(int).tolist())
    axes = _axes(members, truth)
    frame = Frame(strata, spacing_km(truth, horizontal), leads, seed, {dim: len(axis) for dim, axis in axes.items()})
    truth_fields = _quantities(truth, ("lead_time", *horizontal))

    def sums(name: str) -> Fields:
        on_truth = _on(name, systems[name], truth, horizontal)
        return _system_sums(name, _quantities(on_truth, ("member", "lead_time", *horizontal)), truth_fields, frame)

    with ThreadPoolExecutor(workers) as pool:
        by_system = list(pool.map(sums, systems))
    arrays = {}
    for name, (dims, kind, words) in STATISTICS.items():
        stacked = np.stack([system_sums[name] for system_sums in by_system]) if dims else np.array(1)
        arrays[name] = (dims, stacked.astype(kind), {"long_name": words})
    times = {"init_time": datetime64(strata.init_time), "regime": strata.regime}
    valid = ("lead_time", times["init_time"] + truth["lead_time"].values)
    count = ("system", np.array(list(members.values())))
    return xr.Dataset(arrays, {**axes, **times, "valid_time": valid, "members": count})


def _axes(members: Mapping[str, int], truth: xr.Dataset) -> dict[str, Any]:
    most = max(members.values())
    return {
        "system": list(members),
        "variable": list(VARIABLES),
        "lead_time": truth["lead_time"].values,
        "region": list(REGIONS),
        "below": np.arange(most + 1),
        "event": [event.name for event in EVENTS],
        "outcome": list(OUTCOMES),
        "holding": np.arange(most + 1),
        "observed": [0, 1],
        "product": list(PRODUCTS),
        "rain_event": [event.name for event in RAIN_EVENTS],
        "window": list(WINDOWS),
        "spectrum": list(SPECTRA),
        "octave": list(OCTAVES),
        "component": list(COMPONENTS),
    }


def _on(name: str, system: xr.Dataset, truth: xr.Dataset, horizontal: tuple[str, ...]) -> xr.Dataset:
    """Return the system at the truth's leads, NaN at those it lacks; raises BadInput for other points."""
    for dim in horizontal:
        ours, theirs = system[dim].values, truth[dim].values
        if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=1e-6, atol=1e-6):
            raise BadInput(f"system {name}: {dim} has {ours.size} points from {ours[0]:g} to {ours[-1]:g}, "
                           f"the truth {theirs.size} from {theirs[0]:g} to {theirs[-1]:g}")  # fmt: skip
    if np.array_equal(system["lead_time"].values, truth["lead_time"].values):
        return system
    return system.reindex(lead_time=truth["lead_time"])


def _quantities(dataset: xr.Dataset, dims: tuple[str, ...]) -> Fields:
    """Return the arrays to be scored, in the order of `dims`: the variables and, if possible, wind_speed and tp03."""
    fields = {
        name: dataset[name].transpose(*dims).values.astype(np.float32, copy=False)
        for name in ("t2m", "u10m", "v10m", "tp01")
        if name in dataset
    }
    if "u10m" in fields and "v10m" in fields:
        fields["wind_speed"] = np.hypot(fields["u10m"], fields["v10m"])
    if "tp01" in fields:
        fields["tp03"] = np.full_like(fields["tp01"], np.nan)
        sums = accumulate(dataset, 3).transpose(*dims).values
        fields["tp03"][..., dataset.sizes["lead_time"] - sums.shape[-3] :, :, :] = sums
    return fields


def _system_sums(name: str, forecast_fields: Fields, truth_fields: Fields, frame: Frame) -> Fields:
    """Return the STATISTICS of one system, without the system dimension."""
    own = {
        statistic: np.zeros([frame.sizes[dim] for dim in dims[1:]])
        for statistic, (dims, _, _) in STATISTICS.items()
        if dims
    }
    shared = [quantity for quantity in forecast_fields if quantity in truth_fields]
    for lead, hour in enumerate(frame.leads):
        forecast = {quantity: forecast_fields[quantity][:, lead] for quantity in shared}
        truth = {quantity: truth_fields[quantity][lead] for quantity in shared}
        valid = {q: np.isfinite(forecast[q].sum(axis=0)) & np.isfinite(truth[q]) for q in shared}
        points = {q: _point_forecast(q, forecast[q]) for q in shared}
        for quantity in shared:
            if quantity in VARIABLES:
                rng = frame.rng(name, quantity, hour)
                _add_moments(own, lead, quantity, differences(forecast[quantity], truth[quantity]),
                             valid[quantity], rng, frame)  # fmt: skip
        _add_wind(own, lead, forecast, truth, valid, frame)
        _add_events(own, lead, forecast, points, truth, valid, frame)
        _add_fractions(own, lead, forecast, points, truth, valid)
        _add_spectra(own, lead, forecast, truth, valid, frame)
        if "tp01" in shared:
            _add_sal(own, lead, points["tp01"], truth["tp01"], frame)
    return own


def _point_forecast(quantity: str, members: Array) -> Array:
    """Return the map (y, x) that represents members (member, y, x): rain's probability-matched mean, else the mean.

    Matching is over the points where every member is finite; the others are NaN.
    """
    if len(members) == 1 or not quantity.startswith("tp"):
        mean: Array = members.mean(axis=0)
        return mean
    matched: Array = members.sum(axis=0)
    finite = np.isfinite(matched)
    if finite.any():
        given = xr.DataArray(members[:, None, finite], dims=("member", "lead_time", "point"))
        matched[finite] = probability_matched_mean(given).values[0]
    return matched


def _add_moments(
    own: Fields, lead: int, variable: str, difference: Array, valid: Array, rng: np.random.Generator, frame: Frame
) -> None:
    at, error = VARIABLES.index(variable), mean_error(difference)
    maps = np.stack([np.ones_like(error), error, np.abs(error), error**2, fair_crps(difference), variance(difference)])
    names = ("count", "error", "absolute_error", "squared_error", "crps", "variance")
    for statistic, sums in zip(names, frame.regions(maps, valid), strict=True):
        own[statistic][at, lead] = sums
    table = frame.table(rank(difference, rng), valid, len(difference) + 1)
    own["rank"][at, lead, :, : table.shape[1]] = table


def _add_wind(own: Fields, lead: int, forecast: Fields, truth: Fields, valid: Fields, frame: Frame) -> None:
    if "wind_speed" not in forecast:
        return
    at = VARIABLES.index("wind")
    u, v = forecast["u10m"] - truth["u10m"], forecast["v10m"] - truth["v10m"]
    squared = mean_error(u) ** 2 + mean_error(v) ** 2
    maps = np.stack([np.ones_like(squared), np.sqrt(squared), squared, fair_energy_score(u, v),
                     variance(u) + variance(v)])  # fmt: skip
    names = ("count", "absolute_error", "squared_error", "crps", "variance")
    for statistic, sums in zip(names, frame.regions(maps, valid["wind_speed"]), strict=True):
        own[statistic][at, lead] = sums


def _add_events(
    own: Fields, lead: int, forecast: Fields, points: Fields, truth: Fields, valid: Fields, frame: Frame
) -> None:
    for at, event in enumerate(EVENTS):
        if event.quantity not in forecast:
            continue
        counts, observed = valid[event.quantity], event.holds(truth[event.quantity])
        members = forecast[event.quantity]
        holding = np.count_nonzero(event.holds(members), axis=0)
        size = len(members) + 1
        table = frame.table(2 * holding + observed, counts, 2 * size)
        own["probability_table"][at, lead, :, :size] = table.reshape(len(REGIONS), size, 2)
        key = outcome(event.holds(points[event.quantity]), observed)
        own["contingency"][at, lead] = frame.table(key, counts, len(OUTCOMES))


def _add_fractions(own: Fields, lead: int, forecast: Fields, points: Fields, truth: Fields, valid: Fields) -> None:
    for at, event in enumerate(RAIN_EVENTS):
        if event.quantity not in forecast:
            continue
        counts, members = valid[event.quantity], len(forecast[event.quantity])
        own["fss_points"][:, at, :, lead] = np.count_nonzero(counts)
        observed, holding = (event.holds(truth[event.quantity]), event.holds(forecast[event.quantity]).sum(axis=0))
        given = [members * observed, members * event.holds(points[event.quantity]), holding]
        if not any(np.any(events[counts]) for events in given):
            continue
        for window, shares in enumerate(fractions(np.stack(given[: 1 + min(members, 2)]), counts)):
            error, reference = fraction_errors(shares[1:] / np.float32(members), shares[0] / np.float32(members))
            own["fss_error"][:, at, window, lead] = error
            own["fss_reference"][:, at, window, lead] = reference


def _add_spectra(own: Fields, lead: int, forecast: Fields, truth: Fields, valid: Fields, frame: Frame) -> None:
    for at, spectrum in enumerate(SPECTRA):
        parts = ("u10m", "v10m") if spectrum == "wind" else (spectrum,)
        if all(part in forecast and valid[part].all() for part in parts):
            own["spectrum_fields"][at, lead] = 1
            for part in parts:
                own["power"][at, lead] += octave_power(forecast[part], frame.spacing_km).mean(axis=0)
                own["power_truth"][at, lead] += octave_power(truth[part], frame.spacing_km)


def _add_sal(own: Fields, lead: int, point: Array, truth: Array, frame: Frame) -> None:
    components = sal(point, truth, frame.spacing_km)
    defined = np.isfinite(components)
    own["sal_fields"][lead] = defined
    own["sal"][lead] = np.where(defined, components, 0)
    own["sal_absolute"][lead] = np.where(defined, np.abs(components), 0)
