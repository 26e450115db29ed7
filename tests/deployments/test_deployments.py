"""The deployments on a real Prefect server, carried out by a real process worker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stormcast_tw.cycle import Cycle
from stormcast_tw.deployments.automations import ALARMS
from stormcast_tw.operations.events import Event
from stormcast_tw.simulation.cycle import simulate_cycle
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.training_data.reader import TrainingData
from tests.conftest import CYCLE
from tests.servers import free_port, require, webhook_receiver

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
EARLIER = "20260611T00Z"
HANGING_SECONDS = 900.0
"""What has not come after so long never comes, even on a busy machine."""

pytestmark = pytest.mark.timeout(6 * HANGING_SECONDS)


def ask(api: str, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{api}{path}", data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read() or b"null")


def switched_on(api: str) -> dict[str, bool]:
    return {d["name"]: s["active"] for d in ask(api, "/deployments/filter", {}) for s in d["schedules"]}


def wait_for(what: str, found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + HANGING_SECONDS
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(1)
    pytest.fail(f"{what}: not within {HANGING_SECONDS:g} s")


@pytest.fixture(scope="module")
def alarms() -> Iterator[tuple[str, list[dict[str, str]]]]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployed")


@pytest.fixture(scope="module")
def environment(folder: Path, small_package_folder: Path, alarms: tuple[str, list[dict[str, str]]]) -> dict[str, str]:
    roots = {f"STORMCAST_TW_{n.upper()}_ROOT": str(folder / n) for n in ("inputs", "work", "published")}
    return os.environ | roots | {
        "STORMCAST_TW_HOME": str(folder),  # no checkout: what is deployed is the installed package
        "STORMCAST_TW_PACKAGE": str(small_package_folder),
        "STORMCAST_TW_THREADS": "1",
        "STORMCAST_TW_ALARM_URL": alarms[0],
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        # On a busy machine a query may wait longer than the ten seconds after which the server answers 500.
        "PREFECT_SERVER_DATABASE_TIMEOUT": "300",
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }  # fmt: skip


@pytest.fixture(scope="module")
def api(environment: dict[str, str], folder: Path) -> Iterator[str]:
    """What `stormcast-tw up --postgres` starts; after `down` nothing of it is left."""
    require(list(Path("/usr/lib/postgresql").glob("*/bin")), "PostgreSQL", "apt-get install postgresql")
    for above in (folder, *folder.parents[:3]):  # PostgreSQL, which never runs as root, has its folder below
        above.chmod(above.stat().st_mode | 0o011)
    port = free_port()
    environment["PREFECT_API_URL"] = url = f"http://127.0.0.1:{port}/api"
    run_here(environment, "up", "--folder", "up", "--port", str(port), "--postgres")
    try:
        yield url
    finally:
        run_here(environment, "down", "--folder", "up")
        assert not processes_of(folder), "nothing is left"


def run_here(environment: dict[str, str], *words: str) -> None:
    command, folder = [str(BIN / "stormcast-tw"), *words], environment["STORMCAST_TW_HOME"]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=HANGING_SECONDS)


def processes_of(folder: Path) -> list[str]:
    """Return the command of every process that has the folder in its command or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = process.joinpath("cmdline").read_text().replace("\0", " ")
            if str(folder) in command + process.joinpath("environ").read_text() and int(process.name) != os.getpid():
                found.append(command)
    return found


def bootstrap(environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "stormcast_tw.deployments.bootstrap"],
        cwd=environment["STORMCAST_TW_HOME"],
        env=environment,
        check=True,
        timeout=HANGING_SECONDS,
    )


def difference(environment: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "stormcast_tw.deployments.bootstrap", "--check"]
    where = {"cwd": environment["STORMCAST_TW_HOME"], "env": environment, "timeout": HANGING_SECONDS}
    done = subprocess.run(command, check=False, capture_output=True, text=True, **where)
    return done.returncode, done.stdout


