"""Publish a finished forecast where readers look."""

from __future__ import annotations

from datetime import datetime

from prefect.logging import get_run_logger

from stormcast_tw.cycle import Cycle
from stormcast_tw.inputs.fetch import input_table
from stormcast_tw.inputs.input_set import InputSet
from stormcast_tw.operations.events import Event
from stormcast_tw.operations.freshness import next_expected, valid_until
from stormcast_tw.publication import catalogue
from stormcast_tw.publication.pointers import Promise, Status
from stormcast_tw.schema import labels
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import artifact_key, emit, show_markdown, show_table
from stormcast_tw.tasks.policy import task_under


@task_under("publish")
def publish(
    inputs: InputSet, fetched: tuple[Artifact, ...], forecast: Artifact, products: Artifact, now: datetime
) -> Artifact:
    """Publish the run, move the pointers, and emit an event."""
    store, work, where = Store(settings().published_root), Store(settings().work_root), settings().published_root
    seen = store.find(catalogue.published_address(products)) is not None
    table = input_table(inputs, fetched)
    status: Status = "complete" if inputs.status == "ready" else "degraded"
    cycle = Cycle.parse(products.address.cycle)
    promise = Promise(next_expected=next_expected(cycle), valid_until=valid_until(cycle))
    artifact = catalogue.publish(store, work, forecast, products, now, inputs=table, status=status, promise=promise)
    show_table(table, artifact_key("inputs", cycle), f"Inputs of {cycle}: {inputs.status}, as they were used")
    words = "was published before; nothing was written" if seen else "is published"
    what = f"{labels(simulated=artifact.simulated, trained=artifact.trained)}run"
    show_markdown(f"{what} `{artifact.address}` {words} below `{where}`.", artifact_key("published", cycle))
    get_run_logger().info("%s %s %s", what, artifact.address, words)
    if not seen:
        run, experiment = artifact.address.run, artifact.address.experiment
        emit(Event.CYCLE_PUBLISHED, cycle, status=status, run=run, experiment=experiment)
        if status == "degraded":
            emit(Event.CYCLE_DEGRADED, cycle, reason="; ".join(inputs.degraded), run=run, experiment=experiment)
    return artifact
