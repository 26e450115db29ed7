"""Products, and what is published: one sealed folder per run. The pointers to them are in `pointers.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import StormcastError
from stormcast_tw.grid import Grid
from stormcast_tw.plan import Plan, ProductsPlan
from stormcast_tw.publication.beside import Beside
from stormcast_tw.publication.pointers import PUBLISHED, Promise, Status, chosen, point_at
from stormcast_tw.storage.artifact import Address, Artifact, Details
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.version import code_version

if TYPE_CHECKING:
    import xarray as xr

MEMBERS = "forecast"
"""The dataset of the members of a forecast."""
PRODUCTS = "products"
"""The dataset of products."""
NETCDF = "products.nc"


class Published(Details):
    """The manifest details of a published run: how it was rolled out, the table of its inputs, and its status."""

    package: dict[str, Any] = Field(default_factory=dict)
    machine: dict[str, Any] = Field(default_factory=dict)
    seconds_per_member_hour: float | None = None
    attribution: dict[str, str] | None = None
    rounded: bool = False
    """Whether the members were rounded, see `products.rounding`; before 0.2 they were not."""
    inputs: tuple[dict[str, str], ...] = ()
    status: Status = "complete"
    stage_seconds: dict[str, float] | None = None
    """Time that each stage took, where it was measured."""


def plan_of(run: Artifact) -> Plan:
    """Return the plan of the forecast in a published run."""
    return ProductsPlan.read(run.plan).forecast


def make_products(
    store: Store, forecast: Artifact, now: datetime, beside: Beside | None = None, into: Store | None = None
) -> Artifact:
    """Form the products of a forecast and seal them beside it, or in another store; sealed ones are returned.

    They are made of the rounded members, which are published, and of what is `beside` them; `forecast` may be a
    published run, which holds its members. Raises BadInput where the forecast is damaged.
    """
    from stormcast_tw.products.zones import zones_here
    from stormcast_tw.publication.views import views

    beside = beside or Beside()
    zones = zones_here(Grid.parse(forecast.grid))
    plan = ProductsPlan(
        forecast=ProductsPlan.read(forecast.plan).forecast,
        code_version=code_version("products"),
        observed=beside.rain_files or None,
        orography=None if beside.orography is None else "of the package",
        zones=None if zones is None else zones.digest,
    )

    def fill(draft: Draft) -> Artifact:
        from stormcast_tw.products import make_products as products_of
        from stormcast_tw.products.rounding import rounded

        members = store.open(forecast, MEMBERS)
        members = (members if forecast.address.kind == PUBLISHED else rounded(members)).load()
        products = products_of(members, beside.observed, beside.orography)
        for name, data in views(members, products, beside, zones, plan.run):
            draft.put(name, data)
        for name, dataset in beside.datasets(Grid.of(members)):
            draft.write(name, dataset)
        draft.write_sharded(PRODUCTS, products)
        draft.put(NETCDF, _netcdf(products))
        return draft.seal(
            grid=forecast.grid,
            variables=tuple(str(name) for name in products.data_vars),
            parents=(forecast,),
            simulated=forecast.simulated,
            trained=forecast.trained,
            now=now,
        )

    address = forecast.address.model_copy(update={"kind": "products", "run": plan.run})
    return (into or store).make(address, plan.model_dump(mode="json", exclude_none=True), fill)


def published_address(products: Artifact) -> Address:
    """Return the address at which products are published, together with their forecast."""
    return products.address.model_copy(update={"kind": PUBLISHED})


def publish(
    store: Store,
    work: Store,
    forecast: Artifact,
    products: Artifact,
    now: datetime,
    inputs: Sequence[Mapping[str, str]] = (),
    status: Status = "complete",
    promise: Promise | None = None,
) -> Artifact:
    """Round a forecast and copy its products to where readers look, seal them, then move the pointers.

    `inputs` is the table of inputs for people, `promise` what `latest.json` says of the next run. A reader sees nothing
    before the seal. A published run is returned as it is; raises BadInput where it, or what is to be copied, is
    damaged.
    """

    def fill(draft: Draft) -> Artifact:
        _write_members(draft, work, forecast)
        draft.copy_in(work, products)
        return draft.seal(
            grid=forecast.grid,
            variables=(*forecast.variables, *products.variables),
            parents=(forecast, products),
            simulated=forecast.simulated,
            trained=forecast.trained,
            now=now,
            details=Published.model_validate(forecast.details | {"inputs": inputs, "status": status, "rounded": True}),
        )

    Cycle.parse(products.address.cycle).require_not_after(now)
    artifact = store.make(published_address(products), products.plan, fill)
    point_at(store, artifact, promise)
    return artifact


def round_members(source: Store, forecast: Artifact, into: Store) -> Artifact:
    """Seal the members of a forecast, alone, as `publish` writes them: of the same bytes, for a repair."""

    def fill(draft: Draft) -> Artifact:
        _write_members(draft, source, forecast)
        return draft.seal(
            grid={}, variables=(), parents=(forecast,), simulated=forecast.simulated, now=forecast.written_at
        )

    address = forecast.address.model_copy(update={"kind": "members"})
    return into.make(address, forecast.plan, fill)


def _write_members(draft: Draft, source: Store, forecast: Artifact) -> None:
    from stormcast_tw.products.rounding import rounded

    members = source.open(forecast, MEMBERS)
    for name in members.data_vars:  # one variable at a time is in memory
        others = [other for other in members.data_vars if other != name]
        draft.write_sharded(MEMBERS, rounded(members.drop_vars(others)), each="member")


def _netcdf(dataset: xr.Dataset) -> bytes:
    from stormcast_tw.exports.netcdf import to_netcdf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, NETCDF)
        to_netcdf(dataset, path)
        return path.read_bytes()


def forecast_at(store: Store, experiment: str, cycle: Cycle, lead_hours: int) -> xr.Dataset | None:
    """Return the mean of the members that the chosen run of a cycle forecast for a lead, (valid_time = 1, y, x).

    None if there is no such run or lead, or if what is there cannot be read.
    """
    try:
        run = chosen(store, experiment, cycle)
        if run is None or plan_of(run).lead_hours < lead_hours:
            return None
        members = store.open(run, MEMBERS).sel(lead_time=[np.timedelta64(lead_hours, "h")]).load()
    except StormcastError:
        return None
    return members.mean("member", keep_attrs=True).swap_dims(lead_time="valid_time")


def find_published(
    store: Store, experiment: str, cycle: str, package: str, lead_hours: int, members: int, base_seed: int
) -> Artifact | None:
    """Return the newest published run of a cycle made by this package for these leads, members and base seed."""
    wanted = (package, lead_hours, members, base_seed)
    for artifact in reversed(store.list(PUBLISHED, f"{experiment}/{cycle}")):
        plan = plan_of(artifact)
        if (plan.inputs.package, plan.lead_hours, plan.members, plan.base_seed) == wanted:
            return artifact
    return None
