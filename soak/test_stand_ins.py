"""Every stand-in carried by a flow run on a disk, and the manifest that names it: `make soak`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from stormcast_tw.flows.operations import operations
from stormcast_tw.model import package as packages
from stormcast_tw.model.untrained import untrained_package
from stormcast_tw.settings import settings
from stormcast_tw.simulation.files import aifs as simulated_aifs
from stormcast_tw.simulation.files import cwa_wrf as simulated_cwa_wrf
from stormcast_tw.simulation.files import gfs as simulated_gfs
from stormcast_tw.simulation.files import global_ai as simulated_global_ai
from stormcast_tw.simulation.files import mlwp as simulated_mlwp
from stormcast_tw.simulation.files import opendata as simulated_opendata
from stormcast_tw.simulation.files import qpepre as simulated_qpepre
from stormcast_tw.simulation.files import rwrp as simulated_rwrp
from stormcast_tw.simulation.invariants import simulated_invariants
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources import aifs, cwa_wrf, gfs, global_ai, mlwp, qpepre, rwrp
from stormcast_tw.sources.opendata import RAIN_KEY
from tests.conftest import CYCLE, NOW, SMALL
from tests.flows.conftest import *  # noqa: F403  one server and the simulated inputs

T = CYCLE.init_time
HOUR = timedelta(hours=1)
WORLD = World()
Files = Iterator[tuple[str, bytes]]


@dataclass(frozen=True)
class Row:
    """A stand-in: which first choices are withheld, its files, what the manifest must say, and settings it needs."""

    withheld: tuple[str, ...]
    files: Callable[[], Files]
    said: tuple[str, str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    begins_alone: bool = False


def nothing() -> Files:
    yield from ()


def old_rwrp() -> Files:
    for lead in (4, 5):
        init = T - 5 * HOUR
        yield f"rwrp/{rwrp.path(init, init + lead * HOUR)}", simulated_rwrp.encode(WORLD, init, lead)


def old_global_ai() -> Files:
    for lead in (18, 24):
        yield f"global_ai/{global_ai.path(T - 18 * HOUR, lead)}", simulated_global_ai.encode(WORLD, T - 18 * HOUR, lead)


def indexed(name: str, module, simulated, leads: tuple[int, ...]) -> Callable[[], Files]:
    def files() -> Files:
        init = T - leads[0] * HOUR
        for lead in leads:
            data, index = simulated.encode(WORLD, init, lead)
            yield f"{name}/{module.path(init, lead)}", data
            yield f"{name}/{module.index_path(init, lead)}", index

    return files


def of_mlwp(model: str) -> Callable[[], Files]:
    def files() -> Files:
        yield f"mlwp/{mlwp.path(model, 'IFS', T - 6 * HOUR)}", simulated_mlwp.encode(WORLD, model, T - 6 * HOUR, 18)

    return files


def of_cwa_wrf() -> Files:
    for lead in (6, 12):
        yield f"cwa_open_data/{cwa_wrf.path(lead)}", simulated_cwa_wrf.encode(WORLD, T - 6 * HOUR, lead)


ROWS: Mapping[str, Row] = {
    "rwrp of 5 h": Row(("rwrp",), old_rwrp, ("state", "rwrp", "degraded")),
    "background alone": Row(("rwrp",), nothing, ("state", "background alone", "degraded"), begins_alone=True),
    "open data": Row(
        ("qpesums",),
        lambda: iter([(f"cwa_open_data/{RAIN_KEY}", simulated_opendata.rain_json(WORLD, T))]),
        ("rain", "qpe_open_data", "ready"),
    ),
    "qpepre": Row(
        ("qpesums",),
        lambda: iter([(f"qpepre/{qpepre.path(T, 'taipei', 'end')}", simulated_qpepre.encode(WORLD, T))]),
        ("rain", "qpepre", "ready"),
        {"QPEPRE_CLOCK": "taipei", "QPEPRE_STAMP": "end"},
    ),
    "rwrp's rain": Row(("qpesums",), nothing, ("rain", "rwrp_rain", "degraded")),
    "global_ai of 18 h": Row(("global_ai",), old_global_ai, ("background", "global_ai", "degraded")),
    "aifs": Row(("global_ai",), indexed("aifs", aifs, simulated_aifs, (12, 18)), ("background", "aifs", "degraded")),
    "gfs": Row(("global_ai",), indexed("gfs", gfs, simulated_gfs, (6, 7)), ("background", "gfs", "degraded")),
    "pangu": Row(("global_ai",), of_mlwp("PANG"), ("background", "mlwp_pangu", "degraded")),
    "graphcast": Row(("global_ai",), of_mlwp("GRAP"), ("background", "mlwp_graphcast", "degraded")),
    "aurora": Row(("global_ai",), of_mlwp("AURO"), ("background", "mlwp_aurora", "degraded")),
    "fourcastnet": Row(("global_ai",), of_mlwp("FOUR"), ("background", "mlwp_fourcastnet", "degraded")),
    "cwa_wrf": Row(("global_ai",), of_cwa_wrf, ("background", "cwa_wrf", "degraded")),
}


@pytest.mark.parametrize("name", ROWS)
def test_every_stand_in_carries_a_forecast(
    name: str,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
):
    row = ROWS[name]
    for provider in row.withheld:
        shutil.rmtree(inputs / provider)
    for path, data in row.files():
        target = inputs / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    for key, value in row.settings.items():
        monkeypatch.setenv(f"STORMCAST_TW_{key}", value)
    if row.begins_alone:
        packages.save(untrained_package(SMALL, simulated_invariants(SMALL), begins_alone=True), tmp_path / "package")
        monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(tmp_path / "package"))
    settings.cache_clear()
    artifact = operations(cycle=str(CYCLE), lead_hours=1, members=1, now=NOW)
    table = {line["input"]: line for line in artifact.details["inputs"]}
    which, provider, status = row.said
    assert (table[which]["served by"], table[which]["status"]) == (provider, status)
    assert artifact.details["status"] == ("degraded" if status == "degraded" else "complete")
    assert table[which]["sha256"] or row.begins_alone
    record_property("said", f"{which}: {provider}, {status}; {table[which]['remark']}")


def test_rain_forty_seconds_late_is_waited_for(inputs: Path):
    """The suite waits three seconds; here the forty of the issue, in real time."""
    from tests.flows.test_waiting import DEADLINE, later

    rain = inputs / "qpesums" / f"{T:%Y%m%d}" / f"CB_GC_PCP_1H_RAD.{T:%Y%m%d.%H%M}.gz"
    data = rain.read_bytes()
    rain.unlink()
    timer = later(40.0, lambda: rain.write_bytes(data))
    artifact = operations(cycle=str(CYCLE), lead_hours=1, members=1, now=DEADLINE - timedelta(minutes=5))
    timer.join()
    table = {line["input"]: line for line in artifact.details["inputs"]}
    assert (table["rain"]["served by"], artifact.details["status"]) == ("qpesums", "complete")
