"""A span of past cycles, on demand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx
from prefect import flow
from prefect.runtime import flow_run as this_run
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.flows.operations import operations
from stormcast_tw.model.description import describe
from stormcast_tw.names import ExperimentName
from stormcast_tw.plan import BaseSeed, CycleText, Frozen, LeadHours, MemberCount
from stormcast_tw.publication.catalogue import find_published
from stormcast_tw.settings import settings
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import report_failure, show_table
from stormcast_tw.tasks.policy import task_under


class CycleOptions(Frozen):
    """The options of every cycle of a backfill."""

    experiment: ExperimentName
    lead_hours: LeadHours
    members: MemberCount
    base_seed: BaseSeed
    now: datetime


class CycleOutcome(Frozen):
    """What became of a cycle: the run that is published, or the reason of the failure."""

    cycle: CycleText
    outcome: Literal["published", "skipped", "failed"]
    text: str


def _run_name() -> str:
    return f"backfill-{this_run.parameters.get('start')}-{this_run.parameters.get('end')}"


@flow(name="backfill", flow_run_name=_run_name, on_failure=[report_failure], on_crashed=[report_failure])
def backfill(
    start: CycleText,
    end: CycleText,
    experiment: ExperimentName = "demo",
    lead_hours: LeadHours = 12,
    members: MemberCount | None = None,
    base_seed: BaseSeed = 0,
    order: Literal["oldest first", "newest first"] = "oldest first",
    parallel: Annotated[int, Field(ge=1, le=16)] = 1,
    now: datetime | None = None,
) -> list[CycleOutcome]:
    """Forecast every cycle from `start` to `end` (both included), at most `parallel` at a time.

    Published cycles are skipped, and one failure does not stop the rest; run it again to retry failed cycles, or after
    it was killed. `latest` never moves backwards. Raises Refused at the end if a cycle failed.
    """
    cycles = [str(cycle) for cycle in Cycle.parse(start).until(Cycle.parse(end))]
    if not cycles:
        raise Refused(f"backfill: {end} is before {start}")
    options = CycleOptions(
        experiment=experiment,
        lead_hours=lead_hours,
        members=members or describe(settings().package).members,
        base_seed=base_seed,
        now=now or datetime.now(UTC),
    )
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=parallel)
    with runner:
        ordered = cycles if order == "oldest first" else cycles[::-1]
        futures = [runner.submit(forecast_cycle, {"cycle": cycle, "options": options}) for cycle in ordered]
        outcomes = sorted((future.result() for future in futures), key=lambda outcome: outcome.cycle)
    rows = [{"cycle": o.cycle, "outcome": o.outcome, "run or reason": o.text} for o in outcomes]
    show_table(rows, f"backfill-{start}-{end}".lower(), f"Backfill {start} to {end}, {experiment}")
    failed = [f"{o.cycle}: {o.text}" for o in outcomes if o.outcome == "failed"]
    if failed:
        raise Refused(f"backfill: {len(failed)} of {len(outcomes)} cycles failed: {'; '.join(failed)}")
    return outcomes


@task_under("cycle", run_name="{cycle}")
def forecast_cycle(cycle: str, options: CycleOptions) -> CycleOutcome:
    """Skip a published cycle, else run `operations` for it as a flow of its own; a failure is an outcome."""
    if (run := _published(cycle, options)) is not None:
        return CycleOutcome(cycle=cycle, outcome="skipped", text=run)
    parameters: dict[str, Any] = {"cycle": cycle, **options.model_dump()}
    try:
        state = operations(**parameters, return_state=True)
        reason = None if state.is_completed() else str(state.result(raise_on_failure=False))
    except httpx.HTTPError as error:  # Prefect's server was away for longer than its client asks
        reason = f"{type(error).__name__}: {error}"
    if (run := _published(cycle, options)) is not None:
        return CycleOutcome(cycle=cycle, outcome="published", text=run)
    return CycleOutcome(cycle=cycle, outcome="failed", text=reason or "ended without a published run")


def _published(cycle: str, options: CycleOptions) -> str | None:
    package, store = describe(settings().package).digest, Store(settings().published_root)
    found = find_published(
        store, options.experiment, cycle, package, options.lead_hours, options.members, options.base_seed
    )
    return None if found is None else found.address.run
