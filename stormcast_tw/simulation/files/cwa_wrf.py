"""Simulated CWA WRF: `M-A0064` GRIB 2 files on a part of its 3-km Lambert grid, winds relative to the grid.

A regional run branches from the truth at its start, with a smooth analysis error larger than RWRP's. Only the messages
that we read are written, of the 78 of a real file and in the same order. As in real files the header gives a sphere of
6,371,229 m, while the points lie on one of 6,370,000 m. We do not know CWA's centre number: it is set to 255, missing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
from pyproj import Proj

from stormcast_tw.grid import EARTH_RADIUS_WRF, Grid, to_grid_relative
from stormcast_tw.simulation.files import grib
from stormcast_tw.simulation.files.grib import FloatArray
from stormcast_tw.simulation.files.rwrp import CONE
from stormcast_tw.simulation.world.box import Sampler
from stormcast_tw.simulation.world.chance import Array, hour_index
from stormcast_tw.simulation.world.climate import GRAVITY, R_DRY
from stormcast_tw.simulation.world.geography import orography
from stormcast_tw.simulation.world.smooth_error import smooth_errors
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.translate.derive import R_DRY as GAS_DRY
from stormcast_tw.sources.translate.derive import R_VAPOUR, mixed_phase

LEVELS_HPA = (1000, 925, 850, 700, 500, 400, 300, 250, 200, 150, 100)
SPACING_M = 3000.0
FIRST_LATITUDE, FIRST_LONGITUDE = 14.02224, 105.25
"""First point of the whole grid of 1158 x 673 points; the part written begins at its column 497 and row 229."""
FIRST_COLUMN, FIRST_ROW, NX, NY = 497, 229, 116, 178
BITS = 24

_ANALYSIS_ERROR = {"t2m": 0.5, "u10m": 0.8, "v10m": 0.8}
_RAIN_ERROR = 0.4
"""Standard deviations of the errors, K and m s-1; of rain, of the logarithm of its factor: twice that of RWRP, which
assimilates radar."""

_ON_LEVELS = (("t", 0, 0), ("gh", 3, 5), ("u", 2, 2), ("v", 2, 3), ("r", 1, 1))
"""Name, category and number (FM 92, code table 4.2)."""
_SURFACE = (
    # name, category, number, surface and its value
    ("u10m", 2, 2, 103, 10),
    ("v10m", 2, 3, 103, 10),
    ("sp", 3, 0, 1, 0),
    ("prmsl", 3, 1, 101, 0),
    ("t2m", 0, 0, 103, 2),
)


@lru_cache(maxsize=1)
def grid() -> Grid:
    """Return the part of CWA's grid that is written: 178 x 116 points, 3 km apart."""
    projection: dict[str, float | str] = {
        "proj": "lcc",
        "lat_1": 10.0,
        "lat_2": 40.0,
        "lat_0": 10.0,
        "lon_0": 120.0,
        "R": EARTH_RADIUS_WRF,
    }
    x, y = Proj(projection)(FIRST_LONGITUDE, FIRST_LATITUDE)
    rows, columns = FIRST_ROW + np.arange(NY), FIRST_COLUMN + np.arange(NX)
    return Grid.from_axes("CWA_WRF_SIMULATED", y + SPACING_M * rows, x + SPACING_M * columns, projection)


@lru_cache(maxsize=1)
def _ground() -> tuple[FloatArray, FloatArray, FloatArray, Sampler]:
    latitude, longitude = grid().latlon()
    return latitude, longitude, orography(latitude, longitude), Sampler(latitude, longitude)


