"""A simulated year, and its typhoons and winter monsoon, against the numbers of real weather (yardsticks.py)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.world.box import DX_KM, DY_KM, INNER
from stormcast_tw.simulation.world.weather import SURFACE_IDS, World
from tests.simulation.yardsticks import (
    CLIMATE,
    LOG_RAIN,
    RAIN_HOURS,
    e_folding_distance,
    spectral_density,
    spectral_slope,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
EVERY_HOURS = 61
"""Coprime to 24: every hour of the day in turn."""


@pytest.fixture(scope="module")
def year(world: World) -> dict[str, np.ndarray]:
    hours = [world.box(START + timedelta(hours=number)) for number in range(0, 8766, EVERY_HOURS)]
    return {name: np.stack([fields[name][INNER] for fields in hours]) for name in SURFACE_IDS}


@pytest.mark.parametrize(("name", "allowed"), [("t2m", 1.0), ("u10m", 1.0), ("v10m", 1.0)])
def test_means_and_deviations_of_a_year(year: dict[str, np.ndarray], name: str, allowed: float):
    mean, std = CLIMATE[name]
    assert year[name].mean() == pytest.approx(mean, abs=allowed)
    assert year[name].std() == pytest.approx(std, rel=0.25)


def test_rain_of_a_year(year: dict[str, np.ndarray]):
    logarithm = np.log1p(year["tp01"])
    for found, published in zip((logarithm.mean(), logarithm.std()), LOG_RAIN, strict=True):
        assert published / 1.5 <= found <= published * 1.5
    assert (year["tp01"] >= 40.0).mean() < 1e-3


def test_wind_and_temperature_have_energy_down_to_four_kilometres(year: dict[str, np.ndarray]):
    """Real 2-km fields fall off as wavenumber to about -3 (wind) and -4 (temperature over terrain), without a gap."""
    for name, steepest in (("u10m", -3.7), ("v10m", -3.7), ("t2m", -4.6)):
        densities = [spectral_density(field, DY_KM, DX_KM) for field in year[name][::10]]
        wavelength, density = densities[0][0], np.mean([d for _, d in densities], axis=0)
        slope = np.polyfit(-np.log(wavelength), np.log(density), 1)[0]
        assert steepest < slope < -2.0, name
        finest, coarser = density[wavelength < 5.5].mean(), density[(wavelength > 9.0) & (wavelength < 12.0)].mean()
        assert finest > 0.02 * coarser, name


@pytest.mark.parametrize("regime", RAIN_HOURS)
def test_rain_of_a_regime(
    world: World, hours_of: dict[str, list[datetime]], sample: Callable[..., list[datetime]], regime: str
):
    share, percentile, slope, distance = RAIN_HOURS[regime]
    hours = [world.box(time)["tp01"][INNER] for time in sample(hours_of[regime], 24)]
    observed = np.rint(np.stack(hours) * 4.0) / 4.0
    assert share / 2.0 <= (observed >= 0.25).mean() <= share * 2.0
    assert percentile / 2.0 <= np.percentile(observed, 99) <= percentile * 2.0
    wet = [np.log1p(field) for field in observed if (field >= 0.25).mean() > 0.1]
    assert len(wet) > 12
    assert np.mean([spectral_slope(field, DY_KM, DX_KM) for field in wet]) == pytest.approx(slope, abs=0.5)
    found = np.mean([e_folding_distance(field, DY_KM, DX_KM) for field in wet])
    assert distance / 2.0 <= found <= distance * 2.0


def mean_rain(world: World, times: list[datetime]) -> np.ndarray:
    return np.mean([world.box(time)["tp01"][INNER] for time in times], axis=0)


def test_monsoon_rain_falls_on_the_windward_north_east(
    world: World, hours_of: dict[str, list[datetime]], sample: Callable[..., list[datetime]]
):
    rain = mean_rain(world, sample(hours_of["northeast_monsoon"], 20))
    latitude, longitude = TAIWAN_2KM.latlon()
    north_east = (latitude > 24.5) & (longitude > 121.4)
    south_west_plain = (latitude < 23.8) & (latitude > 22.6) & (longitude < 120.5)
    assert rain[north_east].mean() > 4.0 * rain[south_west_plain].mean()


def test_thunderstorms_stand_over_land_in_the_afternoon(
    world: World, hours_of: dict[str, list[datetime]], sample: Callable[..., list[datetime]]
):
    times = sample(hours_of["thunderstorms"], 16)
    rain = mean_rain(world, [time + timedelta(hours=2) for time in times])
    before_dawn = mean_rain(world, [time + timedelta(hours=14) for time in times])
    latitude, longitude = TAIWAN_2KM.latlon()
    inland = (np.abs(latitude - 23.7) < 0.8) & (np.abs(longitude - 120.95) < 0.3)
    sea = longitude < 119.95
    assert rain[inland].mean() > 3.0 * rain[sea].mean()
    assert rain[inland].mean() > 3.0 * before_dawn[inland].mean()


def test_sea_breeze_blows_ashore_by_day_and_out_by_night(world: World, hours_of: dict[str, list[datetime]]):
    """Mean eastward wind on the west coast, against the same days' mean: on shore at 14, off shore at 05 local time."""
    latitude, longitude = TAIWAN_2KM.latlon()
    west_coast = (np.abs(latitude - 23.5) < 0.4) & (np.abs(longitude - 120.15) < 0.1)
    days = [time for time in hours_of["thunderstorms"][::4]][:20]
    afternoon = np.mean([world.box(day)["u10m"][INNER][west_coast].mean() for day in days])
    night = np.mean([world.box(day + timedelta(hours=15))["u10m"][INNER][west_coast].mean() for day in days])
    assert 0.8 < afternoon - night < 6.0


def test_measures_know_a_spectrum_and_a_distance():
    """White noise has slope 0; a Gaussian blur of s km has an autocorrelation exp(-r^2 / 4 s^2): 1/e at 2 s."""
    noise = np.random.Generator(np.random.Philox(3)).standard_normal((224, 128))
    assert spectral_slope(noise, 2.0, 2.0) == pytest.approx(0.0, abs=0.1)
    ky, kx = np.fft.fftfreq(224, 2.0)[:, None], np.fft.rfftfreq(128, 2.0)[None, :]
    transfer = np.exp(-0.5 * (2.0 * np.pi * 10.0) ** 2 * (kx**2 + ky**2))
    blurred = np.fft.irfft2(np.fft.rfft2(noise) * transfer, s=noise.shape)
    assert e_folding_distance(blurred, 2.0, 2.0) == pytest.approx(20.0, abs=4.0)
