"""Convective cells: Poisson births, one to three hours of life, rain carried by the wind, cold pools left behind.

A birth is a candidate, stamped with its hour, that the weather of that hour favours enough to be accepted. All cells
are Gaussians along the axes of the box, so that a sum over cells is a matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stormcast_tw.simulation.world.box import BOX, DX_KM, DY_KM, X_KM, Y_KM, terrain
from stormcast_tw.simulation.world.chance import Array, Chance
from stormcast_tw.simulation.world.diurnal import heating
from stormcast_tw.simulation.world.synoptic import Synopsis, add_features, smooth_fields, synopsis

CANDIDATES = 640
LONGEST_LIFE_HOURS = 3
_STRIP_ROWS = 12
_SUBSTEPS = (0.875, 0.625, 0.375, 0.125)
"""Time from the middle of each 15-minute sub-step to the end of the hour, in hours."""


@dataclass(frozen=True)
class Cells:
    """Cells born in one hour, arrays (cells,).

    Position and radius in km, peak in mm per hour, life in h; `born_before` in h before the end of the hour; `velocity`
    in km per hour.
    """

    east: Array
    north: Array
    radius_x: Array
    radius_y: Array
    peak: Array
    life: Array
    born_before: Array
    velocity: tuple[float, float]


def births(chance: Chance, hour: int) -> Cells:
    """Return the cells born in the hour ending at `hour`."""
    return _births(chance.until(hour), hour)


@lru_cache(maxsize=64)
def _births(chance: Chance, hour: int) -> Cells:
    state = synopsis(chance, hour)
    drawn = chance.uniforms("cells", hour, CANDIDATES * 7).reshape(7, CANDIDATES)
    east = X_KM[0] + drawn[0] * (X_KM[-1] - X_KM[0])
    north = Y_KM[0] + drawn[1] * (Y_KM[-1] - Y_KM[0])
    accepted = drawn[2] < birth_probability(state, east, north)
    drawn = drawn[:, accepted]
    radius = 2.6 + 4.2 * drawn[3] ** 2
    stretch = 0.75 + 0.5 * drawn[6]
    return Cells(
        east=east[accepted],
        north=north[accepted],
        radius_x=radius * stretch,
        radius_y=radius / stretch,
        peak=5.2 * np.exp(1.2 * drawn[4]) * (1.0 + 1.2 * drawn[4] ** 6),
        life=1.0 + 2.0 * drawn[5] ** 2.2,
        born_before=1.0 - drawn[6],
        velocity=state.steering,
    )


def birth_probability(state: Synopsis, east: Array, north: Array) -> Array:
    """Return the probability (points,) that a candidate `east`, `north` km from the reference point becomes a cell."""
    fields = add_features(state, smooth_fields(state, east, north), east, north)
    ground = terrain()
    j = np.clip(np.rint((north - Y_KM[0]) / DY_KM), 0, BOX.ny - 1).astype(np.int64)
    i = np.clip(np.rint((east - X_KM[0]) / DX_KM), 0, BOX.nx - 1).astype(np.int64)
    moisture, instability = state.index["moisture"], state.index["instability"]
    warm = 0.5 * (1.0 + state.summer)
    slope = np.hypot(ground.dhdx[j, i], ground.dhdy[j, i]) / 50.0
    warmed = np.clip(heating(state.hour) - 0.25, 0.0, None)
    ready = np.clip(0.55 + 0.55 * instability + 0.35 * moisture, 0.0, None)
    thermal = 0.55 * warm**1.5 * warmed * ready * ground.coastal[j, i] * np.minimum(0.25 + slope, 1.4)
    maritime = 0.006 * np.clip(0.6 + 0.6 * state.index["convection"] + 0.4 * moisture, 0.0, None) * (0.3 + warm)
    frontal = np.tanh(fields.lift) * (0.10 + 0.18 * warm) * np.clip(1.0 + 0.4 * moisture, 0.2, None)
    storm = 0.012 * fields.storm
    return np.asarray(np.clip(thermal + maritime + frontal + storm, 0.0, 0.5), dtype=np.float32)


def _profile(age: Array, life: Array) -> Array:
    """Rain rate over a cell's life: 0 at birth and death, 1 in the middle."""
    inside = (age > 0.0) & (age < life)
    return np.where(inside, np.sin(np.pi * np.clip(age / life, 0.0, 1.0)) ** 2, 0.0).astype(np.float32)