def run_deployment(api: str, name: str, **parameters: Any) -> dict[str, Any]:
    """Have the worker carry out a deployment and return the state it ends in."""
    ids = {d["name"]: d["id"] for d in ask(api, "/deployments/filter", {})}
    size = {"lead_hours": 1, "members": 2} if name in ("operations", "backfill") else {}
    asked = {"parameters": size | parameters}
    run = ask(api, f"/deployments/{ids[name]}/create_flow_run", asked)["id"]
    return wait_for(name, lambda: _ended(api, run))


DEPLOYMENTS = (
    "operations", "backfill", "observations", "verification", "training-data", "training", "reconcile", "clock",
    "prune", "archive",
)  # fmt: skip
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("operations", {"members": 0}, "0 is less than the minimum of 1"),
    ("operations", {"members": -3}, "-3 is less than the minimum of 1"),
    ("operations", {"members": 100_000}, "100000 is greater than the maximum of 1024"),
    ("operations", {"lead_hours": 999}, "999 is greater than the maximum of 48"),
    ("operations", {"base_seed": -1}, "-1 is less than the minimum of 0"),
    ("operations", {"cycle": "bad"}, "'bad' does not match"),
    ("operations", {"cycle": "20260611T07Z"}, "'20260611T07Z' does not match"),
    ("operations", {"experiment": "demo/../oper"}, "'demo/../oper' does not match"),
    ("operations", {"member": 4}, "'member' was unexpected"),
    ("backfill", {"start": EARLIER, "end": EARLIER, "parallel": 99}, "99 is greater than the maximum of 16"),
    ("backfill", {"start": EARLIER, "end": EARLIER, "overwrite": True}, "'overwrite' was unexpected"),
    ("verification", {"experiment": "../demo"}, "'../demo' does not match"),
    ("training-data", {"recipe": "rehearsal", "day": 1}, "'day' was unexpected"),
    ("training", {"recipie": "rehearsal"}, "'recipe' is a required property"),
    ("observations", {"all": True}, "'all' was unexpected"),
    ("reconcile", {"days": 0}, "0 is less than the minimum of 1"),
    ("archive", {"days": 0}, "0 is less than the minimum of 1"),
    ("prune", {"all": True}, "'all' was unexpected"),
    ("clock", {"cycle": EARLIER}, "'cycle' was unexpected"),
]


def test_what_no_flow_takes_is_refused_at_creation(api: str):
    ids = {d["name"]: d["id"] for d in ask(api, "/deployments/filter", {})}
    assert {name for name, _, _ in REFUSED} == set(ids)
    said = {}
    for name, parameters, bound in REFUSED:
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(api, f"/deployments/{ids[name]}/create_flow_run", {"parameters": parameters})
        said[name, str(parameters), bound] = (refused.value.code, json.load(refused.value)["detail"])
    assert {key: value for key, value in said.items() if value[0] != 409 or key[2] not in value[1]} == {}


def test_operations_and_backfill_run_by_a_worker(pysteps: None, api: str, environment: dict[str, str], folder: Path):
    for cycle in (EARLIER, str(CYCLE)):
        simulate_cycle(Cycle.parse(cycle), str(folder / "inputs"), lead_hours=1)
    ids = {d["name"]: d["id"] for d in ask(api, "/deployments/filter", {})}
    assert set(ids) == set(DEPLOYMENTS)
    bootstrap(environment)
    assert {d["name"]: d["id"] for d in ask(api, "/deployments/filter", {})} == ids, "bootstrap is an upsert"
    assert difference(environment) == (0, "the server has what is in prefect.yaml\n")
    queues = {q["name"]: q["priority"] for q in ask(api, "/work_pools/stormcast/queues/filter", {})}
    assert queues["operations"] < queues["backfill"] < queues["training"]

    schedules = switched_on(api)
    assert schedules["operations"] is False, "nothing is scheduled on `demo` before somebody switches it on"
    of_verification = next(d for d in ask(api, "/deployments/filter", {}) if d["name"] == "verification")
    schedule = of_verification["schedules"][0]["id"]
    ask(api, f"/deployments/{of_verification['id']}/schedules/{schedule}", {"active": True}, method="PATCH")
    ask(api, f"/deployments/{ids['backfill']}", {"work_queue_name": "operations"}, method="PATCH")
    code, said = difference(environment)
    assert (code, said) == (1, "deployment backfill: queue is operations, wanted backfill\n")
    bootstrap(environment)
    assert switched_on(api) == schedules | {"verification": True}, "what somebody has switched on stays so"
    scheduled = wait_for(
        "a scheduled run",
        lambda: ask(api, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}),
    )
    assert {(run["deployment_id"], run["expected_start_time"][11:16]) for run in scheduled} == {
        (ids["verification"], "03:40")
    }

    state = run_deployment(api, "operations", cycle=str(CYCLE))
    assert state["type"] == "COMPLETED", state
    state = run_deployment(api, "backfill", start=EARLIER, end=EARLIER)
    assert state["type"] == "COMPLETED", state
    found = {p.parent.parent.name for p in (folder / "published/published/demo").glob("*/*/manifest.json")}
    assert found == {EARLIER, str(CYCLE)}
    latest = json.loads((folder / "published/published/demo/latest.json").read_text())
    assert latest["init_time"] == "2026-06-11T06:00:00Z"

    state = run_deployment(api, "verification", start=EARLIER, end=str(CYCLE))
    assert state["type"] == "COMPLETED", state
    scored = {p.parents[1].name for p in (folder / "published/verification/demo").glob("*/*/manifest.json")}
    assert scored == {EARLIER}, "what follows it has been observed; what follows the other has not"
    assert list((folder / "published").glob("**/scorecard.html"))


