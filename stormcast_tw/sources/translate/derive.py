"""Variables that a provider lacks and physics gives: q from relative humidity, surface pressure, column water.

Ids are those of `variables`; relative humidity, which no package knows, is `r` and the level, e.g. `r850`, in percent.
`orog` is the provider's own surface altitude in metres. Each rule is tested against independent values.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.variables import VARIABLES, VariableSet

FloatArray = npt.NDArray[np.float64]
Saturation = Callable[[FloatArray], FloatArray]

GRAVITY = 9.80665
"""m s-2, WMO."""
R_DRY, R_VAPOUR = 287.0597, 461.5250
"""J kg-1 K-1, gas constants of dry air and water vapour (IFS Documentation CY41R2, that of ERA5, Part IV)."""
LAPSE_RATE = 0.0065
"""K m-1, U.S. Standard Atmosphere 1976."""

RELATIVE_HUMIDITY_RANGE = (-5.0, 180.0)
"""Accepted percent: neural models undershoot a little, cold air is supersaturated over ice."""
_FRACTION = 1.5
"""A relative humidity nowhere above this is a fraction, not percent."""

COLUMN_LEVELS = (1000, 925, 850, 700, 600, 500, 400, 300, 250)
"""hPa between which column water is integrated; above 250 hPa lies less than 0.5 % of it."""
_COLUMN_AT_LEAST = (1000, 850, 700, 500, 300)

_EPSILON = R_DRY / R_VAPOUR
_ZERO, _ALL_ICE = 273.16, 250.16


def over_water(t: FloatArray) -> FloatArray:
    """Return the saturation vapour pressure over water in Pa at `t` in K (Buck 1981; IFS CY41R2, Part IV, eq. 7.5)."""
    return np.asarray(611.21 * np.exp(17.502 * (t - _ZERO) / (t - 32.19)))


def over_ice(t: FloatArray) -> FloatArray:
    """Return the saturation vapour pressure over ice in Pa at `t` in K (Alduchov and Eskridge 1996; IFS eq. 7.5)."""
    return np.asarray(611.21 * np.exp(22.587 * (t - _ZERO) / (t + 0.7)))


def mixed_phase(t: FloatArray) -> FloatArray:
    """Return ECMWF's saturation vapour pressure in Pa: water above 0 degC, ice below -23 degC, a blend between.

    The relative humidity of IFS, of ERA5 and so of FourCastNet refers to this (IFS Documentation CY41R2, Part IV,
    section 7.2.1b). NCEP's (fpvsnew) is blended linearly down to -20 degC: at most 2.5 % more between, equal outside.
    """
    water = np.clip((t - _ALL_ICE) / (_ZERO - _ALL_ICE), 0.0, 1.0) ** 2
    return np.asarray(water * over_water(t) + (1.0 - water) * over_ice(t))


def specific_humidity(
    r: FloatArray, t: FloatArray, pressure: float, saturation: Saturation = mixed_phase
) -> FloatArray:
    """Return specific humidity, kg kg-1, from `r` in percent, `t` in K and `pressure` in Pa; r below 0 counts as 0."""
    e = 0.01 * np.maximum(r, 0.0) * saturation(t)
    return np.asarray(_EPSILON * e / (pressure - (1.0 - _EPSILON) * e))


def surface_pressure(msl: FloatArray, orog: FloatArray, t2m: FloatArray) -> FloatArray:
    """Return the pressure in Pa at the altitude `orog` in m, from `msl` in Pa and `t2m` in K.

    Hypsometric equation with the standard lapse rate below ground, the inverse of the usual reduction to sea level
    (U.S. Standard Atmosphere 1976, eq. 33a; Trenberth et al. 1993, NCAR/TN-396).
    """
    sea_level_t = t2m + LAPSE_RATE * orog
    return np.asarray(msl * (t2m / sea_level_t) ** (GRAVITY / (R_DRY * LAPSE_RATE)))


def column_water(q: Mapping[int, FloatArray], sp: FloatArray) -> FloatArray:
    """Return the column's vapour, kg m-2, from `q` in kg kg-1 by level in hPa, and `sp` in Pa: the integral of q dp /
    g.

    q is linear in pressure between levels and constant from the lowest one to a ground below it; what lies under the
    ground does not count (Peixoto and Oort 1992, chapter 12). On COLUMN_LEVELS the result is 1 to 2 % too high where
    q falls with the third to fourth power of pressure, as it does in nature.
    """
    levels = sorted(q, reverse=True)
    total = q[levels[0]] * np.maximum(sp - 100.0 * levels[0], 0.0)
    for lower, upper in itertools.pairwise(levels):
        thick = np.clip(sp - 100.0 * upper, 0.0, 100.0 * (lower - upper))
        bottom = q[upper] + (q[lower] - q[upper]) * thick / (100.0 * (lower - upper))
        total = total + 0.5 * (bottom + q[upper]) * thick
    return np.asarray(total / GRAVITY)


@dataclass(frozen=True)
class Rule:
    """How one variable is derived: from all of `needs`, and those of `helps` that are available."""

    needs: tuple[str, ...]
    compute: Callable[[Mapping[str, FloatArray], Saturation], FloatArray]
    helps: tuple[str, ...] = ()


def _humidity_rule(level_hpa: int) -> Rule:
    r, t = f"r{level_hpa}", f"t{level_hpa}"
    return Rule((r, t), lambda f, saturation: specific_humidity(f[r], f[t], 100.0 * level_hpa, saturation))


RULES: dict[str, Rule] = {
    **{v.id: _humidity_rule(v.level_hpa) for v in VARIABLES.values() if v.id[0] == "q" and v.level_hpa},
    "sp": Rule(("msl", "orog", "t2m"), lambda f, _: surface_pressure(f["msl"], f["orog"], f["t2m"])),
    "tcwv": Rule(
        ("sp", *(f"q{level}" for level in _COLUMN_AT_LEAST)),
        lambda f, _: column_water({level: f[f"q{level}"] for level in COLUMN_LEVELS if f"q{level}" in f}, f["sp"]),
        tuple(f"q{level}" for level in COLUMN_LEVELS if level not in _COLUMN_AT_LEAST),
    ),
}
"""The rule for each variable that can be derived, by its id."""


def ids_to_read(provided: Collection[str], wanted: VariableSet, source: str) -> tuple[str, ...]:
    """Return the ids to read to obtain all of `wanted`: those wanted themselves first, then the inputs of derived ones.

    Raises BadInput, naming them, if some can be neither read from `provided` nor derived.
    """
    if unavailable := [reason for variable_id in wanted.ids if (reason := _why_unavailable(variable_id, provided))]:
        raise BadInput(f"source {source} is refused for this package: cannot give {'; '.join(unavailable)}")
    read = [variable_id for variable_id in wanted.ids if variable_id in provided]
    read += [leaf for variable_id in wanted.ids for leaf in _leaves(variable_id, provided)]
    return tuple(dict.fromkeys(read))


def complete(
    fields: Mapping[str, FloatArray], wanted: VariableSet, address: str, saturation: Saturation = mixed_phase
) -> dict[str, FloatArray]:
    """Return all of `wanted` by id, in its order: given, or derived from `fields` of one shape, in our units.

    `saturation` is the saturation vapour pressure that the provider's relative humidity refers to. Raises BadInput for
    an impossible relative humidity, or a variable that cannot be derived from these fields.
    """
    ids_to_read(fields, wanted, address)
    _check_relative_humidity(fields, address)
    known = dict(fields)
    for variable_id in wanted.ids:
        _derive(variable_id, known, saturation)
    return {variable_id: known[variable_id] for variable_id in wanted.ids}


def _derive(variable_id: str, known: dict[str, FloatArray], saturation: Saturation) -> None:
    if variable_id in known:
        return
    rule = RULES[variable_id]
    for other in _inputs(rule, known):
        _derive(other, known, saturation)
    known[variable_id] = rule.compute(known, saturation)


def _inputs(rule: Rule, provided: Collection[str]) -> Iterator[str]:
    """Yield the inputs of a rule: all it needs, and those that help if they are available."""
    yield from rule.needs
    yield from (other for other in rule.helps if not _why_unavailable(other, provided))


def _leaves(variable_id: str, provided: Collection[str]) -> Iterator[str]:
    if variable_id in provided:
        yield variable_id
        return
    for other in _inputs(RULES[variable_id], provided):
        yield from _leaves(other, provided)


def _why_unavailable(variable_id: str, provided: Collection[str]) -> str:
    """Return why a variable can be neither read nor derived, or nothing if it can."""
    if variable_id in provided:
        return ""
    if variable_id not in RULES:
        return variable_id
    needs = RULES[variable_id].needs
    if not any(_why_unavailable(other, provided) for other in needs):
        return ""
    return f"{variable_id} (needs {', '.join(needs)})"


def _check_relative_humidity(fields: Mapping[str, FloatArray], address: str) -> None:
    humidities = {name: values for name, values in fields.items() if name[0] == "r" and name[1:].isdigit()}
    low, high = RELATIVE_HUMIDITY_RANGE
    for name, values in humidities.items():
        least, greatest = float(np.min(values)), float(np.max(values))
        if not low <= least <= greatest <= high:
            raise BadInput(f"{address}: {name} spans {least:.6g} to {greatest:.6g} %; allowed {low:g} to {high:g}")
    if humidities and (greatest := max(float(np.max(values)) for values in humidities.values())) < _FRACTION:
        raise BadInput(f"{address}: relative humidity reaches {greatest:.6g} at most; allowed percent, not a fraction")
