"""Simulated RWRP: raw `wrfout_d02` files, one per time, on a 2-km Lambert grid, with grid-relative winds.

A run initialised at T0 is the truth's world branched at T0, with a smooth analysis error added from its start. Its rain
is accumulated since T0 in buckets of 100 mm, as WRF does with `bucket_mm = 100`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import Proj
from scipy.interpolate import RectBivariateSpline
from scipy.io import netcdf_file, netcdf_variable

from stormcast_tw.grid import EARTH_RADIUS_WRF, Grid, to_grid_relative
from stormcast_tw.simulation.world.box import BOX, Sampler
from stormcast_tw.simulation.world.chance import Array, hour_index
from stormcast_tw.simulation.world.climate import GRAVITY, R_DRY
from stormcast_tw.simulation.world.geography import land_mask, orography
from stormcast_tw.simulation.world.smooth_error import smooth_errors
from stormcast_tw.simulation.world.weather import World

TRUELAT1, TRUELAT2, STAND_LON = 10.0, 40.0, 120.0
CEN_LAT, CEN_LON = 23.6, 121.0
SPACING_M = 2000.0
NY, NX = 264, 162
BUCKET_MM = 100.0
CONE = (np.log(np.cos(np.radians(TRUELAT1))) - np.log(np.cos(np.radians(TRUELAT2)))) / (
    np.log(np.tan(np.radians(45.0 - TRUELAT1 / 2.0))) - np.log(np.tan(np.radians(45.0 - TRUELAT2 / 2.0)))
)
"""Cone constant of the projection (Snyder 1987, eq. 15-3)."""

ANALYSIS_ERROR = {"t2m": 0.52 / 3.0, "u10m": 1.10 / 3.0, "v10m": 1.13 / 3.0}
"""Standard deviations: a third of a trained model's one-hour forecast errors over Taiwan, K and m s-1."""
_RAIN_ERROR = 0.25
"""Standard deviation of the logarithm of the factor on rain."""
_SHARES = {"RAINC": 0.10, "RAINSH": 0.05, "RAINNC": 0.85}


@lru_cache(maxsize=1)
def grid() -> Grid:
    """Return the grid of the simulated RWRP: 264 x 162 points, 2 km apart, in a Lambert projection."""
    projection: dict[str, float | str] = {
        "proj": "lcc",
        "lat_1": TRUELAT1,
        "lat_2": TRUELAT2,
        "lat_0": CEN_LAT,
        "lon_0": STAND_LON,
        "R": EARTH_RADIUS_WRF,
    }
    x0, y0 = Proj(projection)(CEN_LON, CEN_LAT)
    y = y0 + SPACING_M * (np.arange(NY) - (NY - 1) / 2.0)
    x = x0 + SPACING_M * (np.arange(NX) - (NX - 1) / 2.0)
    return Grid.from_axes("RWRP_SIMULATED", y, x, projection)


@lru_cache(maxsize=1)
def _ground() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Array, Array, Sampler]:
    latitude, longitude = grid().latlon()
    height = orography(latitude, longitude).astype(np.float32)
    land = land_mask(latitude, longitude).astype(np.float32)
    return latitude, longitude, height, land, Sampler(latitude, longitude)


def run_on_box(world: World, init_time: datetime, lead_hours: int) -> dict[str, Array]:
    """Return a run's t2m, u10m, v10m and tp01 (rain of the past hour; zero at lead 0) on the box (288, 192)."""
    run = world.branch(init_time, "rwrp")
    fields = dict(run.box(init_time + timedelta(hours=lead_hours)))
    errors = smooth_errors(world.chance, "analysis", hour_index(init_time), 4)
    for name, error in zip(ANALYSIS_ERROR, errors, strict=False):
        fields[name] = fields[name] + np.float32(ANALYSIS_ERROR[name]) * error
    fields["tp01"] = fields["tp01"] * np.exp(np.float32(_RAIN_ERROR) * errors[3]) * np.float32(lead_hours > 0)
    return fields


