"""From what was fetched to the prepared inputs of a cycle, on a package's grid.

One artifact of kind `prepared` holds the state at init_time (`state`) and the background at every hour (`background`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.fetch import OPERATIONAL
from stormcast_tw.inputs.onto_grid import prepare_background, prepare_state, prepare_without_state
from stormcast_tw.inputs.readiness import InputName, InputSet
from stormcast_tw.model import package as packages
from stormcast_tw.model.package import Description
from stormcast_tw.plan import InputsPlan
from stormcast_tw.schema import global_attributes, time_coordinates
from stormcast_tw.settings import code_version
from stormcast_tw.storage.store import Address, Artifact, Draft, Store
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS, VariableSet

PREDICTED_FROM: tuple[InputName, ...] = ("state", "rain", "model_rain", "background")
"""What a forecast depends on; the observed rain of the day before is kept beside it."""


def plan_inputs(
    fetched: Sequence[Artifact], experiment: str, cycle: Cycle, description: Description, lead_hours: int
) -> InputsPlan:
    """Return the plan of the prepared inputs. Raises Refused for an untrained or demo package in `oper`."""
    if experiment == OPERATIONAL and (not description.trained or description.simulated):
        what = "simulated" if description.trained else "untrained"
        raise Refused(f"experiment {OPERATIONAL}: package {description.name} {description.version} is {what}")
    return InputsPlan(
        experiment=experiment,
        cycle=str(cycle),
        inputs={
            name: tuple(used["digest"] for used in files)
            for artifact in fetched
            for name, files in artifact.details["used"].items()
            if name in PREDICTED_FROM
        },
        package=description.digest,
        lead_hours=lead_hours,
        code_version=code_version(),
    )


def prepare(
    store: Store,
    plan: InputsPlan,
    inputs: InputSet,
    fetched: Sequence[Artifact],
    package: Path,
    description: Description,
    now: datetime,
) -> Artifact:
    """Regrid what was fetched to the package's grid and seal it; a sealed artifact is returned as it is.

    What served, and how, is written into `details["served"]`, for the attributes of all that is made from it.

    Raises BadInput where grid, terrain, coverage or values are wrong, or where a cell has no rain from anywhere.
    """
    address = Address(kind="prepared", experiment=plan.experiment, cycle=plan.cycle, run=plan.run)
    cycle, grid = Cycle.parse(plan.cycle), Grid.parse(description.grid)
    simulated = any(artifact.simulated for artifact in fetched)

    def fill(draft: Draft) -> Artifact:
        state = _state(store, fetched, packages.load_invariants(package, description), description, cycle)
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
                "served": inputs.served(),
                "rain": f"rain: {state['rain_source'].attrs['observed_share']:.1%} of cells observed, the rest RWRP's",
            },
        )

    return store.make(address, plan.model_dump(mode="json"), fill)


def _open(store: Store, fetched: Sequence[Artifact], name: str) -> xr.Dataset | None:
    for artifact in fetched:
        if name in artifact.details["used"]:
            return store.open(artifact, name).load()
    return None


def _state(
    store: Store,
    fetched: Sequence[Artifact],
    invariants: Mapping[str, npt.NDArray[np.float32]],
    description: Description,
    cycle: Cycle,
) -> xr.Dataset:
    state, rain, model_rain = (_open(store, fetched, name) for name in ("state", "rain", "model_rain"))
    if rain is not None and not Grid.of(rain).is_geographic:  # RWRP's rain stands in for the observed
        rain, model_rain = None, rain
    grid, alone = Grid.parse(description.grid), description.begins_alone
    if state is not None:
        return prepare_state(state, rain, model_rain, grid, invariants["orog"], gaps_allowed=alone)
    if not alone:
        raise Refused(f"input state was not fetched: {', '.join(artifact.uri for artifact in fetched)}")
    return prepare_without_state(STATE_SETS[description.state_set], cycle.init_time, rain, grid)


def _background(
    store: Store, fetched: Sequence[Artifact], variables: VariableSet, grid: Grid, cycle: Cycle, lead_hours: int
) -> xr.Dataset:
    found = _open(store, fetched, "background")
    if found is None:
        raise Refused(f"input background was not fetched: {', '.join(artifact.uri for artifact in fetched)}")
    hourly = prepare_background(found, grid, variables)
    by_lead = hourly.drop_vars("valid_time").rename(valid_time="lead_time")
    return by_lead.assign_coords(time_coordinates(cycle, range(lead_hours + 1)).coords)
