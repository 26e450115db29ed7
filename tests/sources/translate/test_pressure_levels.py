"""From model levels to pressure levels, against atmospheres known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.translate.pressure_levels import (
    Level,
    above_ground,
    between,
    continued_below,
    mean_sea_level_pressure,
    on_pressure_levels,
)

R, G, GAMMA = 287.0, 9.81, 0.0065


def dry(pressure: np.ndarray, lapse: float = GAMMA, t0: float = 300.0, p0: float = 101_000.0) -> Level:
    """Dry air of constant lapse rate, temperature `t0` where pressure is `p0`, geopotential 0 there."""
    pressure = np.asarray(pressure, float)
    t = t0 * (pressure / p0) ** (R * lapse / G)
    return Level(pressure, 0 * t + 3.0, np.log(pressure), t, 0 * t, G * (t0 - t) / lapse)


@pytest.mark.parametrize("hpa", [1000, 500, 200])
def test_between_two_levels_a_constant_lapse_rate_is_kept(hpa: int):
    """A layer of 50 hPa: geopotential to 0.3 m where a straight line misses by up to 3 m; temperature to 0.1 K."""
    pressure = 100.0 * hpa
    lower, upper = dry(np.array([pressure + 3000.0])), dry(np.array([pressure - 2000.0]))
    found, truth = between(lower, upper, pressure), dry(np.array([pressure]))
    assert found.z == pytest.approx(truth.z, abs=0.3 * G)
    assert found.t == pytest.approx(truth.t, abs=0.1)
    assert found.u == pytest.approx(3.0)
    assert found.v == pytest.approx(np.log(pressure), rel=1e-12)


def test_a_straight_line_would_not_do():
    lower, upper = dry(np.array([23_000.0])), dry(np.array([18_000.0]))
    weight = np.log(20_000.0 / 23_000.0) / np.log(18_000.0 / 23_000.0)
    line = (1 - weight) * lower.z + weight * upper.z
    assert abs(float((line - dry(np.array([20_000.0])).z)[0])) / G > 2.5


def test_below_the_ground_is_the_standard_atmosphere():
    """U.S. Standard Atmosphere 1976: 11.65 degC and 898.7 hPa at 1000 m, 15 degC and 1013.25 hPa at sea level."""
    lowest = Level(*(np.array([x]) for x in (89_874.6, 7.0, -2.0, 281.65, 0.0, 1000.0 * G)))
    ground = continued_below(lowest, 101_325.0)
    # with WRF's R and g; the standard's own constants differ in the fourth digit
    assert ground.t == pytest.approx(288.15, abs=0.02)
    assert ground.z / G == pytest.approx(0.0, abs=1.0)
    assert (ground.u, ground.v, ground.q) == (7.0, -2.0, 0.0)
    assert mean_sea_level_pressure(lowest) == pytest.approx(101_325.0, abs=10.0)


def test_moist_air_below_the_ground_is_lighter():
    moist = Level(*(np.array([x]) for x in (90_000.0, 0.0, 0.0, 290.0, 0.015, 1000.0 * G)))
    virtual = 290.0 * (1 + (461.6 / 287.0 - 1) * 0.015)
    p = 95_000.0
    found = continued_below(moist, p)
    assert found.t == pytest.approx(290.0 * (p / 90_000.0) ** (R * GAMMA / G))
    assert found.z / G == pytest.approx(1000.0 - virtual / GAMMA * ((p / 90_000.0) ** (R * GAMMA / G) - 1.0))
    msl = float(mean_sea_level_pressure(moist)[0])
    assert continued_below(moist, msl).z == pytest.approx(0.0, abs=1e-6)
    assert msl == pytest.approx(90_000.0 * (1 + GAMMA * 1000.0 / virtual) ** (G / (R * GAMMA)))


def test_what_lies_under_the_ground_does_not_count():
    """Fill values under the ground change nothing; the level just above it continues down, and is itself kept."""
    surface = np.array([[101_000.0, 80_000.0]])
    fill = np.array([[False, True]])

    def levels():
        for hpa in (1000, 850, 700, 600):
            level = dry(np.full((1, 2), 100.0 * hpa))
            yield Level(level.pressure, *(np.where(fill & (hpa > 800), 9.96921e36, x) for x in _values(level)))

    found = on_pressure_levels(levels(), surface, (1000, 850, 700), "archive")
    truth = {hpa: dry(np.array(100.0 * hpa)) for hpa in (1000, 850, 700)}
    for hpa, level in truth.items():
        assert found[f"t{hpa}"] == pytest.approx(np.full((1, 2), level.t), rel=1e-6)
        assert found[f"z{hpa}"] == pytest.approx(np.full((1, 2), level.z), abs=0.02)
    assert found["v1000"][0] == pytest.approx([np.log(100_000.0), np.log(70_000.0)], rel=1e-6)
    np.testing.assert_array_equal(above_ground(surface, 850), [[True, False]])


def _values(level: Level):
    return level.u, level.v, level.t, level.q, level.z


@pytest.mark.parametrize(
    ("pressures", "surface", "message"),
    [
        ((950, 900, 910), 101_000.0, r"^file: pressure does not fall from level 1 to 2 at 4 of 4 points; allowed 0"),
        ((950, 900, np.nan), 101_000.0, r"^file: pressure does not fall from level 1 to 2 at 4 of 4 points; allowed 0"),
        ((950, 900, 600), 1010.0, r"^file: 4 of 4 columns have no level above their surface pressure; allowed 0"),
        ((950, 900, 600), 101_000.0, r"^file: its levels end at 600 hPa; 500 hPa is asked for"),
    ],
)
def test_levels_that_are_none_are_refused(pressures, surface: float, message: str):
    levels = [dry(np.full((2, 2), 100.0 * hpa)) for hpa in pressures]
    with pytest.raises(BadInput, match=message):
        on_pressure_levels(levels, np.full((2, 2), surface), (850, 500), "file")