def test_training_data_are_prepared_by_a_worker_from_the_name_of_a_recipe(api: str, folder: Path):
    state = run_deployment(api, "training-data", recipe="rehearsal")
    assert state["type"] == "COMPLETED", state
    data = TrainingData.newest(str(folder / "work"), "rehearsal")
    assert (len(data), len(data.of("held_out"))) == (47, 23), "two days on end, and one"


def test_withheld_inputs_ring_the_alarm(
    api: str, environment: dict[str, str], folder: Path, alarms: tuple[str, list[dict[str, str]]]
):
    _, received = alarms
    inputs = folder / "inputs"
    first, second = Cycle.parse("20260612T00Z"), Cycle.parse("20260612T06Z")
    for cycle in (first, second):
        simulate_cycle(cycle, str(inputs), lead_hours=1)
    for cycle in (first, second):
        (inputs / "qpesums" / qpesums_path(cycle.init_time)).unlink()
    shutil.rmtree(inputs / "global_ai" / f"{second.valid_time(-12):%Y%m%d%H}")
    received.clear()

    assert run_deployment(api, "operations", cycle=str(first))["type"] == "COMPLETED"
    degraded = wait_for("the alarm of a degraded input", lambda: received[:1])[0]["text"]
    assert degraded.startswith("stormcast-tw 20260612T00Z: inputs.degraded\nstormcast-tw 20260612T00Z: 輸入資料降級")
    assert "- rain: rwrp_rain stands in for qpesums because " in degraded
    assert "CB_GC_PCP_1H_RAD.20260612.0000.gz: not there yet" in degraded
    assert "What to do: " in degraded
    published = folder / "published/published/demo/20260612T00Z"
    manifest = json.loads(next(published.glob("*/manifest.json")).read_text())
    rain = next(row for row in manifest["details"]["inputs"] if row["input"] == "rain")
    assert (rain["served by"], rain["status"]) == ("rwrp_rain", "degraded")

    assert run_deployment(api, "operations", cycle=str(second), wait=False)["type"] == "FAILED"
    wait_for("the alarm of a missing input", lambda: len(received) > 1)
    missing = received[1]["text"]
    assert missing.startswith("stormcast-tw 20260612T06Z: inputs.missing")
    assert "- background (" in missing
    assert "stormcast-tw inputs --cycle 20260612T06Z --follow" in missing
    assert len(received) == 2, "the failure of the cycle is the missing input, said already"


