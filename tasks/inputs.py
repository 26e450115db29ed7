"""Wait for a cycle's inputs, show them, fetch them, bring them onto the package's grid."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from prefect.logging import get_run_logger

from stormcast_tw.cycle import HOURS_BETWEEN_CYCLES, Cycle, hours
from stormcast_tw.errors import BadInput
from stormcast_tw.inputs.examination import examine
from stormcast_tw.inputs.fetch import Fetched, fetch
from stormcast_tw.inputs.input_set import InputName, InputSet
from stormcast_tw.inputs.prepare import Prepared, prepare
from stormcast_tw.inputs.readiness import look
from stormcast_tw.inputs.request import Request
from stormcast_tw.operations import alarms
from stormcast_tw.operations.events import Event
from stormcast_tw.operations.timetable import OPERATIONS
from stormcast_tw.plan import InputsPlan
from stormcast_tw.publication import catalogue
from stormcast_tw.schema import labels
from stormcast_tw.settings import settings
from stormcast_tw.sources.isolated import warm_up
from stormcast_tw.sources.table import all_sources
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import artifact_key, emit, show_table
from stormcast_tw.tasks.policy import task_under

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 120.0
"""Pauses between two looks, doubled each time. Files arrive minutes apart; noticing one two minutes late is no harm."""


@task_under("await")
def await_inputs(request: Request, rejected: Mapping[str, str], wait: bool = True) -> InputSet:
    """Return what serves the cycle: at once if everything is ready, else the best available at the deadline.

    The table of inputs on the run's page is kept up to date meanwhile. Raises NotReady, with an event, if a required
    input is missing at the deadline; BadInput if everything that was delivered is damaged.
    """
    sources, cycle = all_sources(settings(), request.description.grid), request.cycle
    warm_up()
    log = get_run_logger()
    for last in _looks(cycle, request.now, wait):
        inputs = look(request.need, sources, rejected)
        show_table(inputs.table(), artifact_key("inputs", cycle), f"Inputs of {cycle}: {inputs.status}")
        if inputs.status == "ready" or last:
            break
        log.info("inputs of %s: %s; waiting for %s", cycle, inputs.status, "; ".join(inputs.missing or inputs.degraded))
    if inputs.missing:
        _emit_status(inputs, request.experiment)
    if inputs.missing and (damage := [reason for reason in rejected.values() if reason in " ".join(inputs.missing)]):
        raise BadInput(damage[0])
    log.info("inputs of %s: %s", cycle, ", ".join(f"{i.name} {i.status}" for i in inputs.inputs))
    return inputs.require_complete()


def _looks(cycle: Cycle, now: datetime, wait: bool) -> Iterator[bool]:
    """Yield once before each look, True before the last: at the deadline, or at once without `wait`."""
    started, pause = time.monotonic(), FIRST_PAUSE_SECONDS
    deadline = cycle.init_time + OPERATIONS.deadline
    while wait and (left := (deadline - now - timedelta(seconds=time.monotonic() - started)).total_seconds()) > 0:
        yield False
        time.sleep(min(pause, left))
        pause = min(2.0 * pause, LONGEST_PAUSE_SECONDS)
    yield True


def _emit_status(inputs: InputSet, experiment: str) -> None:
    """Emit the status of the inputs as an event, as news if it differs from the last one."""
    cycle = Cycle.parse(inputs.cycle)
    news = alarms.is_news(Store(settings().work_root), inputs, experiment)
    event = {"ready": Event.INPUTS_READY, "degraded": Event.INPUTS_DEGRADED, "missing": Event.INPUTS_MISSING}
    emit(event[inputs.status], cycle, news=news, experiment=experiment, text=alarms.text(inputs), inputs=inputs.table())


@task_under("fetch")
def fetch_state(request: Request, inputs: InputSet) -> Artifact:
    """Store state and rain as the providers delivered them, and the observed rain of the day before."""
    return _fetch(request, inputs, ("past_rain", "rain", "model_rain", "state"))


@task_under("fetch")
def fetch_background(request: Request, inputs: InputSet) -> Artifact:
    """Store the global forecast as the provider delivered it, at every hour."""
    return _fetch(request, inputs, ("background",))


def _fetch(request: Request, inputs: InputSet, names: tuple[InputName, ...]) -> Artifact:
    sources = all_sources(settings(), request.description.grid)
    artifact = fetch(Store(settings().work_root), request, inputs, names, sources)
    words = labels(simulated=artifact.simulated, trained=None)
    sizes = f"{len(artifact.variables)} variables in {len(artifact.parents)} files"
    megabytes = sum(file.bytes_read for files in Fetched.of(artifact).used.values() for file in files) / 1e6
    get_run_logger().info("%s%s, %.1f MB read, kept as %s", words, sizes, megabytes, artifact.address)
    return artifact


@task_under("examine")
def examine_inputs(request: Request, inputs: InputSet, fetched: tuple[Artifact, ...]) -> InputSet:
    """Return the inputs, suspicious ones marked, and emit their status; every measure stands on the run's page.

    Raises UnusableInput for an input that no weather explains.
    """
    before = Cycle(request.cycle.init_time - hours(HOURS_BETWEEN_CYCLES))
    forecast = catalogue.forecast_at(Store(settings().published_root), request.experiment, before, HOURS_BETWEEN_CYCLES)
    examined, numbers = examine(Store(settings().work_root), inputs, fetched, forecast)
    rows = [{"measure": name, "found": f"{value:.4g}"} for name, value in numbers.items()]
    show_table(rows, artifact_key("second-opinion", request.cycle), f"What {request.cycle} was examined by")
    for doubt in examined.doubts:
        get_run_logger().warning("%s looks suspicious: %s", *doubt.split(": ", 1))
    _emit_status(examined, request.experiment)
    return examined


@task_under("regrid")
def regrid_inputs(request: Request, plan: InputsPlan, inputs: InputSet, fetched: tuple[Artifact, ...]) -> Artifact:
    """Return the prepared inputs of a forecast."""
    artifact = prepare(Store(settings().work_root), request, plan, inputs, fetched)
    get_run_logger().info("%s", Prepared.of(artifact).rain)
    return artifact
