"""From fetched inputs to the prepared inputs of a cycle, on a package's grid.

One artifact of kind `prepared` holds the state at init_time (`state`) and the background at every hour (`background`).
"""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.fetch import Fetched, unusable
from stormcast_tw.inputs.input_set import InputName, InputSet
from stormcast_tw.inputs.onto_grid import (
    NoRain,
    prepare_background,
    prepare_observed,
    prepare_state,
    prepare_without_state,
)
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import load_invariants
from stormcast_tw.plan import InputsPlan
from stormcast_tw.schema import global_attributes, time_coordinates
from stormcast_tw.storage.artifact import Address, Artifact, Details
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS
from stormcast_tw.version import code_version

PREDICTED_FROM: tuple[InputName, ...] = ("state", "rain", "model_rain", "background")
"""The inputs that a forecast depends on; the observed rain of the day before is only stored."""


class Prepared(Details):
    """The manifest details of prepared inputs: attributes that say what served, and a line about the rain."""

    served: dict[str, str]
    rain: str


def plan_inputs(request: Request, inputs: InputSet, fetched: Sequence[Artifact]) -> InputsPlan:
    """Return the plan of the prepared inputs, which were examined."""
    details = [Fetched.of(artifact) for artifact in fetched]
    used = {name: files for one in details for name, files in one.used.items() if name in PREDICTED_FROM}
    return InputsPlan(
        experiment=request.experiment,
        cycle=str(request.cycle),
        inputs={name: tuple(file.digest for file in files) for name, files in used.items()},
        interpretation={name: how for one in details for name, how in one.interpretation.items() if name in used},
        package=request.description.digest,
        lead_hours=request.lead_hours,
        doubts=inputs.doubts,
        code_version=code_version("prepared"),
    )


def prepare(
    store: Store, request: Request, plan: InputsPlan, inputs: InputSet, fetched: Sequence[Artifact]
) -> Artifact:
    """Regrid what was fetched to the package's grid and seal it; a sealed artifact is returned as it is.

    The manifest's details are `Prepared`; its attributes go into everything made from these inputs.
    Raises BadInput where grid, terrain, coverage or values are wrong, or where a cell has no rain from any source.
    """
    address = Address(kind="prepared", experiment=plan.experiment, cycle=plan.cycle, run=plan.run)
    simulated = any(artifact.simulated for artifact in fetched)

    def fill(draft: Draft) -> Artifact:
        state, background = _state(store, request, inputs, fetched), _background(store, request, inputs, fetched)
        for name, title, dataset in (
            ("state", "km-scale state at init_time", state),
            ("background", "background at every hour", background),
        ):
            attributes = global_attributes(title, simulated=simulated, experiment=plan.experiment)
            draft.write(name, dataset.assign_attrs({**dataset.attrs, **attributes}))
        observed = state["rain_source"].attrs["observed_share"]
        return draft.seal(
            grid=request.description.grid.describe(),
            variables=tuple(str(name) for name in (*state.data_vars, *background.data_vars)),
            parents=tuple(fetched),
            simulated=simulated,
            now=request.now,
            details=Prepared(served=inputs.served(), rain=f"rain: {observed:.1%} of cells observed, the rest RWRP's"),
        )

    return store.make(address, plan.model_dump(mode="json"), fill)


def observed_rain(store: Store, request: Request, fetched: Sequence[Artifact]) -> xr.Dataset | None:
    """Return what was observed of the rain of the day up to init_time, on the package's grid; None if no hour was.

    Raises BadInput where it is implausible there.
    """
    opened = (_open(store, fetched, name) for name in ("past_rain", "rain"))
    observed = [rain for rain in opened if rain is not None and Grid.of(rain).is_geographic]
    return prepare_observed(observed, request.description.grid) if observed else None


def rain_files(fetched: Sequence[Artifact]) -> tuple[str, ...]:
    """Return the digests of the files of observed rain: what `observed_rain` depends on."""
    used = [Fetched.of(artifact).used for artifact in fetched]
    return tuple(file.digest for name in ("past_rain", "rain") for files in used for file in files.get(name, ()))


def _open(store: Store, fetched: Sequence[Artifact], name: str) -> xr.Dataset | None:
    for artifact in fetched:
        if name in Fetched.of(artifact).used:
            return store.open(artifact, name).load()
    return None


def _state(store: Store, request: Request, inputs: InputSet, fetched: Sequence[Artifact]) -> xr.Dataset:
    state, rain, model_rain = (_open(store, fetched, name) for name in ("state", "rain", "model_rain"))
    if rain is not None and not Grid.of(rain).is_geographic:  # RWRP's rain stands in for the observed
        rain, model_rain = None, rain
    description = request.description
    grid, alone = description.grid, description.begins_alone
    if state is not None:
        orography = load_invariants(request.package, description)["orog"]
        try:
            return prepare_state(state, rain, model_rain, grid, orography, gaps_allowed=alone)
        except NoRain as error:
            raise _rejecting("rain", inputs, f"{error}; {_why_missing(inputs, 'model_rain')}") from error
        except BadInput as error:
            raise _rejecting("state", inputs, str(error)) from error
    if not alone:
        raise Refused(f"input state was not fetched: {', '.join(artifact.uri for artifact in fetched)}")
    return prepare_without_state(STATE_SETS[description.state_set], request.cycle.init_time, rain, grid)


def _rejecting(name: InputName, inputs: InputSet, message: str) -> BadInput:
    """Return the error that lets the next stand-in of an input serve."""
    served = inputs.get(name)
    return BadInput(message) if served is None or not served.files else unusable(served, BadInput(message))


def _why_missing(inputs: InputSet, name: InputName) -> str:
    reasons = [i.reason for i in inputs.inputs if i.name == name and i.status == "missing"]
    return f"{name} is missing because {reasons[0]}" if reasons else f"{name} does not cover them"


def _background(store: Store, request: Request, inputs: InputSet, fetched: Sequence[Artifact]) -> xr.Dataset:
    background = _open(store, fetched, "background")
    if background is None:
        raise Refused(f"input background was not fetched: {', '.join(artifact.uri for artifact in fetched)}")
    variables = BACKGROUND_SETS[request.description.background_set]
    try:
        hourly = prepare_background(background, request.description.grid, variables)
    except BadInput as error:
        raise _rejecting("background", inputs, str(error)) from error
    by_lead = hourly.drop_vars("valid_time").rename(valid_time="lead_time")
    return by_lead.assign_coords(time_coordinates(request.cycle, range(request.lead_hours + 1)).coords)
