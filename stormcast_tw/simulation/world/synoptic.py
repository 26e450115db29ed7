"""The large scale: travelling waves, air masses, fronts and typhoons, from hourly innovations with finite memory.

`synopsis(chance, hour)` holds everything about the large scale at one hour; `smooth_fields` and `add_features` evaluate
it anywhere. The truth, RWRP and the global model all use it; they differ in the chance they are given and in how much
they blur it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stormcast_tw.simulation.world.chance import LOCAL, UPSTREAM, Chance, moving_average_kernel
from stormcast_tw.simulation.world.climate import summerness
from stormcast_tw.simulation.world.events import HISTORY_HOURS, Front, Typhoon, drawn_at_births, fronts_at, typhoons_at

FloatArray = npt.NDArray[np.float64]

NORMALS = 48
_WAVELENGTH_KM = np.array([1300.0, 1700.0, 2100.0, 2500.0, 3000.0, 3600.0, 4300.0, 5200.0])
_WAVE_DIRECTION = np.radians([25.0, -40.0, 10.0, 55.0, -20.0, 40.0, -60.0, 15.0])
_KX = 2.0 * np.pi / _WAVELENGTH_KM * np.cos(_WAVE_DIRECTION)
_KY = 2.0 * np.pi / _WAVELENGTH_KM * np.sin(_WAVE_DIRECTION)
_WAVES = _KX.size
_WAVE_MEMORY_HOURS, _WAVE_SPEED_KM_H = 22.0, 22.0
_WAVE_WIND = 2.1

_INDICES = {
    # name: (column of the innovations, memory in hours, smooth)
    "monsoon": (16, 26.0, True),
    "moisture": (17, 20.0, False),
    "instability": (18, 12.0, False),
    "steering_u": (19, 14.0, True),
    "steering_v": (20, 14.0, True),
    "air_mass": (21, 24.0, True),
    "convection": (22, 8.0, False),
}
_LOCAL = {
    "local_u": (23, 5.0, False),
    "local_v": (24, 5.0, False),
    "local_t": (25, 6.0, True),
}


@dataclass(frozen=True)
class Synopsis:
    """The large scale at one hour.

    `index` holds standard normal indices by name; `waves` (8,) complex amplitudes; `drift_km` (36, 2) how far air at
    about 700 hPa has moved since each past hour; `steering` the velocity of that air in km per hour.
    """

    hour: int
    summer: float
    index: dict[str, float]
    waves: npt.NDArray[np.complex128]
    steering: tuple[float, float]
    drift_km: FloatArray
    fronts: tuple[Front, ...]
    typhoons: tuple[Typhoon, ...]


def synopsis(chance: Chance, hour: int) -> Synopsis:
    """Return the large scale at `hour`; it uses innovations stamped `hour` or earlier only."""
    return _synopsis(chance.until(hour), hour)


@lru_cache(maxsize=256)
def _synopsis(chance: Chance, hour: int) -> Synopsis:
    """Return the large scale of a chance, with its local indices added to what comes from upstream."""
    upstream = _upstream(chance.until(hour, UPSTREAM), hour)
    lags = range(max(moving_average_kernel(memory, smooth).size for _, memory, smooth in _LOCAL.values()))
    past = np.stack([chance.normals(LOCAL, hour - lag, NORMALS) for lag in lags])
    return replace(upstream, index=upstream.index | _indices(past, _LOCAL))


@lru_cache(maxsize=256)
def _upstream(chance: Chance, hour: int) -> Synopsis:
    past = np.stack([chance.normals(UPSTREAM, hour - lag, NORMALS) for lag in range(HISTORY_HOURS)])
    summer = summerness(hour)
    velocity = _steering_history(past, summer)
    uniforms = drawn_at_births(chance, hour)
    drift = np.concatenate([np.zeros((1, 2)), np.cumsum(velocity[:-1], axis=0)])
    return Synopsis(
        hour=hour,
        summer=summer,
        index=_indices(past, _INDICES),
        waves=_wave_amplitudes(past),
        steering=(float(velocity[0, 0]), float(velocity[0, 1])),
        drift_km=drift,
        fronts=fronts_at(uniforms, hour, past),
        typhoons=typhoons_at(uniforms, hour, past),
    )


def _indices(past: npt.NDArray[np.float32], table: Mapping[str, tuple[int, float, bool]]) -> dict[str, float]:
    return {name: _moving_average(past[:, column], memory, smooth) for name, (column, memory, smooth) in table.items()}


def _moving_average(column: npt.NDArray[np.float32], memory: float, smooth: bool) -> float:
    weights = moving_average_kernel(memory, smooth)
    return float(weights @ column[: weights.size].astype(np.float64))


def _steering_history(past: npt.NDArray[np.float32], summer: float) -> FloatArray:
    """Return the steering velocity (36, 2) in km per hour at this hour and the 35 before it."""
    weights = moving_average_kernel(14.0, True)
    means = (14.0 - 20.0 * summer, 4.0 + 5.0 * summer)
    columns = []
    for mean, name in zip(means, ("steering_u", "steering_v"), strict=True):
        innovations = past[: weights.size + 35, _INDICES[name][0]].astype(np.float64)
        columns.append(mean + 11.0 * np.convolve(innovations, weights[::-1], mode="valid")[:36])
    return np.stack(columns, axis=1)


def _wave_amplitudes(past: npt.NDArray[np.float32]) -> npt.NDArray[np.complex128]:
    weights = moving_average_kernel(_WAVE_MEMORY_HOURS, True)
    lags = np.arange(weights.size)[:, None]
    innovations = (past[: weights.size, 0 : 2 * _WAVES : 2] + 1j * past[: weights.size, 1 : 2 * _WAVES : 2]) / np.sqrt(
        2
    )
    travelled = np.exp(-1j * _KX * _WAVE_SPEED_KM_H * lags)
    return np.asarray(np.sum(weights[:, None] * travelled * innovations, axis=0))


@dataclass
class LargeScale:
    """Large-scale fields at points, all of one shape.

    `u`, `v` wind of the lowest kilometre over open sea, m s-1; `t` temperature anomaly of the lower air, K; `psi` the
    stream function of the waves, km m s-1; `lift` frontal lift, dimensionless, 1 a strong front; `storm` rain rate of
    typhoons before terrain, mm per hour; `vortex` pressure deficit of typhoons, Pa; `behind` share of the air behind
    fronts, 0 to 1.
    """

    u: FloatArray
    v: FloatArray
    t: FloatArray
    psi: FloatArray
    lift: FloatArray
    storm: FloatArray
    vortex: FloatArray
    behind: FloatArray


def low_level_mean_wind(state: Synopsis) -> tuple[float, float]:
    """Return the seasonal wind of the lowest kilometre with its monsoon surges, m s-1 (without waves and fronts)."""
    u = -1.7 + 3.2 * state.summer
    v = -3.1 + 4.9 * state.summer
    surge = state.index["monsoon"] * (1.5 - 0.9 * state.summer)
    return u - 0.7 * surge, v - 0.9 * surge


def smooth_fields(state: Synopsis, east_km: npt.ArrayLike, north_km: npt.ArrayLike) -> LargeScale:
    """Return seasonal wind, waves and air masses at points given in km from 23.6 N 121 E; no fronts, no typhoons."""
    east, north = np.broadcast_arrays(np.asarray(east_km, float), np.asarray(north_km, float))
    phase = np.exp(1j * (east[..., None] * _KX + north[..., None] * _KY)) * state.waves
    size = _WAVE_WIND * (1.0 - 0.25 * state.summer)
    k = np.hypot(_KX, _KY)
    mean_u, mean_v = low_level_mean_wind(state)
    parts = np.stack([-1j * _KY / k, 1j * _KX / k, 1j * _KX / k * np.exp(0.6j), 1.0 / k])
    u, v, warm, psi = size * np.real(np.einsum("...m,nm->n...", phase, parts))
    zero = np.zeros(east.shape)
    return LargeScale(
        u=mean_u + u,
        v=mean_v + v,
        t=(0.50 - 0.22 * state.summer) * warm + (1.2 - 0.6 * state.summer) * state.index["air_mass"],
        psi=psi,
        lift=zero.copy(),
        storm=zero.copy(),
        vortex=zero.copy(),
        behind=zero.copy(),
    )


def add_features(
    state: Synopsis, fields: LargeScale, east_km: npt.ArrayLike, north_km: npt.ArrayLike, blur_km: float = 0.0
) -> LargeScale:
    """Add fronts and typhoons to `fields` in place, blurred over `blur_km`, and return it."""
    for front in state.fronts:
        front.add_to(fields, np.asarray(east_km, float), np.asarray(north_km, float), blur_km)
    for typhoon in state.typhoons:
        typhoon.add_to(fields, np.asarray(east_km, float), np.asarray(north_km, float), blur_km)
    return fields
