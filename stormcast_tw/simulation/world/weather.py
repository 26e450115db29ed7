"""The simulated truth: surface weather over Taiwan as a function of (seed, time).

A `World` is a seed and the branches taken from it. Its weather at a time uses only innovations stamped no later than
that time, and any hour can be computed without the hours before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.interpolate import make_interp_spline

from stormcast_tw.cycle import datetime64
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.settings import WORLD_SEED
from stormcast_tw.simulation.world.background import background
from stormcast_tw.simulation.world.box import BOX, INNER, X_KM, Y_KM, Terrain, terrain
from stormcast_tw.simulation.world.chance import Array, Branch, Chance, hour_index
from stormcast_tw.simulation.world.convection import Convection, convection
from stormcast_tw.simulation.world.diurnal import heating
from stormcast_tw.simulation.world.mesoscale import mesoscale
from stormcast_tw.simulation.world.regimes import regime
from stormcast_tw.simulation.world.synoptic import LargeScale, Synopsis, add_features, smooth_fields, synopsis
from stormcast_tw.variables import STATE_SETS, VARIABLES

FloatArray = npt.NDArray[np.float64]

SURFACE_IDS = STATE_SETS["surface"].ids

LAPSE_RATE = 5.4e-3
"""K per m: the annual mean shown by stations on Taiwan's mountains."""

HEAVIEST_MM = 120.0
"""Where hourly rain saturates: gauges on Taiwan have recorded a little more, 2-km cells have not."""

FORESIGHT_HOURS = 12
"""How long before its arrival weather from upstream can be seen. Without it the global model's errors over Taiwan at
18 h were 2.5 K, 3.8 m/s (v10m) and 455 Pa; with it they are 0.9 K, 1.4 m/s and 160 Pa (root mean square, 24 runs)."""


@dataclass(frozen=True)
class World:
    """One simulated atmosphere: a seed and the branches taken from it."""

    seed: int = WORLD_SEED
    branches: tuple[Branch, ...] = ()

    @property
    def chance(self) -> Chance:
        """The innovations of this world."""
        return Chance(self.seed, self.branches)

    def branch(self, time: datetime, key: str, foresight_hours: int = 0) -> World:
        """Return a world with the same past up to and including `time` and different chance after it.

        What comes from upstream (waves, fronts, air masses, typhoons) stays the same for another `foresight_hours`:
        tonight's front is on this morning's global map. Branches that this world takes after `time` are left out: a
        forecast does not know the future.
        """
        hour = hour_index(time)
        past = tuple(branch for branch in self.branches if branch.hour < hour)
        return World(self.seed, (*past, Branch(hour, key, foresight_hours)))

    def box(self, time: datetime) -> dict[str, Array]:
        """Return t2m (K), u10m, v10m (m s-1) and tp01 (mm in the hour ending at `time`) on the box (288, 192)."""
        hour = hour_index(time)
        return _surface(self.chance.until(hour), hour)

    def surface(self, time: datetime) -> xr.Dataset:
        """Return the truth on TAIWAN_2KM: t2m, u10m, v10m, tp01, each (latitude, longitude) float32."""
        fields = self.box(time)
        return xr.Dataset(
            {
                name: (("latitude", "longitude"), fields[name][INNER], VARIABLES[name].attributes)
                for name in SURFACE_IDS
            },
            coords={**TAIWAN_2KM.coordinates().coords, "time": datetime64(time)},
            attrs={"title": "SIMULATED weather over Taiwan", "simulated": 1, "seed": self.seed},
        )

    def background(
        self,
        time: datetime,
        latitude: npt.ArrayLike,
        longitude: npt.ArrayLike,
        shift_km: tuple[float, float] = (0.0, 0.0),
    ) -> dict[str, FloatArray]:
        """Return what a global model sees at `time`, at points given in degrees: see background.background."""
        hour = hour_index(time)
        return background(self.chance.until(hour), hour, latitude, longitude, shift_km)

    def regime(self, time: datetime) -> str:
        """Return the name of the weather regime at `time`: one of regimes.REGIMES."""
        hour = hour_index(time)
        return regime(synopsis(self.chance, hour))


