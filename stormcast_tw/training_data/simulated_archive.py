"""The simulated world as an archive: its truth and its large scale, without files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import numpy as np

from stormcast_tw.cycle import datetime64, hours
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import RAIN_QPESUMS, RAIN_RWRP
from stormcast_tw.simulation.files import global_ai
from stormcast_tw.simulation.files.global_ai import FloatArray
from stormcast_tw.simulation.on_grid import on_grid
from stormcast_tw.simulation.world import geography
from stormcast_tw.simulation.world.weather import SURFACE_IDS, World
from stormcast_tw.sources.global_ai import STEP_HOURS
from stormcast_tw.sources.translate.time_steps import bracketing_leads, interpolate_in_time
from stormcast_tw.training_data.archive import Array, KmScale, LargeScale, Refusal
from stormcast_tw.training_data.recipe import run_serving
from stormcast_tw.variables import VariableSet

BACKGROUND_DEGREES = 0.25
"""Grid spacing of ERA5 and of every global model that drives us."""


@dataclass(frozen=True)
class SimulatedArchive:
    """Every hour of the world of a seed. Rain is known everywhere, and counts as observed within range of the radars.

    The background is the truth as a global model would resolve it or, with `background_ages_hours`, the simulated
    global model's forecasts. Raises ValueError for a state set beyond the surface, as the truth has no upper air.
    """

    seed: int
    grid: Grid
    state_set: VariableSet
    background_set: VariableSet
    background_ages_hours: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.state_set.ids) - set(SURFACE_IDS)):
            raise ValueError(f"state set {self.state_set.name}: the simulated truth has no {', '.join(unknown)}")

    def describe(self) -> str:  # noqa: D102
        ages = self.background_ages_hours
        driven = "" if ages is None else f", background of forecasts {', '.join(map(str, ages))} h old"
        return f"simulated world, seed {self.seed}{driven}"

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | Refusal]:  # noqa: D102
        covered = geography.radar_coverage(*self.grid.latlon())
        rain_source = np.where(covered, RAIN_QPESUMS, RAIN_RWRP).astype(np.int8)
        terrain, world, states = self.ground(times[0])["orog"], World(self.seed), dict[datetime, KmScale | Refusal]()
        for time in times:
            fields = on_grid(world.box(time), self.grid)
            values = np.stack([fields[v] for v in self.state_set.ids])
            states[time] = KmScale(values, rain_source, terrain, (), True, self.describe(), self.describe())
        return states

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | Refusal]:  # noqa: D102
        grid, world, ids = around(self.grid), World(self.seed), self.background_set.ids
        ages = self.background_ages_hours
        maps: dict[datetime, FloatArray] = {}
        if ages is None:
            for time in times:
                fields = world.background(time, *grid.latlon())
                maps[time] = np.stack([fields[v] for v in ids])
        else:
            for run, group in groupby(times, lambda time: run_serving(time, ages)):
                maps |= _forecasts(world, run, tuple(group), ids, grid)
        return {t: LargeScale(m.astype(np.float32), grid, (), True, self.describe()) for t, m in maps.items()}

    def ground(self, time: datetime) -> dict[str, Array]:  # noqa: D102
        latitude, longitude = self.grid.latlon()
        fields = {"orog": geography.orography(latitude, longitude), "lsm": geography.land_mask(latitude, longitude)}
        return {name: np.asarray(values, np.float32) for name, values in fields.items()}


def _forecasts(
    world: World, run: datetime, times: Sequence[datetime], ids: Sequence[str], grid: Grid
) -> dict[datetime, FloatArray]:
    """Return fields (variable, y, x) of a run of the simulated global model, linear in time between its steps."""
    rows = np.rint((global_ai.NORTH - grid.y) / global_ai.STEP).astype(int)
    columns = np.rint((grid.x - global_ai.WEST) / global_ai.STEP).astype(int)
    leads = bracketing_leads(run, times, STEP_HOURS)
    steps = []
    for lead in leads:
        fields = global_ai.run_fields(world, run, lead)
        steps.append(np.stack([fields[v][np.ix_(rows, columns)] for v in ids]))
    known, wanted = [datetime64(run + hours(lead)) for lead in leads], [datetime64(time) for time in times]
    return dict(zip(times, interpolate_in_time(steps, known, wanted), strict=True))


def around(grid: Grid) -> Grid:
    """Return the smallest grid on whole quarter degrees that covers `grid` with a margin of at least one cell."""
    latitude, longitude = grid.latlon()
    ends: list[float | int] = []
    for axis in (latitude, longitude):
        first = math.floor(float(axis.min()) / BACKGROUND_DEGREES) - 1
        last = math.ceil(float(axis.max()) / BACKGROUND_DEGREES) + 1
        ends += [first * BACKGROUND_DEGREES, last * BACKGROUND_DEGREES, last - first + 1]
    return Grid("BACKGROUND", ends[0], ends[1], int(ends[2]), ends[3], ends[4], int(ends[5]))
