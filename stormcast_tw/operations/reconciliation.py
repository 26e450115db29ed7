"""What should be published and is not, or could be better by now. This only looks; a flow starts what is to be done.

A cycle is a gap if it is due, a cycle before it within the span is published, and it is not; or if it was published
with a stand-in, or an old run, in place of an input that has come since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import StormcastError
from stormcast_tw.inputs.input_set import InputSet
from stormcast_tw.inputs.readiness import look
from stormcast_tw.inputs.request import need_of
from stormcast_tw.model.description import describe
from stormcast_tw.operations.timetable import OPERATIONS
from stormcast_tw.publication import catalogue, pointers
from stormcast_tw.settings import Settings
from stormcast_tw.sources.table import all_sources
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store

Kind = Literal["missing", "better inputs", "without inputs"]


@dataclass(frozen=True)
class Gap:
    """A cycle that is not as it should be. One `without inputs` cannot be forecast now; the reason says why."""

    cycle: Cycle
    kind: Kind
    reason: str


def due_cycles(now: datetime, days: int) -> list[Cycle]:
    """Return the cycles of the last days whose deadline has passed, or that are the newest due, oldest first."""
    newest = OPERATIONS.cycle_of(now)
    return list(Cycle.at_or_before(newest.init_time - timedelta(days=days)).until(newest))


def gaps(settings: Settings, experiment: str, lead_hours: int, now: datetime, days: int) -> list[Gap]:
    """Return every gap of the last days, oldest first; empty where nothing at all has been published in them."""
    store, cycles = Store(settings.published_root), due_cycles(now, days)
    runs = {cycle: run for cycle in cycles if (run := _chosen(store, experiment, cycle)) is not None}
    if not runs:
        return []
    description = describe(settings.package)
    sources = all_sources(settings, description.grid)
    found = []
    for cycle in (cycle for cycle in cycles if cycle >= min(runs)):
        run = runs.get(cycle)
        if run is not None and run.details.get("status", "complete") == "complete":
            continue
        hours = catalogue.plan_of(run).lead_hours if run is not None else lead_hours
        inputs = look(need_of(cycle, hours, settings.package, description), sources)
        if (gap := _gap(cycle, run, inputs)) is not None:
            found.append(gap)
    return found


def _gap(cycle: Cycle, run: Artifact | None, inputs: InputSet) -> Gap | None:
    if run is None:
        why = "; ".join(inputs.missing)
        return Gap(cycle, "without inputs", why) if why else Gap(cycle, "missing", "is due and not published")
    better = improved(run.details.get("inputs", ()), inputs)
    return Gap(cycle, "better inputs", "; ".join(better)) if better and not inputs.missing else None


def improved(published: Sequence[Mapping[str, Any]], inputs: InputSet) -> list[str]:
    """Return a line for each input that served degraded, and for which the first choice is there now."""
    then = {row["input"]: row for row in published}
    lines = []
    for now in inputs.table():
        before = then.get(now["input"], now)
        served = tuple(before.get(key, "") for key in ("served by", "initialised (UTC)"))
        if before["status"] == "degraded" and now["status"] == "ready" and served != _served(now):
            lines.append(f"{now['input']}: {' '.join(_served(now)).strip()} has come, {served[0]} had served")
    return lines


def _served(row: Mapping[str, str]) -> tuple[str, ...]:
    return row["served by"], row["initialised (UTC)"]


def _chosen(store: Store, experiment: str, cycle: Cycle) -> Artifact | None:
    try:
        return pointers.chosen(store, experiment, cycle)
    except StormcastError:
        return None  # damaged: the cycle is made again beside it, and `catalogue check` names it
