"""Look for a cycle's inputs, show them, and fetch them."""

from __future__ import annotations

from datetime import datetime

from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import NotReady
from stormcast_tw.events import Event
from stormcast_tw.grid import Grid
from stormcast_tw.inputs import fetch
from stormcast_tw.model.package import Description
from stormcast_tw.readiness import InputName, InputSet, find_inputs, sources
from stormcast_tw.schema import labels
from stormcast_tw.settings import settings
from stormcast_tw.store import Artifact, Store
from stormcast_tw.variables import BACKGROUND_SETS
from tasks.policy import artifact_key, emit, under


@under("fetch")
def await_inputs(cycle: Cycle, lead_hours: int, package: Description) -> InputSet:
    """Return what serves the cycle, put it on the run's page as a table, and say so as an event."""
    background_set = BACKGROUND_SETS[package.background_set]
    try:
        inputs = find_inputs(
            cycle, lead_hours, background_set, sources(settings().inputs_root, Grid.parse(package.grid))
        )
    except NotReady as error:
        emit(Event.INPUTS_MISSING, cycle, reason=str(error))
        raise
    create_table_artifact(inputs.table(), artifact_key("inputs", cycle), f"Inputs of {cycle}")
    emit(Event.INPUTS_READY, cycle, inputs=inputs.table())
    get_run_logger().info("inputs of %s: %s", cycle, ", ".join(f"{i.name} {i.status}" for i in inputs.inputs))
    return inputs


@under("fetch")
def fetch_state(inputs: InputSet, package: Description, experiment: str, now: datetime) -> Artifact:
    """Keep state and rain as the providers gave them."""
    return _fetch(inputs, ("state", "rain", "model_rain"), package, experiment, now)


@under("fetch")
def fetch_background(inputs: InputSet, package: Description, experiment: str, now: datetime) -> Artifact:
    """Keep the global forecast as the provider gave it, at every hour."""
    return _fetch(inputs, ("background",), package, experiment, now)


def _fetch(
    inputs: InputSet, names: tuple[InputName, ...], package: Description, experiment: str, now: datetime
) -> Artifact:
    providers = sources(settings().inputs_root, Grid.parse(package.grid))
    artifact = fetch(Store(settings().work_root), inputs, names, providers, experiment, now)
    words = labels(simulated=artifact.simulated, trained=None)
    sizes = f"{len(artifact.variables)} variables in {len(artifact.parents)} files"
    get_run_logger().info("%s%s of %s, kept as %s", words, sizes, ", ".join(names), artifact.address)
    return artifact