def run_fields(world: World, init_time: datetime, lead_hours: int) -> dict[str, Array]:
    """Return WRF's 2-D fields (264, 162) of a run at a lead, WRF's units: T2, Q2, U10, V10, PSFC, RAINC and so on."""
    latitude, longitude, height, land, sample = _ground()
    valid_time = init_time + timedelta(hours=lead_hours)
    here = {name: sample(values) for name, values in run_on_box(world, init_time, lead_hours).items()}
    alpha = np.radians(STAND_LON - longitude) * CONE
    cos_alpha, sin_alpha = np.cos(alpha).astype(np.float32), np.sin(alpha).astype(np.float32)
    u, v = to_grid_relative(here["u10m"], here["v10m"], cos_alpha, sin_alpha)
    msl, q1000 = _large_scale(world.branch(init_time, "rwrp"), valid_time, latitude, longitude)
    mean_t = here["t2m"] + 2.75e-3 * height
    pressure = msl * np.exp(-GRAVITY * height / (R_DRY * mean_t))
    return {
        "XLAT": latitude,
        "XLONG": longitude,
        "COSALPHA": cos_alpha,
        "SINALPHA": sin_alpha,
        "HGT": height,
        "LANDMASK": land,
        "T2": here["t2m"],
        "Q2": np.minimum(q1000 * np.exp(-height / 2600.0), _saturation(here["t2m"], pressure)),
        "PSFC": pressure,
        "U10": u,
        "V10": v,
    } | _accumulated_rain(world, init_time, lead_hours)


