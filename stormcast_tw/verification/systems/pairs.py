"""One published run with its truth and its baselines: everything that is scored of a cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.grid import Grid
from stormcast_tw.publication.catalogue import plan_of
from stormcast_tw.publication.pointers import PUBLISHED
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.verification.scores.strata import Strata
from stormcast_tw.verification.systems import baselines
from stormcast_tw.verification.systems.dressing import dress
from stormcast_tw.verification.systems.start import Invariants, Start
from stormcast_tw.verification.systems.truth import Truth

FORECAST = "forecast"
"""Name of the system that is judged."""
DRESSED = "_dressed"
"""Suffix of the name of a dressed baseline."""
HIGH_GROUND = 1000.0
"""Height in m above which land is a stratum of its own."""


@dataclass(frozen=True)
class Pairs:
    """The systems of a cycle by name, their truth, its strata, and why baselines are absent."""

    cycle: Cycle
    systems: dict[str, xr.Dataset]
    truth: xr.Dataset
    strata: Strata
    absent: dict[str, str] = field(default_factory=dict)


def published_runs(store: Store, experiment: str, first: Cycle, last: Cycle, package: str) -> dict[str, Artifact]:
    """Return, by cycle, the newest published run of the package with this digest."""
    newest: dict[str, Artifact] = {}
    for cycle in first.until(last):
        for run in store.list(PUBLISHED, f"{experiment}/{cycle}"):
            if plan_of(run).inputs.package == package:
                newest[str(cycle)] = run
    return newest


def gather(
    start: Start,
    forecast: xr.Dataset,
    truth_fields: xr.Dataset,
    truth: Truth,
    invariants: Invariants,
    errors: Mapping[str, xr.Dataset],
    seed: int,
) -> Pairs:
    """Return a forecast with its `truth_fields` and every available baseline, also dressed if it is in `errors`."""
    cycle, lead_hours, grid = start.cycle, start.lead_hours, start.grid
    single, absent = baselines.deterministic_baselines(start, truth)
    systems = {FORECAST: forecast, **single}
    for name, baseline in single.items():
        if name in errors:
            systems[name + DRESSED] = dress(baseline, errors[name], _seed(seed, cycle, name))
        else:
            absent[name + DRESSED] = "there is no archive of its errors"
    if "extrapolation" in single:
        systems["steps"] = baselines.steps_ensemble(start, truth, _seed(seed, cycle, "steps"))
    systems |= truth.systems_of(start)
    return Pairs(cycle, systems, truth_fields, strata(cycle, truth, lead_hours, grid, invariants), absent)


def _seed(seed: int, cycle: Cycle, system: str) -> int:
    hour = int(cycle.init_time.timestamp()) // 3600
    return int(np.random.SeedSequence([seed, hour, crc32(system.encode())]).generate_state(1)[0])


def strata(cycle: Cycle, truth: Truth, lead_hours: int, grid: Grid, invariants: Invariants) -> Strata:
    """Return the strata: land, land above 1000 m, and the regime half-way through the forecast."""
    land = xr.DataArray(invariants["lsm"] >= 0.5, dims=grid.dims)
    high = land & xr.DataArray(invariants["orog"] > HIGH_GROUND, dims=grid.dims)
    return Strata(land, high, truth.regime(cycle.valid_time(lead_hours // 2)), cycle.init_time)
