"""Make a published run into other formats, and append it to the archive. Neither holds a forecast back."""

from __future__ import annotations

from datetime import datetime

from prefect.logging import get_run_logger

from stormcast_tw.publication import exporting
from stormcast_tw.publication.archive import Archive, archive_run
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.policy import task_under


@task_under("export")
def export(run: Artifact, now: datetime) -> Artifact:
    """Make a published run into every usual format; sealed exports are returned as they are."""
    made = exporting.export_run(Store(settings().published_root), run, now)
    get_run_logger().info("%s is exported as %s", run.address, made.address)
    return made


@task_under("export", run_name="archive {run.address.cycle}")
def archive(run: Artifact) -> bool:
    """Append a published run to the archive of its experiment; False if it is there already."""
    where = settings()
    into = Archive(where.archive_root, run.address.experiment)
    added = archive_run(into, Store(where.published_root), run, members=where.archive_members)
    get_run_logger().info("%s %s", run.address, "is archived" if added else "was archived before")
    return added
