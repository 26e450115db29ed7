"""Simulated ERA5: the truth's large scale as an analysis, in ARCO's Zarr and in the forms of the Climate Data Store.

Fields cover the regional window of `global_ai`. Rain, which the large scale lacks, is a function of column water. The
bytes are a function of seed and times (and of the library versions, which NetCDF-4 files name).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import h5netcdf
import numcodecs
import numpy as np
import numpy.typing as npt
import zarr
from scipy.io import netcdf_file
from zarr.storage import MemoryStore

from stormcast_tw.cycle import hours
from stormcast_tw.simulation.files import grib
from stormcast_tw.simulation.files.global_ai import points
from stormcast_tw.simulation.world.climate import LEVELS_HPA
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.era5 import PROVIDED
from stormcast_tw.variables import VARIABLES

FloatArray = npt.NDArray[np.float64]

ARCO_LEVELS = (
    *(
        1,
        2,
        3,
        5,
        7,
        10,
        20,
        30,
        50,
        70,
        100,
        125,
        150,
        175,
        200,
        225,
        250,
        300,
        350,
        400,
        450,
        500,
        550,
        600,
        650,
        700,
    ),
    *(750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000),
)
_ARCO_START = datetime(1900, 1, 1, tzinfo=UTC)
_TIMES_IN_A_CHUNK = 50_000
_TITLE = "SIMULATED ERA5"
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_OLD_MISSING = -32767
_GRIB_LEADS = (6, 18)
"""Hours UTC at which the forecasts begin that ERA5's accumulations come from."""


def fields(world: World, time: datetime, ids: Sequence[str]) -> dict[str, FloatArray]:
    """Return ERA5's fields by our ids, each (69, 73), north to south, in ERA5's units: rain in metres."""
    truth = world.background(time, *points())
    truth["tp01"] = 1e-4 * np.maximum(truth["tcwv"] - 40.0, 0.0)
    return {variable_id: truth[variable_id] for variable_id in ids}


