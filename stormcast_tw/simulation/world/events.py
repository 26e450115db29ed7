"""Fronts and typhoons: born by chance in an hour, alive for a few days, moved by innovations of their own.

An event's past is at most HISTORY_HOURS long, so that any hour can be computed by itself. Positions are km east and
north of 23.6 N 121 E.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stormcast_tw.simulation.world.chance import UPSTREAM, Chance
from stormcast_tw.simulation.world.climate import season_window

FloatArray = npt.NDArray[np.float64]

HISTORY_HOURS = 132
_UNIFORMS = 32
_FRONT_WANDER, _TYPHOON_WANDER = 30, 32

COLD_FRONTS_AN_HOUR = 0.0072
MEIYU_FRONTS_AN_HOUR = 0.0080
TYPHOONS_AN_HOUR = 0.0025
"""Rates at the height of each season: about 24 cold surges, 8 Mei-yu fronts and 5 typhoons a year."""


class _Fields(Protocol):
    """The fields that events add to; see synoptic.LargeScale."""

    u: FloatArray
    v: FloatArray
    t: FloatArray
    lift: FloatArray
    storm: FloatArray
    vortex: FloatArray
    behind: FloatArray


@dataclass(frozen=True)
class Front:
    """A front: `north_km` where it crosses 121 E, `tilt` km north per km east, and the contrast across it.

    `cooling` K; `u`, `v` wind added behind it and `u_ahead`, `v_ahead` wind added ahead of it, m s-1; `lift` 0 to about
    1; `width_km`; `memory_km` the distance behind the front at which its air has lost its cold.
    """

    kind: str
    north_km: float
    tilt: float
    cooling: float
    u: float
    v: float
    u_ahead: float
    v_ahead: float
    lift: float
    width_km: float
    memory_km: float

    def add_to(self, fields: _Fields, east: FloatArray, north: FloatArray, blur_km: float) -> None:
        """Add this front to `fields` at points east, north (km), blurred over `blur_km`."""
        behind = north - self.north_km - self.tilt * east
        width = np.hypot(self.width_km, blur_km)
        step = 0.5 * (1.0 + np.tanh(behind / width))
        fading = step * np.exp(-np.maximum(behind, 0.0) / self.memory_km)
        near = np.exp(-0.5 * (behind / 350.0) ** 2)
        fields.t -= self.cooling * fading
        fields.u += self.u * fading + self.u_ahead * (1.0 - step) * near
        fields.v += self.v * fading + self.v_ahead * (1.0 - step) * near
        fields.lift += self.lift * np.exp(-0.5 * ((behind - 0.5 * width) / width) ** 2) * self.width_km / width
        fields.behind += fading * (1.0 - fields.behind)


@dataclass(frozen=True)
class Typhoon:
    """A vortex: centre `east_km`, `north_km`; maximum wind `vmax` m s-1 at `rmax_km`; `spin` phase of its bands."""

    east_km: float
    north_km: float
    vmax: float
    rmax_km: float
    spin: float

    def add_to(self, fields: _Fields, east: FloatArray, north: FloatArray, blur_km: float) -> None:
        """Add the vortex to `fields` at points east, north (km), blurred over `blur_km`."""
        x, y = east - self.east_km, north - self.north_km
        radius = np.hypot(x, y) + 1e-3
        rmax = np.hypot(self.rmax_km, blur_km)
        vmax = self.vmax * (self.rmax_km / rmax) ** 0.5
        fade = np.exp(-((radius / 650.0) ** 2))
        speed = vmax * np.where(radius < rmax, radius / rmax, (rmax / radius) ** 0.55) * fade
        inflow = np.radians(18.0)
        cosine, sine = np.cos(inflow), np.sin(inflow)
        fields.u += speed * (-y * cosine - x * sine) / radius
        fields.v += speed * (x * cosine - y * sine) / radius
        fields.storm += self._rain(x, y, radius, rmax, blur_km)
        fields.vortex += vmax**2 * 1.6 / (1.0 + (radius / (1.6 * rmax)) ** 1.3) * fade
        fields.t += 0.5 * np.exp(-radius / 300.0)

    def _rain(self, x: FloatArray, y: FloatArray, radius: FloatArray, rmax: float, blur_km: float) -> FloatArray:
        """Eyewall and two spiral bands, mm per hour."""
        wall = np.exp(-0.5 * ((radius - 1.1 * rmax) / (0.5 * rmax)) ** 2)
        shield = np.exp(-radius / 150.0)
        angle = np.arctan2(y, x) + 2.2 * np.log(radius / 40.0 + 0.3) + self.spin
        contrast = 0.85 * np.exp(-blur_km / 40.0)
        bands = np.exp(-radius / 260.0) * (1.0 + contrast * np.cos(2.0 * angle))
        return np.asarray(
            (self.vmax / 35.0) * (9.0 * wall + 5.0 * shield + 5.5 * bands) * np.exp(-((radius / 520.0) ** 2))
        )


def drawn_at_births(chance: Chance, hour: int) -> npt.NDArray[np.float32]:
    """Return the uniforms (HISTORY_HOURS, columns) that decide what was born in each hour, the newest first."""
    return np.stack([chance.uniforms(UPSTREAM, hour - age, _UNIFORMS) for age in range(HISTORY_HOURS)])


def _births(uniforms: npt.NDArray[np.float32], hour: int, column: int, rate: float, centre_day: float,
            width_days: float, lifetime: int) -> list[tuple[int, npt.NDArray[np.float32]]]:  # fmt: skip
    """Return (age, uniforms of the birth) of every event born within the last `lifetime` hours, oldest last."""
    chosen = uniforms[:lifetime, column]
    return [
        (age, uniforms[age, column + 1 : column + 9])
        for age in map(int, np.flatnonzero(chosen < rate))
        if chosen[age] < rate * season_window(hour - age, centre_day, width_days)
    ]


def _wander(past: npt.NDArray[np.float32], column: int, age: int) -> float:
    """Return the sum of the innovations since birth, in units of one hour's innovation."""
    return float(np.sum(past[:age, column], dtype=np.float64))


