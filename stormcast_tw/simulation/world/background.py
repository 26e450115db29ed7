"""What a global model sees: the large scale only, blurred, on 13 pressure levels, hydrostatic and nearly balanced.

Geopotential is the hydrostatic integral of the temperature; the seasonal wind and the waves are in geostrophic and
thermal-wind balance with it at the reference latitude.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stormcast_tw.simulation.world.chance import Chance
from stormcast_tw.simulation.world.climate import (
    CORIOLIS,
    GRAVITY,
    LATITUDE_0,
    LEVELS_HPA,
    LONGITUDE_0,
    R_DRY,
    log_pressure_integral,
    log_pressure_slope,
    mean_sea_level_pressure,
    profile,
)
from stormcast_tw.simulation.world.diurnal import heating
from stormcast_tw.simulation.world.geography import distance_km, land_mask, orography
from stormcast_tw.simulation.world.synoptic import (
    LargeScale,
    Synopsis,
    add_features,
    low_level_mean_wind,
    smooth_fields,
    synopsis,
)

FloatArray = npt.NDArray[np.float64]

BLUR_KM = 60.0
"""A global model of 25 km resolves features no finer than two to three grid lengths."""

_WAVE_SHAPE = np.array([1.0, 1.0, 0.95, 0.95, 1.05, 1.25, 1.5, 1.7, 1.75, 1.6, 1.2, 0.7, 0.4])
_WAVE_TILT = np.array([0.0, 0.1, 0.2, 0.4, 0.55, 0.7, 0.85, 0.95, 1.0, 1.0, 1.0, 1.0, 1.0])
"""With height, waves grow and tilt westwards (radians)."""
_AIR_MASS = np.array([1.0, 1.0, 0.9, 0.45, 0.25, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_VORTEX = np.array([1.0, 1.0, 0.95, 0.8, 0.7, 0.55, 0.4, 0.2, 0.1, 0.0, -0.05, 0.0, 0.0])
"""How cold air behind fronts, and the winds of fronts and typhoons, fade with height."""


def background(
    chance: Chance,
    hour: int,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    shift_km: tuple[float, float] = (0.0, 0.0),
) -> dict[str, FloatArray]:
    """Return the global model's fields at points in degrees: ids of variables.VARIABLES, SI units, shape of the points.

    msl, sp, tcwv, t2m, u10m, v10m and z, q, t, u, v on the 13 levels 1000 to 50 hPa. `shift_km` displaces the weather
    east and north, but not the ground: a phase error.
    """
    latitude, longitude = np.broadcast_arrays(np.asarray(latitude, float), np.asarray(longitude, float))
    east, north = distance_km(latitude, longitude, LATITUDE_0, LONGITUDE_0)
    east, north = east - shift_km[0], north - shift_km[1]
    state = synopsis(chance, hour)
    waves = smooth_fields(state, east, north)
    wave_wind = waves.u.copy(), waves.v.copy()
    low = add_features(state, waves, east, north, BLUR_KM)
    shifted = smooth_fields(state, east + 450.0, north)
    upper = _upper_air(state, low, shifted, wave_wind, east, north)
    return upper | _near_surface(state, low, upper, latitude, longitude)


def _upper_air(
    state: Synopsis,
    low: LargeScale,
    shifted: LargeScale,
    wave_wind: tuple[FloatArray, FloatArray],
    east: FloatArray,
    north: FloatArray,
) -> dict[str, FloatArray]:
    """Return z, q, t, u, v on every level at points `east`, `north` km from the reference point."""
    base = {letter: profile(letter, round(state.summer, 3)) for letter in "tuvq"}
    surface_phi = R_DRY * 299.0 * np.log(mean_sea_level_pressure(state.summer) / 1e5)
    phi = surface_phi + R_DRY * log_pressure_integral(base["t"] * (1.0 + 0.61 * base["q"]))
    shear_u, shear_v = np.real(log_pressure_slope(base["u"])), np.real(log_pressure_slope(base["v"]))
    growth = np.gradient(_WAVE_SHAPE, -np.log(np.array(LEVELS_HPA)))
    cold_below = log_pressure_integral(_AIR_MASS)
    east_m, north_m = east * 1e3, north * 1e3
    wave_u, wave_v = wave_wind
    wind_u, wind_v, cold = low.u - wave_u, low.v - wave_v, low.t
    fields: dict[str, FloatArray] = {}
    for number, level in enumerate(LEVELS_HPA):
        tilt, size = _WAVE_TILT[number], _WAVE_SHAPE[number]
        psi = (1.0 - tilt) * low.psi + tilt * shifted.psi
        mean_u, mean_v = base["u"][number], base["v"][number]
        balance = CORIOLIS * (mean_v * east_m - mean_u * north_m)
        wave_phi = CORIOLIS * psi * 1e3
        vortex_phi = -low.vortex / 1.15 * _VORTEX[number]
        thermal = R_DRY * cold * (cold_below[number] - cold_below[-1])
        fields[f"z{level}"] = phi[number] + balance + size * wave_phi + vortex_phi + thermal
        slope = CORIOLIS / R_DRY * (shear_v[number] * east_m - shear_u[number] * north_m)
        wave_t = (
            growth[number] * wave_phi / R_DRY + 0.6 * size * tilt * (low.psi - shifted.psi) * 1e3 * CORIOLIS / R_DRY
        )
        fields[f"t{level}"] = base["t"][number] + slope + wave_t + cold * _AIR_MASS[number]
        wave_part_u = (1.0 - tilt) * wave_u + tilt * shifted.u - low_level_mean_wind(state)[0]
        wave_part_v = (1.0 - tilt) * wave_v + tilt * shifted.v - low_level_mean_wind(state)[1]
        fields[f"u{level}"] = mean_u + size * wave_part_u + wind_u * _VORTEX[number] + _surge(state, level)[0]
        fields[f"v{level}"] = mean_v + size * wave_part_v + wind_v * _VORTEX[number] + _surge(state, level)[1]
        humid = np.exp(0.10 * state.index["moisture"] + 0.06 * cold * _AIR_MASS[number] + 0.15 * np.tanh(low.lift))
        fields[f"q{level}"] = np.clip(base["q"][number] * humid * np.exp(-6e-8 * north_m * (level > 300)), 1e-7, 0.03)
    return fields


def _surge(state: Synopsis, level: int) -> tuple[float, float]:
    """Return the wind of monsoon surges, the non-seasonal part of the low-level wind; it fades above 850 hPa."""
    depth = {1000: 1.0, 925: 0.9, 850: 0.5}.get(level, 0.0)
    strength = depth * state.index["monsoon"] * (1.5 - 0.9 * state.summer)
    return -0.7 * strength, -0.9 * strength


def _near_surface(
    state: Synopsis, low: LargeScale, upper: dict[str, FloatArray], latitude: FloatArray, longitude: FloatArray
) -> dict[str, FloatArray]:
    height, land = _coarse_ground(latitude, longitude)
    msl = 1e5 * np.exp(upper["z1000"] / (R_DRY * upper["t1000"]))
    sea_level_t = 298.1 + 4.4 * state.summer - (0.0036 - 0.0030 * state.summer) * (latitude - LATITUDE_0) * 111.2
    day = (3.2 + 0.6 * state.summer) * heating(state.hour) * land
    rough = 0.93 - 0.30 * land - 0.10 * np.minimum(height / 1000.0, 2.0)
    levels = np.array(LEVELS_HPA) * 100.0
    q = np.stack([upper[f"q{level}"] for level in LEVELS_HPA])
    layers = -np.diff(levels).reshape(-1, *([1] * latitude.ndim))
    tcwv = np.sum(0.5 * (q[1:] + q[:-1]) * layers, axis=0) / GRAVITY
    t2m = sea_level_t + low.t * 0.85 + day - 5.5e-3 * height
    return {
        "msl": msl,
        "sp": msl * np.exp(-GRAVITY * height / (R_DRY * (t2m + 2.75e-3 * height))),
        "tcwv": np.clip(tcwv * (1.0 + 0.15 * np.tanh(low.lift + 0.1 * low.storm)), 1.0, 85.0),
        "t2m": t2m,
        "u10m": low.u * rough,
        "v10m": low.v * rough,
    }


def _coarse_ground(latitude: FloatArray, longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return height in m and land fraction as in a 25-km model: means over 0.3 degree."""
    return _coarse_ground_of(latitude.tobytes(), longitude.tobytes(), latitude.shape)


@lru_cache(maxsize=8)
def _coarse_ground_of(latitude: bytes, longitude: bytes, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    y = np.frombuffer(latitude).reshape(shape)
    x = np.frombuffer(longitude).reshape(shape)
    offsets = np.linspace(-0.15, 0.15, 5)
    pairs = [(dy, dx) for dy in offsets for dx in offsets]
    height = np.mean([orography(y + dy, x + dx) for dy, dx in pairs], axis=0)
    land = np.mean([land_mask(y + dy, x + dx) for dy, dx in pairs], axis=0)
    return np.asarray(height), np.asarray(land)
