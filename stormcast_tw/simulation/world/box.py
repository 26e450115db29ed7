"""The lattice on which the simulated weather is computed: TAIWAN_2KM with 32 more points on every side.

It is periodic for Fourier transforms; what wraps round its edges stays outside TAIWAN_2KM. Arrays are (288, 192)
float32, rows south to north.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.world.climate import LATITUDE_0, LONGITUDE_0
from stormcast_tw.simulation.world.geography import distance_km, land_mask, orography

Array = npt.NDArray[np.float32]

HALO = 32


def _extended(first: float, last: float, count: int) -> tuple[float, float, int]:
    step = (last - first) / (count - 1)
    return first - HALO * step, last + HALO * step, count + 2 * HALO


BOX = Grid(
    "SIMULATION_BOX",
    *_extended(TAIWAN_2KM.y_first, TAIWAN_2KM.y_last, TAIWAN_2KM.ny),
    *_extended(TAIWAN_2KM.x_first, TAIWAN_2KM.x_last, TAIWAN_2KM.nx),
)
INNER = (slice(HALO, -HALO), slice(HALO, -HALO))
"""The part of a box array that is TAIWAN_2KM."""

X_KM = distance_km(LATITUDE_0, BOX.x, LATITUDE_0, LONGITUDE_0)[0].astype(np.float32)
Y_KM = distance_km(BOX.y, LONGITUDE_0, LATITUDE_0, LONGITUDE_0)[1].astype(np.float32)
DX_KM, DY_KM = float(X_KM[1] - X_KM[0]), float(Y_KM[1] - Y_KM[0])


@dataclass(frozen=True)
class Wavenumbers:
    """Angular wavenumbers of the box in km-1, in rfft2 layout (288, 97)."""

    kx: Array
    ky: Array
    k: Array


@lru_cache(maxsize=1)
def wavenumbers() -> Wavenumbers:
    """Return the wavenumbers of the box."""
    ky = 2.0 * np.pi * np.fft.fftfreq(BOX.ny, DY_KM)[:, None]
    kx = 2.0 * np.pi * np.fft.rfftfreq(BOX.nx, DX_KM)[None, :]
    kx, ky = np.broadcast_arrays(kx, ky)
    return Wavenumbers(kx.astype(np.float32), ky.astype(np.float32), np.hypot(kx, ky).astype(np.float32))


def smoothed(values: npt.ArrayLike, radius_km: float) -> Array:
    """Return a box array smoothed with a Gaussian of standard deviation `radius_km`; periodic."""
    transfer = np.exp(-0.5 * (wavenumbers().k * radius_km) ** 2)
    spectrum = fft.rfft2(np.asarray(values, dtype=np.float32)) * transfer
    return np.asarray(fft.irfft2(spectrum, s=BOX.shape), dtype=np.float32)


def gradient(values: npt.ArrayLike) -> tuple[Array, Array]:
    """Return the eastward and northward derivative per km of a box array, by centred differences."""
    d_dy, d_dx = np.gradient(np.asarray(values, dtype=np.float32), DY_KM, DX_KM)
    return np.asarray(d_dx, dtype=np.float32), np.asarray(d_dy, dtype=np.float32)


class Sampler:
    """Bilinear interpolation from the box to fixed points, with weights computed once.

    `latitude` and `longitude` are in degrees, of any shape. Raises ValueError for a point outside the box.
    """

    def __init__(self, latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> None:
        j, i = BOX.index_of(latitude, longitude)
        if j.min() < 0 or i.min() < 0 or j.max() > BOX.ny - 1 or i.max() > BOX.nx - 1:
            raise ValueError(
                f"points reach box index ({j.min():.1f}..{j.max():.1f}, {i.min():.1f}..{i.max():.1f}) "
                f"outside the simulated {BOX.ny} x {BOX.nx}"
            )
        j0 = np.minimum(j.astype(np.int64), BOX.ny - 2)
        i0 = np.minimum(i.astype(np.int64), BOX.nx - 2)
        self._corner = j0 * BOX.nx + i0
        self._wy, self._wx = (j - j0).astype(np.float32), (i - i0).astype(np.float32)

    def __call__(self, values: Array) -> Array:
        """Return a box array interpolated to the points, float32, in their shape."""
        flat, corner, wx, wy = values.ravel(), self._corner, self._wx, self._wy
        south = flat[corner] * (1.0 - wx) + flat[corner + 1] * wx
        north = flat[corner + BOX.nx] * (1.0 - wx) + flat[corner + BOX.nx + 1] * wx
        return np.asarray(south * (1.0 - wy) + north * wy, dtype=np.float32)


@dataclass(frozen=True)
class Terrain:
    """What the ground does to the weather, each (288, 192).

    `height` m; `land` 0 or 1; `coastal` land smoothed over 10 km; `broad` height smoothed over 8 km, its slopes
    `dhdx`, `dhdy` in m per km; `wide_dhdx`, `wide_dhdy` slopes of the height smoothed over 24 km; `coast_x`, `coast_y`
    gradient of land smoothed over 15 km, per km; `flow` the four components (u from u, v from u, u from v, v from v)
    of the flow round the island that a unit wind causes; `exposure` to wind of ridges (above 1) and valleys (below 1);
    `rough` the drag factor of land.
    """

    height: Array
    land: Array
    coastal: Array
    broad: Array
    dhdx: Array
    dhdy: Array
    wide_dhdx: Array
    wide_dhdy: Array
    coast_x: Array
    coast_y: Array
    flow: tuple[Array, Array, Array, Array]
    exposure: Array
    rough: Array


@lru_cache(maxsize=1)
def terrain() -> Terrain:
    """Return the terrain of the box."""
    latitude, longitude = BOX.latlon()
    height = orography(latitude, longitude).astype(np.float32)
    land = land_mask(latitude, longitude).astype(np.float32)
    broad = np.maximum(smoothed(height, 8.0), 0.0)
    dhdx, dhdy = gradient(broad)
    wide_dhdx, wide_dhdy = gradient(smoothed(height, 24.0))
    coast_x, coast_y = gradient(smoothed(land, 15.0))
    exposure = np.clip(1.0 + (height - smoothed(height, 6.0)) / 700.0, 0.4, 1.7).astype(np.float32)
    return Terrain(
        height=height,
        land=land,
        coastal=smoothed(land, 10.0),
        broad=broad,
        dhdx=dhdx,
        dhdy=dhdy,
        wide_dhdx=wide_dhdx,
        wide_dhdy=wide_dhdy,
        coast_x=coast_x,
        coast_y=coast_y,
        flow=_flow_round(smoothed(height, 12.0)),
        exposure=exposure,
        rough=(1.0 - 0.38 * smoothed(land, 2.5)).astype(np.float32),
    )


def _flow_round(height: Array) -> tuple[Array, Array, Array, Array]:
    """Return the blocked flow: wind alternately slowed by the mountains and made non-divergent (Leray projection).

    It passes round the island: slow on the windward and lee sides, with jets off both ends and in the strait.
    """
    slowed = np.exp(-((np.maximum(height, 0.0) / 900.0) ** 1.5)).astype(np.float32)
    zero, one = np.zeros_like(slowed), np.ones_like(slowed)
    flows = []
    for u, v in ((one, zero), (zero, one)):
        for _ in range(3):
            u, v = _non_divergent(slowed * u, slowed * v, float(u.mean()), float(v.mean()))
        flows += [u, v]
    return flows[0], flows[1], flows[2], flows[3]


def _non_divergent(u: Array, v: Array, mean_u: float, mean_v: float) -> tuple[Array, Array]:
    """Return the non-divergent part of a wind, with its mean set to (`mean_u`, `mean_v`)."""
    n = wavenumbers()
    k2 = np.where(n.k > 0, n.k**2, 1.0)
    u_hat, v_hat = fft.rfft2(u), fft.rfft2(v)
    along = (n.kx * u_hat + n.ky * v_hat) / k2
    u_hat, v_hat = u_hat - n.kx * along, v_hat - n.ky * along
    u_hat[0, 0], v_hat[0, 0] = BOX.ny * BOX.nx * mean_u, BOX.ny * BOX.nx * mean_v
    u_out, v_out = fft.irfft2(u_hat, s=BOX.shape), fft.irfft2(v_hat, s=BOX.shape)
    return np.asarray(u_out, dtype=np.float32), np.asarray(v_out, dtype=np.float32)
