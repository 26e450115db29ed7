"""Baselines against what they are by definition."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.simulation.files import rwrp
from stormcast_tw.simulation.on_grid import on_grid
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.verification.systems import baselines, simulated
from stormcast_tw.verification.systems.simulated import SimulatedTruth, simulated_start
from stormcast_tw.verification.systems.start import Start
from stormcast_tw.verification.systems.truth import OperationalTruth
from tests.conftest import CYCLE, NOW, SMALL
from tests.verification import provider_files as files

pytestmark = pytest.mark.usefixtures("pysteps")

WORLD = World()
TRUTH = SimulatedTruth(WORLD)
SURFACE = ("t2m", "u10m", "v10m", "tp01")


@pytest.fixture(scope="module")
def start(small_package) -> Start:
    return simulated_start(WORLD, CYCLE, 3, SMALL, small_package.invariants)


def test_persistence_is_the_state_at_every_lead(start: Start):
    found = baselines.persistence(start.state, CYCLE, 3, SMALL)
    assert dict(found["t2m"].sizes) == {"member": 1, "lead_time": 3, "latitude": 32, "longitude": 32}
    for name in SURFACE:
        assert found[name].dtype == np.float32
        for lead in range(3):
            np.testing.assert_array_equal(found[name].values[0, lead], start.state[name].values)


def test_a_forecast_that_began_without_a_state_has_no_persistence(start: Start):
    nothing = start.state[list(SURFACE)] * np.nan
    with pytest.raises(NotReady, match="began without a state"):
        baselines.persistence(nothing, CYCLE, 3, SMALL)
    without_rain = start.state.assign(tp01=start.state["tp01"] * np.nan)
    assert set(baselines.persistence(without_rain, CYCLE, 3, SMALL).data_vars) == {"t2m", "u10m", "v10m"}


def test_global_background_is_that_of_the_same_valid_time_without_rain(start: Start):
    found = baselines.global_background(start.background, CYCLE, 3, SMALL)
    assert set(found.data_vars) == {"t2m", "u10m", "v10m"}
    for lead in (1, 2, 3):
        hour = start.background["t2m"].isel(lead_time=lead).values
        np.testing.assert_array_equal(found["t2m"].values[0, lead - 1], hour)


def test_rwrp_is_its_run_at_the_same_valid_times(start: Start):
    found, absent = baselines.deterministic_baselines(start, TRUTH)
    assert list(found) == list(baselines.DETERMINISTIC)
    assert not absent
    run = CYCLE.init_time - timedelta(hours=1)
    assert start.rwrp_run == run
    for lead in (1, 3):
        says = on_grid(rwrp.run_on_box(WORLD, run, lead + 1), SMALL)
        for name in SURFACE:
            np.testing.assert_array_equal(found["rwrp"][name].values[0, lead - 1], says[name])


def test_rwrp_from_its_files_is_the_same_run(start: Start, tmp_path: Path):
    truth = OperationalTruth(files.sources(tmp_path))
    _, absent = baselines.deterministic_baselines(start, truth)
    assert set(absent) == {"rwrp", "extrapolation"}
    assert "wrfout_d02_2026-06-11_0" in absent["rwrp"]
    for lead in range(4):
        files.analysis(tmp_path, WORLD, CYCLE, lead, age=lead + 1)
    found, _ = baselines.deterministic_baselines(start, truth)
    direct, _ = baselines.deterministic_baselines(start, TRUTH)
    for name, tolerance in (("t2m", 0.2), ("u10m", 0.2), ("v10m", 0.2)):
        assert np.sqrt(np.mean((found["rwrp"][name] - direct["rwrp"][name]).values ** 2)) < tolerance
    rain = [one["rwrp"]["tp01"].values.ravel() for one in (found, direct)]
    assert np.corrcoef(*rain)[0, 1] > 0.95


def test_members_of_the_perfect_ensemble_are_distinct_and_none_is_the_truth():
    found = simulated.perfect_ensemble(WORLD, CYCLE, 2, SMALL, members=4)
    truth = TRUTH.surface(CYCLE, 2, SMALL, NOW)
    fields = [*found["u10m"].values[:, 0], truth["u10m"].values[0]]
    for first in range(5):
        for second in range(first):
            assert np.abs(fields[first] - fields[second]).max() > 0.05


def test_spread_of_the_perfect_ensemble_is_its_error():
    """Over 20 cycles of a year, three hours ahead; `perfect_ensemble` says what hundreds give."""
    variance = error = 0.0
    for number in range(20):
        cycle = Cycle(CYCLE.init_time + timedelta(hours=6 * 73 * number))
        members = [WORLD.branch(cycle.init_time, f"perfect {m}") for m in range(6)]
        fields = [on_grid(world.box(cycle.valid_time(3)), SMALL)["t2m"] for world in (WORLD, *members)]
        truth, ensemble = fields[0], np.stack(fields[1:])
        variance += ensemble.var(axis=0, ddof=1).mean() * 7 / 6
        error += ((ensemble.mean(axis=0) - truth) ** 2).mean()
    assert np.sqrt(variance / error) == pytest.approx(1.0, abs=0.2)


def test_values_that_are_not_finite_are_refused():
    field = np.zeros((1, 1, 32, 32))
    field[0, 0, 3, 3] = np.nan
    with pytest.raises(BadInput, match="t2m has 1 of 1024 values that are not finite; allowed 0"):
        baselines.system({"t2m": field}, CYCLE, SMALL, "one")


def test_systems_carry_what_a_forecast_carries():
    found = baselines.system({"t2m": np.zeros((2, 3, 32, 32))}, CYCLE, SMALL, "two members")
    assert found["t2m"].dims == ("member", "lead_time", "latitude", "longitude")
    assert list(found["lead_time"].values / np.timedelta64(1, "h")) == [1, 2, 3]
    np.testing.assert_array_equal(found["latitude"].values, SMALL.y)
