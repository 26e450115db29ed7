"""Prepared inputs: where rain comes from, which files are refused, and what comes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import prepare_background, prepare_observed, prepare_state
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.regrid import cell_mean, conservative
from stormcast_tw.sources.base import on_grid
from stormcast_tw.variables import BACKGROUND_SETS, VARIABLES, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
WRF = Grid.from_axes(
    "wrf",
    6000.0 * np.arange(-50, 50),
    6000.0 * np.arange(-25, 65),
    {"proj": "lcc", "lat_1": 10, "lat_2": 40, "lat_0": 23.6, "lon_0": 120, "R": 6370000.0},
)
QPESUMS = Grid("QPESUMS", 20.0, 27.0, 561, 118.0, 123.5, 441)
WINDOW = Grid("window", 20.5, 26.75, 26, 118.75, 123.25, 19)


def dataset(grid: Grid, fields: dict[str, np.ndarray | float], *times: datetime) -> xr.Dataset:
    times = times or (T,)
    shape = (len(times), *grid.shape)
    return on_grid(
        grid, times, {VARIABLES[v]: np.broadcast_to(a, shape) for v, a in fields.items()}, {"source": "test"}
    )


def hills(grid: Grid) -> np.ndarray:
    latitude, longitude = grid.latlon()
    return 1000.0 + 800.0 * np.sin(latitude) + 300.0 * (longitude - 121)


@pytest.fixture
def state() -> xr.Dataset:
    latitude, longitude = WRF.latlon()
    fields = {"t2m": 300 - latitude / 10, "u10m": longitude - 121, "v10m": latitude - 23}
    return dataset(WRF, {**fields, "orog": hills(WRF), "sp": 1e5})


@pytest.fixture
def orography() -> np.ndarray:
    return hills(TAIWAN_2KM).astype(np.float32)


def test_the_state_lies_on_the_target_grid(state, orography):
    prepared = prepare_state(state, dataset(QPESUMS, {"tp01": 2.0}), None, TAIWAN_2KM, orography)
    assert set(prepared.data_vars) == {"t2m", "u10m", "v10m", "sp", "tp01", "rain_source"}
    assert prepared["t2m"].dims == ("latitude", "longitude")
    assert prepared["t2m"].dtype == np.float32
    assert prepared["t2m"].attrs["standard_name"] == "air_temperature"
    assert Grid.of(prepared).fingerprint == TAIWAN_2KM.fingerprint
    assert prepared["valid_time"].values == np.datetime64("2026-06-11T06:00:00")
    latitude, longitude = TAIWAN_2KM.latlon()
    # latitude and longitude bend by 1e-5 degree within a 6-km cell of the cone
    np.testing.assert_allclose(prepared["u10m"], longitude - 121, atol=5e-5)
    np.testing.assert_allclose(prepared["v10m"], latitude - 23, atol=5e-5)


def test_rain_is_observed_where_it_can_be_and_rwrp_s_elsewhere(state, orography):
    observed = np.full(QPESUMS.shape, 2.0)
    observed[:, QPESUMS.x > 121.5] = np.nan
    model = 5.0 + np.linspace(0, 3, WRF.nx) * np.ones((WRF.ny, 1))
    rain = dataset(WRF, {"tp01": model})
    prepared = prepare_state(state, dataset(QPESUMS, {"tp01": observed}), rain, TAIWAN_2KM, orography)
    source = prepared["rain_source"]
    assert source.dtype == np.int8
    assert source.attrs["flag_meanings"] == "qpesums rwrp background_alone"
    np.testing.assert_array_equal(source.attrs["flag_values"], np.array([1, 2, 3], np.int8))
    east = TAIWAN_2KM.x > 121.53
    west = TAIWAN_2KM.x < 121.47
    assert (source.values[:, west] == 1).all()
    assert (source.values[:, east] == 2).all()
    np.testing.assert_allclose(prepared["tp01"].values[:, west], 2.0, rtol=1e-6)
    expected = cell_mean(WRF, TAIWAN_2KM)(rain["tp01"].values[0])
    np.testing.assert_array_equal(prepared["tp01"].values[:, east], expected[:, east])
    assert source.attrs["observed_share"] == pytest.approx(float((source.values == 1).mean()))


def test_without_observation_all_rain_is_rwrp_s(state, orography):
    prepared = prepare_state(state, None, dataset(WRF, {"tp01": 3.0}), TAIWAN_2KM, orography)
    assert (prepared["rain_source"].values == 2).all()
    np.testing.assert_allclose(prepared["tp01"], 3.0, rtol=1e-6)


def test_a_cell_without_any_rain_refuses_the_cycle(state, orography):
    with pytest.raises(BadInput, match="28672 of 28672 cells have neither observed nor model rain; allowed 0"):
        prepare_state(state, None, None, TAIWAN_2KM, orography)
    observed = np.full(QPESUMS.shape, 2.0)
    observed[280, 220] = np.nan
    with pytest.raises(BadInput, match=r"tp01: [1-4] of 28672 cells have neither observed nor model rain; allowed 0"):
        prepare_state(state, dataset(QPESUMS, {"tp01": observed}), None, TAIWAN_2KM, orography)


def test_the_terrain_tells_a_wrong_grid(state, orography):
    rain = dataset(QPESUMS, {"tp01": 0.0})
    prepare_state(state, rain, None, TAIWAN_2KM, orography + 99.0)
    with pytest.raises(
        BadInput, match=r"orog differs from the package's orography by 100\.9 m RMS; allowed 100: a file"
    ):
        prepare_state(state, rain, None, TAIWAN_2KM, orography + 101.0)
    wanted = r"lacks orog, which is needed to detect a wrong grid; found t2m, u10m, v10m, sp"
    with pytest.raises(BadInput, match=wanted):
        prepare_state(state.drop_vars("orog"), rain, None, TAIWAN_2KM, orography)


def test_rain_of_another_hour_is_refused(state, orography):
    late = dataset(QPESUMS, {"tp01": 0.0}, T + timedelta(hours=1))
    with pytest.raises(BadInput, match=r"test: tp01 is valid at \['2026-06-11T07.*; allowed \['2026-06-11T06"):
        prepare_state(state, late, None, TAIWAN_2KM, orography)


def test_two_states_are_refused(state, orography):
    with pytest.raises(BadInput, match="t2m has 2 valid times; allowed 1"):
        prepare_state(xr.concat([state, state], "valid_time"), None, None, TAIWAN_2KM, orography)


def test_a_state_that_does_not_cover_the_grid_is_refused(state, orography):
    small = Grid.from_axes("small", WRF.y[30:], WRF.x, dict(WRF.projection))
    with pytest.raises(BadInput, match=r"grid small .* does not cover TAIWAN_2KM: \d+ of 28672 points lie up to"):
        prepare_state(dataset(small, {"t2m": 290.0, "orog": 0.0}), None, None, TAIWAN_2KM, orography)


def test_the_background_lies_on_the_target_grid_at_every_hour():
    variables = BACKGROUND_SETS["background24"]
    times = tuple(T + timedelta(hours=lead) for lead in range(13))
    latitude, _ = WINDOW.latlon()
    fields = {v.id: np.mean(v.valid_range) * (1 + 0 * latitude) for v in variables}
    fields["t500"] = 267 + 0.1 * (latitude - 23) + np.arange(13)[:, None, None]
    background = dataset(WINDOW, fields, *times).assign_attrs(time_interpolation="linear")
    prepared = prepare_background(background, TAIWAN_2KM, variables)
    assert tuple(prepared.data_vars) == variables.ids
    assert prepared["t500"].dims == ("valid_time", "latitude", "longitude")
    assert prepared["t500"].dtype == np.float32
    assert prepared.attrs["time_interpolation"] == "linear"
    expected = 267 + 0.1 * (TAIWAN_2KM.latlon()[0] - 23) + np.arange(13)[:, None, None]
    np.testing.assert_allclose(prepared["t500"], expected, rtol=1e-6)
    np.testing.assert_array_equal(prepared["valid_time"], background["valid_time"])
    assert Grid.of(prepared).fingerprint == TAIWAN_2KM.fingerprint


def test_a_background_is_refused_when_incomplete_or_unbelievable():
    background = dataset(WINDOW, {"t500": 267.0, "msl": 101000.0})
    with pytest.raises(BadInput, match="background: lacks z500; found t500, msl"):
        prepare_background(background, TAIWAN_2KM, variable_set("asked", "t500", "z500"))
    cold = dataset(WINDOW, {"t500": -6.0})
    with pytest.raises(BadInput, match="prepared on TAIWAN_2KM: t500 spans -6 to -6 K; allowed 210 to 300"):
        prepare_background(cold, TAIWAN_2KM, variable_set("asked", "t500"))


def test_observed_rain_keeps_its_amount_its_gaps_and_its_hours():
    """The hour of the state's rain and two of the 23 before, delivered out of order; one hour was never there."""
    rng = np.random.default_rng(7)
    fields = {T - timedelta(hours=age): rng.gamma(0.3, 8, QPESUMS.shape) for age in (0, 1, 5)}
    fields[T - timedelta(hours=1)][:, QPESUMS.x > 121.5] = np.nan
    hours = [dataset(QPESUMS, {"tp01": field}, time) for time, field in fields.items()]
    made = prepare_observed([xr.concat([hours[1], hours[2]], "valid_time", data_vars="minimal"), hours[0]], TAIWAN_2KM)
    assert made["tp01"].dims == ("valid_time", "latitude", "longitude")
    assert made["tp01"].dtype == np.float32
    ages = (np.datetime64("2026-06-11T06") - made["valid_time"].values) / np.timedelta64(1, "h")
    assert ages.tolist() == [5, 1, 0]
    assert (made["valid_time_bounds"][:, 1] == made["valid_time"]).all()
    assert (np.diff(made["valid_time_bounds"].values) == np.timedelta64(1, "h")).all()
    assert made["tp01"].attrs["cell_methods"] == "time: sum area: mean"
    assert Grid.of(made).fingerprint == TAIWAN_2KM.fingerprint
    expected = [conservative(QPESUMS, TAIWAN_2KM)(hours[place]["tp01"].values[0]) for place in (2, 1, 0)]
    np.testing.assert_array_equal(made["tp01"].values, expected)
    unseen = np.isnan(made["tp01"].values).any(axis=1)
    assert not unseen[[0, 2]].any()
    assert (unseen[1] == (TAIWAN_2KM.x > 121.49)).all(), "a cell that is observed in part is not observed"
    assert float(made["tp01"].max()) / 0.1 < np.iinfo(np.int16).max


def test_what_is_no_observed_rain_is_refused():
    rain = dataset(QPESUMS, {"tp01": 1.0})
    with pytest.raises(BadInput, match="no hour"):
        prepare_observed([], TAIWAN_2KM)
    with pytest.raises(BadInput, match="2026-06-11T06 is there twice"):
        prepare_observed([rain, rain], TAIWAN_2KM)
    with pytest.raises(BadInput, match="projected grid wrf"):
        prepare_observed([dataset(WRF, {"tp01": 1.0})], TAIWAN_2KM)
    with pytest.raises(BadInput, match="allowed 0 to 300"):
        prepare_observed([dataset(QPESUMS, {"tp01": 400.0})], TAIWAN_2KM)
