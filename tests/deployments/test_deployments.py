"""The deployments on a real Prefect server, carried out by a real process worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stormcast_tw.cycle import Cycle
from stormcast_tw.simulation.cycle import simulate_cycle
from tests.conftest import CYCLE
from tests.servers import free_port, running

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
EARLIER = "20260611T00Z"


def ask(api: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{api}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def wait_for(what: str, found: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(1)
    pytest.fail(f"{what}: not within {seconds:g} s")


@pytest.fixture
def environment(tmp_path: Path, small_package_folder: Path) -> dict[str, str]:
    roots = {f"STORMCAST_TW_{n.upper()}_ROOT": str(tmp_path / n) for n in ("inputs", "work", "published")}
    return os.environ | roots | {
        "STORMCAST_TW_PACKAGE": str(small_package_folder),
        "STORMCAST_TW_THREADS": "1",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }  # fmt: skip


@pytest.fixture
def api(environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, environment, seconds=120):
        url = f"http://127.0.0.1:{port}/api"
        environment["PREFECT_API_URL"] = url
        yield url


def bootstrap(environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, "deployments/bootstrap.py"], cwd=ROOT, env=environment, check=True, timeout=180)


def test_operations_and_backfill_run_by_a_worker(api: str, environment: dict[str, str], tmp_path: Path):
    for cycle in (EARLIER, str(CYCLE)):
        simulate_cycle(Cycle.parse(cycle), str(tmp_path / "inputs"), lead_hours=1)
    bootstrap(environment)
    ids = {d["name"]: d["id"] for d in ask(api, "/deployments/filter", {})}
    assert set(ids) == {"operations", "backfill"}
    bootstrap(environment)
    assert {d["name"]: d["id"] for d in ask(api, "/deployments/filter", {})} == ids, "bootstrap is an upsert"
    queues = {q["name"]: q["priority"] for q in ask(api, "/work_pools/stormcast/queues/filter", {})}
    assert queues["operations"] < queues["backfill"]

    scheduled = wait_for(
        "a scheduled run of operations",
        lambda: ask(api, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}),
        90,
    )
    assert {run["deployment_id"] for run in scheduled} == {ids["operations"]}
    assert {run["expected_start_time"][11:16] for run in scheduled} <= {"00:15", "06:15", "12:15", "18:15"}

    small = {"lead_hours": 1, "members": 1}
    asked = {
        "operations": {"cycle": str(CYCLE), **small},
        "backfill": {"start": EARLIER, "end": EARLIER, **small},
    }
    runs = {
        name: ask(api, f"/deployments/{ids[name]}/create_flow_run", {"parameters": parameters})["id"]
        for name, parameters in asked.items()
    }
    worker = [str(BIN / "prefect"), "worker", "start", "--pool", "stormcast", "--limit", "1"]
    with running(worker, None, environment, seconds=0):
        for name, run in runs.items():
            state = wait_for(name, lambda run=run: _ended(api, run), 240)
            assert state["type"] == "COMPLETED", f"{name}: {state}"
    found = {p.parent.parent.name for p in (tmp_path / "published/published/demo").glob("*/*/manifest.json")}
    assert found == {EARLIER, str(CYCLE)}
    latest = json.loads((tmp_path / "published/published/demo/latest.json").read_text())
    assert latest["init_time"] == "2026-06-11T06:00:00Z"


def _ended(api: str, run: str) -> dict[str, Any] | None:
    state: dict[str, Any] = ask(api, f"/flow_runs/{run}")["state"]
    return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None
