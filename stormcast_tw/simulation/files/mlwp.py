"""Simulated NOAA MLWP: the NetCDF-4 file of one run of one model, as `sources.mlwp` reads it, on a regional window.

Chunks hold one map, with gzip 4 and shuffle as in the archive. HDF5 object times are off (h5netcdf's default), so that
the bytes are a function of the seed and of the library versions, which NetCDF writes into `_NCProperties`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime

import h5netcdf
import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import hours
from stormcast_tw.simulation.files.global_ai import points, run_fields
from stormcast_tw.simulation.world.geography import orography
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.mlwp import LAST_LEAD_HOURS, LEVELS_HPA, MODELS, STEP_HOURS
from stormcast_tw.sources.translate.derive import GRAVITY, R_DRY, R_VAPOUR, mixed_phase

Array = npt.NDArray[np.float32]

_MAP = ("latitude", "longitude")
_CELL = np.linspace(-0.15, 0.15, 5)
"""Offsets in degrees from the centre of a cell at which its orography is sampled."""


def encode(world: World, model: str, init_time: datetime, last_lead_hours: int = LAST_LEAD_HOURS) -> bytes:
    """Return the bytes of one model's run of `init_time`: every six hours from lead 0 to `last_lead_hours`."""
    leads = range(0, last_lead_hours + 1, STEP_HOURS)
    steps = [run_fields(world, init_time, lead) for lead in leads]
    for fields in steps:
        fields |= {f"r{level}": _relative_humidity(fields, level) for level in LEVELS_HPA}
    attributes = {"title": f"SIMULATED {MODELS[model].label}", "Conventions": "CF-1.8"}
    stacked: dict[str, list[list[npt.NDArray[np.float64]]]] = {}
    for variable_id, (name, _) in MODELS[model].provided.items():
        stacked.setdefault(name, []).append([fields[variable_id] for fields in steps])
    maps = {
        name: np.stack([np.stack(level) for level in levels], axis=1).astype(np.float32)
        if len(levels) > 1
        else np.stack(levels[0]).astype(np.float32)
        for name, levels in stacked.items()
    }
    return _netcdf(maps, [init_time + hours(lead) for lead in leads], attributes)


def encode_orography() -> bytes:
    """Return the bytes of a NetCDF file of the surface geopotential on the same grid, as the ERA5 archive gives it."""
    latitude, longitude = points()
    cell = np.mean([orography(latitude + dy, longitude + dx) for dy in _CELL for dx in _CELL], axis=0)
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.attrs["title"] = "SIMULATED surface geopotential"
        _axes(file)
        variable = file.create_variable("z", _MAP, "f4", data=(GRAVITY * cell).astype(np.float32))
        variable.attrs["units"] = "m**2 s**-2"
    return buffer.getvalue()


def _relative_humidity(fields: Mapping[str, npt.NDArray[np.float64]], level: int) -> npt.NDArray[np.float64]:
    """Return relative humidity in % over ECMWF's mixed phase, the definition that FourCastNet was trained with."""
    q, t, ratio = fields[f"q{level}"], fields[f"t{level}"], R_DRY / R_VAPOUR
    vapour_pressure = 100.0 * level * q / (ratio + (1.0 - ratio) * q)
    return np.asarray(100.0 * vapour_pressure / mixed_phase(t))


def _netcdf(maps: Mapping[str, Array], times: Sequence[datetime], attributes: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.attrs.update(attributes)
        file.dimensions = {"time": len(times), "level": len(LEVELS_HPA)}
        seconds = np.array([(time - times[0]).total_seconds() for time in times])
        time = file.create_variable("time", ("time",), "f8", data=seconds / 3600.0)
        time.attrs["units"] = f"hours since {times[0]:%Y-%m-%d %H:%M:%S}"
        level = file.create_variable("level", ("level",), "i4", data=np.array(LEVELS_HPA, np.int32))
        level.attrs["units"] = "hPa"
        _axes(file)
        for name, values in maps.items():
            dimensions = ("time", *(("level",) if values.ndim == 4 else ()), *_MAP)
            chunks = (*(1 for _ in dimensions[:-2]), *values.shape[-2:])
            packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
            file.create_variable(name, dimensions, "f4", data=values, chunks=chunks, **packed)
    return buffer.getvalue()


def _axes(file: h5netcdf.File) -> None:
    latitude, longitude = points()
    for name, values, units in (
        ("latitude", latitude[:, 0], "degrees_north"),
        ("longitude", longitude[0], "degrees_east"),
    ):
        file.dimensions[name] = values.size
        file.create_variable(name, (name,), "f4", data=values.astype(np.float32)).attrs["units"] = units
