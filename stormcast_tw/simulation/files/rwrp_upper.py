"""Simulated RWRP above the ground: raw `wrfout_d02` files with WRF's staggered volumes, on request.

Aloft the air is what the global model sees of the same run, on its 13 pressure levels; towards the ground it merges
into the run's own km-scale surface. Geopotential is the hydrostatic integral from the terrain upwards. Eight volumes of
34 levels make a file of 49 MB; the surface-only files of `rwrp.encode` are unaffected.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RectBivariateSpline

from stormcast_tw.grid import to_earth_relative, to_grid_relative
from stormcast_tw.simulation.files.rwrp import begin, grid, run_fields, write, write_surface
from stormcast_tw.simulation.world.box import BOX
from stormcast_tw.simulation.world.chance import Array
from stormcast_tw.simulation.world.climate import LEVELS_HPA
from stormcast_tw.simulation.world.weather import World

FloatArray = npt.NDArray[np.float64]

GRAVITY, R_DRY, R_VAPOUR, KAPPA = 9.81, 287.0, 461.6, 2.0 / 7.0
"""WRF's constants (share/module_model_constants.F)."""

TOP = 5000.0
"""Pressure of the highest face, Pa."""
COUNT = 34

_FADE = {"t": 0.10, "u": 0.09, "v": 0.09, "q": 0.20}
"""Depth in ln(surface pressure / pressure) over which surface weather fades into the free air: 0.1 is 850 m."""
_LOG_LEVELS = np.log(np.array(LEVELS_HPA, dtype=np.float64) * 100.0)


@dataclass(frozen=True, eq=False)
class Aloft:
    """The air over the points of the simulated RWRP, available at any pressure.

    `free` holds t, u, v and q on the global model's levels (13, ny, nx); `surface` holds them at the ground (ny, nx),
    where the pressure is `surface_pressure` (Pa) and the height `height` (m); winds are earth-relative. `sea_level` is
    the run's pressure reduced to sea level, Pa.
    """

    free: dict[str, FloatArray]
    surface: dict[str, FloatArray]
    surface_pressure: FloatArray
    sea_level: FloatArray
    height: FloatArray

    def at(self, pressure: npt.ArrayLike) -> dict[str, FloatArray]:
        """Return t (K), u, v (m s-1), q (kg kg-1), (ny, nx), at each column's pressure (Pa); linear in ln p."""
        log_p = np.broadcast_to(np.log(np.asarray(pressure, np.float64)), self.height.shape)
        depth = np.maximum(np.log(self.surface_pressure) - log_p, 0.0)
        ground = self._at_ground
        here = self._free(log_p)
        return {
            letter: np.maximum(values, 1e-7) if letter == "q" else values
            for letter, fade in _FADE.items()
            for values in [here[letter] + (self.surface[letter] - ground[letter]) * np.exp(-depth / fade)]
        }

    def virtual_temperature(self, pressure: npt.ArrayLike) -> FloatArray:
        """Return virtual temperature in K (ny, nx) at each column's pressure (Pa)."""
        state = self.at(pressure)
        return state["t"] * (1.0 + (R_VAPOUR / R_DRY - 1.0) * state["q"])

    @cached_property
    def _at_ground(self) -> dict[str, FloatArray]:
        return self._free(np.log(self.surface_pressure))

    def _free(self, log_p: FloatArray) -> dict[str, FloatArray]:
        index = np.clip(np.searchsorted(-_LOG_LEVELS, -log_p), 1, len(_LOG_LEVELS) - 1)
        weight = (log_p - _LOG_LEVELS[index - 1]) / (_LOG_LEVELS[index] - _LOG_LEVELS[index - 1])
        lower, upper = (
            {name: np.take_along_axis(values, place[None], 0)[0] for name, values in self.free.items()}
            for place in (index - 1, index)
        )
        return {name: (1.0 - weight) * lower[name] + weight * upper[name] for name in self.free}


def aloft(world: World, init_time: datetime, lead_hours: int) -> Aloft:
    """Return the air of a run at a lead: as in `rwrp.run_fields` at the ground, as in `World.background` above."""
    fields = run_fields(world, init_time, lead_hours)
    valid_time = init_time + timedelta(hours=lead_hours)
    y, x = np.linspace(BOX.y_first, BOX.y_last, 14), np.linspace(BOX.x_first, BOX.x_last, 10)
    coarse = world.branch(init_time, "rwrp").background(valid_time, *np.meshgrid(y, x, indexing="ij"))
    latitude, longitude = fields["XLAT"], fields["XLONG"]

    def here(name: str) -> FloatArray:
        return np.asarray(RectBivariateSpline(y, x, coarse[name]).ev(latitude, longitude))

    free = {letter: np.stack([here(f"{letter}{level}") for level in LEVELS_HPA]) for letter in "tuvq"}
    east, north = to_earth_relative(fields["U10"], fields["V10"], fields["COSALPHA"], fields["SINALPHA"])
    surface = {"t": fields["T2"], "u": east, "v": north, "q": fields["Q2"] / (1.0 + fields["Q2"])}
    return Aloft(
        free=free,
        surface={letter: np.asarray(values, np.float64) for letter, values in surface.items()},
        surface_pressure=np.asarray(fields["PSFC"], np.float64),
        sea_level=here("msl"),
        height=np.asarray(fields["HGT"], np.float64),
    )


