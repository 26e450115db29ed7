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
from typing import Any, NamedTuple

import httpx
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
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
    """Upsert everything; with `--wait`, once the server answers, which may take minutes.

    With `--check` nothing is changed: what differs is printed, and the exit code is 1 if anything does.
    """
    if (refused := _refused(wait="--wait" in sys.argv[1:])) is not None:
        sys.exit(refused)
    if "--check" in sys.argv[1:]:
        with get_client(sync_client=True) as client:
            found = differences(client)
        print("\n".join(found) or "the server has what is in prefect.yaml")
        sys.exit(1 if found else 0)
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


def differences(client: SyncPrefectClient) -> list[str]:
    """Return a line for each thing that the server lacks, has too much, or has otherwise than `prefect.yaml`.

    Whether a schedule is switched on is for people to say, and so are the values of parameters.
    """
    wanted = {entry["name"]: _as_written(entry) for entry in yaml.safe_load(PREFECT_FILE.read_text())["deployments"]}
    there = {deployment.name: _as_deployed(deployment) for deployment in client.read_deployments()}
    lines = [f"deployment {name}: is missing" for name in sorted(set(wanted) - set(there))]
    lines += [f"deployment {name}: is not in {PREFECT_FILE.name}" for name in sorted(set(there) - set(wanted))]
    for name in sorted(set(wanted) & set(there)):
        for what, value in wanted[name].items():
            if (found := there[name][what]) != value:
                lines.append(f"deployment {name}: {what} is {found}, wanted {value}")
    return lines + [
        f"queue {name}: {line}" for name, queue in QUEUES.items() if (line := _of_queue(client, name, queue))
    ]


def _as_written(entry: Mapping[str, Any]) -> dict[str, Any]:
    pool = entry["work_pool"]
    return {
        "entrypoint": entry["entrypoint"], "pool": pool["name"], "queue": pool.get("work_queue_name", "default"),
        "schedules": [schedule["cron"] for schedule in entry.get("schedules", [])], "tags": entry.get("tags", []),
        "environment": pool.get("job_variables", {}).get("env", {}),
    }  # fmt: skip


def _as_deployed(found: DeploymentResponse) -> dict[str, Any]:
    return {
        "entrypoint": found.entrypoint, "pool": found.work_pool_name, "queue": found.work_queue_name,
        "schedules": [getattr(schedule.schedule, "cron", "") for schedule in found.schedules], "tags": found.tags,
        "environment": (found.job_variables or {}).get("env", {}),
    }  # fmt: skip


def _of_queue(client: SyncPrefectClient, name: str, wanted: Queue) -> str:
    try:
        found = client.read_work_queue_by_name(name, POOL)
    except ObjectNotFound:
        return "is missing"
    has = Queue(found.priority or 0, found.concurrency_limit)
    return "" if has == wanted else f"is {has}, wanted {wanted}"


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
