"""Inputs that come late, damaged, or never: what the flow waits for, what stands in, and what it says."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client

from flows.operations import operations
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.model import package as packages
from stormcast_tw.model.untrained import untrained_package
from stormcast_tw.operations.timetable import OPERATIONS
from stormcast_tw.publication import pointers
from stormcast_tw.settings import settings
from stormcast_tw.simulation.invariants import simulated_invariants
from stormcast_tw.sources.global_ai import path as global_ai_path
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW, SMALL

pytestmark = pytest.mark.usefixtures("rollout_here")

DEADLINE = CYCLE.init_time + OPERATIONS.deadline


def run(now: datetime = NOW, **parameters: object) -> Artifact:
    chosen = {"cycle": str(CYCLE), "lead_hours": 1, "members": 1, "now": now} | parameters
    return operations(**chosen)


def events(name: str, since: datetime) -> list[dict[str, Any]]:
    """Return the events of this name on the server of the tests; emitting takes a moment."""
    asked = {"filter": {"event": {"name": [name]}, "occurred": {"since": since.isoformat()}}}
    for _ in range(240):
        with get_client(sync_client=True) as client:
            found: list[dict[str, Any]] = client._client.post("/events/filter", json=asked).json()["events"]
        if found:
            return found
        time.sleep(0.25)
    return []


def rows(artifact: Artifact) -> dict[str, dict[str, str]]:
    return {row["input"]: row for row in artifact.details["inputs"]}


@pytest.fixture
def started() -> datetime:
    return datetime.now().astimezone()


@pytest.fixture
def rain(inputs: Path) -> Path:
    return inputs / "qpesums" / qpesums_path(CYCLE.init_time)


def later(seconds: float, deliver: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, deliver)
    timer.start()
    return timer


def test_rain_that_comes_late_is_waited_for(rain: Path):
    data = rain.read_bytes()
    rain.unlink()
    timer = later(3.0, lambda: rain.write_bytes(data))
    artifact = run(now=DEADLINE - timedelta(minutes=2))
    timer.join()
    assert rows(artifact)["rain"]["served by"] == "qpesums"
    assert artifact.details["status"] == "complete"


def test_inputs_that_never_come_are_missing_at_the_deadline(inputs: Path, tmp_path: Path, started: datetime):
    for path in (inputs / "global_ai").rglob("*.grb"):
        path.unlink()
    with pytest.raises(NotReady, match=r"20260611T06Z: background \(.*EC-pangu_2026061100-6.grb: not there yet"):
        run(now=DEADLINE - timedelta(seconds=6))
    assert (datetime.now().astimezone() - started).total_seconds() >= 6, "it waited"
    said = events("inputs.missing", started)
    assert [event["resource"]["prefect.resource.id"] for event in said] == ["stormcast.cycle.20260611T06Z"]
    assert said[0]["resource"]["stormcast.news"] == "true"
    assert "缺少輸入資料" in said[0]["payload"]["text"]
    assert not (tmp_path / "published").exists()


def test_a_damaged_input_gives_way_to_the_next_run(inputs: Path, tmp_path: Path, started: datetime):
    """The newer global run is cut short: the older one serves, and the page of the older says why."""
    whole = {lead: inputs / "global_ai" / global_ai_path(CYCLE.valid_time(-12), lead) for lead in (12, 18)}
    for lead in (6, 12):
        newer = inputs / "global_ai" / global_ai_path(CYCLE.valid_time(-6), lead)
        newer.parent.mkdir(exist_ok=True)
        newer.write_bytes(whole[12].read_bytes()[:-100])
    artifact = run()
    background = rows(artifact)["background"]
    assert (background["age"], background["status"]) == ("12 h", "ready")
    assert artifact.details["status"] == "complete"


def test_damage_without_a_stand_in_is_the_one_line_that_says_it(inputs: Path, tmp_path: Path):
    path = inputs / "global_ai" / global_ai_path(CYCLE.valid_time(-12), 12)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-100])
    with pytest.raises(BadInput, match=r"EC-pangu_2026061018-12\.grb: the message at byte \d+ is \d+ bytes long"):
        run()
    assert not (tmp_path / "published").exists()


def test_damaged_rain_is_replaced_by_rwrp_s_and_published_as_degraded(rain: Path, tmp_path: Path, started: datetime):
    data = rain.read_bytes()
    rain.unlink()
    rain.write_bytes(data[: len(data) // 2])
    artifact = run()
    row = rows(artifact)["rain"]
    assert (row["served by"], row["status"]) == ("rwrp_rain", "degraded")
    assert "CB_GC_PCP_1H_RAD.20260611.0600.gz" in row["remark"]
    assert "not a whole gzip file" in row["remark"]
    assert artifact.details["status"] == "degraded"
    store = Store(str(tmp_path / "published"))
    products = store.open(artifact, "products")
    assert products.attrs["inputs_status"] == "degraded"
    assert "rain: rwrp_rain" in products.attrs["inputs"]
    entry = store.read_pointer("published/demo/latest.json").value
    assert entry is not None
    assert entry["status"] == "degraded"
    assert pointers.latest(store, "demo") == artifact
    assert events("cycle.degraded", started)


def test_rain_that_is_stuck_is_found_out(rain: Path):
    before = rain.parent / rain.name.replace("0600", "0500")
    stuck = bytearray(gzip.decompress(before.read_bytes()))
    stuck[12:16] = (6).to_bytes(4, "little")  # its header says six o'clock
    rain.unlink()
    rain.write_bytes(gzip.compress(bytes(stuck)))
    row = rows(run())["rain"]
    assert row["served by"] == "rwrp_rain"
    assert "tp01 equals the hour before at all of" in row["remark"]


def test_without_rwrp_a_package_that_can_begins_from_the_background_alone(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "package"
    alone = untrained_package(SMALL, simulated_invariants(SMALL), begins_alone=True)
    packages.save(alone, folder)
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(folder))
    settings.cache_clear()
    for path in (inputs / "rwrp").rglob("wrfout*"):
        path.unlink()
    artifact = run(members=3)
    assert artifact.details["status"] == "degraded"
    assert rows(artifact)["state"]["served by"] == "background alone"
    forecast = Store(str(tmp_path / "published")).open(artifact, "forecast").load()
    assert "state: background alone degraded" in forecast.attrs["inputs"]
    # zero output layers: the mean of the package, plus noise of its residual's size, apart for each member
    mean, spread = alone.description.state["t2m"].mean, float(forecast["t2m"].std("member").mean())
    assert abs(float(forecast["t2m"].mean()) - mean) < 0.5
    assert 0.3 < spread < 3.0


def test_model_rain_that_is_needed_is_named(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a grid that radars see in part: without RWRP's file of the hour before nothing is ready, nor refused later."""
    folder, fields = tmp_path / "package", simulated_invariants(SMALL)
    fields["coverage"][:4] = 0.0
    packages.save(untrained_package(SMALL, fields), folder)
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(folder))
    settings.cache_clear()
    for path in (inputs / "rwrp").rglob("wrfout_d02_2026-06-11_05:00:00"):
        path.unlink()
    with pytest.raises(NotReady, match=r"20260611T06Z: model_rain \(.*wrfout_d02_2026-06-11_05:00:00: not there yet"):
        run(now=DEADLINE)