def fronts_at(uniforms: npt.NDArray[np.float32], hour: int, past: npt.NDArray[np.float32]) -> tuple[Front, ...]:
    """Return the fronts alive at `hour`, of `drawn_at_births`; `past` (HISTORY_HOURS, columns) are innovations."""
    fronts = []
    for age, drawn in _births(uniforms, hour, 0, COLD_FRONTS_AN_HOUR, 18.0, 55.0, HISTORY_HOURS):
        fronts.append(_cold_front(age, drawn, _wander(past, _FRONT_WANDER, age)))
    for age, drawn in _births(uniforms, hour, 10, MEIYU_FRONTS_AN_HOUR, 153.0, 16.0, 96):
        fronts.append(_meiyu_front(age, drawn, _wander(past, _FRONT_WANDER, age)))
    return tuple(fronts)


def _cold_front(age: int, drawn: npt.NDArray[np.float32], wander: float) -> Front:
    strength = (0.4 + 0.9 * float(drawn[0])) * min(1.0, (age + 1) / 10.0) * (1.0 - age / HISTORY_HOURS)
    speed = 19.0 + 14.0 * float(drawn[1])
    return Front(
        kind="cold",
        north_km=640.0 - speed * age + 5.0 * wander,
        tilt=0.25 * float(drawn[2]),
        cooling=6.5 * strength,
        u=-4.6 * strength,
        v=-6.5 * strength,
        u_ahead=1.5 * strength,
        v_ahead=2.5 * strength,
        lift=0.75 * strength * (0.3 + float(drawn[3])),
        width_km=32.0,
        memory_km=38.0 * speed,
    )


def _meiyu_front(age: int, drawn: npt.NDArray[np.float32], wander: float) -> Front:
    strength = (0.6 + 0.6 * float(drawn[0])) * min(1.0, (age + 1) / 10.0) * (1.0 - (age / 96.0) ** 2)
    goal = -180.0 + 380.0 * float(drawn[1])
    return Front(
        kind="meiyu",
        north_km=goal + (520.0 - goal) * float(np.exp(-age / 16.0)) + 6.0 * wander,
        tilt=0.15 + 0.25 * float(drawn[2]),
        cooling=3.0 * strength,
        u=-3.0 * strength,
        v=-3.0 * strength,
        u_ahead=5.5 * strength,
        v_ahead=4.5 * strength,
        lift=1.3 * strength,
        width_km=45.0,
        memory_km=900.0,
    )


def typhoons_at(uniforms: npt.NDArray[np.float32], hour: int, past: npt.NDArray[np.float32]) -> tuple[Typhoon, ...]:
    """Return the typhoons alive at `hour`, of `drawn_at_births`; `past` (HISTORY_HOURS, columns) are innovations."""
    alive = []
    for age, drawn in _births(uniforms, hour, 20, TYPHOONS_AN_HOUR, 238.0, 32.0, HISTORY_HOURS):
        wander = tuple(_wander(past, _TYPHOON_WANDER + axis, age) for axis in (0, 1))
        typhoon = _typhoon(age, drawn, wander)
        if typhoon.vmax > 3.0:
            alive.append(typhoon)
    return tuple(alive)


def _typhoon(age: int, drawn: npt.NDArray[np.float32], wander: tuple[float, ...]) -> Typhoon:
    """Return a typhoon on a track from the Philippine Sea through a chosen latitude at 121 E, then recurving."""
    speed = 15.0 + 9.0 * float(drawn[0])
    start_east, start_north = 1150.0, -720.0 + 560.0 * float(drawn[1])
    pass_north = -330.0 + 560.0 * float(drawn[2])
    east = start_east - speed * age + 8.0 * wander[0]
    travelled = (start_east - east) / start_east
    bend = 250.0 * max(0.0, travelled - 1.0) ** 2
    north = start_north + (pass_north - start_north) * travelled + bend + 8.0 * wander[1]
    grown = min(1.0, (age + 6) / 30.0) * min(1.0, (HISTORY_HOURS - age) / 24.0)
    landfall = float(np.exp(-max(0.0, -east - 60.0) / 260.0))
    vmax = (24.0 + 20.0 * float(drawn[3])) * grown * landfall
    spin = 2.0 * np.pi * float(drawn[5]) + 0.35 * age
    return Typhoon(float(east), float(north), float(vmax), 30.0 + 25.0 * float(drawn[4]), float(spin % (2.0 * np.pi)))