@lru_cache(maxsize=1)
def _upsampling() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return cubic interpolation from a coarse lattice to the box: matrices (288, 19), (192, 13), coarse axes in km."""
    matrices, axes = [], []
    for axis, count in ((Y_KM, 19), (X_KM, 13)):
        coarse = np.linspace(axis[0], axis[-1], count)
        spline = make_interp_spline(coarse, np.eye(count), k=3)
        matrices.append(np.asarray(spline(axis), dtype=np.float64))
        axes.append(coarse)
    return matrices[0], matrices[1], axes[0], axes[1]


def large_scale_on_box(state: Synopsis) -> LargeScale:
    """Return the large scale on the box, arrays (288, 192), with the stream function left at zero."""
    to_y, to_x, north, east = _upsampling()
    coarse = smooth_fields(state, east[None, :], north[:, None])
    strips = to_y.reshape(24, -1, to_y.shape[1])  # small products keep BLAS from starting threads
    u, v, t = ((strips @ (values @ to_x.T)).reshape(BOX.shape) for values in (coarse.u, coarse.v, coarse.t))
    fields = LargeScale(u, v, t, *(np.zeros_like(u) for _ in range(5)))
    return add_features(state, fields, X_KM[None, :], Y_KM[:, None])


@lru_cache(maxsize=24)
def _surface(chance: Chance, hour: int) -> dict[str, Array]:
    state = synopsis(chance, hour)
    large = large_scale_on_box(state)
    noise = mesoscale(chance, hour, state.drift_km)
    cells = convection(chance, hour)
    ground = terrain()
    rain = _rain(state, large, noise, cells, ground)
    u, v = _wind(state, large, noise, cells, ground)
    t = _temperature(state, large, noise["t"], cells, rain, ground)
    fields = {"t2m": t, "u10m": u, "v10m": v, "tp01": rain}
    for values in fields.values():
        values.flags.writeable = False
    return fields


def _wind(
    state: Synopsis, large: LargeScale, noise: dict[str, Array], cells: Convection, ground: Terrain
) -> tuple[Array, Array]:
    """Return the wind at 10 m: blocked and channelled large-scale wind, sea and slope breezes, outflows and eddies."""
    free_u, free_v = large.u.astype(np.float32), large.v.astype(np.float32)
    speed = np.sqrt(free_u**2 + free_v**2)
    blocking = np.clip(1.15 - speed / 45.0, 0.4, 0.95).astype(np.float32)
    blocking = blocking * (1.0 - 0.5 * np.minimum(ground.height / 3000.0, 1.0))  # ridges stand in the free flow
    uu, vu, uv, vv = ground.flow
    u = free_u + blocking * (uu * free_u + uv * free_v - free_u)
    v = free_v + blocking * (vu * free_u + vv * free_v - free_v)
    drag = 0.95 * ground.rough * ground.exposure
    breeze, slope = _breezes(state)
    u = drag * u + breeze * ground.coast_x + slope * ground.dhdx + cells.outflow_u
    v = drag * v + breeze * ground.coast_y + slope * ground.dhdy + cells.outflow_v
    gusty = (0.85 + 0.022 * speed) * (0.4 + 0.6 * ground.rough)
    u += gusty * (noise["u"] + np.float32(0.4 * state.index["local_u"]))
    v += gusty * (1.15 * noise["v"] + np.float32(0.4 * state.index["local_v"]))
    return np.clip(u, -75, 75).astype(np.float32), np.clip(v, -75, 75).astype(np.float32)


def _breezes(state: Synopsis) -> tuple[float, float]:
    """Return strengths of the sea breeze (m s-1 per km-1 of land gradient) and the slope wind (m s-1 per m km-1)."""
    warmth = heating(state.hour) * (1.0 - 0.3 * np.tanh(state.index["moisture"]))
    warmth = max(warmth, 0.6 * warmth)  # the land breeze is shallow and weak
    season = 0.75 + 0.25 * state.summer
    return float(170.0 * warmth * season), float(0.036 * warmth * season)


def _temperature(
    state: Synopsis, large: LargeScale, noise: Array, cells: Convection, rain: Array, ground: Terrain
) -> Array:
    """Return t2m: sea-level air, lapse rate, daily cycle over land, cold pools, cooling by rain, and eddies."""
    sea = 298.3 + 4.0 * state.summer - (0.0030 - 0.0024 * state.summer) * Y_KM[:, None]
    land = 297.9 + 5.6 * state.summer - (0.0048 - 0.0042 * state.summer) * Y_KM[:, None]
    base = sea + (land - sea) * ground.coastal + large.t * (0.75 + 0.25 * ground.coastal)
    cloud = np.clip(0.45 + 0.2 * state.index["moisture"] + 0.5 * large.lift + 0.12 * large.storm, 0.1, 0.95)
    day = (4.6 + 0.8 * state.summer) * heating(state.hour) * (1.25 - cloud)
    lapse = LAPSE_RATE + 0.5e-3 * state.summer
    t = base + day * (ground.coastal * (1.0 - 0.25 * ground.broad / 3000.0) + 0.06) - lapse * ground.height
    t += (0.39 + 0.22 * ground.land) * noise + 0.60 * np.float32(state.index["local_t"])
    t -= cells.cooling + 0.5 * np.log1p(rain) * (0.4 + 0.3 * state.summer)
    return np.asarray(t, dtype=np.float32)


def _rain(state: Synopsis, large: LargeScale, noise: dict[str, Array], cells: Convection, ground: Terrain) -> Array:
    """Return rain of the hour in mm: monsoon, upslope, frontal and typhoon rain with texture, and convective cells.

    Northerly flow reaches the slopes from the north-east, turned by the island.
    """
    moisture, texture = state.index["moisture"], noise["rain"]
    u, v = large.u.astype(np.float32), large.v.astype(np.float32)
    u = u - 0.35 * np.clip(-v, 0.0, 10.0)
    rise = np.maximum(u * ground.dhdx + v * ground.dhdy, 0.0)
    windward = np.exp(np.clip((u * ground.wide_dhdx + v * ground.wide_dhdy) / 50.0, -3.5, 1.7))
    supply = np.clip(0.6 + 0.35 * moisture + 0.8 * large.lift + 0.1 * large.storm, 0.1, 2.0)
    northerly = np.clip((np.sqrt(u * u + v * v) - 4.0) / 6.0, 0.0, 1.5) * np.clip(-v / 6.0, 0.0, 1.0)
    monsoon = 0.36 * northerly * (0.75 - 0.25 * state.summer) * supply * windward
    upslope = 1.5 * np.tanh(rise / 500.0) * supply * (0.8 + 0.3 * state.summer)
    frontal = 2.2 * (0.8 + 0.5 * state.summer) * (1.3 * np.tanh(large.lift / 1.3)) ** 1.5 * supply
    lumps = np.clip(texture + 0.35, 0.0, None) ** 1.2
    storm = large.storm * (1.0 + 1.1 * np.tanh(rise / 700.0)) * (0.75 + 0.25 * np.minimum(windward, 2.0))
    banded = 0.78 * storm * np.clip(0.85 + 0.7 * noise["storm"], 0.0, None) ** 1.15
    rain = (monsoon + upslope + frontal) * lumps + banded + cells.rain * np.exp(0.65 * texture - 0.21)
    rain = np.where(rain < 0.05, 0.0, HEAVIEST_MM * np.tanh(rain / HEAVIEST_MM))
    return np.asarray(rain, dtype=np.float32)