def run_fields(world: World, init_time: datetime, lead_hours: int) -> dict[str, FloatArray]:
    """Return a run's fields (178, 116) by id, in SI units, with eastward and northward winds.

    t2m, u10m, v10m, sp, prmsl, tp (mm since the start), and t, gh (m), u, v, r (%) on the levels.
    """
    latitude, longitude, height, sample = _ground()
    run, hour = world.branch(init_time, "cwa_wrf"), hour_index(init_time)
    valid_time = init_time + timedelta(hours=lead_hours)
    chance = world.branch(init_time - timedelta(hours=1), "cwa_wrf").chance
    errors = smooth_errors(chance, "analysis", hour, 4)
    near = run.box(valid_time)
    near = {name: near[name] + np.float32(_ANALYSIS_ERROR[name]) * errors[n] for n, name in enumerate(_ANALYSIS_ERROR)}
    fields = {name: sample(values).astype(np.float64) for name, values in near.items()}
    large = run.background(valid_time, latitude, longitude)
    fields["prmsl"] = large["msl"]
    fields["sp"] = large["msl"] * np.exp(-GRAVITY * height / (R_DRY * (fields["t2m"] + 2.75e-3 * height)))
    for level in LEVELS_HPA:
        fields |= {f"{letter}{level}": large[f"{letter}{level}"] for letter in "tuv"}
        fields[f"gh{level}"] = large[f"z{level}"] / GRAVITY
        fields[f"r{level}"] = _relative_humidity(large[f"q{level}"], large[f"t{level}"], level)
    factor = np.exp(np.float32(_RAIN_ERROR) * errors[3])
    fields["tp"] = np.zeros(grid().shape)
    for lead in range(1, lead_hours + 1):
        fields["tp"] += sample(run.box(init_time + timedelta(hours=lead))["tp01"] * factor)
    return fields


def _relative_humidity(q: FloatArray, t: FloatArray, level: int) -> FloatArray:
    ratio = GAS_DRY / R_VAPOUR
    pressure = 100.0 * level * q / (ratio + (1.0 - ratio) * q)
    return np.asarray(100.0 * pressure / mixed_phase(t))


def encode(world: World, init_time: datetime, lead_hours: int) -> bytes:
    """Return the bytes of the file of the run of `init_time` at `lead_hours`."""
    fields = run_fields(world, init_time, lead_hours)
    alpha = np.radians(120.0 - _ground()[1]) * CONE
    for u, v in (("u10m", "v10m"), *((f"u{level}", f"v{level}") for level in LEVELS_HPA)):
        fields[u], fields[v] = to_grid_relative(fields[u], fields[v], np.cos(alpha), np.sin(alpha))
    messages = [
        (fields[f"{name}{level}"], grib.what(category, number, 100, 100 * level))
        for level in LEVELS_HPA
        for name, category, number in _ON_LEVELS
    ]
    messages += [(fields[name], grib.what(*numbers)) for name, *numbers in _SURFACE]
    written = [_message(values, {**grib.when(init_time, lead_hours), **what}) for values, what in messages]
    return b"".join([*written, _message(fields["tp"], _rain_keys(init_time, lead_hours))])


def _rain_keys(init_time: datetime, lead_hours: int) -> dict[str, int | float | str]:
    return {
        **grib.when(init_time, 0),
        "productDefinitionTemplateNumber": 8,
        **grib.what(1, 8, 1),
        "typeOfStatisticalProcessing": 1,
        "startStep": 0,
        "endStep": lead_hours,
    }


def _message(values: FloatArray | Array, keys: grib.Keys) -> bytes:
    latitude, longitude, _, _ = _ground()
    header: dict[str, int | float | str] = {
        "centre": 255,
        "gridDefinitionTemplateNumber": 30,
        "shapeOfTheEarth": 6,
        "Nx": NX,
        "Ny": NY,
        "latitudeOfFirstGridPointInDegrees": float(latitude[0, 0]),
        "longitudeOfFirstGridPointInDegrees": float(longitude[0, 0]),
        "resolutionAndComponentFlags": 8,
        "LaDInDegrees": 10.0,
        "LoVInDegrees": 120.0,
        "Dx": int(1000 * SPACING_M),
        "Dy": int(1000 * SPACING_M),
        "projectionCentreFlag": 0,
        "scanningMode": 64,
        "Latin1InDegrees": 10.0,
        "Latin2InDegrees": 40.0,
        **keys,
    }
    return grib.marked(grib.message(np.asarray(values, np.float64), header, packing="grid_simple", bits=BITS))
