"""Derived variables against tables, closed forms and a hydrostatic atmosphere; and what cannot be derived."""

from __future__ import annotations

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.translate.derive import (
    COLUMN_LEVELS,
    column_water,
    complete,
    ids_to_read,
    mixed_phase,
    over_ice,
    over_water,
    specific_humidity,
    surface_pressure,
)
from stormcast_tw.variables import BACKGROUND_SETS, variable_set

LEVELS = (1000, 925, 850, 700, 600, 500, 400, 300, 250, 200, 150, 100, 50)
PANGU = ("msl", "t2m", "u10m", "v10m", *(f"{letter}{level}" for letter in "zqtuv" for level in LEVELS))
FOURCASTNET = ("msl", "sp", "tcwv", "t2m", "u10m", "v10m", *(f"{x}{level}" for x in "zrtuv" for level in LEVELS))


def array(*values: float) -> np.ndarray:
    return np.array(values, float)


# Smithsonian Meteorological Tables (Goff-Gratch), hPa by degC
@pytest.mark.parametrize(
    ("saturation", "table"),
    [
        (
            over_water,
            {-20: 1.2540, -10: 2.8627, 0: 6.1078, 10: 12.272, 20: 23.373, 30: 42.430, 40: 73.777},
        ),
        (over_ice, {-60: 0.01080, -40: 0.1283, -20: 1.032, -10: 2.597, 0: 6.1071}),
    ],
    ids=["water", "ice"],
)
def test_saturation_is_that_of_the_tables(saturation, table):
    celsius = array(*table)
    np.testing.assert_allclose(saturation(celsius + 273.15), 100 * array(*table.values()), rtol=5e-3)


def test_saturation_over_water_is_boltons_in_warm_air():
    celsius = np.linspace(0, 35, 36)
    bolton = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))  # Bolton 1980, eq. 10
    np.testing.assert_allclose(over_water(celsius + 273.15), bolton, rtol=2e-3)


def test_the_mixed_phase_is_water_when_warm_ice_when_cold_and_between_between():
    warm, cold, between = np.linspace(273.16, 320, 9), np.linspace(200, 250.16, 9), np.linspace(251, 272, 9)
    np.testing.assert_array_equal(mixed_phase(warm), over_water(warm))
    np.testing.assert_array_equal(mixed_phase(cold), over_ice(cold))
    assert np.all((over_ice(between) < mixed_phase(between)) & (mixed_phase(between) < over_water(between)))
    # a quarter of the blend at the middle: ((T - 250.16) / 23)^2
    middle = array(261.66)
    np.testing.assert_allclose(mixed_phase(middle), 0.25 * over_water(middle) + 0.75 * over_ice(middle), rtol=1e-12)


def test_humidity_of_saturated_and_dry_air():
    # Smithsonian table 73: saturation mixing ratio at 1000 hPa and 20 degC is 14.95 g/kg, so q = w / (1 + w)
    mixing_ratio = 14.95e-3
    q = specific_humidity(array(100.0), array(293.15), 1e5)
    np.testing.assert_allclose(q, mixing_ratio / (1 + mixing_ratio), rtol=5e-3)
    np.testing.assert_array_equal(specific_humidity(array(0.0, -3.0), array(290, 290), 1e5), 0)
    # back again by the definition: RH = p w / (eps + w) / es
    w = q / (1 - q)
    np.testing.assert_allclose(1e5 * w / (0.62198 + w) / over_water(array(293.15)), 1.0, rtol=1e-5)


def test_surface_pressure_is_that_of_the_standard_atmosphere():
    # ICAO Doc 7488: geopotential height in m, K, Pa
    height = array(0, 500, 1000, 2000, 3000)
    t = array(288.150, 284.900, 281.650, 275.150, 268.650)
    pressure = array(101325.0, 95460.8, 89874.6, 79495.2, 70108.5)
    np.testing.assert_allclose(surface_pressure(np.full(5, 101325.0), height, t), pressure, rtol=2e-5)
    assert surface_pressure(array(101325.0), array(-100.0), array(290.0)) > 101325.0


@pytest.mark.parametrize("power", [2.0, 3.0, 4.0])
def test_column_water_of_an_exponential_profile(power: float):
    """Humidity falling with height as exp(-power z / H) in air falling as exp(-z / H) is q0 (p / p0)^power."""
    levels = np.linspace(1000, 10, 397)
    fine = {level: array(0.018 * (level / 1000) ** power) for level in levels}
    exact = 0.018 * 1e5 / 9.80665 / (power + 1)
    np.testing.assert_allclose(column_water(fine, array(1e5)), exact, rtol=2e-5)
    coarse = {level: array(0.018 * (level / 1000) ** power) for level in COLUMN_LEVELS}
    excess = column_water(coarse, array(1e5)) / exact - 1
    assert -0.012 < excess < 0.02


