"""One six-hourly cycle, from providers' files to published products."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run as this_run
from prefect.states import Completed

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.forecast.planning import plan_forecast
from stormcast_tw.inputs.fetch import UnusableInput
from stormcast_tw.inputs.input_set import InputSet
from stormcast_tw.inputs.prepare import plan_inputs
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import describe
from stormcast_tw.names import ExperimentName
from stormcast_tw.operations.disk import require_space
from stormcast_tw.operations.events import Event
from stormcast_tw.operations.timetable import OPERATIONS
from stormcast_tw.plan import BaseSeed, CycleText, InputsPlan, LeadHours, MemberCount
from stormcast_tw.publication.pointers import is_published
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.export import export
from stormcast_tw.tasks.inputs import await_inputs, examine_inputs, fetch_background, fetch_state, regrid_inputs
from stormcast_tw.tasks.page import emit, emit_flow_event
from stormcast_tw.tasks.products import make_products
from stormcast_tw.tasks.publish import publish
from stormcast_tw.tasks.rollout import roll_out


def _run_name() -> str:
    parameters = this_run.parameters
    return f"{parameters.get('cycle') or 'latest'}-{parameters.get('experiment')}"


def _emit_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Emit that there is no forecast.

    It is no news if missing inputs have been reported already, or if another run has published the cycle.
    """
    asked, due = flow_run.parameters.get("cycle"), flow_run.expected_start_time or datetime.now(UTC)
    cycle = Cycle.parse(asked) if asked else OPERATIONS.cycle_of(due)
    experiment = str(flow_run.parameters.get("experiment", "demo"))
    reported = isinstance(state.result(raise_on_failure=False), NotReady)
    news = not reported and not is_published(Store(settings().published_root), experiment, cycle)
    emit(Event.CYCLE_FAILED, cycle, news=news, reason=str(state.message), experiment=experiment)


@flow(name="operations", flow_run_name=_run_name, on_failure=[_emit_failure], on_crashed=[_emit_failure])
def operations(
    cycle: CycleText | None = None,
    experiment: ExperimentName = "demo",
    lead_hours: LeadHours = 12,
    members: MemberCount | None = None,
    base_seed: BaseSeed = 0,
    wait: bool = True,
    now: datetime | None = None,
) -> Artifact:
    """Forecast one cycle (for example 20261122T06Z; by default the one this run was scheduled for) and publish it.

    Waits for its inputs until three hours after the cycle, unless `wait` is False. Everything is idempotent: what is
    sealed is returned as it is, what was interrupted continues. A run that was scheduled for a cycle, and starts only
    when a newer one is due, skips itself: `reconcile` fills the gap without delaying the newer one.
    """
    now = now or datetime.now(UTC)
    chosen = Cycle.parse(cycle) if cycle else OPERATIONS.cycle_of(this_run.scheduled_start_time or now)
    if cycle is None and chosen < (newest := OPERATIONS.cycle_of(now)):
        emit(Event.CYCLE_SKIPPED, chosen, news=False, experiment=experiment, reason=f"{newest} is due")
        why = f"{chosen} is late, {newest} is due; reconcile fills the gap"
        return cast("Artifact", Completed(name="Skipped", message=why))  # the state that this run ends in
    package = settings().package
    request = Request(chosen, lead_hours, experiment, package, describe(package), now)
    require_space(settings(), request.description, members or request.description.members, lead_hours)
    inputs, fetched, inputs_plan, prepared = _gather(request, wait)
    plan = plan_forecast(request.description, inputs_plan, members, base_seed)
    forecast = roll_out(plan, prepared, now)
    products = make_products(request, fetched, plan, forecast)
    published = publish(inputs, fetched, forecast, products, now)
    _export(published, now)
    return published


def _export(published: Artifact, now: datetime) -> None:
    """Make the other formats; where that fails, the forecast is published all the same, and the failure is told."""
    state = export(published, now, return_state=True)
    if not state.is_completed():
        emit_flow_event(Event.RUN_FAILED, "export", run=published.address.run, asked=published.address.cycle,
                        reason=str(state.result(raise_on_failure=False)))  # fmt: skip


_MOST_ATTEMPTS = 50
"""Far above the number of stand-ins: each attempt rejects at least one file, or finds one that changed."""


def _gather(request: Request, wait: bool) -> tuple[InputSet, tuple[Artifact, ...], InputsPlan, Artifact]:
    """Wait and fetch; if a delivered input cannot be used, let the next stand-in serve."""
    rejected: dict[str, str] = {}
    for _ in range(_MOST_ATTEMPTS):
        inputs = await_inputs(request, rejected, wait)
        try:
            fetched = (fetch_state(request, inputs), fetch_background(request, inputs))
            inputs = examine_inputs(request, inputs, fetched)
            plan = plan_inputs(request, inputs, fetched)
            return inputs, fetched, plan, regrid_inputs(request, plan, inputs, fetched)
        except UnusableInput as error:
            rejected |= error.rejected
    last = "; ".join(rejected.values())
    raise BadInput(f"{request.cycle}: after {_MOST_ATTEMPTS} attempts no input can be used; the last: {last}")