@dataclass(frozen=True)
class Convection:
    """Effects of cells in an hour, (288, 192): `rain` mm; `cooling` K by cold pools; `outflow_u`, `outflow_v` m s-1."""

    rain: Array
    cooling: Array
    outflow_u: Array
    outflow_v: Array


def convection(chance: Chance, hour: int) -> Convection:
    """Return the convection of the hour ending at `hour`, on the box."""
    generations = [(lag, births(chance, hour - lag)) for lag in range(LONGEST_LIFE_HOURS + 2)]
    return Convection(_rain(generations), *_cold_pools(generations))


def _gaussians(centre: Array, radius: Array, axis: Array) -> Array:
    return np.asarray(np.exp(-0.5 * ((axis[:, None] - centre) / radius) ** 2), dtype=np.float32)


def _summed(along_y: Array, along_x: Array) -> Array:
    """Return the sum over cells of along_y (288, cells) times along_x (192, cells), in strips of rows.

    A strip sums only the cells that reach it: less work than the whole product, and too small for BLAS to start
    threads, which would spin on cores that others use.
    """
    total = np.zeros((BOX.ny, BOX.nx), dtype=np.float32)
    for first in range(0, BOX.ny, _STRIP_ROWS):
        rows = slice(first, first + _STRIP_ROWS)
        reaches = np.flatnonzero((np.abs(along_y[rows]) > 1e-4).any(axis=0))
        if reaches.size:
            np.matmul(along_y[rows][:, reaches], along_x[:, reaches].T, out=total[rows])
    return total


def _rain(generations: list[tuple[int, Cells]]) -> Array:
    east, north, radius_x, radius_y, amount = [], [], [], [], []
    for lag, cells in generations:
        for before in _SUBSTEPS:
            age = lag + cells.born_before - before
            rate = cells.peak * _profile(age, cells.life)
            alive = rate > 0.05
            move = age[alive]
            east.append(cells.east[alive] + move * cells.velocity[0])
            north.append(cells.north[alive] + move * cells.velocity[1])
            radius_x.append(cells.radius_x[alive])
            radius_y.append(cells.radius_y[alive])
            amount.append(0.25 * rate[alive])
    along_y = _gaussians(np.concatenate(north), np.concatenate(radius_y), Y_KM)
    along_x = _gaussians(np.concatenate(east), np.concatenate(radius_x), X_KM)
    return _summed(along_y, along_x * np.concatenate(amount))


def _cold_pools(generations: list[tuple[int, Cells]]) -> tuple[Array, Array, Array]:
    """Cold pools spread at 9 km per hour and fade within two hours; the wind blows out of them."""
    east, north, radius, depth = [], [], [], []
    for lag, cells in generations:
        age = np.maximum(lag + cells.born_before - 0.4 * cells.life, 0.0)
        strength = np.minimum(cells.peak / 22.0, 2.5) * np.clip(age / 0.5, 0.0, 1.0) * np.exp(-age / 1.3)
        kept = strength > 0.05
        east.append((cells.east + (age + 0.4 * cells.life) * 0.8 * cells.velocity[0])[kept])
        north.append((cells.north + (age + 0.4 * cells.life) * 0.8 * cells.velocity[1])[kept])
        radius.append((cells.radius_x + 9.0 * age)[kept])
        depth.append(strength[kept])
    centre_x, centre_y, size = np.concatenate(east), np.concatenate(north), np.concatenate(radius)
    strength = np.concatenate(depth)
    along_y, along_x = _gaussians(centre_y, size, Y_KM), _gaussians(centre_x, size, X_KM) * strength
    outward_y = along_y * ((Y_KM[:, None] - centre_y) / size)
    outward_x = along_x * ((X_KM[:, None] - centre_x) / size)
    return (
        np.minimum(2.4 * _summed(along_y, along_x), 6.0),
        np.clip(4.5 * _summed(along_y, outward_x), -12.0, 12.0),
        np.clip(4.5 * _summed(outward_y, along_x), -12.0, 12.0),
    )