def test_column_water_begins_at_the_ground():
    q = {level: array(1e-5 * level) for level in COLUMN_LEVELS}
    sp = array(101500.0, 100000.0, 95000.0, 92500.0, 70000.0, 65000.0)
    # linear in pressure: 1e-5/hPa is 1e-7/Pa, the integral from 250 hPa is a parabola; constant below 1000 hPa
    parabola = 0.5e-7 * (np.minimum(sp, 1e5) ** 2 - 25000.0**2)
    expected = (parabola + np.maximum(sp - 1e5, 0) * 0.01) / 9.80665
    np.testing.assert_allclose(column_water({k: np.full(6, v[0]) for k, v in q.items()}, sp), expected, rtol=1e-12)


def test_what_must_be_read_is_in_a_stable_order():
    assert ids_to_read(PANGU, variable_set("asked", "t2m", "q850"), "PANG") == ("t2m", "q850")
    asked = variable_set("asked", "sp", "tcwv", "msl")
    columns = (1000, 850, 700, 500, 300, 925, 600, 400, 250)
    expected = ("msl", "orog", "t2m", *(f"q{level}" for level in columns))
    assert ids_to_read((*PANGU, "orog"), asked, "PANG") == expected
    assert ids_to_read(FOURCASTNET, variable_set("asked", "q850", "t850"), "FOUR") == ("t850", "r850")
    few = tuple(v for v in PANGU if v not in ("q600", "q925"))
    assert ids_to_read((*few, "orog"), asked, "WRF")[3:] == ("q1000", "q850", "q700", "q500", "q300", "q400", "q250")


def test_what_cannot_be_had_is_named():
    refused = (
        r"source PANG is refused for this package: cannot give sp \(needs msl, orog, t2m\);"
        r" tcwv \(needs sp, q1000, q850, q700, q500, q300\)$"
    )
    with pytest.raises(BadInput, match=refused):
        ids_to_read(PANGU, BACKGROUND_SETS["background26"], "PANG")
    with pytest.raises(BadInput, match=r"source x is refused .*: cannot give refc; q500 \(needs r500, t500\)$"):
        ids_to_read(("t500", "t2m"), variable_set("asked", "t2m", "refc", "q500"), "x")
    with pytest.raises(BadInput, match=r"a\.nc is refused .*: cannot give q850 \(needs r850, t850\)"):
        complete({"r850": array(50)}, variable_set("asked", "q850"), "a.nc")


def test_everything_is_completed_from_what_four_variables_say():
    """Relative humidity to column water in one go: every rule feeds the next."""
    fields = {"msl": array(101000.0, 101000.0), "t2m": array(298.0, 288.0), "orog": array(0.0, 1500.0)}
    for level in COLUMN_LEVELS:
        fields[f"t{level}"] = 298.0 * array(level / 1000, level / 1000) ** 0.19
        fields[f"r{level}"] = array(70.0, 70.0)
    made = complete(fields, variable_set("asked", "tcwv", "sp", "t2m", "q850"), "a.nc")
    assert tuple(made) == ("tcwv", "sp", "t2m", "q850")
    np.testing.assert_array_equal(made["t2m"], fields["t2m"])
    assert made["sp"][0] == 101000.0
    assert 83000 < made["sp"][1] < 86000
    np.testing.assert_allclose(made["q850"], specific_humidity(array(70, 70), fields["t850"], 85000.0))
    q = {level: specific_humidity(array(70, 70), fields[f"t{level}"], 100.0 * level) for level in COLUMN_LEVELS}
    np.testing.assert_allclose(made["tcwv"], column_water(q, made["sp"]))
    assert made["tcwv"][1] < made["tcwv"][0]
    over = complete(fields, variable_set("asked", "q300"), "a.nc", over_water)["q300"]
    assert np.all(over > 1.2 * complete(fields, variable_set("asked", "q300"), "a.nc")["q300"])


@pytest.mark.parametrize(
    ("r", "message"),
    [
        (0.7, r"a\.nc: relative humidity reaches 0\.7 at most; allowed percent, not a fraction"),
        (-20.0, r"a\.nc: r850 spans -20 to -20 %; allowed -5 to 180"),
        (250.0, r"a\.nc: r850 spans 250 to 250 %; allowed -5 to 180"),
        (np.nan, r"a\.nc: r850 spans nan to nan %; allowed -5 to 180"),
    ],
)
def test_relative_humidity_that_is_none_is_refused(r: float, message: str):
    with pytest.raises(BadInput, match=message):
        complete({"r850": array(r), "t850": array(290.0)}, variable_set("asked", "q850"), "a.nc")
