"""From a model's own levels to pressure levels and sea level, above the ground and below it.

Above the lowest level everything is linear in the logarithm of pressure between two levels; geopotential also has the
curvature that follows from the layer's temperature gradient (a straight line would be 3 m off in a layer of 50 hPa at
200 hPa). Below the lowest level the air is extrapolated with the standard lapse rate of the U.S. Standard
Atmosphere 1976 (eq. 33a), with that level's wind and humidity: a convention, not weather, which `above_ground` masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

GRAVITY = 9.81
R_DRY, R_VAPOUR = 287.0, 461.6
"""m s-2 and J kg-1 K-1 as WRF has them (share/module_model_constants.F): its geopotential is 9.81 times its height."""
LAPSE_RATE = 0.0065
"""K m-1 of virtual temperature below the lowest level."""

_EXPONENT = R_DRY * LAPSE_RATE / GRAVITY


@dataclass(frozen=True)
class Level:
    """The air on one level of a model, arrays of one shape, usually (ny, nx).

    `pressure` Pa, `t` K, `z` geopotential m2 s-2, `q` specific humidity kg kg-1, `u` and `v` eastward and northward
    wind m s-1.
    """

    pressure: FloatArray
    u: FloatArray
    v: FloatArray
    t: FloatArray
    q: FloatArray
    z: FloatArray

    @property
    def virtual_temperature(self) -> FloatArray:
        """Virtual temperature, K."""
        return self.t * (1.0 + (R_VAPOUR / R_DRY - 1.0) * self.q)

    def at(self, mask: BoolArray) -> Level:
        """Return the points where `mask` is true, (n,)."""
        return Level(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})


def above_ground(surface_pressure: FloatArray, level_hpa: int) -> BoolArray:
    """True where a pressure level lies above the ground (`surface_pressure` in Pa, any shape), so that it is weather.

    The factor beta of Boer (1982, Mon. Wea. Rev. 110, 1801), by which losses and scores on pressure levels are masked.
    """
    return np.asarray(surface_pressure >= 100.0 * level_hpa)


def on_pressure_levels(
    levels: Iterable[Level], surface_pressure: FloatArray, wanted_hpa: Sequence[int], address: str
) -> dict[str, FloatArray]:
    """Return u, v, t, q and z on the wanted levels by id (`t500`), each of the levels' shape.

    `levels` come from the ground up and are held two at a time; points of a level below the ground, where
    pressure exceeds `surface_pressure` (Pa), are ignored. Raises BadInput where pressure does not fall from level to
    level, where a column has no level above ground, or where a wanted level lies above the last.
    """
    out = {f"{letter}{level}": np.full(surface_pressure.shape, np.nan) for letter in "uvtqz" for level in wanted_hpa}
    begun = np.zeros(surface_pressure.shape, bool)
    lower = upper = None
    for number, upper in enumerate(levels):
        here = upper.pressure <= surface_pressure
        _require_falling(lower, upper, begun, number, address)
        for level in wanted_hpa:
            pressure = 100.0 * level
            beneath = here & ~begun & (upper.pressure <= pressure)
            if beneath.any():
                _put(out, level, beneath, continued_below(upper.at(beneath), pressure))
            if lower is not None:
                crossed = begun & (lower.pressure > pressure) & (upper.pressure <= pressure)
                if crossed.any():
                    _put(out, level, crossed, between(lower.at(crossed), upper.at(crossed), pressure))
        begun |= here
        lower = upper
    _require_reached(upper, begun, wanted_hpa, address)
    return out


def _put(out: dict[str, FloatArray], level_hpa: int, where: BoolArray, air: Level) -> None:
    for letter in "uvtqz":
        out[f"{letter}{level_hpa}"][where] = getattr(air, letter)


def _require_falling(lower: Level | None, upper: Level, begun: BoolArray, number: int, address: str) -> None:
    if lower is None:
        return
    wrong = np.count_nonzero(begun & ~(upper.pressure < lower.pressure))
    if wrong:
        raise BadInput(
            f"{address}: pressure does not fall from level {number - 1} to {number} at {wrong} of {begun.size} points;"
            " allowed 0"
        )


def _require_reached(top: Level | None, begun: BoolArray, wanted_hpa: Sequence[int], address: str) -> None:
    if top is None or not begun.all():
        raise BadInput(
            f"{address}: {np.count_nonzero(~begun)} of {begun.size} columns have no level above their surface pressure;"
            " allowed 0"
        )
    highest = float(np.max(top.pressure))
    if highest > 100.0 * min(wanted_hpa):
        raise BadInput(f"{address}: its levels end at {highest / 100:.4g} hPa; {min(wanted_hpa)} hPa is asked for")


def between(lower: Level, upper: Level, pressure: float) -> Level:
    """Return the air at `pressure` (Pa) between two levels, linear in ln p, with the curvature of z."""
    x, x0, x1 = np.log(pressure), np.log(lower.pressure), np.log(upper.pressure)
    weight = (x - x0) / (x1 - x0)
    line = {f.name: (1.0 - weight) * getattr(lower, f.name) + weight * getattr(upper, f.name) for f in fields(Level)}
    # hydrostatic: dz/dx = -R Tv, so that the second derivative is -R dTv/dx
    slope = (upper.virtual_temperature - lower.virtual_temperature) / (x1 - x0)
    line["z"] = line["z"] - 0.5 * R_DRY * slope * (x - x0) * (x - x1)
    return Level(**line)


def continued_below(lowest: Level, pressure: float | FloatArray) -> Level:
    """Return the air at `pressure` (Pa) below the lowest level: standard lapse rate, same wind and humidity."""
    ratio = (pressure / lowest.pressure) ** _EXPONENT
    fall = GRAVITY / LAPSE_RATE * lowest.virtual_temperature * (ratio - 1.0)
    return Level(
        pressure=np.broadcast_to(pressure, lowest.pressure.shape),
        u=lowest.u,
        v=lowest.v,
        t=lowest.t * ratio,
        q=lowest.q,
        z=lowest.z - fall,
    )


def mean_sea_level_pressure(lowest: Level) -> FloatArray:
    """Return the pressure in Pa at which `continued_below` has geopotential 0."""
    sea_level = 1.0 + LAPSE_RATE * lowest.z / (GRAVITY * lowest.virtual_temperature)
    return np.asarray(lowest.pressure * sea_level ** (1.0 / _EXPONENT))