def arco(world: World, times: Sequence[datetime], ids: Sequence[str], filled_until: datetime) -> dict[str, bytes]:
    """Return the objects of a store by path: it holds these hours, and its time axis runs a year past the last one."""
    objects: dict[str, zarr.abc.buffer.Buffer] = {}  # type: ignore[name-defined]
    group = zarr.create_group(MemoryStore(objects), zarr_format=2)
    stop = f"{filled_until:%Y-%m-%d}"
    group.attrs.update({"title": _TITLE, "valid_time_start": "1940-01-01", "valid_time_stop": stop})
    count = int((times[-1] - _ARCO_START).total_seconds() // 3600) + 8760
    latitude, longitude = points()
    axes = {"latitude": latitude[:, 0].astype(np.float32), "longitude": longitude[0].astype(np.float32)}
    _arco_axis(group, "time", np.arange(count), {"units": "hours since 1900-01-01", "calendar": "proleptic_gregorian"})
    _arco_axis(group, "level", np.array(ARCO_LEVELS), {"units": "hPa"})
    for name, values in axes.items():
        _arco_axis(group, name, values, {})
    indices = [int((time - _ARCO_START).total_seconds() // 3600) for time in times]
    for name in dict.fromkeys(PROVIDED[variable_id].arco for variable_id in ids):
        deep = VARIABLES[next(v for v in ids if PROVIDED[v].arco == name)].level_hpa is not None
        shape = (*((len(ARCO_LEVELS),) if deep else ()), *latitude.shape)
        dimensions = ["time", *(("level",) if deep else ()), "latitude", "longitude"]
        array = _arco_array(group, name, (count, *shape), (1, *shape), "<f4", {"_ARRAY_DIMENSIONS": dimensions})
        for time, index in zip(times, indices, strict=True):
            array[index] = _arco_map(world, time, name, deep)
    return {path: buffer.to_bytes() for path, buffer in objects.items()}


def _arco_map(world: World, time: datetime, name: str, deep: bool) -> npt.NDArray[np.float32]:
    (letter, *_) = [variable_id for variable_id, names in PROVIDED.items() if names.arco == name]
    if not deep:
        return fields(world, time, [letter])[letter].astype(np.float32)
    truth = fields(world, time, [f"{letter[0]}{level}" for level in LEVELS_HPA])
    profile = np.stack([truth[f"{letter[0]}{level}"] for level in LEVELS_HPA])
    return np.stack([_at_level(profile, level) for level in ARCO_LEVELS]).astype(np.float32)


def _at_level(profile: FloatArray, level: int) -> FloatArray:
    """Interpolate a profile (13, y, x) to a level, linearly in log pressure; constant above 50 hPa."""
    place = np.interp(-np.log(level), -np.log(LEVELS_HPA), np.arange(len(LEVELS_HPA)))
    below = min(int(place), len(LEVELS_HPA) - 2)
    return np.asarray(profile[below] + (place - below) * (profile[below + 1] - profile[below]))


def _arco_axis(group: zarr.Group, name: str, values: npt.NDArray[np.generic], attributes: Mapping[str, str]) -> None:
    chunk = (min(values.size, _TIMES_IN_A_CHUNK),)
    array = _arco_array(group, name, values.shape, chunk, values.dtype.str, {"_ARRAY_DIMENSIONS": [name], **attributes})
    array[:] = values


def _arco_array(
    group: zarr.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str, attributes: Any
) -> Any:
    fill = np.nan if np.dtype(dtype).kind == "f" else None
    packed = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=1)
    return group.create_array(
        name, shape=shape, chunks=chunks, dtype=dtype, compressors=packed, fill_value=fill, attributes=attributes
    )


def cds_netcdf(world: World, times: Sequence[datetime], ids: Sequence[str]) -> bytes:
    """Return a NetCDF-4 file as the store makes since 2024-09: valid_time, pressure_level, number, expver (string)."""
    latitude, longitude = points()
    levels = sorted({VARIABLES[v].level_hpa or 0 for v in ids} - {0}, reverse=True)
    seconds = np.array([int(time.timestamp()) for time in times], np.int64)
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.attrs.update({"title": _TITLE, "Conventions": "CF-1.7", "institution": "none: simulated"})
        axes = {"valid_time": seconds, "latitude": latitude[:, 0], "longitude": longitude[0]}
        if levels:
            axes["pressure_level"] = np.array(levels, np.float64)
        for name, values in axes.items():
            file.dimensions[name] = values.size
            file.create_variable(name, (name,), values.dtype, data=values)
        file["valid_time"].attrs.update({"units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"})
        file.create_variable("number", (), np.int64, data=np.int64(0))
        for name, values in _stacked(world, times, ids, levels).items():
            deep = ("pressure_level",) if values.ndim == 4 else ()
            packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
            chunks = (1, *(1 for _ in deep), *latitude.shape)
            dimensions = ("valid_time", *deep, "latitude", "longitude")
            made = file.create_variable(name, dimensions, "f4", data=values.astype(np.float32), chunks=chunks, **packed)
            made.attrs["_FillValue"] = np.float32(np.nan)
        expver = np.array([b"0001"] * len(times), "S4")
        file.create_variable("expver", ("valid_time",), expver.dtype, data=expver)
    return buffer.getvalue()


def cds_old_netcdf(world: World, times: Sequence[datetime], ids: Sequence[str]) -> bytes:
    """Return a classic NetCDF file as the store made it before 2024-09: time, level, values packed in 16 bits."""
    latitude, longitude = points()
    levels = sorted({VARIABLES[v].level_hpa or 0 for v in ids} - {0})
    since_1900 = [int((time - _ARCO_START).total_seconds() // 3600) for time in times]
    axes = {"longitude": longitude[0].astype("f4"), "latitude": latitude[:, 0].astype("f4")}
    axes |= {"level": np.array(levels, "i4")} if levels else {}
    axes |= {"time": np.array(since_1900, "i4")}
    buffer = io.BytesIO()
    file = netcdf_file(buffer, "w", version=2)
    file.title = _TITLE
    for name, values in axes.items():
        file.createDimension(name, values.size)
        file.createVariable(name, values.dtype, (name,))[:] = values
    file.variables["time"].units = "hours since 1900-01-01 00:00:00.0"
    file.variables["time"].calendar = "gregorian"
    for name, values in _stacked(world, times, ids, levels).items():
        dimensions = ("time", *(("level",) if values.ndim == 4 else ()), "latitude", "longitude")
        made = file.createVariable(name, "i2", dimensions)
        offset, scale = float(values.min() + values.max()) / 2, float(np.ptp(values)) / 65_000 or 1.0
        made[:] = np.round((values - offset) / scale).astype(np.int16)
        made.scale_factor, made.add_offset = np.float64(scale), np.float64(offset)
        made._FillValue = made.missing_value = np.int16(_OLD_MISSING)
    file.flush()
    return buffer.getvalue()


def cds_zip(world: World, times: Sequence[datetime], ids: Sequence[str]) -> bytes:
    """Return a zip of two NetCDF-4 files, in which the store sends instantaneous and accumulated fields together."""
    kinds = {"instant": [v for v in ids if v != "tp01"], "accum": [v for v in ids if v == "tp01"]}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind, chosen in kinds.items():
            if chosen:
                member = zipfile.ZipInfo(f"data_stream-oper_stepType-{kind}.nc", _ZIP_DATE)
                archive.writestr(member, cds_netcdf(world, times, chosen), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def cds_grib(world: World, times: Sequence[datetime], ids: Sequence[str]) -> bytes:
    """Return GRIB 1 messages; an accumulation covers the last hour of a forecast that began at 06 or 18 UTC."""
    return b"".join(
        _message(values, variable_id, time)
        for time in times
        for variable_id, values in fields(world, time, ids).items()
    )


def _message(values: FloatArray, variable_id: str, time: datetime) -> bytes:
    level, latitude, longitude = VARIABLES[variable_id].level_hpa, *points()
    start, step = time, 0
    if variable_id == "tp01":
        lead = next(lead for lead in range(1, 13) if (time - hours(lead)).hour in _GRIB_LEADS)
        start, step = time - hours(lead), lead
    keys: dict[str, int | float | str] = {"centre": "ecmf", "setLocalDefinition": 1, "class": "ea", "expver": "SIMU"}
    keys |= {"dataDate": int(f"{start:%Y%m%d}"), "dataTime": start.hour * 100, "shortName": PROVIDED[variable_id].grib}
    keys |= {"level": level} if level else {}
    keys |= {"stepType": "accum", "stepRange": f"{step - 1}-{step}"} if step else {"step": 0}
    keys |= {"Ni": latitude.shape[1], "Nj": latitude.shape[0]}
    for axis, values_of, along in (("latitude", latitude[:, 0], "j"), ("longitude", longitude[0], "i")):
        keys[f"{axis}OfFirstGridPointInDegrees"] = float(values_of[0])
        keys[f"{axis}OfLastGridPointInDegrees"] = float(values_of[-1])
        keys[f"{along}DirectionIncrementInDegrees"] = abs(float(values_of[1] - values_of[0]))
    sample = f"regular_ll_{'pl' if level else 'sfc'}_grib1"
    return grib.message(values, keys, packing="grid_simple", bits=16, sample=sample)


def _stacked(
    world: World, times: Sequence[datetime], ids: Sequence[str], levels: Sequence[int]
) -> dict[str, FloatArray]:
    """Return arrays (time, [level], y, x) by CDS name; every upper-air variable has every level."""
    letters = dict.fromkeys(variable_id[0] for variable_id in ids if VARIABLES[variable_id].level_hpa)
    surface = [variable_id for variable_id in ids if not VARIABLES[variable_id].level_hpa]
    everything = [*surface, *(f"{letter}{level}" for letter in letters for level in levels)]
    hourly = [fields(world, time, everything) for time in times]
    out = {PROVIDED[v].netcdf: np.stack([hour[v] for hour in hourly]) for v in surface}
    for letter in letters:
        out[letter] = np.stack([np.stack([hour[f"{letter}{level}"] for level in levels]) for hour in hourly])
    return out
