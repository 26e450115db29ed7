"""Every hour, and after every crash: what should be published and is not is started again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from prefect import flow
from pydantic import Field

from stormcast_tw.names import ExperimentName
from stormcast_tw.operations.events import Event
from stormcast_tw.operations.reconciliation import gaps
from stormcast_tw.operations.timetable import OPERATIONS
from stormcast_tw.plan import LeadHours
from stormcast_tw.publication.pointers import is_published
from stormcast_tw.settings import settings
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import emit, report_failure, show_table
from stormcast_tw.tasks.reconcile import active_cycles, end_silent_runs, restart


@flow(name="reconcile", on_failure=[report_failure], on_crashed=[report_failure])
def reconcile(
    experiment: ExperimentName = "demo",
    lead_hours: LeadHours = 12,
    days: Annotated[int, Field(ge=1, le=400)] = 14,
    now: datetime | None = None,
) -> list[str]:
    """Start a run for every cycle that is missing, or whose better inputs have come; return their cycles.

    First, runs without a heartbeat are marked as crashed. A cycle that a run is working on, or that has no inputs, is
    left alone, and named. Old cycles go to the queue of backfills, so that they never delay the newest.
    """
    now = now or datetime.now(UTC)
    silent = end_silent_runs(now)
    found = gaps(settings(), experiment, lead_hours, now, days)
    busy = active_cycles(experiment)
    started = []
    rows = [{"cycle": name, "what": "had no heartbeat", "done": "marked as crashed"} for name in silent]
    for gap in found:
        done = "has no inputs" if gap.kind == "without inputs" else "a run is working on it"
        if gap.kind != "without inputs" and str(gap.cycle) not in busy:
            restart(gap.cycle, experiment, lead_hours, gap.reason, now)
            started.append(str(gap.cycle))
            done = "started"
        rows.append({"cycle": str(gap.cycle), "what": f"{gap.kind}: {gap.reason}", "done": done})
    nothing = {"cycle": "", "what": "everything is as it should be", "done": ""}
    show_table(
        rows or [nothing], "reconcile", f"Reconciliation of {experiment}, {days} days up to {now:%Y-%m-%d %H:%M}"
    )
    return started


@flow(name="clock", on_failure=[report_failure], on_crashed=[report_failure])
def clock(experiment: ExperimentName = "demo", now: datetime | None = None) -> str | None:
    """Emit `cycle.due` for the newest cycle unless it is published; return it.

    The alarm `overdue` rings if `cycle.published` does not follow. It runs in a pool of its own: what keeps the
    operational worker from working must not keep this from telling.
    """
    cycle = OPERATIONS.cycle_of(now or datetime.now(UTC))
    if is_published(Store(settings().published_root), experiment, cycle):
        return None
    emit(Event.CYCLE_DUE, cycle, news=False, experiment=experiment)
    return str(cycle)
