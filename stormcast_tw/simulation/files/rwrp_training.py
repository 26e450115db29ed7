"""Simulated RWRP training archive: `wrfout_d01_YYYY-MM-DD_HH_interp`, in the units and shape of the real one.

data-formats.md 2.3: `slp` hPa, `z_p` height, `QVAPOR_p` mixing ratio, earth-relative winds, 31 `pres_levels`. Points
below ground hold fill values, as WRF's tools leave them; those of the real archive are not known.
"""

from __future__ import annotations

import io
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy.io import netcdf_file

from stormcast_tw.simulation.files.rwrp import begin, run_fields, write
from stormcast_tw.simulation.files.rwrp_upper import GRAVITY, R_DRY, Aloft, aloft, faces_and_centres, geopotential
from stormcast_tw.simulation.world.weather import World

FloatArray = npt.NDArray[np.float64]

PRES_LEVELS = (1000, 975, 950, 925, 900, 875, 850, 825, 800, 775, 750, 700, 650, 600, 550, 500, 450, 400, 350, 300, 250,
               225, 200, 175, 150, 125, 100, 70, 50, 30, 20)  # fmt: skip
FILL = 9.96921e36
"""netCDF's default fill value."""

_ON_LEVELS = {
    # the archive's name: description, units
    "umet_p": ("eastward wind on pressure levels, SIMULATED", "m s-1"),
    "vmet_p": ("northward wind on pressure levels, SIMULATED", "m s-1"),
    "tk_p": ("temperature on pressure levels, SIMULATED", "K"),
    "z_p": ("height on pressure levels, SIMULATED", "m"),
    "QVAPOR_p": ("water vapour mixing ratio on pressure levels, SIMULATED", "kg kg-1"),
}
_FLAT = {
    "XLAT": ("LATITUDE, SOUTH IS NEGATIVE", "degree_north"),
    "XLONG": ("LONGITUDE, WEST IS NEGATIVE", "degree_east"),
    "HGT": ("Terrain Height", "m"),
    "LANDMASK": ("LAND MASK (1 FOR LAND, 0 FOR WATER)", ""),
    "T2": ("TEMP at 2 M", "K"),
    "PSFC": ("SFC PRESSURE", "Pa"),
    "umet10": ("eastward wind at 10 m", "m s-1"),
    "vmet10": ("northward wind at 10 m", "m s-1"),
    "slp": ("sea level pressure", "hPa"),
    "pw": ("precipitable water", "kg m-2"),
}


def encode(world: World, init_time: datetime, lead_hours: int) -> bytes:
    """Return the bytes of the archive's file for `lead_hours` of the run of `init_time`."""
    air = aloft(world, init_time, lead_hours)
    faces, centres = faces_and_centres(air.surface_pressure)
    levels = [air.at(pressure) for pressure in centres]
    water = sum(level["q"] * layer for level, layer in zip(levels, faces[:-1] - faces[1:], strict=True)) / GRAVITY
    flat = run_fields(world, init_time, lead_hours) | {
        "umet10": air.surface["u"],
        "vmet10": air.surface["v"],
        "slp": air.sea_level / 100.0,
        "pw": water,
    }
    buffer = io.BytesIO()
    file = begin(buffer, init_time, lead_hours)
    for name, (description, units) in _FLAT.items():
        write(file, name, flat[name], description, units)
    _write_levels(file, air)
    file.flush()
    return buffer.getvalue()


def _write_levels(file: netcdf_file, air: Aloft) -> None:
    file.createDimension("pres_bottom_top", len(PRES_LEVELS))
    pressures = file.createVariable("pres_levels", "f4", ("pres_bottom_top",))
    pressures.units, pressures[:] = "hPa", np.array(PRES_LEVELS, np.float32)
    height = heights(air)
    levels = [_level(air, 100.0 * hpa, height[hpa]) for hpa in PRES_LEVELS]
    for name, (description, units) in _ON_LEVELS.items():
        values = np.stack([level[name] for level in levels])
        write(file, name, values, description, units, ("pres_bottom_top", "south_north", "west_east"))


def _level(air: Aloft, pressure: float, height: FloatArray) -> dict[str, FloatArray]:
    state = air.at(pressure)
    fields = {
        "umet_p": state["u"],
        "vmet_p": state["v"],
        "tk_p": state["t"],
        "z_p": height,
        "QVAPOR_p": state["q"] / (1.0 - state["q"]),
    }
    return {name: np.where(air.surface_pressure >= pressure, values, FILL) for name, values in fields.items()}


def heights(air: Aloft) -> dict[int, FloatArray]:
    """Return the height in m of every level of PRES_LEVELS, by hPa, integrated up from the raw file's face below it."""
    faces, centres = faces_and_centres(air.surface_pressure)
    at_faces = geopotential(air.height, faces, np.stack([air.virtual_temperature(pressure) for pressure in centres]))
    out = {}
    for hpa in PRES_LEVELS:
        pressure = 100.0 * hpa
        place = np.clip(np.sum(faces >= pressure, axis=0) - 1, 0, len(faces) - 1)[None]
        below, start = (np.take_along_axis(values, place, 0)[0] for values in (faces, at_faces))
        between = air.virtual_temperature(np.sqrt(below * pressure))
        out[hpa] = (start + R_DRY * between * np.log(below / pressure)) / GRAVITY
    return out
