"""NetCDF and Zarr files of a one-degree globe, linear in place and time, written independently of the simulation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import netCDF4
import numcodecs
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


ARCO_NAMES = {
    "t2m": "2m_temperature",
    "u10m": "10m_u_component_of_wind",
    "v10m": "10m_v_component_of_wind",
    "msl": "mean_sea_level_pressure",
    "sp": "surface_pressure",
    "tcwv": "total_column_water_vapour",
    "tp01": "total_precipitation",
    "z": "geopotential",
    "q": "specific_humidity",
    "t": "temperature",
    "u": "u_component_of_wind",
    "v": "v_component_of_wind",
}
CDS_NAMES = {"t2m": "t2m", "u10m": "u10", "v10m": "v10", "msl": "msl", "sp": "sp", "tcwv": "tcwv", "tp01": "tp"}


def native(variable_id: str, time: datetime, latitude=LATITUDE, longitude=LONGITUDE) -> np.ndarray:
    """A globe in ERA5's units: rain in metres."""
    factor = np.float32(1e-3 if variable_id == "tp01" else 1)
    return factor * globe(variable_id, time, latitude, longitude)


class Arco:
    """A Zarr 2 store on disk, written by hand: documents in JSON, chunks as Blosc or bare bytes."""

    levels = (250, 500, 850, 1000)
    start = datetime(1900, 1, 1, tzinfo=UTC)

    def __init__(self, root: Path, stop: str = "2026-06-11", compressor: bool = True) -> None:
        self.root, self.compressor = root, compressor
        self.document(
            "", ".zattrs", {"title": "an archive", "valid_time_stop": stop, "valid_time_stop_era5t": "2026-07-31"}
        )
        hours = (T - self.start) // HOUR + 1000
        units = {"units": "hours since 1900-01-01", "calendar": "proleptic_gregorian"}
        self.array("time", np.arange(hours, dtype="<i8"), (100_000,), ["time"], units)
        for name, values in (("latitude", LATITUDE), ("longitude", LONGITUDE)):
            self.array(name, values.astype("<f4"), values.shape, [name])
        self.array("level", np.array(self.levels, "<i8"), (len(self.levels),), ["level"])

    def index(self, time: datetime) -> int:
        return (time - self.start) // HOUR

    def document(self, name: str, kind: str, content: object) -> None:
        path = self.root / name / kind
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def described(self, shape: Sequence[int], chunks: Sequence[int], dtype: str, **more: object) -> dict[str, object]:
        packed = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0} if self.compressor else None
        return {
            "zarr_format": 2, "shape": list(shape), "chunks": list(chunks), "dtype": dtype, "compressor": packed,
            "filters": None, "order": "C", "fill_value": "NaN",
        } | more  # fmt: skip

    def array(self, name: str, values: np.ndarray, chunks: Sequence[int], dims: Sequence[str], attributes=None) -> None:
        """A whole one-dimensional array."""
        self.document(name, ".zarray", self.described(values.shape, chunks, values.dtype.str))
        self.document(name, ".zattrs", {"_ARRAY_DIMENSIONS": list(dims), **(attributes or {})})
        for number in range(-(-len(values) // chunks[0])):
            piece = np.zeros(chunks, values.dtype)
            part = values[number * chunks[0] : (number + 1) * chunks[0]]
            piece[: len(part)] = part
            self.chunk(f"{name}/{number}", piece)

    def chunk(self, path: str, values: np.ndarray) -> None:
        data = values.tobytes()
        if self.compressor:
            data = numcodecs.Blosc("lz4", 5, 1).encode(np.ascontiguousarray(values))
        (self.root / path).write_bytes(data)

    def write(self, ids: Sequence[str], times: Sequence[datetime], factor: float = 1.0) -> None:
        """Hours of variables: of a letter every level."""
        maps = {
            name: [v for v in ids if ARCO_NAMES[v if v in ARCO_NAMES else v[0]] == name] for name in ARCO_NAMES.values()
        }
        hours = (T - self.start) // HOUR + 1000
        for name, chosen in maps.items():
            if not chosen:
                continue
            deep = chosen[0] not in ARCO_NAMES
            stack = [f"{chosen[0][0]}{level}" for level in self.levels] if deep else chosen
            shape = (*((len(self.levels),) if deep else ()), 181, 360)
            dimensions = ["time", *(("level",) if deep else ()), "latitude", "longitude"]
            self.document(name, ".zarray", self.described((hours, *shape), (1, *shape), "<f4"))
            self.document(name, ".zattrs", {"_ARRAY_DIMENSIONS": dimensions})
            for time in times:
                values = np.stack([native(v, time) for v in stack]).reshape(1, *shape)
                self.chunk(self.key(name, time, deep), (np.float32(factor) * values).astype("<f4"))

    def key(self, name: str, time: datetime, deep: bool = False) -> str:
        return f"{name}/{self.index(time)}" + (".0.0.0" if deep else ".0.0")


def write_cds(
    path: Path,
    ids: Sequence[str],
    times: Sequence[datetime],
    *,
    old: bool = False,
    layers: bool = False,
    factors: Mapping[str, float] | None = None,
    latitude=LATITUDE,
    hidden: Sequence[datetime] = (),
) -> Path:
    """A CDS NetCDF by the C library: new (valid_time, pressure_level, expver strings) or old (time, level, 16 bits).

    `layers` gives the old form ERA5 and ERA5T as two layers, `hidden` times are missing in the first of them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    time_name, level_name = ("time", "level") if old else ("valid_time", "pressure_level")
    levels = sorted({int(v[1:]) for v in ids if v not in CDS_NAMES}, reverse=not old)
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET" if old else "NETCDF4") as out:
        sizes = {time_name: len(times), "latitude": len(latitude), "longitude": 360}
        sizes |= {level_name: len(levels)} if levels else {}
        sizes |= {"expver": 2} if layers else {}
        for name, size in sizes.items():
            out.createDimension(name, size)
        made = out.createVariable(time_name, "i4" if old else "i8", (time_name,))
        made.units = "hours since 1900-01-01 00:00:00.0" if old else "seconds since 1970-01-01"
        made.calendar = "gregorian" if old else "proleptic_gregorian"
        zero = datetime(1900, 1, 1, tzinfo=UTC)
        made[:] = [(time - zero) // HOUR if old else int(time.timestamp()) for time in times]
        out.createVariable("latitude", "f8", ("latitude",))[:] = latitude
        out.createVariable("longitude", "f8", ("longitude",))[:] = LONGITUDE
        if levels:
            out.createVariable(level_name, "i4" if old else "f8", (level_name,))[:] = levels
        if not old:
            out.createVariable("number", "i8", ())[...] = 0
            expver = out.createVariable("expver", str, (time_name,))
            expver[:] = np.array(["0001"] * len(times), object)
        for name in dict.fromkeys(CDS_NAMES.get(v, v[0]) for v in ids):
            _write_cds_variable(out, name, times, levels, old, layers, (factors or {}).get(name, 1.0), latitude, hidden)
    return path


def _write_cds_variable(out, name, times, levels, old, layers, factor, latitude, hidden) -> None:
    deep = name not in CDS_NAMES.values()
    time_name, level_name = ("time", "level") if old else ("valid_time", "pressure_level")
    dimensions = (
        time_name,
        *(("expver",) if layers else ()),
        *((level_name,) if deep else ()),
        "latitude",
        "longitude",
    )
    of_name = {short: variable_id for variable_id, short in CDS_NAMES.items()}
    ids = [f"{name}{level}" for level in levels] if deep else [of_name[name]]
    stack = np.array([[factor * native(v, t, latitude) for v in ids] for t in times], np.float64)
    low, high = stack.min(), stack.max()
    fill = -32767 if old else np.nan
    made = out.createVariable(name, "i2" if old else "f4", dimensions, fill_value=fill)
    made.set_auto_maskandscale(False)
    packed = stack
    if old:
        made.scale_factor, made.add_offset = (high - low) / 65000, (high + low) / 2
        made.missing_value = np.int16(fill)
        packed = np.round((stack - made.add_offset) / made.scale_factor)
    for number, time in enumerate(times):
        values = packed[number] if deep else packed[number, 0]
        if layers:
            empty = np.full_like(values, fill)
            values = np.stack([empty, values] if time in hidden else [values, empty])
        made[number] = values
