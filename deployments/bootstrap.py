"""Bring a Prefect server to the state this project needs: pool, queues, deployments, alarms. All upserts.

    PREFECT_API_URL=http://127.0.0.1:4200/api python -m stormcast_tw.deployments.bootstrap

Environment: STORMCAST_TW_HOME, the folder that the flows run in, to which relative roots refer (by default this
folder), STORMCAST_TW_EXPERIMENT (by default demo), and where alarms go (automations.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound

from stormcast_tw.deployments.automations import upsert_alarms

PREFECT_FILE = Path(__file__).with_name("prefect.yaml")
POOL = "stormcast"
QUEUES = {"operations": 1, "backfill": 10, "training": 20}
"""Priority of each queue of the pool: lower is served first."""


def main() -> None:
    """Upsert everything."""
    with get_client(sync_client=True) as client:
        upsert_pool(client)
        for name, priority in QUEUES.items():
            upsert_queue(client, name, priority)
        alarms = upsert_alarms(client, os.environ)
    print(f"alarms: {', '.join(alarms) or 'NONE: set STORMCAST_TW_ALARM_URL or STORMCAST_TW_ALARM_BLOCK'}")
    environment = {"STORMCAST_TW_HOME": str(Path.cwd()), "STORMCAST_TW_EXPERIMENT": "demo"} | dict(os.environ)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(PREFECT_FILE)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    with get_client(sync_client=True) as client:
        refuse_unknown_parameters(client)


def upsert_pool(client: SyncPrefectClient) -> None:
    """Create the process pool unless it exists."""
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def upsert_queue(client: SyncPrefectClient, name: str, priority: int) -> None:
    """Create a queue of the pool, or set its priority."""
    try:
        queue = client.read_work_queue_by_name(name, POOL)
    except ObjectNotFound:
        client.create_work_queue(name, priority=priority, work_pool_name=POOL)
    else:
        client.update_work_queue(queue.id, priority=priority)


def refuse_unknown_parameters(client: SyncPrefectClient) -> None:
    """Have the server refuse a run with a parameter that its flow does not have; `prefect deploy` leaves that open."""
    for deployment in client.read_deployments():
        schema = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
        body = {"parameter_openapi_schema": schema}
        client.request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=body)


if __name__ == "__main__":
    main()
