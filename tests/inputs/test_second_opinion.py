"""Measures of inputs against mathematics, and who is blamed for what lies beyond the limits."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.grid import Grid
from stormcast_tw.inputs.examination import GROUPS, _to_blame, findings
from stormcast_tw.inputs.second_opinion import CALM, DRIZZLE_MM, EARTH_RADIUS_M, EARTH_ROTATION, measure
from stormcast_tw.regions import HOME
from stormcast_tw.regions.region import InputLimit
from stormcast_tw.sources.base import on_grid
from stormcast_tw.sources.translate.derive import R_DRY
from stormcast_tw.variables import BACKGROUND_SETS, VARIABLES
from tests.conftest import CYCLE

POINTS = HOME.compared_at
AROUND = Grid("AROUND", 20.6, 26.6, 25, 118.75, 123.25, 19)
LATITUDE, LONGITUDE = AROUND.latlon()
ZERO = np.zeros(AROUND.shape)


def dataset(fields: Mapping[str, np.ndarray], hours: int = 1, grid: Grid = AROUND) -> xr.Dataset:
    times = tuple(CYCLE.valid_time(hour) for hour in range(hours))
    values = {VARIABLES[name]: np.broadcast_to(field, (hours, *grid.shape)) for name, field in fields.items()}
    return on_grid(grid, times, values, {})


def state(wind: complex = 8 + 6j, **changed: np.ndarray) -> xr.Dataset:
    fields = {"t2m": ZERO + 290, "u10m": ZERO + wind.real, "v10m": ZERO + wind.imag, "sp": ZERO + 1e5, "orog": ZERO}
    return dataset(fields | changed)


def background(wind: float = 20.0, temperature: float = 280.0, **changed: np.ndarray) -> xr.Dataset:
    """A dry, isothermal, hydrostatic atmosphere with a westerly wind in geostrophic balance; z500 rises by the hour."""
    fields = {variable.id: ZERO for variable in BACKGROUND_SETS["background24"]}
    pressure = 2.0 * EARTH_ROTATION * EARTH_RADIUS_M * wind * np.cos(np.radians(LATITUDE))
    for level in (1000, 850, 500, 250):
        fields[f"t{level}"] = ZERO + temperature
        fields[f"z{level}"] = R_DRY * temperature * np.log(1000 / level) + (pressure - pressure.mean())
        fields[f"u{level}"] = ZERO + wind
    fields |= {
        "t2m": ZERO + temperature,
        "u10m": ZERO + wind,
        "msl": 1e5 * np.exp(fields["z1000"] / (R_DRY * temperature)),
    }
    return dataset(fields | changed)


def rain(values: np.ndarray, hours: int = 1) -> xr.Dataset:
    return dataset({"tp01": values}, hours)


def of(group: str, **fields: xr.Dataset) -> dict[str, float]:
    numbers = measure(fields, POINTS)
    return {name.partition(": ")[2]: value for name, value in numbers.items() if name.startswith(f"{group}: ")}


@pytest.mark.parametrize("factor", [1, -1, 1.94384, 1j, 0])
def test_the_slope_of_a_wind_is_its_factor(factor: complex):
    speed = 10.0
    found = of("state and the hour before", state=state(factor * (8 + 6j)), state_before=state())
    assert found["slope of 10-m wind"] == pytest.approx(
        (complex(factor).real * speed**2 + CALM**2) / (speed**2 + CALM**2), rel=1e-6
    )
    size = abs(factor - 1) * speed / (0.5 * (abs(factor) + 1) * speed + CALM)
    assert found["difference of 10-m wind over its size"] == pytest.approx(size, abs=1e-6)


def test_pressure_at_sea_level_is_that_from_which_the_ground_was_climbed():
    height = 1000.0 * (LATITUDE - LATITUDE.min())
    climbed = 101300.0 * np.exp(-9.80665 * height / (R_DRY * (290.0 + 0.5 * 6.5e-3 * height)))
    found = of("state", state=state(sp=climbed, orog=height))
    assert found["spread of pressure at sea level"] == pytest.approx(0.0, abs=1.0), "curved between points"


def test_a_balanced_atmosphere_is_balanced():
    found = of("background", background=background())
    for below, above in ((1000, 850), (850, 500), (500, 250)):
        assert found[f"thickness {below} to {above} hPa not hydrostatic"] == pytest.approx(0.0, abs=0.05)
    assert found["msl less that of z1000"] == pytest.approx(0.0, abs=0.05)
    assert found["slope of wind aloft against the geostrophic"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("changed", "measured", "expected"),
    [
        ({"msl": ZERO + 95000}, "msl less that of z1000", pytest.approx(-5000, rel=0.05)),
        (
            {"t850": ZERO + 290},
            "thickness 1000 to 850 hPa not hydrostatic",
            pytest.approx(-R_DRY * 5 * np.log(1 / 0.85)),
        ),
        ({"t2m": ZERO + 220}, "t2m less t1000", pytest.approx(-60, abs=1e-3)),
        ({"u10m": ZERO - 20}, "smallest slope of 10-m wind against that at 1000 hPa", pytest.approx(-0.989, abs=1e-3)),
        ({"q850": ZERO + 0.02}, "greatest mean relative humidity at 850 hPa", pytest.approx(2.724, abs=2e-3)),
    ],
)
def test_what_is_out_of_balance_shows(changed: dict, measured: str, expected: object):
    """The relative humidity is that of 20 g/kg at 280 K and 850 hPa: 2,700 Pa over a saturation of 991 Pa."""
    assert of("background", background=background(**changed))[measured] == expected


def test_steps_are_those_of_the_mean_in_an_hour():
    one, two = background(), background(t2m=ZERO + 283)
    later = two.assign_coords(valid_time=one["valid_time"] + np.timedelta64(1, "h"))
    found = of("background", background=xr.concat([one, later], "valid_time", data_vars="all"))
    assert found["step of t2m in an hour"] == pytest.approx(3.0, abs=1e-3)
    assert found["least change of z500 in an hour"] == 0.0


def test_the_texture_of_rain():
    cells = np.random.default_rng(0).gamma(0.5, 8.0, AROUND.shape)
    assert of("rain", rain=rain(cells))["roughness"] == pytest.approx(1.0, abs=0.15), "independent cells"
    slope = of("rain", rain=rain(1.0 + LATITUDE - 20.6))
    assert slope["roughness"] < 0.01
    assert of("rain", rain=rain(ZERO + 8.0)) == {"spread over mean of wet cells": 0.0, "roughness": 0.0}


def test_rain_and_the_hours_before():
    now = 1.0 + 10 * (LATITUDE - 20.6)
    past = np.stack([now + 1, now, now + 2])
    past[:, :5], past[1, 5] = np.nan, np.nan
    found = of("rain and hours before", rain=rain(now), past_rain=rain(past, 3))
    assert found["share of wet cells equal to an earlier hour"] == pytest.approx(19 / 25)
    assert found["share newly observed"] == pytest.approx(5 / 25)
    assert found["share newly observed, all of it dry"] == 0.0
    assert found["share no longer observed"] == 0.0


def test_rain_is_compared_with_the_nearer_of_hour_before_and_model():
    fields = {"rain": rain(ZERO + 4.0), "past_rain": rain(ZERO + 2.0), "model_rain": rain(ZERO + 1.0)}
    found = of("rain and others", **fields)["logarithm of its ratio to the nearer one"]
    assert found == pytest.approx(np.log((4 + DRIZZLE_MM) / (2 + DRIZZLE_MM)), rel=1e-3)
    assert of("model rain", **fields)["share of the observed rain"] == pytest.approx(0.25, rel=1e-3)
    between = fields | {"past_rain": rain(ZERO + 8.0)}
    assert of("rain and others", **between)["logarithm of its ratio to the nearer one"] == 0.0


def test_what_does_not_cover_the_points_has_no_opinion():
    small = Grid("SMALL", 23.0, 23.6, 7, 120.5, 121.1, 7)
    flat = {name: np.ones(small.shape) for name in ("t2m", "u10m", "v10m", "sp", "orog")}
    assert measure({"state": dataset(flat, grid=small)}, POINTS) == {}


def test_what_is_not_a_number_is_beyond_every_limit():
    limit = InputLimit("state: spread of t2m", " K", (2, 3), (1, 4), "")
    assert [str(found) for found in findings({limit.measure: nan}, [limit])] == [
        "spread of t2m (state) is nan K; allowed 1 to 4"
    ]


def limits_of(*names: str) -> list[InputLimit]:
    return [limit for limit in HOME.input_limits if limit.measure in names]


DISAGREES = "state and background: mean difference of t2m"


@pytest.mark.parametrize(
    ("others", "blamed"),
    [
        ({}, "state"),
        ({"state and forecast: mean difference of t2m": 0.1}, "background"),
        ({"state and forecast: mean difference of t2m": 9.0}, "state"),
        ({"background: t2m less t1000": -7.0}, "background"),
    ],
    ids=["no third", "forecast agrees with the state", "forecast disagrees too", "background doubtful by itself"],
)
def test_who_is_blamed_where_state_and_background_disagree(others: dict[str, float], blamed: str):
    numbers = {DISAGREES: 7.0, **others}
    beyond = list(findings(numbers))
    finding = next(found for found in beyond if found.limit.measure == DISAGREES)
    assert finding.refused
    assert _to_blame(finding, beyond, numbers) == blamed


def test_every_limit_is_in_a_group_and_leaves_room():
    names = [limit.measure for limit in HOME.input_limits]
    assert len(set(names)) == len(names)
    for limit in HOME.input_limits:
        assert limit.measure.partition(":")[0] in GROUPS
        assert limit.refused[0] <= limit.usual[0] < limit.usual[1] <= limit.refused[1], limit.measure
        assert limit.reason
