"""What the simulation writes in the providers' formats is what the readers give back, in our names and units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import prepare_background, prepare_state
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.cycle import simulate_cycle
from stormcast_tw.simulation.files import global_ai as simulated_global
from stormcast_tw.simulation.files import qpesums as simulated_qpesums
from stormcast_tw.simulation.files import rwrp as simulated_rwrp
from stormcast_tw.simulation.world.box import INNER, Sampler
from stormcast_tw.simulation.world.geography import orography
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import BACKGROUND_SETS, variable_set

CYCLE = Cycle.parse("20240815T06Z")
SEED = 7
BACKGROUND = BACKGROUND_SETS["background24"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    simulate_cycle(CYCLE, str(folder), SEED, lead_hours=6)
    return folder


def read(source, *ids: str, leads=(0,), age: int | None = None) -> xr.Dataset:
    """Read the leads of the cycle from the run that began `age` hours before it, or from observations."""
    times = tuple(CYCLE.valid_time(lead) for lead in leads)
    init_time = None if age is None else CYCLE.valid_time(-age)
    return source.read(source.find(times, variable_set("asked", *ids), init_time)).dataset


@pytest.fixture(scope="module")
def state(root: Path) -> xr.Dataset:
    return read(RwrpState(Folder(f"{root}/rwrp")), "t2m", "u10m", "v10m", "sp", "orog", "lsm", age=1)


@pytest.fixture(scope="module")
def model_rain(root: Path) -> xr.Dataset:
    return read(RwrpRain(Folder(f"{root}/rwrp")), "tp01", age=1)


@pytest.fixture(scope="module")
def observed_rain(root: Path) -> xr.Dataset:
    return read(Qpesums(Folder(f"{root}/qpesums")), "tp01")


@pytest.fixture(scope="module")
def background(root: Path) -> xr.Dataset:
    return read(GlobalAI(Folder(f"{root}/global_ai")), *BACKGROUND.ids, leads=range(7), age=12)


def test_everything_says_simulated(state, model_rain, observed_rain, background):
    assert [d.attrs["simulated"] for d in (state, model_rain, observed_rain, background)] == [1, 1, 1, 1]


def test_rwrp_gives_the_winds_of_the_earth_and_the_rain_of_the_hour(state, model_rain):
    init_time = CYCLE.valid_time(-1)
    assert state.attrs["init_time"] == model_rain.attrs["init_time"] == "2024-08-15T05:00:00Z"
    latitude, longitude = simulated_rwrp.grid().latlon()
    there = Sampler(latitude, longitude)
    truth = simulated_rwrp.run_on_box(World(SEED), init_time, 1)
    for variable_id in ("t2m", "u10m", "v10m"):
        np.testing.assert_allclose(state[variable_id].values[0], there(truth[variable_id]), atol=1e-4)
    np.testing.assert_allclose(model_rain["tp01"].values[0], there(truth["tp01"]), atol=1e-4)
    np.testing.assert_allclose(Grid.of(state).latlon(), (latitude, longitude), atol=1e-5)


def test_qpesums_gives_quarters_of_a_millimetre_and_gaps(observed_rain):
    raw = simulated_qpesums.observed_rain(World(SEED), CYCLE.init_time)
    np.testing.assert_array_equal(observed_rain["tp01"].values[0], np.where(raw < 0, np.nan, raw / 4))


def test_global_ai_gives_the_fields_and_straight_lines_between(background):
    init_time = CYCLE.valid_time(-12)
    assert background.attrs["init_time"] == f"{init_time:%Y-%m-%dT%H:%M:%SZ}"
    ends = [simulated_global.run_fields(World(SEED), init_time, lead) for lead in (12, 18)]
    latitude, longitude = simulated_global.points()
    rows = np.isin(latitude[:, 0], background["latitude"].values)
    columns = np.isin(longitude[0], background["longitude"].values)
    for variable_id in BACKGROUND.ids:
        first, last = (end[variable_id][rows][::-1][:, columns] for end in ends)
        whole = np.concatenate([end[variable_id].ravel() for end in ends])
        quantum = np.ptp(whole) / 2**15
        for lead in range(7):
            expected = first + (last - first) * lead / 6
            np.testing.assert_allclose(background[variable_id].values[lead], expected, atol=quantum, rtol=2e-7)


def test_prepared_inputs_are_what_was_simulated_on_the_target_grid(state, observed_rain, model_rain, background):
    package_orography = orography(*TAIWAN_2KM.latlon())
    prepared = prepare_state(state, observed_rain, model_rain, TAIWAN_2KM, package_orography)
    run = simulated_rwrp.run_on_box(World(SEED), CYCLE.valid_time(-1), 1)
    # from one 2-km grid to another: 0.10 K and 0.12 m/s measured, most of it over steep terrain
    for variable_id in ("t2m", "u10m", "v10m"):
        error = prepared[variable_id].values - run[variable_id][INNER]
        assert np.sqrt(np.mean(error**2)) < 0.2
    observed = prepared["rain_source"].values == 1
    assert 0.9 < prepared["rain_source"].attrs["observed_share"] < 1.0
    truth = World(SEED).surface(CYCLE.init_time)["tp01"].values
    assert np.corrcoef(prepared["tp01"].values[observed], truth[observed])[0, 1] > 0.9
    hourly = prepare_background(background, TAIWAN_2KM, BACKGROUND)
    assert hourly["z500"].shape == (7, 224, 128)
