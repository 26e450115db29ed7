"""Bring a Prefect server to the state this project needs: pool, queues, deployments, alarms. All upserts.

    PREFECT_API_URL=http://127.0.0.1:4200/api python -m stormcast_tw.deployments.bootstrap

Environment: STORMCAST_TW_HOME, the folder that the flows run in, to which relative roots refer (by default this
folder), STORMCAST_TW_EXPERIMENT (by default demo), and where alarms go (automations.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound

from stormcast_tw.deployments.automations import upsert_alarms, upsert_recovery

PREFECT_FILE = Path(__file__).with_name("prefect.yaml")
WAIT_SECONDS = 300.0
POOL, CLOCK_POOL = "stormcast", "stormcast-clock"


class Queue(NamedTuple):
    """A queue of the pool: lower priorities are served first; `limit` runs at a time, None for any number."""

    priority: int
    limit: int | None


QUEUES = {
    "operations": Queue(1, 1),
    "reconcile": Queue(2, 1),
    "backfill": Queue(10, 1),
    "training": Queue(20, 1),
}
"""A run that is marked as crashed gives its place back at once; limits of the server's own kind keep it for minutes."""


def main() -> None:
    """Upsert everything; with `--wait`, once the server answers, which may take minutes."""
    if (refused := _refused(wait="--wait" in sys.argv[1:])) is not None:
        sys.exit(refused)
    with get_client(sync_client=True) as client:
        for pool in (POOL, CLOCK_POOL):
            upsert_pool(client, pool)
        for name, queue in QUEUES.items():
            upsert_queue(client, name, queue)
        alarms, schedules = upsert_alarms(client, os.environ), schedule_states(client)
    print(f"alarms: {', '.join(alarms) or 'NONE: set STORMCAST_TW_ALARM_URL or STORMCAST_TW_ALARM_BLOCK'}")
    environment = {"STORMCAST_TW_HOME": str(Path.cwd()), "STORMCAST_TW_EXPERIMENT": "demo"} | dict(os.environ)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(PREFECT_FILE)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    with get_client(sync_client=True) as client:
        refuse_unknown_parameters(client)
        upsert_recovery(client)
        off = keep_schedules(client, schedules, begin_active=environment["STORMCAST_TW_EXPERIMENT"] != "demo")
    if off:
        print(f"switched off, until somebody switches them on: the schedules of {', '.join(off)}")


def _refused(*, wait: bool) -> str | None:
    """Return why nothing can be deployed: no server is named, or none answers there."""
    if not (api := os.environ.get("PREFECT_API_URL")):
        return "PREFECT_API_URL is not set: to which server? For example http://127.0.0.1:4200/api"
    deadline = time.monotonic() + (WAIT_SECONDS if wait else 0.0)
    while True:
        try:
            with get_client(sync_client=True) as client:
                client.hello()
        except (httpx.HTTPError, RuntimeError) as error:
            if time.monotonic() >= deadline:
                return f"{api}: no Prefect server answers: {error}"
            time.sleep(1.0)
        else:
            return None


def upsert_pool(client: SyncPrefectClient, name: str) -> None:
    """Create a process pool unless it exists."""
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process"))


def upsert_queue(client: SyncPrefectClient, name: str, wanted: Queue) -> None:
    """Create a queue of the pool, or set its priority and limit."""
    try:
        found = client.read_work_queue_by_name(name, POOL)
    except ObjectNotFound:
        found = client.create_work_queue(name, work_pool_name=POOL)
    client.update_work_queue(found.id, priority=wanted.priority, concurrency_limit=wanted.limit)


def schedule_states(client: SyncPrefectClient) -> dict[tuple[str, str | None], bool]:
    """Return whether each schedule is switched on, by the name of its deployment and its slug."""
    return {
        (deployment.name, schedule.slug): schedule.active
        for deployment in client.read_deployments()
        for schedule in deployment.schedules
    }


def keep_schedules(
    client: SyncPrefectClient, before: Mapping[tuple[str, str | None], bool], *, begin_active: bool
) -> list[str]:
    """Leave every schedule as somebody has set it; new ones begin switched off on `demo`. Return the names of those."""
    off = []
    for deployment in client.read_deployments():
        for schedule in deployment.schedules:
            wanted = before.get((deployment.name, schedule.slug), schedule.active and begin_active)
            if not wanted:
                off.append(deployment.name)
            if wanted != schedule.active:
                path = {"id": deployment.id, "schedule_id": schedule.id}
                client.request(
                    "PATCH", "/deployments/{id}/schedules/{schedule_id}", path_params=path, json={"active": wanted}
                )
    return sorted(off)


def refuse_unknown_parameters(client: SyncPrefectClient) -> None:
    """Have the server refuse a run with a parameter that its flow does not have; `prefect deploy` leaves that open."""
    for deployment in client.read_deployments():
        schema = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
        body = {"parameter_openapi_schema": schema}
        client.request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=body)


if __name__ == "__main__":
    main()
