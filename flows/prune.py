"""Every day: remove what is kept no longer."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.logging import get_run_logger

from stormcast_tw.errors import BadInput
from stormcast_tw.publication import pruning
from stormcast_tw.settings import settings
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import report_failure, show_table
from stormcast_tw.tasks.policy import task_under


@flow(name="prune", on_failure=[report_failure], on_crashed=[report_failure])
def prune(dry_run: bool = False, now: datetime | None = None) -> int:
    """Remove what the settings say is kept no longer, and return how many artifacts that was; never the last cycles.

    With `dry_run` it is only shown. Raises BadInput at the end where something damaged was left alone.
    """
    now = now or datetime.now(UTC)
    where = settings()
    found = pruning.plan(Store(where.published_root), Store(where.work_root), where.retention, now)
    done = list(found.removals) if dry_run else _remove(found, now)
    rows = [{"what": str(removal.address), "MB": f"{removal.bytes / 1e6:.1f}", "why": removal.why} for removal in done]
    show_table(rows or [{"what": "nothing", "MB": "0", "why": ""}], "prune", "Would go" if dry_run else "Removed")
    if found.damaged:
        raise BadInput(f"left alone, since damaged: {'; '.join(found.damaged)}")
    return len(done)


@task_under("prune")
def _remove(found: pruning.PrunePlan, now: datetime) -> list[pruning.Removal]:
    return pruning.prune(found, settings().retention, now, _log)


def _log(removal: pruning.Removal) -> None:
    get_run_logger().info("%s", removal)
