"""Find runs that are dead and cycles that are being worked on, on Prefect's server, and start what is missing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.logging import get_run_logger
from prefect.runtime import flow_run as this_run
from prefect.states import Crashed

from stormcast_tw.cycle import Cycle
from stormcast_tw.operations.events import HEARTBEAT, Event
from stormcast_tw.operations.timetable import OPERATIONS
from stormcast_tw.publication.pointers import is_published
from stormcast_tw.settings import settings
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import emit
from stormcast_tw.tasks.policy import task_under

SILENT = timedelta(minutes=3)
"""A run beats every 30 s. One that has been silent for so long is dead, or its server was away: then it goes on, and
publishes what it made, whatever its state says."""
RESTARTED = "reconciled"
"""The tag of the runs that are started here."""
_ACTIVE = (StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED)


@task_under("reconcile")
def end_silent_runs(now: datetime) -> list[str]:
    """Mark every running flow that has sent no heartbeat of late as crashed; return their names."""
    with get_client(sync_client=True) as client:
        silent = [run for run in _runs(client, StateType.RUNNING) if _is_silent(client, run, now)]
        for run in silent:
            client.set_flow_run_state(run.id, Crashed(message=f"no heartbeat for {SILENT}"), force=True)
            get_run_logger().warning("%s: no heartbeat for %s: marked as crashed", run.name, SILENT)
            _tell(run)
    return [run.name for run in silent]


def _tell(run: FlowRun) -> None:
    cycle, experiment = run.parameters.get("cycle"), str(run.parameters.get("experiment", "demo"))
    if cycle is not None:
        published = is_published(Store(settings().published_root), experiment, Cycle.parse(cycle))
        reason = "its process, or its host, is gone; reconcile starts it again"
        emit(Event.CYCLE_FAILED, Cycle.parse(cycle), news=not published, experiment=experiment, reason=reason)


def _is_silent(client: SyncPrefectClient, run: FlowRun, now: datetime) -> bool:
    if str(run.id) == this_run.id or run.start_time is None or now - run.start_time < SILENT:
        return False
    wanted = {
        "event": {"name": [HEARTBEAT]},
        "occurred": {"since": (now - SILENT).isoformat()},
        "resource": {"id": [f"prefect.flow-run.{run.id}"]},
    }
    answer = client.request("POST", "/events/filter", json={"filter": wanted, "limit": 1})
    return not answer.json()["events"]


def _runs(client: SyncPrefectClient, *states: StateType) -> list[FlowRun]:
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))))
    return client.read_flow_runs(flow_run_filter=wanted)


@task_under("reconcile")
def active_cycles(experiment: str) -> set[str]:
    """Return the cycles that a run is working on or about to."""
    with get_client(sync_client=True) as client:
        runs = _runs(client, *_ACTIVE)
    return {cycle for run in runs if (cycle := _cycle_of(run, experiment)) is not None}


def _cycle_of(run: FlowRun, experiment: str) -> str | None:
    parameters: dict[str, Any] = run.parameters
    if parameters.get("experiment", experiment) != experiment:
        return None
    if parameters.get("cycle"):
        return str(parameters["cycle"])
    is_operations = "wait" in parameters or (run.name or "").startswith("latest-")
    started = run.state is not None and run.state.type is not StateType.SCHEDULED
    if is_operations and started and run.expected_start_time is not None:
        return str(OPERATIONS.cycle_of(run.expected_start_time))
    return None


@task_under("reconcile")
def restart(cycle: Cycle, experiment: str, lead_hours: int, why: str, now: datetime) -> None:
    """Have the deployment `operations` forecast a cycle: the newest at once, an older one in the queue of backfills."""
    newest = cycle == OPERATIONS.cycle_of(now)
    run = run_deployment(
        "operations/operations",
        parameters={"cycle": str(cycle), "experiment": experiment, "lead_hours": lead_hours, "wait": newest},
        tags=[RESTARTED],
        work_queue_name="operations" if newest else "backfill",
        timeout=0,
        as_subflow=False,
    )
    get_run_logger().info("%s: %s: started %s", cycle, why, run.name)  # type: ignore[union-attr]
