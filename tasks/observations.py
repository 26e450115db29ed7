"""Archive what one key of the open data holds, under its date."""

from __future__ import annotations

from prefect.logging import get_run_logger

from stormcast_tw.errors import NotReady
from stormcast_tw.settings import settings
from stormcast_tw.sources.opendata_archive import archive_document
from stormcast_tw.sources.table import KEPT, OPEN_DATA
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.tasks.policy import task_under


@task_under("fetch")
def keep_open_data(key: str) -> str:
    """Archive what a key holds now; return the outcome: kept, known, revised, or why there was nothing."""
    try:
        archived = archive_document(Folder(*settings().place(OPEN_DATA)), key, objects(settings().place(KEPT)[0]))
    except NotReady as error:
        get_run_logger().warning("%s", error)
        return str(error)
    text = f"{archived.status} as {archived.path}, of {archived.valid_time:%Y-%m-%d %H:%M} UTC"
    get_run_logger().info("%s: %s", key, text)
    return text
