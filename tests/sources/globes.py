"""NetCDF and Zarr files of a one-degree globe, linear in place and time, written independently of the simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np

T = datetime(2026, 6, 11, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATITUDE = np.arange(90.0, -91.0, -1.0)
LONGITUDE = np.arange(0.0, 360.0)
LEVELS = (1000, 925, 850, 700, 600, 500, 400, 300, 250, 200, 150, 100, 50)
GROUND = 600.0
"""m: the altitude of the whole globe but for a slope to the north."""

_SURFACE = {"t2m": 295.0, "u10m": 3.0, "v10m": -4.0, "msl": 101000.0, "sp": 99000.0, "tcwv": 40.0, "tp01": 2.0}
_HEIGHTS = (1100.0, 7500.0, 14800.0, 30800.0, 43300.0, 57400.0, 74400.0, 95000.0, 107400.0, 122200.0, 140000.0)
_PROFILES: dict[str, Sequence[float]] = {
    "z": (*_HEIGHTS, 163000.0, 203000.0),
    "t": (297.0, 292.0, 289.0, 281.0, 275.0, 267.0, 257.0, 242.0, 233.0, 222.0, 210.0, 197.0, 209.0),
    "u": (5.0,) * 13,
    "v": (-5.0,) * 13,
    "q": (0.015, 0.012, 0.010, 0.006, 0.004, 0.002, 0.001, 3e-4, 1.5e-4, 5e-5, 1e-5, 3e-6, 3e-6),
    "r": (80.0, 75.0, 70.0, 65.0, 60.0, 55.0, 50.0, 45.0, 40.0, 35.0, 30.0, 25.0, 20.0),
}


def mean(variable_id: str) -> float:
    """The value of a variable at 23 N, 121 E at T."""
    if variable_id in _SURFACE:
        return _SURFACE[variable_id]
    return _PROFILES[variable_id[0]][LEVELS.index(int(variable_id[1:]))]


def value(variable_id: str, time: datetime, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Linear in place near Taiwan and in time, a thousandth of the mean a degree and half that an hour."""
    hour = (time - T) / HOUR
    return mean(variable_id) * (1 + 1e-3 * (latitude - 23) * (abs(latitude - 23) < 5) + 5e-4 * hour + 0 * longitude)


def globe(variable_id: str, time: datetime, latitude=LATITUDE, longitude=LONGITUDE) -> np.ndarray:
    return value(variable_id, time, *np.meshgrid(latitude, longitude, indexing="ij")).astype(np.float32)


def ground(latitude: np.ndarray) -> np.ndarray:
    return GROUND + 10.0 * (latitude - 23) * (abs(latitude - 23) < 5)


def write_mlwp(
    path: Path,
    init_time: datetime,
    leads: Sequence[int] = (0, 12),
    *,
    surface: Mapping[str, str] | None = None,
    letters: str = "zt",
    factors: Mapping[str, float] | None = None,
    without: Sequence[str] = (),
    levels: Sequence[int] = LEVELS,
    holes: Sequence[str] = (),
    units: str | None = None,
    latitude=LATITUDE,
    longitude=LONGITUDE,
    title: str = "a model",
) -> Path:
    """One run as NOAA lays it out; `factors` spoil variables by their name in the file, `holes` gives them a NaN."""
    path.parent.mkdir(parents=True, exist_ok=True)
    surface = surface or {"t2": "t2m", "u10": "u10m", "v10": "v10m", "msl": "msl"}
    factors = factors or {}
    with netCDF4.Dataset(path, "w") as out:
        out.title = title
        sizes = {"time": len(leads), "level": len(levels), "latitude": len(latitude), "longitude": len(longitude)}
        for name, size in sizes.items():
            out.createDimension(name, size)
        out.createVariable("time", "f8", ("time",))[:] = leads
        out["time"].units = units or f"hours since {init_time:%Y-%m-%d %H:%M:%S}"
        out.createVariable("level", "i4", ("level",))[:] = levels
        out.createVariable("latitude", "f4", ("latitude",))[:] = latitude
        out.createVariable("longitude", "f4", ("longitude",))[:] = longitude
        packed = {"zlib": True, "complevel": 4, "shuffle": True}
        chunk = (len(latitude), len(longitude))
        for name in [*surface, *letters]:
            if name in without:
                continue
            deep = name in letters
            dimensions = tuple(sizes) if deep else ("time", "latitude", "longitude")
            made = out.createVariable(
                name, "f4", dimensions, chunksizes=(*(1,) * (len(dimensions) - 2), *chunk), **packed
            )
            for number, lead in enumerate(leads):
                ids = [f"{name}{level}" for level in levels] if deep else [surface[name]]
                for depth, variable_id in enumerate(ids):
                    values = factors.get(name, 1.0) * globe(variable_id, init_time + lead * HOUR, latitude, longitude)
                    if name in holes:
                        values[np.argmin(abs(latitude - 23.0)), np.argmin(abs(longitude - 121.0))] = np.nan
                    made[(number, depth) if deep else number] = values
    return path


def write_ground(path: Path, *, name: str = "z", units: str = "m**2 s**-2", latitude=LATITUDE) -> Path:
    """Surface geopotential with a leading time, as CDS gives it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w") as out:
        for dimension, values in (("latitude", latitude), ("longitude", LONGITUDE)):
            out.createDimension(dimension, len(values))
            out.createVariable(dimension, "f8", (dimension,))[:] = values
        out.createDimension("valid_time", 1)
        made = out.createVariable(name, "f4", ("valid_time", "latitude", "longitude"))
        made.units = units
        made[0] = (9.80665 * ground(latitude))[:, None]
    return path