def test_a_killed_cycle_is_published_by_itself(api: str, environment: dict[str, str], folder: Path):
    """kill -9 of the flow in its rollout: the worker sees the crash, `reconcile` begins, and starts the cycle again.

    While that goes on, kill -9 of Prefect's server: the forecast does not notice, and its state arrives later.
    """
    cycle = Cycle.parse("20260612T12Z")
    simulate_cycle(cycle, str(folder / "inputs"), lead_hours=12)
    ids = {d["name"]: d["id"] for d in ask(api, "/deployments/filter", {})}
    recent = {"lead_hours": 12, "now": f"{cycle.init_time + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}
    ask(api, f"/deployments/{ids['reconcile']}", {"parameters": {"experiment": "demo", **recent}}, method="PATCH")
    asked = {"parameters": {"cycle": str(cycle), "members": 16, **recent}}
    killed = ask(api, f"/deployments/{ids['operations']}/create_flow_run", asked)["id"]
    drafts = folder / "work/forecast/demo" / str(cycle)
    wait_for("the first hour of the rollout", lambda: list(drafts.glob("*/parts/*")))
    os.kill(_process_of(killed), signal.SIGKILL)
    stored = len(list(drafts.glob("*/parts/*")))
    wait_for("the rollout to go on", lambda: len(list(drafts.glob("*/parts/*"))) > stored + 1)
    os.kill(_server_of(folder), signal.SIGKILL)

    published = folder / "published/published/demo" / str(cycle)
    wait_for("a publication", lambda: list(published.glob("*/manifest.json")))
    assert wait_for("the server", lambda: _ask_if_up(api, f"/flow_runs/{killed}"))["state"]["type"] == "CRASHED"
    assert len(list(published.glob("*/manifest.json"))) == 1
    again = wait_for("the run that published it", lambda: _completed_again(api, str(cycle)))
    assert again["name"] == f"{cycle}-demo"


def _process_of(run: str) -> int:
    """Return the process in which the worker carries out a run."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"PREFECT__FLOW_RUN_ID={run}" in process.joinpath("environ").read_text().split("\0"):
                words = process.joinpath("cmdline").read_text().split("\0")
                if "stormcast_tw.forecast.process" not in words:
                    return int(process.name)
    pytest.fail(f"run {run} has no process")


def _server_of(folder: Path) -> int:
    """Return the process of Prefect's server that `up` has started below a folder."""
    status = [str(BIN / "supervisorctl"), "-c", str(folder / "up/supervisord.conf"), "pid", "server"]
    return int(subprocess.run(status, check=True, capture_output=True, text=True, timeout=60).stdout)


def _ask_if_up(api: str, path: str, body: dict[str, Any] | None = None) -> Any:
    with contextlib.suppress(OSError):
        return ask(api, path, body)
    return None


def _completed_again(api: str, cycle: str) -> dict[str, Any] | None:
    ended = _ask_if_up(api, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    return next((r for r in ended or () if "reconciled" in r["tags"] and r["parameters"]["cycle"] == cycle), None)


def test_a_drop_of_skill_rings_the_alarm(
    api: str, environment: dict[str, str], alarms: tuple[str, list[dict[str, str]]]
):
    _, received = alarms
    received.clear()
    emit = (
        "from stormcast_tw.cycle import Cycle; from stormcast_tw.operations.events import Event;"
        "from stormcast_tw.tasks.page import emit;"
        f"emit(Event.SKILL_DROPPED, Cycle.parse('{CYCLE}'), text='wind: below its band')"
    )
    subprocess.run([sys.executable, "-c", emit], cwd=ROOT, env=environment, check=True, timeout=HANGING_SECONDS)
    text = wait_for("the alarm of a dropped skill", lambda: received[:1])[0]["text"]
    assert text == f"stormcast-tw {CYCLE}: skill.dropped\nwind: below its band"


def test_every_alarm_waits_for_an_event_that_is_emitted():
    emitted = set(re.findall(r"Event\.([A-Z_]+)", "".join(p.read_text() for p in _sources())))
    awaited = {event for alarm in ALARMS for event in alarm.events if isinstance(event, Event)}
    assert awaited
    assert {event.name for event in awaited} <= emitted


def _sources() -> Iterator[Path]:
    for folder in ("flows", "tasks"):
        yield from (ROOT / folder).glob("*.py")


def _ended(api: str, run: str) -> dict[str, Any] | None:
    state: dict[str, Any] = ask(api, f"/flow_runs/{run}")["state"]
    return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None