@lru_cache(maxsize=1)
def eta_faces() -> FloatArray:
    """Return WRF's vertical coordinate at the faces (35,): layers 50 m deep at the ground, 800 m above 4 km."""
    depth = np.minimum(50.0 * 1.2 ** np.arange(COUNT), 800.0)
    height = np.concatenate([[0.0], np.cumsum(depth)])
    pressure = np.exp(-height / 7600.0)
    return np.asarray((pressure - pressure[-1]) / (1.0 - pressure[-1]))


def faces_and_centres(surface_pressure: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return pressure (Pa) at the faces (35, ny, nx) and, as their means, at the mass points (34, ny, nx)."""
    faces = TOP + eta_faces()[:, None, None] * (surface_pressure - TOP)
    return faces, 0.5 * (faces[1:] + faces[:-1])


def geopotential(height: FloatArray, faces: FloatArray, virtual_temperature: FloatArray) -> FloatArray:
    """Return the hydrostatic geopotential (m2 s-2) at the faces of layers with this virtual temperature (K)."""
    layers = R_DRY * virtual_temperature * np.log(faces[:-1] / faces[1:])
    return np.concatenate([GRAVITY * height[None], GRAVITY * height + np.cumsum(layers, axis=0)])


def _base_state(height: FloatArray) -> tuple[FloatArray, FloatArray]:
    """WRF's base state: pressure at mass points, geopotential at faces (NCAR/TN-556, eq. 5.1 to 5.4)."""
    warmth, lapse = 290.0, 50.0
    surface = 1e5 * np.exp(-warmth / lapse + np.sqrt((warmth / lapse) ** 2 - 2.0 * GRAVITY * height / (lapse * R_DRY)))
    faces, centres = faces_and_centres(surface)
    return centres, geopotential(height, faces, np.maximum(warmth + lapse * np.log(centres / 1e5), 200.0))


def volumes(air: Aloft) -> dict[str, FloatArray]:
    """Return WRF's 3-D fields by name: T (potential temperature less 300 K), P, PB, PH, PHB, QVAPOR, U and V."""
    faces, centres = faces_and_centres(air.surface_pressure)
    layers = [air.at(pressure) for pressure in centres]
    t, q, east, north = (np.stack([level[letter] for level in layers]) for letter in "tquv")
    base, base_geopotential = _base_state(air.height)
    full = geopotential(air.height, faces, t * (1.0 + (R_VAPOUR / R_DRY - 1.0) * q))
    turn = grid().grid_north()
    u, v = to_grid_relative(east, north, np.cos(turn), -np.sin(turn))
    return {
        "U": _to_sides(u, 2),
        "V": _to_sides(v, 1),
        "PH": full - base_geopotential,
        "PHB": base_geopotential,
        "T": t * (1e5 / centres) ** KAPPA - 300.0,
        "P": centres - base,
        "PB": base,
        "QVAPOR": q / (1.0 - q),
    }


def _to_sides(values: FloatArray, axis: int) -> FloatArray:
    """Return values at the sides of cells along an axis: the mean of both cells, at the edges the value of the last."""
    padded = np.pad(values, [(int(axis == number),) * 2 for number in range(3)], mode="edge")
    count = padded.shape[axis]
    return 0.5 * (np.take(padded, range(count - 1), axis) + np.take(padded, range(1, count), axis))


_MASS = ("bottom_top", "south_north", "west_east")
_VOLUMES = {
    # WRF's name: description, units, dimensions after Time
    "U": ("x-wind component", "m s-1", (*_MASS[:2], "west_east_stag")),
    "V": ("y-wind component", "m s-1", (_MASS[0], "south_north_stag", _MASS[2])),
    "PH": ("perturbation geopotential", "m2 s-2", ("bottom_top_stag", *_MASS[1:])),
    "PHB": ("base-state geopotential", "m2 s-2", ("bottom_top_stag", *_MASS[1:])),
    "T": ("perturbation potential temperature theta-t0", "K", _MASS),
    "P": ("perturbation pressure", "Pa", _MASS),
    "PB": ("BASE STATE PRESSURE", "Pa", _MASS),
    "QVAPOR": ("Water vapor mixing ratio", "kg kg-1", _MASS),
}


def encode(world: World, init_time: datetime, lead_hours: int) -> bytes:
    """Return the bytes of the wrfout file of `rwrp.encode` with the volumes added."""
    ny, nx = grid().shape
    buffer = io.BytesIO()
    file = begin(buffer, init_time, lead_hours)
    sizes = {"bottom_top": COUNT, "bottom_top_stag": COUNT + 1, "west_east_stag": nx + 1, "south_north_stag": ny + 1}
    for name, size in sizes.items():
        file.createDimension(name, size)
    write_surface(file, run_fields(world, init_time, lead_hours))
    fields: dict[str, Array | FloatArray] = dict(volumes(aloft(world, init_time, lead_hours)))
    for name, (description, units, dimensions) in _VOLUMES.items():
        write(file, name, fields[name], description, units, dimensions)
    file.flush()
    return buffer.getvalue()
