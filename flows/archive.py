"""Append what has been published to the archive; any time, in any order, as often as one likes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from prefect import flow
from pydantic import Field

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.names import ExperimentName
from stormcast_tw.plan import CycleText
from stormcast_tw.publication.pointers import chosen
from stormcast_tw.settings import settings
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.export import archive as archive_run
from stormcast_tw.tasks.page import report_failure, show_table


@flow(name="archive", on_failure=[report_failure], on_crashed=[report_failure])
def archive(
    experiment: ExperimentName = "demo",
    start: CycleText | None = None,
    end: CycleText | None = None,
    days: Annotated[int, Field(ge=1, le=4000)] = 2,
    now: datetime | None = None,
) -> int:
    """Archive the chosen run of every cycle from `start` to `end`, or of the last days; return how many are new.

    Cycles that are archived already are passed over. One failure does not stop the rest; raises Refused at the end.
    """
    now = now or datetime.now(UTC)
    last = Cycle.parse(end) if end else Cycle.at_or_before(now)
    first = Cycle.parse(start) if start else Cycle.at_or_before(last.init_time - timedelta(days=days))
    store, rows, failed = Store(settings().published_root), [], []
    for cycle in first.until(last):
        if (run := chosen(store, experiment, cycle)) is None:
            continue
        state = archive_run(run, return_state=True)
        result = state.result(raise_on_failure=False)
        outcome = ("archived" if result else "was there") if state.is_completed() else f"failed: {result}"
        rows.append({"cycle": str(cycle), "run": run.address.run, "outcome": outcome})
        failed += [f"{cycle}: {result}"] if not state.is_completed() else []
    show_table(rows or [{"cycle": "", "run": "", "outcome": "nothing is published"}], "archive", f"{first} to {last}")
    if failed:
        raise Refused(f"archive: {len(failed)} of {len(rows)} cycles failed: {'; '.join(failed)}")
    return sum(row["outcome"] == "archived" for row in rows)
