"""The truth: a function of (seed, time), within what can occur, hydrostatic above."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.files.global_ai import points
from stormcast_tw.simulation.world.climate import LEVELS_HPA, R_DRY
from stormcast_tw.simulation.world.regimes import REGIMES
from stormcast_tw.simulation.world.weather import SURFACE_IDS, World
from stormcast_tw.variables import VARIABLES

START = datetime(2025, 8, 20, 20, tzinfo=UTC)


def test_any_hour_alone_equals_the_hour_in_sequence(world: World, forget: Callable[[], None]):
    last = START + timedelta(hours=9)
    forget()
    for hour in range(10):
        in_sequence = world.box(START + timedelta(hours=hour))
    background = world.background(last, *points())
    forget()
    alone = world.box(last)
    for name in SURFACE_IDS:
        np.testing.assert_array_equal(alone[name], in_sequence[name])
    forget()
    for name, values in world.background(last, *points()).items():
        np.testing.assert_array_equal(values, background[name])


def test_surface_is_labelled_and_on_the_forecast_grid(world: World):
    surface = world.surface(START)
    assert Grid.of(surface) == TAIWAN_2KM
    assert surface.attrs["simulated"] == 1
    assert "SIMULATED" in surface.attrs["title"]
    for name in SURFACE_IDS:
        assert surface[name].dtype == np.float32
        assert surface[name].attrs["units"] == VARIABLES[name].units


def test_seeds_are_other_weather():
    one, two = World(1).box(START), World(2).box(START)
    assert np.mean(one["t2m"] == two["t2m"]) < 1e-3


def test_values_can_occur_all_the_year(world: World):
    for number in range(36):
        time = START + timedelta(hours=number * 251)
        for name, values in world.box(time).items():
            lowest, highest = VARIABLES[name].valid_range
            assert np.isfinite(values).all()
            assert values.min() >= lowest, (name, time)
            assert values.max() <= highest, (name, time)
        for name, values in world.background(time, *points()).items():
            lowest, highest = VARIABLES[name].valid_range
            assert values.min() >= lowest, (name, time, values.min())
            assert values.max() <= highest, (name, time, values.max())


def test_background_is_hydrostatic(world: World):
    """Thickness between levels is that of the mean temperature there, within what waves and humidity leave."""
    for number in range(6):
        fields = world.background(START + timedelta(days=61 * number), 23.5, 121.0)
        for lower, upper in pairwise(LEVELS_HPA[:9]):
            thickness = fields[f"z{upper}"] - fields[f"z{lower}"]
            mean_t = 0.5 * (fields[f"t{upper}"] + fields[f"t{lower}"])
            assert thickness == pytest.approx(R_DRY * mean_t * np.log(lower / upper), rel=0.02)


def test_background_has_the_climate_of_the_region(world: World):
    """Means and standard deviations of ERA5 over Taiwan, 2019-08 to 2021-12, at one point over a year."""
    published = {
        "msl": (101325.8, 536.7), "t1000": (296.69, 4.68), "t850": (289.08, 4.45), "t500": (267.31, 2.59),
        "u500": (10.18, 11.93), "u250": (16.57, 19.46), "v1000": (-2.85, 6.08), "u1000": (-2.36, 4.32),
        "z500": (57386.0, 424.0), "q850": (0.01028, 0.00279), "z850": (14824.6, 274.4),
    }  # fmt: skip
    series = [world.background(START + timedelta(hours=37 * n), 23.6, 121.0) for n in range(237)]
    for name, (mean, std) in published.items():
        values = np.array([float(fields[name]) for fields in series])
        assert abs(values.mean() - mean) < 0.6 * std, (name, values.mean())
        assert 0.5 * std < values.std() < 1.6 * std, (name, values.std())


def test_every_regime_occurs(hours_of: dict[str, list[datetime]]):
    assert set(hours_of) == set(REGIMES)
    assert {time.month for time in hours_of["meiyu_front"]} <= {4, 5, 6, 7}
    assert {time.month for time in hours_of["typhoon"]} <= {6, 7, 8, 9, 10, 11}
    assert {time.hour for time in hours_of["thunderstorms"]} == {6}
