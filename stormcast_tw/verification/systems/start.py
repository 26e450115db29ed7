"""What a forecast started from: as it was published, or as it would have been in any cycle of a simulated world."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import prepare_background, prepare_state
from stormcast_tw.plan import Plan
from stormcast_tw.simulation.files import global_ai as simulated_global_ai
from stormcast_tw.simulation.files import qpesums as simulated_qpesums
from stormcast_tw.simulation.files import rwrp as simulated_rwrp
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.global_ai import STEP_HOURS, GlobalAI
from stormcast_tw.sources.global_ai import path as global_ai_path
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.rwrp import path as rwrp_path
from stormcast_tw.sources.translate.time_steps import bracketing_leads
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.storage.store import Address, Artifact, Store
from stormcast_tw.variables import variable_set
from stormcast_tw.verification.systems.truth import RAIN, WEATHER, read

Invariants = Mapping[str, npt.NDArray[np.float32]]
"""A package's constant fields, each (y, x)."""

STATE = variable_set("state", *WEATHER.ids, "orog")
RWRP_HOURS_BEFORE, GLOBAL_HOURS_BEFORE = 1, 12
"""How old the newest runs are that a simulated cycle starts from."""


@dataclass(frozen=True)
class Start:
    """What a forecast started from: prepared state (y, x) and background (lead_time from 0, y, x), and RWRP's run."""

    cycle: Cycle
    lead_hours: int
    grid: Grid
    state: xr.Dataset
    background: xr.Dataset
    rwrp_run: datetime | None
    """None where another provider stood in for RWRP."""


def start_of(work: Store, run: Artifact) -> Start:
    """Return what a published run started from; raises NotReady where it is no longer kept in the work root."""
    plan = Plan.model_validate(run.plan)
    prepared = work.get(
        Address(kind="prepared", experiment=plan.experiment, cycle=plan.inputs.cycle, run=plan.inputs.run)
    )
    inputs = [work.get(_address(uri)) for uri in prepared.parents]
    rows = {row["name"]: row for one in inputs for row in one.details["inputs"]}
    state = rows.get("state", {})
    return Start(
        cycle=plan.cycle,
        lead_hours=plan.lead_hours,
        grid=Grid.parse(run.grid),
        state=work.open(prepared, "state").load(),
        background=work.open(prepared, "background").load(),
        rwrp_run=datetime.fromisoformat(state["init_time"]) if state.get("source") == "rwrp" else None,
    )


def _address(uri: str) -> Address:
    kind, experiment, cycle, run = uri.rsplit("/", 4)[-4:]
    return Address(kind=kind, experiment=experiment, cycle=cycle, run=run)


def simulated_start(world: World, cycle: Cycle, lead_hours: int, grid: Grid, invariants: Invariants) -> Start:
    """Return what a forecast of any cycle of a simulated world would start from, by way of the providers' files."""
    run, global_run = cycle.init_time - hours(RWRP_HOURS_BEFORE), cycle.init_time - hours(GLOBAL_HOURS_BEFORE)
    hourly = tuple(cycle.valid_time(lead) for lead in range(lead_hours + 1))
    with tempfile.TemporaryDirectory(prefix="stormcast-tw-") as scratch:
        for path, data in _files(world, cycle, hourly):
            target = Path(scratch, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        folder = Folder(scratch)
        state = read(RwrpState(folder), hourly[:1], STATE, run).dataset
        rain = read(Qpesums(folder), hourly[:1], RAIN).dataset
        model_rain = read(RwrpRain(folder), hourly[:1], RAIN, run).dataset
        background = read(GlobalAI(folder, grid), hourly, WEATHER, global_run).dataset
    prepared = prepare_state(state, rain, model_rain, grid, invariants["orog"])
    by_lead = prepare_background(background, grid, WEATHER).rename(valid_time="lead_time")
    return Start(cycle, lead_hours, grid, prepared, by_lead, run)


def _files(world: World, cycle: Cycle, hourly: tuple[datetime, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of the files that state, rain and the surface of the background are read from."""
    run, global_run = cycle.init_time - hours(RWRP_HOURS_BEFORE), cycle.init_time - hours(GLOBAL_HOURS_BEFORE)
    for lead in range(RWRP_HOURS_BEFORE + 1):
        yield rwrp_path(run, run + hours(lead)), simulated_rwrp.encode(world, run, lead)
    yield qpesums_path(cycle.init_time), simulated_qpesums.encode(world, cycle.init_time)
    for lead in bracketing_leads(global_run, hourly, STEP_HOURS):
        yield global_ai_path(global_run, lead), simulated_global_ai.encode(world, global_run, lead)
