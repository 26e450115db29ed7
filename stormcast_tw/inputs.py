"""From providers' files to the prepared inputs of a cycle: fetched as they are, then regridded for a package.

Two artifacts of kind `inputs` hold what was fetched, on the providers' grids; one of kind `prepared` holds the state at
init_time (`state`) and the background at every hour (`background`) on the package's grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.grid import Grid
from stormcast_tw.model import package as packages
from stormcast_tw.model.package import Description
from stormcast_tw.plan import InputsPlan, digest_of
from stormcast_tw.prepare import prepare_background, prepare_state
from stormcast_tw.readiness import InputName, InputSet
from stormcast_tw.schema import global_attributes, time_coordinates
from stormcast_tw.settings import code_version
from stormcast_tw.sources.base import Source
from stormcast_tw.store import Address, Artifact, Draft, Store
from stormcast_tw.variables import BACKGROUND_SETS, VariableSet

OPERATIONAL = "oper"
"""The one experiment that responders act on; it refuses everything simulated or untrained."""


def plan_inputs(inputs: InputSet, experiment: str, description: Description, lead_hours: int) -> InputsPlan:
    """Return the plan of the prepared inputs. Raises Refused for an untrained or demo package in `oper`."""
    if experiment == OPERATIONAL and (not description.trained or description.simulated):
        what = "simulated" if description.trained else "untrained"
        raise Refused(f"experiment {OPERATIONAL}: package {description.name} {description.version} is {what}")
    return InputsPlan(
        experiment=experiment,
        cycle=inputs.cycle,
        inputs=inputs.digests,
        package=description.digest,
        lead_hours=lead_hours,
        code_version=code_version(),
    )


def fetch(
    store: Store,
    inputs: InputSet,
    names: Sequence[InputName],
    providers: Mapping[InputName, Source],
    experiment: str,
    now: datetime,
) -> Artifact:
    """Read the named inputs and keep them as they are, one dataset each; optional ones may be absent.

    Raises BadInput for what cannot be read, Refused for anything simulated in `oper`.
    """
    wanted = [found for name in names if (found := inputs.get(name)) is not None]
    plan = {"inputs": {i.name: list(i.files.values()) for i in wanted}, "code_version": code_version()}
    address = Address(kind="inputs", experiment=experiment, cycle=inputs.cycle, run=digest_of(plan)[:12])

    def fill(draft: Draft) -> Artifact:
        grids: dict[str, object] = {}
        simulated = False
        for found in wanted:
            dataset = providers[found.name].read(found.located())
            grids[found.name] = Grid.of(dataset).describe()
            simulated |= bool(dataset.attrs.get("simulated", 0))
            draft.write(found.name, dataset)
        if simulated and experiment == OPERATIONAL:
            raise Refused(f"experiment {OPERATIONAL}: {', '.join(a for i in wanted for a in i.files)} are simulated")
        return draft.seal(
            grid=grids,
            variables=tuple(dict.fromkeys(v for i in wanted for v in i.variables)),
            parents=tuple(a for i in wanted for a in i.files),
            simulated=simulated,
            now=now,
            details={"inputs": [i.model_dump(mode="json") for i in wanted]},
        )

    return store.make(address, plan, fill)


def prepare(
    store: Store, plan: InputsPlan, fetched: Sequence[Artifact], package: Path, description: Description, now: datetime
) -> Artifact:
    """Regrid what was fetched to the package's grid and seal it; a sealed artifact is returned as it is.

    Raises BadInput where grid, terrain, coverage or values are wrong, or where a cell has no rain from anywhere.
    """
    address = Address(kind="prepared", experiment=plan.experiment, cycle=plan.cycle, run=plan.run)
    cycle, grid = Cycle.parse(plan.cycle), Grid.parse(description.grid)
    simulated = any(artifact.simulated for artifact in fetched)

    def fill(draft: Draft) -> Artifact:
        state = _state(store, fetched, packages.load_invariants(package, description), grid)
        background = _background(
            store, fetched, BACKGROUND_SETS[description.background_set], grid, cycle, plan.lead_hours
        )
        for name, title, dataset in (
            ("state", "km-scale state at init_time", state),
            ("background", "background at every hour", background),
        ):
            attributes = global_attributes(title, simulated=simulated, experiment=plan.experiment)
            draft.write(name, dataset.assign_attrs({**dataset.attrs, **attributes}))
        return draft.seal(
            grid=grid.describe(),
            variables=tuple(str(name) for name in (*state.data_vars, *background.data_vars)),
            parents=tuple(fetched),
            simulated=simulated,
            now=now,
            details={
                "rain": f"rain: {state['rain_source'].attrs['observed_share']:.1%} of cells observed, the rest RWRP's"
            },
        )

    return store.make(address, plan.model_dump(mode="json"), fill)


def _open(store: Store, fetched: Sequence[Artifact], name: InputName) -> xr.Dataset | None:
    for artifact in fetched:
        if name in artifact.plan["inputs"]:
            return store.open(artifact, name).load()
    return None


def _require(store: Store, fetched: Sequence[Artifact], name: InputName) -> xr.Dataset:
    dataset = _open(store, fetched, name)
    if dataset is None:
        raise Refused(f"input {name} was not fetched: {', '.join(artifact.uri for artifact in fetched)}")
    return dataset


def _state(store: Store, fetched: Sequence[Artifact], invariants: Mapping[str, object], grid: Grid) -> xr.Dataset:
    orography = xr.DataArray(invariants["orog"], dims=grid.dims)
    rain, model_rain = _open(store, fetched, "rain"), _open(store, fetched, "model_rain")
    return prepare_state(_require(store, fetched, "state"), rain, model_rain, grid, orography)


def _background(
    store: Store, fetched: Sequence[Artifact], variables: VariableSet, grid: Grid, cycle: Cycle, lead_hours: int
) -> xr.Dataset:
    hourly = prepare_background(_require(store, fetched, "background"), grid, variables)
    by_lead = hourly.drop_vars("valid_time").rename(valid_time="lead_time")
    return by_lead.assign_coords(time_coordinates(cycle, range(lead_hours + 1)).coords)
