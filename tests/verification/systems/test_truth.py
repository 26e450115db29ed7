"""Two truths: the simulated world itself, and what providers' files say; late, partial and corrupt."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.files import qpesums, rwrp
from stormcast_tw.simulation.on_grid import on_grid
from stormcast_tw.simulation.world.geography import radar_coverage
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.verification.systems.simulated import SimulatedTruth, simulated_start
from stormcast_tw.verification.systems.truth import SETTLED, OperationalTruth
from tests.conftest import CYCLE, SMALL
from tests.verification import provider_files as files

WORLD = World()
SETTLED_NOW = CYCLE.valid_time(2) + SETTLED
PART = Grid.from_axes("PART", TAIWAN_2KM.y[100:132], TAIWAN_2KM.x[40:72])
"""A corner of the truth's own points."""


@pytest.fixture
def operational(tmp_path: Path) -> OperationalTruth:
    files.deliver(tmp_path, WORLD, CYCLE, (1, 2))
    return OperationalTruth(files.sources(tmp_path))


def test_simulated_truth_is_the_world_itself():
    found = SimulatedTruth(WORLD).surface(CYCLE, 2, TAIWAN_2KM, CYCLE.init_time)
    for lead in (1, 2):
        world = WORLD.surface(CYCLE.valid_time(lead))
        for name in ("t2m", "u10m", "v10m", "tp01"):
            np.testing.assert_array_equal(found[name].isel(lead_time=lead - 1).values, world[name].values)
    assert found["valid_time"].values[1] == np.datetime64("2026-06-11T08")


def test_simulated_truth_on_another_grid_agrees_where_points_do():
    whole = SimulatedTruth(WORLD).surface(CYCLE, 1, TAIWAN_2KM, CYCLE.init_time)
    part = SimulatedTruth(WORLD).surface(CYCLE, 1, PART, CYCLE.init_time)
    expected = whole["t2m"].values[:, 100:132, 40:72]
    np.testing.assert_allclose(part["t2m"].values, expected, atol=1e-3)


def test_past_rain_is_what_radar_saw_of_the_hours_up_to_init_time():
    past = SimulatedTruth(WORLD).past_rain(CYCLE, TAIWAN_2KM)
    seen = radar_coverage(*TAIWAN_2KM.latlon())
    unseen = np.isnan(past).all(axis=0)
    assert 0 < unseen.mean() < 0.02
    assert (unseen & seen).mean() < 0.005, "only cells at the edge of the range"
    for hour, before in enumerate((2, 1, 0)):
        truth = WORLD.surface(CYCLE.init_time - timedelta(hours=before))["tp01"].values[~unseen]
        assert np.corrcoef(past[hour][~unseen], truth)[0, 1] > 0.95


def test_the_seed_is_proved_by_what_the_forecast_started_from(small_package):
    start = simulated_start(WORLD, CYCLE, 1, SMALL, small_package.invariants)
    SimulatedTruth(WORLD).require_start(start)
    with pytest.raises(BadInput, match=r"20260611T06Z: the wind .* from the world of seed 7; allowed 1: "):
        SimulatedTruth(World(7)).require_start(start)


def test_operational_truth_is_analyses_and_observed_rain(operational: OperationalTruth):
    found = operational.surface(CYCLE, 2, SMALL, SETTLED_NOW)
    assert found.attrs["simulated"] == 1
    for lead in (1, 2):
        at = found.isel(lead_time=lead - 1)
        analysed = on_grid(rwrp.run_on_box(WORLD, CYCLE.valid_time(lead), 0), SMALL)
        for name, tolerance in (("t2m", 0.2), ("u10m", 0.2), ("v10m", 0.2)):
            assert np.sqrt(np.mean((at[name].values - analysed[name]) ** 2)) < tolerance
        truth = on_grid(WORLD.box(CYCLE.valid_time(lead)), SMALL)["tp01"]
        assert np.corrcoef(at["tp01"].values.ravel(), truth.ravel())[0, 1] > 0.9


def test_truths_never_mix(operational: OperationalTruth):
    simulated = SimulatedTruth(WORLD)
    assert operational.kind != simulated.kind
    assert len({operational.name, simulated.name, SimulatedTruth(World(7)).name}) == 3
    observed = operational.surface(CYCLE, 2, SMALL, SETTLED_NOW)
    assert np.abs(observed["u10m"] - simulated.surface(CYCLE, 2, SMALL, SETTLED_NOW)["u10m"]).max() > 0.1
    assert operational.regime(CYCLE.init_time) == "all"
    assert simulated.regime(CYCLE.init_time) == WORLD.regime(CYCLE.init_time)


def test_unobserved_cells_stay_unobserved_though_rwrp_has_rain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = qpesums.observed_rain

    def with_a_hole(world: World, valid_time):
        raw = whole(world, valid_time)
        south = qpesums.GRID.y < 23.3
        raw[south] = qpesums.MISSING * qpesums.SCALE
        return raw

    monkeypatch.setattr(qpesums, "observed_rain", with_a_hole)
    files.deliver(tmp_path, WORLD, CYCLE, (1, 2))
    found = OperationalTruth(files.sources(tmp_path)).surface(CYCLE, 2, SMALL, SETTLED_NOW)
    hole = SMALL.y < 23.3 - SMALL.dy
    assert np.isnan(found["tp01"].values[:, hole]).all()
    assert np.isfinite(found["tp01"].values[:, SMALL.y > 23.3 + SMALL.dy]).all()
    assert np.isfinite(found["t2m"].values).all()


def test_too_early_is_late(operational: OperationalTruth):
    with pytest.raises(NotReady, match="truth is taken from 2026-06-11T11:00Z on; it is 2026-06-11T10:59Z"):
        operational.surface(CYCLE, 2, SMALL, SETTLED_NOW - timedelta(minutes=1))


def test_one_hour_that_is_not_there_leaves_all_for_later(operational: OperationalTruth, tmp_path: Path):
    late = files.observed(tmp_path, WORLD, CYCLE, 2)
    late.unlink()
    with pytest.raises(NotReady, match=late.name):
        operational.surface(CYCLE, 2, SMALL, SETTLED_NOW)
    files.observed(tmp_path, WORLD, CYCLE, 2)
    analysis = files.analysis(tmp_path, WORLD, CYCLE, 1)
    analysis.unlink()
    files.analysis(tmp_path, WORLD, CYCLE, 1, age=2)
    with pytest.raises(NotReady, match=r"no RWRP analysis of 2026-06-11T07:00Z"):
        operational.surface(CYCLE, 2, SMALL, SETTLED_NOW)
    files.analysis(tmp_path, WORLD, CYCLE, 1, age=1)
    assert np.isfinite(operational.surface(CYCLE, 2, SMALL, SETTLED_NOW)["t2m"].values).all()


@pytest.mark.parametrize("spoil", [files.observed, files.analysis], ids=["rain", "analysis"])
def test_a_damaged_file_is_named(operational: OperationalTruth, tmp_path: Path, spoil):
    path = spoil(tmp_path, WORLD, CYCLE, 1)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadInput, match=path.name):
        operational.surface(CYCLE, 2, SMALL, SETTLED_NOW)
