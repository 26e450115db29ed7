"""Answers from what is published: what is forecast for a place, and how two cycles differ on the hours both have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.products import table
from stormcast_tw.products.area import Observed, area_statistics
from stormcast_tw.products.board import Row, rows
from stormcast_tw.products.zones import Zone, Zones, home_zones, zones_here
from stormcast_tw.publication import pointers
from stormcast_tw.publication.beside import beside_of
from stormcast_tw.publication.catalogue import MEMBERS
from stormcast_tw.publication.views import judged
from stormcast_tw.regions import HOME
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store

Floats = npt.NDArray[Any]

_COORDINATES = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*[, ]\s*([-+]?\d+(?:\.\d+)?)\s*")
_MOST_NAMED = 8


@dataclass(frozen=True)
class Spot:
    """A place: the cell that is asked about and, where a zone was named, the zone, whose middle that cell is."""

    zh: str
    en: str
    j: int
    i: int
    latitude: float
    longitude: float
    zone: Zone | None = None


@dataclass(frozen=True)
class PlaceForecast:
    """What a run says of a place: fields (member, lead_time) at its cell, and the highest rain anywhere in its zone."""

    run: Artifact
    spot: Spot
    valid_times: npt.NDArray[np.datetime64]
    temperature: Floats
    """K."""
    u: Floats
    v: Floats
    """m s-1."""
    rain: Floats
    """mm in the hour before."""
    rain_in_zone: Floats | None

    @property
    def speed(self) -> Floats:
        """Wind speed (member, lead_time), m s-1."""
        return np.hypot(self.u, self.v)


def find_spot(text: str, grid: Grid) -> Spot:
    """Return the place that a text names: `22.04,121.55`, a code, or a name in Chinese or English.

    The name of a township may begin with that of its county (花蓮縣秀林鄉). Raises BadInput for a point outside the
    grid, a zone outside it, no such name, or one that several zones have, which are listed.
    """
    if (found := _COORDINATES.fullmatch(text)) is not None:
        return _point(float(found[1]), float(found[2]), grid)
    zones = home_zones(grid)
    matching = [zone for zone in (*zones.zones, *zones.outside) if text.strip().casefold() in _names(zone, zones)]
    if len(matching) > 1:
        listed = ", ".join(f"{_parent_name(zone, zones)}{zone.zh} {zone.code}" for zone in matching[:_MOST_NAMED])
        raise BadInput(f"{text}: {len(matching)} places have this name: {listed}")
    if not matching:
        raise BadInput(f"{text}: no such place{_similar(text, zones)}; allowed: a name, a code, or latitude,longitude")
    zone = matching[0]
    if zone in zones.outside:
        raise BadInput(f"{text}: {zone.zh} {zone.en} is outside the grid of {HOME.name}: nothing is forecast for it")
    return middle(zone, zones)


def _point(latitude: float, longitude: float, grid: Grid) -> Spot:
    j, i = (int(np.rint(index)) for index in grid.index_of(latitude, longitude))
    if not (0 <= j < grid.ny and 0 <= i < grid.nx):
        raise BadInput(f"{latitude:g},{longitude:g}: is outside the grid {grid.name}")
    return _spot("", "", j, i, grid)


def _spot(zh: str, en: str, j: int, i: int, grid: Grid, zone: Zone | None = None) -> Spot:
    latitude, longitude = grid.latlon()
    return Spot(zh, en, j, i, float(latitude[j, i]), float(longitude[j, i]), zone)


def middle(zone: Zone, zones: Zones) -> Spot:
    """Return the cell of a zone that is nearest to the mean place of its cells."""
    cells, shares = zones.of(zone.code)
    j, i = np.divmod(cells, zones.grid.nx)
    middle = np.average(j, weights=shares), np.average(i, weights=shares)
    nearest = int(np.argmin((j - middle[0]) ** 2 + (i - middle[1]) ** 2))
    zh, en = f"{_parent_name(zone, zones)}{zone.zh}", zone.en
    return _spot(zh, en, int(j[nearest]), int(i[nearest]), zones.grid, zone)


def _names(zone: Zone, zones: Zones) -> set[str]:
    """Return what a zone answers to, without regard to case; 台 is read as 臺."""
    short_zh, short_en = zone.zh[:-1], zone.en.rsplit(" ", 1)[0]
    names = {zone.code, zone.zh, zone.en, short_zh, short_en, f"{_parent_name(zone, zones)}{zone.zh}"}
    return {name.casefold() for name in names} | {name.replace("臺", "台") for name in names}


def _parent_name(zone: Zone, zones: Zones) -> str:
    every = {known.code: known for known in (*zones.zones, *zones.outside)}
    return every[zone.parent].zh if zone.parent in every else ""


def _similar(text: str, zones: Zones) -> str:
    wanted = text.strip().casefold()
    near = [zone for zone in zones.zones if wanted and (wanted in zone.zh or wanted in zone.en.casefold())]
    return f"; did you mean {', '.join(f'{z.zh} {z.en}' for z in near[:_MOST_NAMED])}?" if near else ""


def run_to_read(store: Store, experiment: str, cycle: Cycle | None) -> Artifact:
    """Return the chosen run of a cycle, or the latest; raises NotReady where there is none."""
    found = pointers.latest(store, experiment) if cycle is None else pointers.chosen(store, experiment, cycle)
    if found is None:
        what = "" if cycle is None else f" of {cycle}"
        raise NotReady(f"{store.root}: nothing{what} is published in experiment {experiment}")
    return found


def at_place(store: Store, run: Artifact, text: str) -> PlaceForecast:
    """Return what a run says of a place; raises as `find_spot` does."""
    members = store.open(run, MEMBERS)
    grid = Grid.of(members)
    spot = find_spot(text, grid)
    y, x = grid.dims
    here = members.isel({y: spot.j, x: spot.i}).load()
    in_zone = None
    if spot.zone is not None:
        cells, _ = home_zones(grid).of(spot.zone.code)
        everywhere = members["tp01"].transpose("member", "lead_time", y, x).values
        in_zone = everywhere.reshape(*everywhere.shape[:2], -1)[:, :, cells].max(axis=2)
    t2m, u, v, rain = (here[name].transpose("member", "lead_time").values for name in ("t2m", "u10m", "v10m", "tp01"))
    return PlaceForecast(run, spot, members["valid_time"].values, t2m, u, v, rain, in_zone)


@dataclass(frozen=True)
class Change:
    """How a row of the board differs between two cycles, on the hours that both have; None: nobody reaches it."""

    zone: Zone
    hazard: str
    new: Row | None
    old: Row | None


@dataclass(frozen=True)
class Difference:
    """Two runs on common valid times, as the rows that at least one of them has; leads count from the newer init."""

    new: Artifact
    old: Artifact
    hours: npt.NDArray[np.datetime64]
    members: tuple[int, int]
    changes: tuple[Change, ...]


def run_before(store: Store, experiment: str, run: Artifact, most_cycles: int = 8) -> Artifact:
    """Return the chosen run of the newest cycle before; raises NotReady if there is none within two days."""
    cycle = Cycle.parse(run.address.cycle)
    for back in range(1, most_cycles + 1):
        earlier = Cycle(cycle.valid_time(-6 * back))
        if (found := pointers.chosen(store, experiment, earlier)) is not None:
            return found
    raise NotReady(f"{run.address}: no run of the {most_cycles} cycles before it is published: nothing to compare with")


def difference(store: Store, new: Artifact, old: Artifact) -> Difference:
    """Compare two runs by zone on the valid times that both have, never by lead time.

    Raises NotReady if they have no hour in common, BadInput where their grid has no zones.
    """
    opened = [table.beside(store.open(run, MEMBERS).load(), *_beside(store, run)) for run in (new, old)]
    hours = np.intersect1d(opened[0]["valid_time"].values, opened[1]["valid_time"].values)
    zones = zones_here(Grid.of(opened[0]))
    if not hours.size:
        raise NotReady(f"{new.address.cycle} and {old.address.cycle} have no hour in common")
    if zones is None:
        raise BadInput(f"{new.uri}: its grid has no zones to compare")
    start = opened[0]["init_time"].values
    found = [_rows_on(members, hours, start, zones) for members in opened]
    names = {zone.code: zone for zone in zones.zones}
    order = {criterion.id: n for n, criterion in enumerate(HOME.criteria)}
    keys = sorted({*found[0], *found[1]}, key=lambda key: (order[key[1]], list(names).index(key[0])))
    changes = tuple(Change(names[z], h, found[0].get((z, h)), found[1].get((z, h))) for z, h in keys)
    return Difference(new, old, hours, tuple(m.sizes["member"] for m in opened), changes)  # type: ignore[arg-type]


def _beside(store: Store, run: Artifact) -> tuple[xr.Dataset | None, Any]:
    beside = beside_of(store, run)
    return beside.observed, beside.orography


def _rows_on(
    members: xr.Dataset, hours: npt.NDArray[np.datetime64], start: Any, zones: Zones
) -> dict[tuple[str, str], Row]:
    """Return the rows of a run on some valid times, by zone and hazard, with leads counted from `start`."""
    quantities, observed = judged(members)
    kept = {name: on for name, values in quantities.items() if (on := _on(values, hours, start)).sizes["lead_time"]}
    bounds = {name: _on(mask, hours, start) for name, mask in observed.at_least.items() if name in kept}
    dims = Grid.of(members).dims
    orography = members["orog"].rename(None).transpose(*dims) if "orog" in members else None
    statistics = area_statistics(kept, HOME.criteria, zones, Observed(at_least=bounds), orography)
    return {(row.zone, row.hazard): row for row in rows(statistics, zones, HOME.criteria)}


def _on(values: xr.DataArray, hours: npt.NDArray[np.datetime64], start: Any) -> xr.DataArray:
    kept = values.isel(lead_time=np.flatnonzero(np.isin(values["valid_time"].values, hours)))
    return kept.assign_coords(lead_time=kept["valid_time"].values - start)
