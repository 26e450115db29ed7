"""Products, and what is published: one sealed folder per run, and pointers to the chosen run and the newest cycle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import xarray as xr
from pydantic import AwareDatetime, Field

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, Conflict, StormcastError
from stormcast_tw.exports.netcdf import to_netcdf
from stormcast_tw.plan import Frozen, Plan, ProductsPlan
from stormcast_tw.products import make_products as products_of
from stormcast_tw.storage.artifact import MANIFEST, Address, Artifact, Details
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.version import code_version

PUBLISHED = "published"
Status = Literal["complete", "degraded"]
_ATTEMPTS = 20


class Entry(Frozen):
    """The content of a pointer: the run to read."""

    init_time: AwareDatetime
    run: str
    manifest: str
    """Relative to the folder of the experiment."""
    status: Status


class Published(Details):
    """The manifest details of a published run: how it was rolled out, the table of its inputs, and its status."""

    package: dict[str, Any] = Field(default_factory=dict)
    machine: dict[str, Any] = Field(default_factory=dict)
    seconds_per_member_hour: float | None = None
    inputs: tuple[dict[str, str], ...] = ()
    status: Status = "complete"


def plan_of(run: Artifact) -> Plan:
    """Return the plan of the forecast in a published run."""
    return ProductsPlan.read(run.plan).forecast


def make_products(store: Store, forecast: Artifact, now: datetime) -> Artifact:
    """Form the products of a forecast and seal them beside it; sealed ones are returned as they are."""
    plan = ProductsPlan(forecast=Plan.model_validate(forecast.plan), code_version=code_version("products"))

    def fill(draft: Draft) -> Artifact:
        products = products_of(store.open(forecast, "forecast"))
        draft.write("products", products)
        draft.put("products.nc", _netcdf(products))
        return draft.seal(
            grid=forecast.grid,
            variables=tuple(str(name) for name in products.data_vars),
            parents=(forecast,),
            simulated=forecast.simulated,
            trained=forecast.trained,
            now=now,
        )

    address = forecast.address.model_copy(update={"kind": "products", "run": plan.run})
    return store.make(address, plan.model_dump(mode="json", exclude_none=True), fill)


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
) -> Artifact:
    """Copy a forecast and its products where readers look, seal them, then move the pointers.

    `inputs` is the table of inputs for people. A reader sees nothing before the seal. A published run is returned as it
    is.
    """

    def fill(draft: Draft) -> Artifact:
        draft.copy_in(work, forecast)
        draft.copy_in(work, products)
        return draft.seal(
            grid=forecast.grid,
            variables=(*forecast.variables, *products.variables),
            parents=(forecast, products),
            simulated=forecast.simulated,
            trained=forecast.trained,
            now=now,
            details=Published.model_validate(forecast.details | {"inputs": inputs, "status": status}),
        )

    Cycle.parse(products.address.cycle).require_not_after(now)
    before = store.find(published_address(products))
    if before is not None and (damage := store.damage(before)):
        name, wrong = next(iter(damage.items()))
        raise BadInput(f"{before.uri}/{name}: {wrong}; `stormcast-tw catalogue check --repair` makes it again")
    artifact = store.make(published_address(products), products.plan, fill)
    point_at(store, artifact)
    return artifact


def _netcdf(dataset: xr.Dataset) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "products.nc")
        to_netcdf(dataset, path)
        return path.read_bytes()


def point_at(store: Store, artifact: Artifact) -> None:
    """Choose this run for its cycle, and move `latest.json` to it unless that would go back in time."""
    address = artifact.address
    cycle = Cycle.parse(address.cycle)
    entry = Entry(
        init_time=cycle.init_time,
        run=address.run,
        manifest=f"{address.cycle}/{address.run}/{MANIFEST}",
        status=Published.of(artifact).status,
    )
    folder = f"{address.kind}/{address.experiment}"
    _move(store, f"{folder}/{address.cycle}/chosen.json", entry)
    _move(store, f"{folder}/latest.json", entry)


def latest(store: Store, experiment: str) -> Artifact | None:
    """Return the published run that `latest.json` points at, or None."""
    return _pointed_at(store, experiment, "latest.json")


def forecast_at(store: Store, experiment: str, cycle: Cycle, lead_hours: int) -> xr.Dataset | None:
    """Return the mean of the members that the chosen run of a cycle forecast for a lead, (valid_time = 1, y, x).

    None if there is no such run or lead, or if what is there cannot be read.
    """
    try:
        run = _pointed_at(store, experiment, f"{cycle}/chosen.json")
        if run is None or plan_of(run).lead_hours < lead_hours:
            return None
        members = store.open(run, "forecast").isel(lead_time=[lead_hours]).load()
    except StormcastError:
        return None
    return members.mean("member", keep_attrs=True).swap_dims(lead_time="valid_time")


def _pointed_at(store: Store, experiment: str, pointer: str) -> Artifact | None:
    value = store.read_pointer(f"{PUBLISHED}/{experiment}/{pointer}").value
    if value is None:
        return None
    entry = Entry.model_validate(value)
    cycle = str(Cycle(entry.init_time))
    return store.get(Address(kind=PUBLISHED, experiment=experiment, cycle=cycle, run=entry.run))


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


def _move(store: Store, path: str, entry: Entry) -> None:
    for _ in range(_ATTEMPTS):
        seen = store.read_pointer(path)
        if seen.value is not None:
            before = Entry.model_validate(seen.value)
            if before == entry or before.init_time > entry.init_time:
                return
        try:
            store.move_pointer(path, seen, entry.model_dump(mode="json"))
        except Conflict:
            continue
        return
    raise Conflict(f"{store.root}/{path}: was moved by others {_ATTEMPTS} times in a row")
