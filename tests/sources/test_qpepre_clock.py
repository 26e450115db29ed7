"""Which clock and stamp QPEPRE's names mean, on simulated files written under each of the four readings."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.simulation.files import qpepre as simulated
from stormcast_tw.simulation.files import rwrp
from stormcast_tw.simulation.world.box import Sampler
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.base import on_grid
from stormcast_tw.sources.qpepre import path
from stormcast_tw.sources.qpepre_clock import Agreement, agreements, verdict
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import VARIABLES

WORLD = World(7)
START = datetime(2024, 8, 15, 4, tzinfo=UTC)
HOURS = tuple(START + timedelta(hours=hour) for hour in range(1, 7))
READINGS = [(clock, stamp) for clock in ("utc", "taipei") for stamp in ("end", "start")]


@lru_cache(maxsize=1)
def model_rain() -> xr.Dataset:
    """The first hour of each of six runs of the simulated RWRP, on its own Lambert grid."""
    grid = rwrp.grid()
    sample = Sampler(*grid.latlon())
    rain = [sample(rwrp.run_on_box(WORLD, time - timedelta(hours=1), 1)["tp01"]) for time in HOURS]
    return on_grid(grid, HOURS, {VARIABLES["tp01"]: np.stack(rain)}, {"source": "rwrp"})


@lru_cache(maxsize=32)
def text(time: datetime) -> bytes:
    return simulated.encode(WORLD, time)


def write(folder: Path, clock, stamp, hours=range(-9, 16)) -> Folder:
    """An archive of a day and more, written by a provider who means this clock and stamp."""
    for hour in hours:
        time = START + timedelta(hours=hour)
        (folder / path(time, clock, stamp)).write_bytes(text(time))
    return Folder(str(folder))


@pytest.mark.parametrize(("clock", "stamp"), READINGS)
def test_the_reading_that_the_files_were_written_by_agrees_best(clock, stamp, tmp_path: Path):
    found = agreements(model_rain(), write(tmp_path, clock, stamp))
    assert {(a.clock, a.stamp) for a in found} == set(READINGS)
    assert [a.hours for a in found] == [6, 6, 6, 6]
    assert (found[0].clock, found[0].stamp) == (clock, stamp)
    assert found[0].correlation > 0.7
    assert [a.correlation for a in found] == sorted((a.correlation for a in found), reverse=True)
    assert verdict(found) == found[0]


def test_the_correlation_is_the_one_of_numpy_over_all_points_and_hours(tmp_path: Path):
    """On QPEPRE's own grid, so that no point is moved; two hours, one of them with a gap."""
    rng = np.random.default_rng(5)
    observed = rng.integers(0, 80, (2, 275, 162)) / 4
    rain = observed + rng.integers(0, 80, (2, 275, 162)) / 4
    grid = Grid("same", 21.8875, 25.3125, 275, 120.0, 122.0125, 162)
    times = (START, START + timedelta(hours=1))
    for time, field in zip(times, observed, strict=True):
        rows = [
            f"{j * 162 + i} {120 + i / 80:.4f} {21.8875 + j / 80:.4f} {field[j, i]:.2f}"
            for j in range(275)
            for i in range(162)
        ]
        if time == START:
            rows[0] = rows[0].rsplit(" ", 1)[0] + " -1.00"
        (tmp_path / path(time, "utc", "end")).write_text("\n".join(rows))
    model = on_grid(grid, times, {VARIABLES["tp01"]: rain}, {})
    best = agreements(model, Folder(str(tmp_path)))[0]
    x, y = np.log1p(rain.astype(np.float32)).ravel()[1:], np.log1p(observed).ravel()[1:]
    assert (best.clock, best.stamp, best.hours) == ("utc", "end", 2)
    assert best.correlation == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)


def test_hours_whose_file_is_absent_are_not_counted(tmp_path: Path):
    found = agreements(model_rain(), write(tmp_path, "utc", "end", hours=(1, 2, 3)))
    hours = {(a.clock, a.stamp): a.hours for a in found}
    assert hours == {("utc", "end"): 3, ("utc", "start"): 2, ("taipei", "end"): 0, ("taipei", "start"): 0}
    assert math.isnan(found[-1].correlation)
    assert verdict(found) is None


def test_no_rain_tells_nothing(tmp_path: Path):
    dry = model_rain().assign(tp01=model_rain()["tp01"] * 0)
    found = agreements(dry, write(tmp_path, "utc", "end"))
    assert all(math.isnan(a.correlation) for a in found)
    assert verdict(found) is None


def table(*correlations: float, hours: int = 12) -> tuple[Agreement, ...]:
    return tuple(
        Agreement(clock, stamp, correlation, hours)
        for (clock, stamp), correlation in zip(READINGS, correlations, strict=True)
    )


def test_only_a_clear_lead_is_believed():
    clear = table(0.6, 0.5, 0.2, math.nan)
    assert verdict(clear) == clear[0]
    assert verdict(table(0.6, 0.58, 0.2, 0.1)) is None
    assert verdict(table(0.6, 0.5, 0.2, 0.1, hours=5)) is None
    assert verdict(table(-0.1, -0.3, -0.3, -0.4)) is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / path(HOURS[0], "utc", "end")).write_text("<html>")
    with pytest.raises(BadInput, match=r"qpepre_202408150400-202408150500_1_h\.txt: has 1 rows; allowed 44550"):
        agreements(model_rain(), Folder(str(tmp_path)))
