"""The simulated world as a truth: known everywhere and without error, at any hour of any year.

Only this module and `training_data.simulated_archive` give code outside `simulation` access to the simulated weather.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import observed_weights, prepare_background, prepare_state
from stormcast_tw.simulation.files import global_ai as global_ai_files
from stormcast_tw.simulation.files import qpesums as qpesums_files
from stormcast_tw.simulation.files import rwrp as rwrp_files
from stormcast_tw.simulation.on_grid import on_grid
from stormcast_tw.simulation.world.weather import FORESIGHT_HOURS, SURFACE_IDS, World
from stormcast_tw.sources.global_ai import STEP_HOURS, GlobalAI
from stormcast_tw.sources.global_ai import path as global_ai_path
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.rwrp import path as rwrp_path
from stormcast_tw.sources.translate.time_steps import bracketing_leads
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set
from stormcast_tw.verification import TruthKind
from stormcast_tw.verification.systems.baselines import SURFACE, system
from stormcast_tw.verification.systems.dressing import MEMBERS, TrainingSpan
from stormcast_tw.verification.systems.start import Invariants, Start
from stormcast_tw.verification.systems.truth import (
    RAIN,
    WEATHER,
    Array,
    hours_until,
    leads,
    read,
    truth_dataset,
)

STATE = variable_set("state", *WEATHER.ids, "orog")
RWRP_HOURS_BEFORE, GLOBAL_HOURS_BEFORE = 1, 12
"""Ages of the newest runs that a simulated cycle starts from."""

SAME_WORLD_LIMIT = 1.0
"""m s-1 RMS of the wind vector: regridding twice causes 0.2, another seed at least 2 (40 hours of 2026)."""


@dataclass(frozen=True)
class SimulatedTruth:
    """The simulated world itself."""

    world: World
    kind: ClassVar[TruthKind] = "simulated"

    @property
    def name(self) -> str:
        """Name that distinguishes this truth from any other."""
        return f"simulated, seed {self.world.seed}"

    def surface(self, cycle: Cycle, lead_hours: int, grid: Grid, now: datetime) -> xr.Dataset:
        """Return t2m, u10m, v10m and tp01 (lead_time, y, x) at leads 1 to `lead_hours`, without gaps."""
        fields = [on_grid(self.world.box(cycle.valid_time(lead)), grid) for lead in leads(lead_hours)]
        stacked = {name: np.stack([field[name] for field in fields]) for name in SURFACE_IDS}
        return truth_dataset(stacked, cycle, grid, self.name, simulated=True, files={})

    def past_rain(self, cycle: Cycle, grid: Grid) -> Array:
        """Return the simulated QPESUMS rain of the hours ending at init_time (3, y, x), NaN where not observed."""
        raw = np.stack([qpesums_files.observed_rain(self.world, time) for time in hours_until(cycle)])
        rain = np.where(
            raw == qpesums_files.MISSING * qpesums_files.SCALE, np.nan, raw / np.float32(qpesums_files.SCALE)
        )
        return observed_weights(qpesums_files.GRID, grid)(rain.astype(np.float32))

    def rwrp(self, run: datetime, cycle: Cycle, lead_hours: int, grid: Grid) -> dict[str, Array]:
        """Return the fields of the simulated RWRP run of `run` at leads 1 to `lead_hours`: (lead_time, y, x)."""
        ahead = [_whole_hours(cycle.valid_time(lead) - run) for lead in leads(lead_hours)]
        fields = [on_grid(rwrp_files.run_on_box(self.world, run, hour), grid) for hour in ahead]
        return {name: np.stack([field[name] for field in fields]) for name in SURFACE_IDS}

    def regime(self, valid_time: datetime) -> str:
        """Return the weather regime: one of simulation.world.regimes.REGIMES."""
        return self.world.regime(valid_time)

    def require_start(self, start: Start) -> None:
        """Raise BadInput unless the state that a forecast started from matches this world's RWRP run."""
        if start.rwrp_run is None:
            return
        lead = _whole_hours(start.cycle.init_time - start.rwrp_run)
        here = on_grid(rwrp_files.run_on_box(self.world, start.rwrp_run, lead), start.grid)
        squares = sum(
            np.mean((start.state[name].values - here[name]) ** 2, dtype=np.float64) for name in ("u10m", "v10m")
        )
        if not (rms := float(np.sqrt(squares))) <= SAME_WORLD_LIMIT:
            raise BadInput(
                f"{start.cycle}: the wind at init_time differs by {rms:.2f} m s-1 RMS from the world of seed"
                f" {self.world.seed}; allowed {SAME_WORLD_LIMIT:g}: its inputs were simulated from another seed"
            )

    def systems_of(self, start: Start) -> dict[str, xr.Dataset]:
        """Return the perfect ensemble, which only this truth can provide."""
        return {"perfect": perfect_ensemble(self.world, start.cycle, start.lead_hours, start.grid)}

    def starts(self, span: TrainingSpan, like: Start, invariants: Invariants) -> Mapping[Cycle, Callable[[], Start]]:
        """Return functions that make the start of each training cycle of a span, at the init hour of `like`."""
        cycles = span.cycles(like.cycle.init_time.hour)
        return {
            cycle: partial(simulated_start, self.world, cycle, like.lead_hours, like.grid, invariants)
            for cycle in cycles
        }


def simulated_truth(seed: int) -> SimulatedTruth:
    """Return the truth of the world of a seed."""
    return SimulatedTruth(World(seed))


def perfect_ensemble(world: World, cycle: Cycle, lead_hours: int, grid: Grid, members: int = MEMBERS) -> xr.Dataset:
    """Return branches of the simulated world at init_time; they share its past and what can be seen upstream.

    Truth and members are exchangeable, so spread and error are equal on average, and no system that does not know the
    future has a lower expected score. Measured with branches without foresight, spread over error of t2m, u10m, v10m
    and tp01, for leads of 1, 6 and 12 h together: 1.001, 0.998, 1.001, 1.010 (+- 0.02) over 480 cycles of ten years;
    0.956, 1.012, 1.022, 0.958 (+- 0.025) over 240 others of the five years before.
    """
    branches = [world.branch(cycle.init_time, f"perfect {m}", FORESIGHT_HOURS) for m in range(members)]
    maps = [[on_grid(b.box(cycle.valid_time(lead)), grid) for lead in range(1, lead_hours + 1)] for b in branches]
    fields = {name: np.stack([[at_lead[name] for at_lead in member] for member in maps]) for name in SURFACE}
    return system(fields, cycle, grid, "perfect ensemble")


def simulated_start(world: World, cycle: Cycle, lead_hours: int, grid: Grid, invariants: Invariants) -> Start:
    """Return what a forecast of any cycle of a simulated world would start from, made through providers' files."""
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
    """Yield (path, bytes) of the files from which state, rain and the surface background are read."""
    run, global_run = cycle.init_time - hours(RWRP_HOURS_BEFORE), cycle.init_time - hours(GLOBAL_HOURS_BEFORE)
    for lead in range(RWRP_HOURS_BEFORE + 1):
        yield rwrp_path(run, run + hours(lead)), rwrp_files.encode(world, run, lead)
    yield qpesums_path(cycle.init_time), qpesums_files.encode(world, cycle.init_time)
    for lead in bracketing_leads(global_run, hourly, STEP_HOURS):
        yield global_ai_path(global_run, lead), global_ai_files.encode(world, global_run, lead)


def _whole_hours(duration: timedelta) -> int:
    return int(duration / timedelta(hours=1))