def _large_scale(
    run: World, time: datetime, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sea level pressure (Pa) and humidity of the lowest air (kg kg-1) at points, from a coarse lattice."""
    y, x = np.linspace(BOX.y_first, BOX.y_last, 14), np.linspace(BOX.x_first, BOX.x_last, 10)
    coarse = run.background(time, *np.meshgrid(y, x, indexing="ij"))
    msl, q = (RectBivariateSpline(y, x, coarse[name]).ev(latitude, longitude) for name in ("msl", "q1000"))
    return msl, np.clip(q, 1e-4, 0.03)


def _saturation(temperature: Array, pressure: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Saturation mixing ratio, kg kg-1 (Bolton 1980, eq. 10)."""
    celsius = temperature.astype(np.float64) - 273.15
    vapour = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    return np.asarray(0.622 * vapour / (pressure - vapour))


def _accumulated_rain(world: World, init_time: datetime, lead_hours: int) -> dict[str, Array]:
    """Rain since init_time in WRF's three kinds, with full buckets counted separately."""
    sample = _ground()[4]
    total = np.zeros(grid().shape)
    for lead in range(1, lead_hours + 1):
        total += sample(run_on_box(world, init_time, lead)["tp01"])
    fields: dict[str, Array] = {"RAINSH": (_SHARES["RAINSH"] * total).astype(np.float32)}
    for name in ("RAINC", "RAINNC"):
        amount = _SHARES[name] * total
        buckets = np.floor(amount / BUCKET_MM)
        fields[name] = (amount - BUCKET_MM * buckets).astype(np.float32)
        fields[f"I_{name}"] = buckets.astype(np.int32)
    return fields


_DESCRIPTIONS = {
    # WRF's name: description, units
    "XLAT": ("LATITUDE, SOUTH IS NEGATIVE", "degree_north"),
    "XLONG": ("LONGITUDE, WEST IS NEGATIVE", "degree_east"),
    "COSALPHA": ("Local cosine of map rotation", ""),
    "SINALPHA": ("Local sine of map rotation", ""),
    "HGT": ("Terrain Height", "m"),
    "LANDMASK": ("LAND MASK (1 FOR LAND, 0 FOR WATER)", ""),
    "T2": ("TEMP at 2 M", "K"),
    "Q2": ("QV at 2 M", "kg kg-1"),
    "PSFC": ("SFC PRESSURE", "Pa"),
    "U10": ("U at 10 M", "m s-1"),
    "V10": ("V at 10 M", "m s-1"),
    "RAINC": ("ACCUMULATED TOTAL CUMULUS PRECIPITATION", "mm"),
    "RAINSH": ("ACCUMULATED SHALLOW CUMULUS PRECIPITATION", "mm"),
    "RAINNC": ("ACCUMULATED TOTAL GRID SCALE PRECIPITATION", "mm"),
    "I_RAINC": ("BUCKET FOR CUMULUS PRECIPITATION", ""),
    "I_RAINNC": ("BUCKET FOR GRID SCALE PRECIPITATION", ""),
}


def encode(world: World, init_time: datetime, lead_hours: int) -> bytes:
    """Return the bytes of the wrfout file, with surface fields only, for `lead_hours` of the run of `init_time`.

    Classic netCDF with 64-bit offsets, WRF's own default: an HDF5 file would record the time of writing, and the C
    library leaves whatever was in memory between the arrays.
    """
    buffer = io.BytesIO()
    file = begin(buffer, init_time, lead_hours)
    write_surface(file, run_fields(world, init_time, lead_hours))
    file.flush()
    return buffer.getvalue()


def begin(buffer: io.BytesIO, init_time: datetime, lead_hours: int) -> netcdf_file:
    """Begin a file for one time: global attributes, horizontal dimensions, Times and XTIME."""
    valid_time = init_time + timedelta(hours=lead_hours)
    file = netcdf_file(buffer, "w", version=2)
    for name, value in _global_attributes(init_time).items():
        setattr(file, name, value)
    for name, size in (("Time", None), ("DateStrLen", 19), ("west_east", NX), ("south_north", NY)):
        file.createDimension(name, size)
    times = file.createVariable("Times", "c", ("Time", "DateStrLen"))
    times[0] = np.array(list(f"{valid_time:%Y-%m-%d_%H:%M:%S}"), dtype="S1")
    _write_xtime(file, init_time, lead_hours)
    return file


def write_surface(file: netcdf_file, fields: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the fields of `run_fields`, described as in WRF's files."""
    for name, values in fields.items():
        write(file, name, values, *_DESCRIPTIONS[name])


def _write_xtime(file: netcdf_file, init_time: datetime, lead_hours: int) -> None:
    xtime = file.createVariable("XTIME", "f4", ("Time",))
    since = f"minutes since {init_time:%Y-%m-%d %H:%M:%S}"
    _describe(xtime, 104, "0  ", since, since)
    xtime[0] = 60.0 * lead_hours


def write(
    file: netcdf_file,
    name: str,
    values: npt.NDArray[Any],
    description: str,
    units: str,
    dimensions: tuple[str, ...] = ("south_north", "west_east"),
) -> None:
    """Write a field with these dimensions after Time, described as in WRF's files."""
    integer = np.issubdtype(values.dtype, np.integer)
    variable = file.createVariable(name, "i4" if integer else "f4", ("Time", *dimensions))
    _describe(variable, 106 if integer else 104, "XYZ" if len(dimensions) == 3 else "XY ", description, units)
    staggered = [letter for letter, d in zip("ZYX"[-len(dimensions) :], dimensions, strict=True) if d.endswith("_stag")]
    variable.stagger = "".join(staggered)
    variable.coordinates = "XLONG XLAT" if name in ("XLAT", "XLONG") else "XLONG XLAT XTIME"
    variable[0] = values


def _describe(variable: netcdf_variable, kind: int, order: str, description: str, units: str) -> None:
    variable.FieldType = np.int32(kind)
    variable.MemoryOrder = order
    variable.description = description
    variable.units = units
    variable.stagger = ""


def _global_attributes(init_time: datetime) -> dict[str, str | np.generic]:
    """The global attributes of a real file that describe its grid and times."""
    start = f"{init_time:%Y-%m-%d_%H:%M:%S}"
    texts = {"TITLE": " SIMULATED OUTPUT FROM STORMCAST-TW IN THE FORM OF WRF V4.4 MODEL", "START_DATE": start,
             "SIMULATION_START_DATE": start, "GRIDTYPE": "C", "SIMULATION_INITIALIZATION_TYPE": "SIMULATED",
             "MAP_PROJ_CHAR": "Lambert Conformal", "MMINLU": "USGS"}  # fmt: skip
    whole = {"WEST-EAST_GRID_DIMENSION": NX + 1, "SOUTH-NORTH_GRID_DIMENSION": NY + 1, "MAP_PROJ": 1, "GRID_ID": 2,
             "PARENT_ID": 1, "PARENT_GRID_RATIO": 5, "MP_PHYSICS": 8, "CU_PHYSICS": 1, "SHCU_PHYSICS": 1,
             "JULYR": init_time.year, "JULDAY": int(f"{init_time:%j}"), "ISWATER": 16, "NUM_LAND_CAT": 24}  # fmt: skip
    real = {"DX": SPACING_M, "DY": SPACING_M, "DT": 10.0, "BUCKET_MM": BUCKET_MM, "CEN_LAT": CEN_LAT,
            "CEN_LON": CEN_LON, "TRUELAT1": TRUELAT1, "TRUELAT2": TRUELAT2, "MOAD_CEN_LAT": CEN_LAT,
            "STAND_LON": STAND_LON, "POLE_LAT": 90.0, "POLE_LON": 0.0, "GMT": float(init_time.hour)}  # fmt: skip
    return (
        texts | {name: np.int32(value) for name, value in whole.items()} | {n: np.float32(x) for n, x in real.items()}
    )
