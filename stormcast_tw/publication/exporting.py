"""A published run in other formats: an artifact of its own, made after the run and never holding it back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stormcast_tw.errors import BadInput
from stormcast_tw.exports.series import Place
from stormcast_tw.exports.table import EXPORTS
from stormcast_tw.grid import Grid
from stormcast_tw.names import is_operational
from stormcast_tw.plan import digest_of
from stormcast_tw.products.zones import zones_here
from stormcast_tw.publication.answers import middle
from stormcast_tw.publication.catalogue import MEMBERS, NETCDF, PRODUCTS
from stormcast_tw.publication.pointers import EXPORTED
from stormcast_tw.publication.views import BOARD
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.version import code_version

_ASSETS = {
    "forecast.zarr": "every member",
    "products.zarr": "products",
    NETCDF: "products, one NetCDF file",
    BOARD: "hazards by county and township",
    "maps": "products as maps for pages",
}
"""Titles of a run's files, by path."""


def usual(experiment: str) -> tuple[str, ...]:
    """Return the exports that every run of an experiment is made into: those of the settings, or all that are usual.

    Drafts of alerts are not usual for `oper`, unless a setting asks for them; nor is what a library is missing for.
    """
    if (wanted := settings().exports) is not None:
        return wanted
    left_out = {"cap"} if is_operational(experiment) and not settings().cap_for_oper else set()
    return tuple(
        name for name, export in EXPORTS.items() if export.always and export.is_possible and name not in left_out
    )


def export_run(store: Store, run: Artifact, now: datetime, names: Sequence[str] | None = None) -> Artifact:
    """Make a published run into other formats and seal them beside it; sealed ones are returned.

    The artifact is `exports/<experiment>/<cycle>/<run>`, its parent the published run. Raises BadInput for a name that
    is not in `EXPORTS`, or where the run is damaged.
    """
    chosen = usual(run.address.experiment) if names is None else tuple(names)
    if unknown := [name for name in chosen if name not in EXPORTS]:
        raise BadInput(f"exports: {', '.join(unknown)}: allowed: {', '.join(EXPORTS)}")
    plan = {"published": run.address.run, "exports": sorted(chosen), "code_version": code_version("exports")}
    address = Address(
        kind=EXPORTED, experiment=run.address.experiment, cycle=run.address.cycle, run=digest_of(plan)[:12]
    )

    def fill(draft: Draft) -> Artifact:
        given = _given(store, run)
        for name in sorted(chosen):
            for path, data in EXPORTS[name].files(**given):
                draft.put(path, data)
        return draft.seal(
            grid=run.grid, variables=(), parents=(run,), simulated=run.simulated, trained=run.trained, now=now
        )

    return store.make(address, plan, fill)


def _given(store: Store, run: Artifact) -> dict[str, Any]:
    """Return what exports may need of a published run, lazily opened."""
    named = {"experiment": run.address.experiment, "run": run.address.run}
    members = store.open(run, MEMBERS).assign_attrs(named)
    zones = zones_here(Grid.of(members))
    townships = [] if zones is None else [zone for zone in zones.zones if zone.parent is not None]
    spots = [] if zones is None else [(zone, middle(zone, zones)) for zone in townships]
    folder = f"../../../../{run.address}"
    return {
        "members": members,
        "products": store.open(run, PRODUCTS).assign_attrs(named),
        "places": [Place(zone.code, spot.zh, zone.en, spot.latitude, spot.longitude) for zone, spot in spots],
        "board": {} if zones is None else json.loads(store.read(run, BOARD)),
        "sent": run.written_at,
        "assets": {f"{folder}/{path}": title for path, title in _ASSETS.items()},
    }
