"""What a page and a person read of a run: maps, points, the board of hazards, places, a typhoon.

It is made of the rounded members and of what is beside them, so that it can be made again from what is published.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.exports.table import VIEWS
from stormcast_tw.grid import Grid
from stormcast_tw.products import table
from stormcast_tw.products.area import Observed, area_statistics
from stormcast_tw.products.board import About, board, to_json
from stormcast_tw.products.cyclone import typhoon
from stormcast_tw.products.hazards import judged_quantities
from stormcast_tw.products.places import SERIES, places
from stormcast_tw.products.projected import OBSERVED, missing_hours, projected
from stormcast_tw.products.quantities import QUANTITIES
from stormcast_tw.products.zones import Zones
from stormcast_tw.publication.beside import Beside
from stormcast_tw.regions import HOME

BOARD = "zones.json"
PLACES = "places"
TYPHOON = "typhoon.json"
NAMES = (*VIEWS, PLACES, BOARD, TYPHOON)
"""What `views` makes, by the first part of its path."""


def views(
    members: xr.Dataset, products: xr.Dataset, beside: Beside, zones: Zones | None, run: str
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a run's views by path: the same for the same members, products and what is beside them."""
    yield from VIEWS["maps"].files(products=products)
    yield from VIEWS["points"].files(members=members)
    if (found := typhoon(members)) is not None:
        yield TYPHOON, to_json(found)
    if zones is not None:
        yield from _by_zone(members, beside, zones, run)


def _by_zone(members: xr.Dataset, beside: Beside, zones: Zones, run: str) -> Iterator[tuple[str, bytes]]:
    source = table.beside(members, beside.observed, beside.orography)
    quantities, observed = judged(source)
    dims = Grid.of(members).dims
    orography = None if beside.orography is None else xr.DataArray(beside.orography, dims=dims)
    statistics = area_statistics(quantities, HOME.criteria, zones, observed, orography)
    content = board(_about(members, zones, run), statistics, zones, HOME.criteria)
    yield BOARD, to_json(content)
    shown = {name: QUANTITIES[name].form(source) for name in SERIES}
    for place in places(shown, content, zones):
        yield f"{PLACES}/{place['zone']['code']}.json", to_json(place)


def judged(source: xr.Dataset) -> tuple[dict[str, xr.DataArray], Observed]:
    """Return what is judged; sums over hours count what was observed before, where anything was."""
    quantities = judged_quantities(source, HOME.criteria)
    if OBSERVED not in source:
        return quantities, Observed()
    lengths = {c.quantity: c.hours for c in HOME.criteria if c.quantity.startswith("tp") and c.hours > 1}
    at_least = {name: missing_hours(source, hours) > 0 for name, hours in lengths.items()}
    before = {name: _before(source, hours) for name, hours in lengths.items()}
    return quantities | {name: projected(source, hours) for name, hours in lengths.items()}, Observed(at_least, before)


def _before(source: xr.Dataset, hours: int) -> xr.DataArray:
    """Return the rain (y, x) of the hours up to init_time that were observed; NaN where none was."""
    hourly = source[OBSERVED].values[:hours]
    known = np.isfinite(hourly).any(axis=0)
    total = np.where(known, np.nansum(hourly, axis=0, dtype=np.float64), np.nan)
    return source["tp01"].isel(member=0, lead_time=0, drop=True).copy(data=total.astype(np.float32))


def _about(members: xr.Dataset, zones: Zones, run: str) -> About:
    said: dict[str, Any] = members.attrs
    holders = (said.get("creator_name"), said.get("acknowledgement"), zones.attribution)
    return About(
        experiment=str(said.get("experiment", "")),
        init_time=f"{np.datetime_as_string(members['init_time'].values, 's')}Z",
        run=run,
        members=members.sizes["member"],
        lead_hours=int(members["lead_time"].values[-1] / np.timedelta64(1, "h")),
        simulated=bool(said.get("simulated", 0)),
        trained=bool(said.get("trained", 1)),
        status="degraded" if said.get("inputs_status") == "degraded" else "complete",
        attribution="; ".join(str(holder) for holder in holders if holder),
    )
