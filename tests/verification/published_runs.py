"""A published run on the small grid with all that it came from, without a model: truth, later, plus a little noise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import Cycle, datetime64, hours
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.fetch import Fetched
from stormcast_tw.inputs.input_set import Input
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.plan import InputsPlan, Plan
from stormcast_tw.publication.catalogue import Published
from stormcast_tw.schema import time_coordinates
from stormcast_tw.simulation.files import rwrp
from stormcast_tw.simulation.on_grid import on_grid
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.verification.systems import baselines, nowcast
from stormcast_tw.verification.systems.start import Start
from stormcast_tw.verification.systems.truth import Truth
from tests.conftest import NOW, SMALL

LEADS, MEMBERS = 2, 4
_ERRORS_AT = baselines.errors_at


@dataclass(frozen=True)
class Place:
    """The two stores of a test, and the world that its inputs were simulated from."""

    published: Store
    work: Store
    package: ModelPackage
    world: World = World(20150808)  # noqa: RUF009

    @classmethod
    def below(cls, root: Path, package: ModelPackage) -> Place:
        return cls(Store(str(root / "published")), Store(str(root / "work")), package)


def direct_start(world: World, cycle: Cycle, lead_hours: int, grid: Grid, invariants: object) -> Start:
    """As `simulated_start`, without the files: RWRP's run of an hour ago, and a background that stays as it is."""
    run = cycle.init_time - hours(1)
    fields = on_grid(rwrp.run_on_box(world, run, 1), grid)
    state = grid.coordinates().assign({name: (grid.dims, values) for name, values in fields.items()})
    hourly = state[["t2m", "u10m", "v10m"]].expand_dims(lead_time=lead_hours + 1)
    return Start(cycle, lead_hours, grid, state, hourly, run)


def errors_of_still_rain(start: Start, truth: Truth, now: datetime) -> dict[str, xr.Dataset]:
    """As `errors_at`, of rain that does not move: the search for its motion takes most of the time of an archive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nowcast, "motion", lambda past, km_per_cell: np.zeros((2, *past.shape[1:])))
        return _ERRORS_AT(start, truth, now)


def publish(place: Place, cycle: Cycle, *, noise: float = 0.5, digest: str | None = None) -> Artifact:
    """Publish a forecast that is the truth plus white noise of this standard deviation, in K, m s-1 and mm."""
    start = direct_start(place.world, cycle, LEADS, SMALL, None)
    inputs = _inputs(place, cycle)
    plan = Plan(
        inputs=InputsPlan(
            experiment="demo",
            cycle=str(cycle),
            inputs={"state": ("sha256:0",)},
            package=digest or place.package.digest,
            lead_hours=LEADS,
            code_version="test",
        ),
        members=MEMBERS,
        base_seed=7,
        sampler=place.package.description.sampler,
        members_per_batch=2,
    )
    draft = place.work.begin(
        Address(kind="prepared", experiment="demo", cycle=str(cycle), run=plan.inputs.run),
        plan.inputs.model_dump(mode="json"),
    )
    draft.write("state", start.state)
    draft.write("background", start.background.assign_coords(time_coordinates(cycle, range(LEADS + 1)).coords))
    prepared = draft.seal(grid=SMALL.describe(), variables=(), parents=(inputs,), simulated=True, now=NOW)
    published = place.published.begin(
        Address(kind="published", experiment="demo", cycle=str(cycle), run=plan.run), plan.model_dump(mode="json")
    )
    published.write("forecast", _forecast(place.world, cycle, noise))
    about = {"name": "test", "version": "1", "digest": plan.inputs.package, "trained": False}
    return published.seal(
        grid=SMALL.describe(), variables=baselines.SURFACE, parents=(prepared,), simulated=True, trained=False, now=NOW,
        details=Published(package=about),
    )  # fmt: skip


def _inputs(place: Place, cycle: Cycle) -> Artifact:
    state = Input(
        name="state",
        source="rwrp",
        required=True,
        status="ready",
        valid_times=(cycle.init_time,),
        variables=baselines.SURFACE,
        init_time=cycle.init_time - hours(1),
        expected_age_hours=1,
    )
    details = Fetched(inputs=(state,), used={}, verdicts={})
    where = Address(kind="inputs", experiment="demo", cycle=str(cycle), run="0" * 12)

    def fill(draft: Draft) -> Artifact:
        return draft.seal(grid={}, variables=(), parents=(), simulated=True, now=NOW, details=details)

    return place.work.make(where, {"test": 1}, fill)


def _forecast(world: World, cycle: Cycle, noise: float):
    rng = np.random.default_rng(int(datetime64(cycle.init_time).astype("int64") % 2**32))
    fields = {}
    for name in baselines.SURFACE:
        truth = np.stack([on_grid(world.box(cycle.valid_time(lead)), SMALL)[name] for lead in range(1, LEADS + 1)])
        members = truth + noise * rng.standard_normal((MEMBERS, *truth.shape))
        fields[name] = np.maximum(members, 0.0) if name == "tp01" else members
    return baselines.system(fields, cycle, SMALL, "SIMULATED UNTRAINED forecast")
