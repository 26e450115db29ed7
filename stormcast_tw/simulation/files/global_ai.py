"""Simulated global AI model: `EC-pangu` GRIB 2 files, 69 fields on 0.25 degree, north to south.

A run initialised at T0 is the truth's large scale branched at T0, blurred, displaced by a phase error and disturbed by
smooth errors of its own. The regional window stands for the globe; weather that comes from outside it is foreseen
(`FORESIGHT_HOURS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from stormcast_tw.simulation.files import grib
from stormcast_tw.simulation.world.chance import Chance, hour_index
from stormcast_tw.simulation.world.climate import LEVELS_HPA
from stormcast_tw.simulation.world.weather import FORESIGHT_HOURS, World

FloatArray = npt.NDArray[np.float64]

NORTH, SOUTH, WEST, EAST, STEP = 32.0, 15.0, 112.0, 130.0, 0.25
NY, NX = round((NORTH - SOUTH) / STEP) + 1, round((EAST - WEST) / STEP) + 1
ON_GRID: dict[str, int | float | str] = {
    "Ni": NX,
    "Nj": NY,
    "latitudeOfFirstGridPointInDegrees": NORTH,
    "longitudeOfFirstGridPointInDegrees": WEST,
    "latitudeOfLastGridPointInDegrees": SOUTH,
    "longitudeOfLastGridPointInDegrees": EAST,
    "iDirectionIncrementInDegrees": STEP,
    "jDirectionIncrementInDegrees": STEP,
}
"""The grid of every message, in eccodes' names."""

_SURFACE = {"u10m": ("10u", 10), "v10m": ("10v", 10), "t2m": ("2t", 2), "msl": ("msl", 0)}


@dataclass(frozen=True)
class Model:
    """A global model's weather: the name of its branch of the truth, and its errors.

    `phase_km` and `phase_km_per_hour` displace the weather, tens of kilometres within a day. `errors` are the standard
    deviations of smooth errors at lead 0, doubled by lead 36: K, m s-1, Pa, share of the value, m2 s-2.
    """

    branch: str
    phase_km: float
    phase_km_per_hour: float
    errors: tuple[tuple[str, float], ...]


PANGU = Model("global", 18.0, 1.2, (("t", 0.35), ("u", 0.6), ("v", 0.6), ("msl", 40.0), ("q", 0.04), ("z", 40.0)))


@lru_cache(maxsize=1)
def points() -> tuple[FloatArray, FloatArray]:
    """Return the latitude and longitude of the grid in degrees, each (69, 73), north to south."""
    latitude, longitude = np.linspace(NORTH, SOUTH, NY), np.linspace(WEST, EAST, NX)
    grid = np.meshgrid(latitude, longitude, indexing="ij")
    return grid[0], grid[1]


def run_fields(world: World, init_time: datetime, lead_hours: int, model: Model = PANGU) -> dict[str, FloatArray]:
    """Return the forecast's fields by id, each (69, 73), SI units, north to south."""
    run = world.branch(init_time, model.branch, FORESIGHT_HOURS)
    chance, hour = _chance(world, init_time, model), hour_index(init_time)
    phase = chance.normals("global", hour, 2) * (model.phase_km + model.phase_km_per_hour * lead_hours)
    shift = float(phase[0]) / np.sqrt(2.0), float(phase[1]) / np.sqrt(2.0)
    fields = run.background(init_time + timedelta(hours=lead_hours), *points(), shift_km=shift)
    sizes = dict(model.errors)
    kinds = dict(zip(sizes, _smooth_errors(chance, hour, len(sizes)) * (1.0 + lead_hours / 36.0), strict=True))
    fields["sp"] = fields["sp"] + sizes["msl"] * kinds["msl"] * fields["sp"] / fields["msl"]
    fields["tcwv"] = fields["tcwv"] * np.exp(sizes["q"] * kinds["q"])
    for name, values in fields.items():
        kind = name if name == "msl" else name[0]
        if kind == "q":
            fields[name] = values * np.exp(sizes["q"] * kinds["q"])
        elif kind in sizes:
            fields[name] = values + sizes[kind] * kinds[kind]
    return fields


def _chance(world: World, init_time: datetime, model: Model) -> Chance:
    """Return the chance that a model's own errors come from: the world's for PANGU, a chance of its own for others."""
    if model is PANGU:
        return world.chance
    return world.branch(init_time - timedelta(hours=1), model.branch).chance


def _smooth_errors(chance: Chance, hour: int, count: int) -> FloatArray:
    drawn = chance.normals("global", hour, 8 + count * NY * NX)[8:].reshape(-1, NY, NX)
    smooth = gaussian_filter(drawn.astype(np.float64), (0, 8, 8), mode="reflect")
    return np.asarray(smooth / smooth.std(axis=(1, 2), keepdims=True))


def encode(world: World, init_time: datetime, lead_hours: int) -> bytes:
    """Return the bytes of the GRIB file for `lead_hours` of the run of `init_time`: 69 messages."""
    fields = run_fields(world, init_time, lead_hours)
    messages = [
        _message(fields[f"{letter}{level}"], letter, level, init_time, lead_hours)
        for letter in "zqtuv"
        for level in LEVELS_HPA
    ]
    messages += [_message(fields[name], *short, init_time, lead_hours) for name, short in _SURFACE.items()]
    return b"".join(messages)


def _message(values: FloatArray, short_name: str, level: int, init_time: datetime, lead_hours: int) -> bytes:
    on_pressure = len(short_name) == 1
    keys = _keys(init_time, lead_hours) | {"shortName": short_name} | ({"level": level} if on_pressure else {})
    sample = "regular_ll_pl_grib2" if on_pressure else "regular_ll_sfc_grib2"
    return grib.message(values, keys, packing="grid_simple", bits=16, sample=sample)


def _keys(init_time: datetime, lead_hours: int) -> dict[str, int | float | str]:
    """Keys of every message; `expver` SIMU and production status 2 (research) distinguish it from a real one."""
    return {
        "centre": "ecmf",
        **grib.when(init_time, lead_hours),
        "typeOfProcessedData": 1,
        "setLocalDefinition": 1,
        "class": "ml",
        "type": "fc",
        "stream": "oper",
        "expver": "SIMU",
        **ON_GRID,
    }
