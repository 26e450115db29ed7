"""Statistics by zone: what every member does anywhere in it, then the share of the members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products.ensemble import QUANTILES
from stormcast_tw.products.zones import Zones
from stormcast_tw.regions.region import Criterion

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
_HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class Observed:
    """What observations say of the quantities, each by name; a quantity that is not named is the forecast's alone.

    `at_least` (lead_time, y, x) is true where a sum lacks observed hours, so that it is a lower bound. `before` (y, x)
    is the quantity at init_time from observations alone, a lower bound where some lack; NaN where nothing is known.
    """

    at_least: Mapping[str, xr.DataArray] = field(default_factory=dict)
    before: Mapping[str, xr.DataArray] = field(default_factory=dict)


def area_statistics(
    quantities: Mapping[str, xr.DataArray],
    criteria: Iterable[Criterion],
    zones: Zones,
    observed: Observed | None = None,
    orography: xr.DataArray | None = None,
) -> xr.Dataset:
    """Return what the members (member, lead_time, y, x) of each quantity, in SI units, do by criterion and zone.

    Criteria whose quantity is not given are left out, and so are those of the plains without `orography` (y, x) in m.
    A quantity is NaN where nobody knows it, in all members alike, or lacks leads: these are unknown, never "not
    reached". All variables have the dimensions (criterion, zone), and where named one more:

    hits (int)           members that reach it in any cell at any lead; the zone's probability is hits / members
    hits_by_lead         (lead_time) members that reach it in any cell at this lead; NaN: unknown
    point_hits (int)     most members that reach it in one cell at one lead: the highest point probability
    onset                (onset_quantile) hours from init_time by which 10 and 50 % of the members that reach it have
    peak                 (peak_quantile) 10, 50, 90 and 100 % of the members' most severe values, from mild to severe
    peak_lead, peak_member   where the most severe of all is; of equals the first hour, then the first member
    share                share of the zone's cells, by area in it, where it is reached at any lead: mean over members
    at_least (bool)      at a lead that is judged some cell's value is a lower bound or not known: more may reach it
    reached_before (bool)    observations alone have reached it at init_time in some cell

    NaN marks what is not known: the peak of a zone without known values or without cells in the plains, an onset
    without hits. Raises BadInput for a quantity on another grid, or one that only some members lack.
    """
    seen = observed or Observed()
    given = [c for c in criteria if c.quantity in quantities and (c.ground_below is None or orography is not None)]
    judged = {quantity: quantities[quantity] for quantity in dict.fromkeys(c.quantity for c in given)}
    leads = np.unique(np.concatenate([q["lead_time"].values for q in judged.values()] or [np.array([], "m8[ns]")]))
    members = _members(judged)
    rows: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for group in _alike(given):
        first = group[0]
        places = _plains(zones, orography, first.ground_below)
        values = _Values(judged[first.quantity], places, first.side == "at or below", leads)
        for criterion in group:
            rows[criterion.id] = _on_all(_row(values, criterion, seen), places, zones)
    ordered = [rows[criterion.id] for criterion in given]
    return _dataset(ordered, given, zones, leads).assign_attrs(members=members)


def zone_values(quantity: xr.DataArray, zones: Zones, statistic: str) -> xr.DataArray:
    """Return of each member the maximum, minimum or median over the cells of each zone: (zone, member, lead_time)."""
    values = _Values(quantity, zones, statistic == "minimum", quantity["lead_time"].values)
    made = -values.peaks if statistic == "minimum" else values.peaks
    if statistic == "median":
        made = np.stack([np.median(part, axis=0) for part in np.split(values.cells, zones.starts[1:-1])])
    coordinates = {"zone": [zone.code for zone in zones.zones], "lead_time": quantity["lead_time"].values}
    return xr.DataArray(made, coordinates, ("zone", "member", "lead_time"), attrs=quantity.attrs)


class _Values:
    """A quantity in the cells of zones, negated where low values are the severe ones."""

    def __init__(self, quantity: xr.DataArray, zones: Zones, negated: bool, leads: npt.NDArray[Any]) -> None:
        ordered = quantity.transpose("member", "lead_time", ...)
        if ordered.shape[2:] != zones.grid.shape:
            raise BadInput(f"{quantity.name} by zone: it is {ordered.shape[2:]}, allowed {zones.grid.shape} (y, x)")
        self.zones = zones
        self.negated = negated
        self.hours = leads / _HOUR
        self.members = ordered.shape[0]
        flat = ordered.values.reshape(*ordered.shape[:2], -1)
        known = np.full((zones.cells.size, self.members, leads.size), np.nan, flat.dtype)
        known[:, :, np.searchsorted(leads, quantity["lead_time"].values)] = flat[:, :, zones.cells].transpose(2, 0, 1)
        self.cells: Floats = -known if negated else known
        """(cell of a zone, member, lead); a cell of a zone and of the zone above it is there twice."""
        unknown = np.isnan(self.cells)
        self.unknown: Bools = unknown[:, 0]
        """(cell of a zone, lead)."""
        if (unknown != self.unknown[:, None]).any():
            raise BadInput(
                f"{quantity.name} by zone: some members are not finite where others are; allowed all or none"
            )

    @cached_property
    def peaks(self) -> Floats:
        """The most severe value (zone, member, lead) that is known in any cell."""
        return self._each(np.fmax, self.cells)

    @cached_property
    def window(self) -> Floats:
        """The most severe value (cell of a zone, member) that is known at any lead."""
        return np.asarray(np.fmax.reduce(self.cells, axis=2))

    def anywhere(self, of_cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the maximum (zone, ...) over the cells of each zone of (cell of a zone, ...)."""
        return self._each(np.maximum, of_cells)

    def weighted(self, of_cells: Floats) -> Floats:
        """Return the mean (zone,) over the cells of each zone of (cell of a zone,), by their area in the zone."""
        shares = self.zones.shares
        return np.asarray(self._each(np.add, shares * of_cells) / self._each(np.add, shares))

    def _each(self, reduction: np.ufunc, of_cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(reduction.reduceat(of_cells, self.zones.starts[:-1], axis=0))

    def of_map(self, field: xr.DataArray) -> npt.NDArray[Any]:
        """Return a map (y, x) in the cells of the zones, (cell of a zone,)."""
        return np.asarray(field.values.ravel()[self.zones.cells])


def _members(quantities: Mapping[str, xr.DataArray]) -> int:
    counts = {int(quantity.sizes["member"]) for quantity in quantities.values()}
    if len(counts) > 1:
        raise BadInput(f"quantities by zone: they have {sorted(counts)} members; allowed one number")
    return max(counts, default=0)


def _alike(criteria: Iterable[Criterion]) -> Iterator[list[Criterion]]:
    """Group criteria that are judged by the same values in the same cells."""
    groups: dict[tuple[Any, ...], list[Criterion]] = {}
    for criterion in criteria:
        groups.setdefault((criterion.quantity, criterion.side, criterion.ground_below), []).append(criterion)
    yield from groups.values()


def _plains(zones: Zones, orography: xr.DataArray | None, below: float | None) -> Zones:
    if orography is None or below is None:
        return zones
    if orography.shape != zones.grid.shape or not np.isfinite(orography.values).all():
        raise BadInput(f"orography by zone: it is {orography.shape}; allowed {zones.grid.shape} (y, x), all finite")
    return zones.where(orography.values < below)


def _row(values: _Values, criterion: Criterion, observed: Observed) -> dict[str, npt.NDArray[Any]]:
    edge = values.cells.dtype.type(-criterion.threshold if values.negated else criterion.threshold)
    hits = values.peaks >= edge
    unknown = np.isnan(values.peaks[:, 0])
    reached = hits.any(axis=2)
    at_once = np.count_nonzero(values.cells >= edge, axis=1).max(axis=1, initial=0)
    at_least = (values.anywhere(values.unknown) & ~unknown).any(axis=1)
    if (mask := observed.at_least.get(criterion.quantity)) is not None:
        at_least |= values.anywhere(values.of_map(mask.any("lead_time")))
    before = np.zeros(len(values.zones), bool)
    if (past := observed.before.get(criterion.quantity)) is not None:
        known = values.of_map(past).astype(values.cells.dtype)
        before = values.anywhere((-known if values.negated else known) >= edge)
    return {
        "hits": np.count_nonzero(reached, axis=1),
        "hits_by_lead": np.where(unknown, np.nan, np.count_nonzero(hits, axis=1)),
        "point_hits": values.anywhere(at_once),
        "onset": _onset(hits, values.hours),
        **_peak(values),
        "share": values.weighted(np.mean(values.window >= edge, axis=1)),
        "at_least": at_least,
        "reached_before": before,
    }


def _onset(hits: Bools, hours: Floats) -> Floats:
    """Return the hours (zone, 2) by which 10 and 50 % of the members that hit (zone, member, lead) have: whole hours.

    The smallest hour by which at least this share has (the inverse of the distribution, type 1 of Hyndman and Fan).
    """
    first = np.sort(np.where(hits.any(axis=2), hours[hits.argmax(axis=2)], np.inf), axis=1)
    count = np.isfinite(first).sum(axis=1)
    made = [
        np.take_along_axis(first, np.maximum(np.ceil(level * count).astype(int) - 1, 0)[:, None], axis=1)[:, 0]
        for level in ONSET_QUANTILES
    ]
    return np.where(np.isfinite(made), made, np.nan).T


ONSET_QUANTILES = (0.1, 0.5)
PEAK_QUANTILES = (*QUANTILES, 1.0)


def _peak(values: _Values) -> dict[str, npt.NDArray[Any]]:
    """Return the quantiles (zone, 4) of the members' most severe values, linear, and where the highest is."""
    highest = np.fmax.reduce(values.peaks, axis=2)
    quantiles = np.quantile(highest, PEAK_QUANTILES, axis=1).T
    by_hour = np.fmax(values.peaks.transpose(0, 2, 1), -np.inf)
    first = by_hour.reshape(len(by_hour), values.hours.size * values.members).argmax(axis=1)
    lead, member = np.divmod(first, values.members)
    return {
        "peak": -quantiles if values.negated else quantiles,
        "peak_lead": np.where(np.isnan(highest[:, 0]), np.nan, values.hours[lead]),
        "peak_member": member,
    }


def _on_all(row: dict[str, npt.NDArray[Any]], places: Zones, zones: Zones) -> dict[str, npt.NDArray[Any]]:
    """Return the values of some of the zones on all of them: without hits and otherwise unknown."""
    if places is zones:
        return row
    number = {zone.code: n for n, zone in enumerate(zones.zones)}
    index = [number[zone.code] for zone in places.zones]
    made = {}
    for name, part in row.items():
        made[name] = np.full((len(zones), *part.shape[1:]), np.nan if part.dtype.kind == "f" else 0, part.dtype)
        made[name][index] = part
    return made


_MORE = {"hits_by_lead": "lead_time", "onset": "onset_quantile", "peak": "peak_quantile"}
_TYPES = {"hits": np.int32, "point_hits": np.int32, "peak_member": np.int32, "at_least": bool, "reached_before": bool}


def _dataset(
    rows: list[dict[str, npt.NDArray[Any]]], criteria: list[Criterion], zones: Zones, leads: npt.NDArray[Any]
) -> xr.Dataset:
    coordinates = {
        "criterion": [criterion.id for criterion in criteria],
        "zone": [zone.code for zone in zones.zones],
        "lead_time": leads,
        "onset_quantile": list(ONSET_QUANTILES),
        "peak_quantile": list(PEAK_QUANTILES),
    }
    names = list(rows[0]) if rows else []
    variables = {
        name: (
            ("criterion", "zone", *((_MORE[name],) if name in _MORE else ())),
            np.stack([row[name] for row in rows]).astype(_TYPES.get(name, np.float64)),
        )
        for name in names
    }
    return xr.Dataset(variables, coordinates)
