"""Events, and the two additive tables from which all scores of events follow.

The *contingency table* counts hits, false alarms, misses and correct negatives of one map. The *probability table*
counts points by the number of members that hold the event and by whether it was observed: Brier score, reliability and
ROC are functions of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.regions import HOME
from stormcast_tw.regions.region import Side

Array = npt.NDArray[Any]

OUTCOMES = ("hit", "false_alarm", "miss", "correct_negative")
_HOLDS: Mapping[Side, Callable[[Array, Any], Array]] = {"at or above": np.greater_equal, "at or below": np.less_equal}
_SIGN: Mapping[Side, str] = {"at or above": ">=", "at or below": "<="}


@dataclass(frozen=True)
class Event:
    """A quantity at or beyond a threshold in its units; equality counts as the event."""

    quantity: str
    threshold: float
    side: Side = "at or above"

    @property
    def name(self) -> str:
        """Its label, for example `tp01>=0.1`."""
        return f"{self.quantity}{_SIGN[self.side]}{self.threshold:g}"

    def holds(self, values: Array) -> Array:
        """Return where values of any shape satisfy the event, compared in their own precision; NaN never does."""
        return _HOLDS[self.side](values, values.dtype.type(self.threshold))


_SCORED = {"tp01": (0.1, 1.0, 5.0, 10.0, 16.0, 32.0, 40.0), "tp03": (100.0, 200.0)}
"""Thresholds that are scored instead of those that are published: any rain at all, and steps that other centres score.
Records hold these events; another list makes another FORMAT of records."""
_QUANTITIES = ("tp01", "tp03", "wind_speed", "t2m")
"""What is scored. A projected sum is half observed, and sums over 6 and 12 h have too few leads."""

EVENTS = tuple(
    Event(hazard.quantity, threshold, hazard.side)
    for hazard in HOME.hazards
    if hazard.quantity in _QUANTITIES
    for threshold in _SCORED.get(hazard.name, hazard.thresholds)
)
"""What the region warns of; of rain, `_SCORED`."""

RAIN_EVENTS = tuple(event for event in EVENTS if event.quantity.startswith("tp"))
"""The events that are scored in neighbourhoods."""


def outcome(forecast: Array, observed: Array) -> Array:
    """Return the index in OUTCOMES for two boolean maps of any shape."""
    return 2 * (~forecast).astype(np.int8) + (~observed).astype(np.int8)


def categorical_scores(contingency: xr.DataArray) -> xr.Dataset:
    """Return pod, far, csi, ets, hss and frequency_bias (...) from counts (..., outcome).

    Computed by the `scores` library; NaN where no event could have been forecast and where a divisor is 0.
    """
    from scores.categorical import BasicContingencyManager

    counts = {name: contingency.sel(outcome=name, drop=True).astype(np.float64) for name in OUTCOMES}
    keys = ("tp_count", "fp_count", "fn_count", "tn_count")
    table = BasicContingencyManager(
        dict(zip(keys, counts.values(), strict=True)) | {"total_count": contingency.sum("outcome").astype(np.float64)}
    )
    by_name = {
        "pod": table.probability_of_detection(),
        "far": table.false_alarm_ratio(),
        "csi": table.critical_success_index(),
        "ets": table.equitable_threat_score(),
        "hss": table.heidke_skill_score(),
        "frequency_bias": table.frequency_bias(),
    }
    return xr.Dataset({name: score.where(np.isfinite(score)) for name, score in by_name.items()})


def brier(table: xr.DataArray, members: xr.DataArray) -> xr.Dataset:
    """Return brier, fair_brier and base_rate (...) of a probability table (..., holding, observed).

    brier = mean (m/M - o)^2. The fair score subtracts m (M - m) / (M^2 (M - 1)), so that ensembles of different size
    can be compared (Ferro 2014); for one member the two are equal. `members` is M of each system.
    """
    holding, observed = table["holding"], table["observed"]
    points = table.sum(("holding", "observed"))
    squared = (table * (holding / members - observed) ** 2).sum(("holding", "observed"))
    chance = holding * (members - holding) / (members**2 * (members - 1).where(members > 1, 1))
    chance = chance.where((members > 1) & (holding <= members), 0.0)
    has_cases = points > 0
    return xr.Dataset(
        {
            "brier": (squared / points).where(has_cases),
            "fair_brier": ((squared - (table * chance).sum(("holding", "observed"))) / points).where(has_cases),
            "base_rate": (table.sel(observed=1, drop=True).sum("holding") / points).where(has_cases),
        }
    )


def reliability(table: xr.DataArray, members: xr.DataArray) -> xr.Dataset:
    """Return observed_frequency and forecast_share (..., holding) of a probability table, by forecast_probability.

    forecast_probability is holding / M; observed_frequency is NaN at probabilities that were never forecast.
    """
    cases = table.sum("observed")
    happened = table.sel(observed=1, drop=True)
    return xr.Dataset(
        {
            "forecast_probability": (table["holding"] / members).where(table["holding"] <= members),
            "observed_frequency": (happened / cases).where(cases > 0),
            "forecast_share": (cases / cases.sum("holding")).where(cases.sum("holding") > 0),
        }
    )


def roc(table: xr.DataArray) -> xr.Dataset:
    """Return hit_rate and false_alarm_rate (..., holding) of a warning from `holding` members on, and roc_area (...).

    Trapezoidal rule over the points and (0, 0); Mason (1982). NaN unless the event both occurred and failed to occur.
    """
    reached = table.isel(holding=slice(None, None, -1)).cumsum("holding").isel(holding=slice(None, None, -1))
    reached = reached.assign_coords(holding=table["holding"])
    rates = (reached / table.sum("holding")).where(table.sum("holding") > 0)
    hit, false = rates.sel(observed=1, drop=True), rates.sel(observed=0, drop=True)
    beyond_hit, beyond_false = (rate.shift(holding=-1, fill_value=0.0) for rate in (hit, false))
    area = ((hit + beyond_hit) / 2 * (false - beyond_false)).sum("holding", skipna=False)
    return xr.Dataset({"hit_rate": hit, "false_alarm_rate": false, "roc_area": area})
