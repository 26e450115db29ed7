"""The three-dimensional atmosphere of a raw `wrfout` file: model levels from its staggered and perturbation fields.

WRF stores potential temperature minus 300 K (`T`), pressure and geopotential as base state and perturbation (`P` +
`PB`, `PH` + `PHB`), mixing ratio (`QVAPOR`), winds on the faces of cells along the grid's axes (Skamarock et al. 2021,
"A Description of the Advanced Research WRF Model Version 4.3", NCAR/TN-556, chapters 2 and 3; WRF Users' Guide, "WRF
output fields").

xwrf 0.0.5 does part of this on an xarray dataset of a whole file: three sums and a mean of faces. It is not used,
because it cannot read byte ranges, takes a moving nest's grid from the first time, and puts geopotential at the mean of
two faces, which is not the layer's mass point: off by 0.25 % of the depth of every layer in the real sample, 15 m at
500 hPa.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid, to_earth_relative
from stormcast_tw.sources.translate.pressure_levels import GRAVITY, R_DRY, R_VAPOUR, Level
from stormcast_tw.sources.wrfout import Wrfout

FloatArray = npt.NDArray[np.float64]
Volume = npt.NDArray[np.float32]

BASE_THETA, BASE_PRESSURE, KAPPA = 300.0, 1e5, 2.0 / 7.0
"""K, Pa and R/cp of WRF's perturbation potential temperature (share/module_model_constants.F)."""

HYDROSTATIC_TOLERANCE = 0.005
"""Largest relative difference, in the domain mean, between the depth of the lower half of the atmosphere and the depth
computed from its temperature: 0.0001 in the real sample. Moist potential temperature, which WRF 3.8 writes with
USE_THETA_M = 1, gives 0.02."""

_VOLUMES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[float, float]]] = {
    # ours: (terms of the sum, the three dimensions, the accepted range)
    "pressure": (("P", "PB"), ("bottom_top", "south_north", "west_east"), (100.0, 110_000.0)),
    "theta": (("T",), ("bottom_top", "south_north", "west_east"), (200.0 - BASE_THETA, 2000.0)),
    "mixing_ratio": (("QVAPOR",), ("bottom_top", "south_north", "west_east"), (-1e-4, 0.05)),
    "geopotential": (("PH", "PHB"), ("bottom_top_stag", "south_north", "west_east"), (-5e3, 1e6)),
    "u": (("U",), ("bottom_top", "south_north", "west_east_stag"), (-150.0, 150.0)),
    "v": (("V",), ("bottom_top", "south_north_stag", "west_east"), (-150.0, 150.0)),
}


@dataclass(frozen=True)
class Atmosphere:
    """The air over every point, south to north, from the ground up, float32 as stored.

    `pressure` (nz, ny, nx) Pa, `theta` K minus 300, `mixing_ratio` kg kg-1; `geopotential` (nz + 1, ny, nx) m2 s-2 at
    the faces between levels; `u` (nz, ny, nx + 1), `v` (nz, ny + 1, nx) m s-1 along the grid at the sides of cells;
    `rotation`, COSALPHA and SINALPHA (ny, nx), turns them.
    """

    rotation: tuple[FloatArray, FloatArray]
    pressure: Volume
    theta: Volume
    mixing_ratio: Volume
    geopotential: Volume
    u: Volume
    v: Volume

    def levels(self) -> Iterator[Level]:
        """Yield the levels from the lowest up, at mass points, with earth-relative winds."""
        return (self.level(number) for number in range(self.pressure.shape[0]))

    def level(self, number: int) -> Level:
        """Return one level, float64 (ny, nx)."""
        u, v = (np.asarray(values[number], np.float64) for values in (self.u, self.v))
        east, north = to_earth_relative(0.5 * (u[:, :-1] + u[:, 1:]), 0.5 * (v[:-1] + v[1:]), *self.rotation)
        pressure, t, ratio = self._air(number)
        below, above = np.asarray(self.geopotential[number : number + 2], np.float64)
        level = Level(pressure, east, north, t, ratio / (1.0 + ratio), below)
        return replace(level, z=below + self._share_below(number, level, above - below) * (above - below))

    def _share_below(self, number: int, level: Level, depth: FloatArray) -> FloatArray:
        """Return the share of a layer's depth (m2 s-2) that lies below its mass point.

        Pressure there is the mean of the pressures at both faces. In an isothermal layer that determines the height;
        the layer's temperature gradient adds a correction.
        """
        warmth = R_DRY * level.virtual_temperature
        thickness = depth / warmth  # in ln p
        share = np.log(2.0 / (1.0 + np.exp(-thickness))) / thickness
        (p0, t0, r0), (p1, t1, r1) = (
            self._air(n) for n in (max(number - 1, 0), min(number + 1, self.pressure.shape[0] - 1))
        )
        slope = R_DRY * (_virtual(t1, r1) - _virtual(t0, r0)) / np.log(p1 / p0)
        return np.asarray(share + 0.5 * slope / warmth * share * (1.0 - share) * thickness)

    def water_vapour(self) -> FloatArray:
        """Return the vapour of the column, kg m-2, (ny, nx): density of dry air times mixing ratio times depth."""
        total = np.zeros(self.pressure.shape[1:])
        for number in range(self.pressure.shape[0]):
            pressure, t, ratio = self._air(number)
            dry = pressure / (R_DRY * t * (1.0 + R_VAPOUR / R_DRY * ratio))
            below, above = np.asarray(self.geopotential[number : number + 2], np.float64)
            total += dry * ratio * (above - below) / GRAVITY
        return total

    def _air(self, number: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return pressure, temperature and mixing ratio of one level."""
        pressure, theta, ratio = (
            np.asarray(values[number], np.float64) for values in (self.pressure, self.theta, self.mixing_ratio)
        )
        return pressure, (theta + BASE_THETA) * (pressure / BASE_PRESSURE) ** KAPPA, np.maximum(ratio, 0.0)


def _virtual(t: FloatArray, ratio: FloatArray) -> FloatArray:
    return t * (1.0 + R_VAPOUR / R_DRY * ratio) / (1.0 + ratio)


def read_atmosphere(wrfout: Wrfout, index: int, grid: Grid) -> Atmosphere:
    """Read the atmosphere at time `index`, eight variables: 325 MB of a file of 50 x 450 x 450, 245 MB in memory.

    Raises BadInput for a variable that is absent, of another shape or out of range, and if geopotential and
    temperature contradict each other.
    """
    volumes = {name: _volume(wrfout, index, *row) for name, row in _VOLUMES.items()}
    (nz, ny, nx), address = volumes["pressure"].shape, wrfout.address
    shapes: dict[str, tuple[int, ...]] = {name: (nz, ny, nx) for name in ("pressure", "theta", "mixing_ratio")}
    shapes |= {"geopotential": (nz + 1, ny, nx), "u": (nz, ny, nx + 1), "v": (nz, ny + 1, nx)}
    for name, shape in shapes.items():
        if volumes[name].shape != shape or (ny, nx) != grid.shape or nz < 2:
            raise BadInput(f"{address}: {'+'.join(_VOLUMES[name][0])} is {volumes[name].shape}; allowed {shape}")
    atmosphere = Atmosphere(
        rotation=wrfout.rotation(index, grid),
        pressure=volumes["pressure"],
        theta=volumes["theta"],
        mixing_ratio=volumes["mixing_ratio"],
        geopotential=volumes["geopotential"],
        u=volumes["u"],
        v=volumes["v"],
    )
    _require_hydrostatic(atmosphere, address)
    return atmosphere


def _volume(
    wrfout: Wrfout, index: int, terms: tuple[str, ...], dimensions: tuple[str, ...], allowed: tuple[float, float]
) -> Volume:
    values: Any = wrfout.array(terms[0], index, dimensions)
    for term in terms[1:]:
        values = values + wrfout.array(term, index, dimensions)
    least, greatest = float(np.min(values)), float(np.max(values))
    if not (least >= allowed[0] and greatest <= allowed[1]):
        raise BadInput(
            f"{wrfout.address}: {'+'.join(terms)} spans {least:.6g} to {greatest:.6g};"
            f" allowed {allowed[0]:g} to {allowed[1]:g}"
        )
    return np.asarray(values, np.float32)


def _require_hydrostatic(atmosphere: Atmosphere, address: str) -> None:
    """Compare the mean depth of the lower half of the levels with the hypsometric equation's."""
    given = expected = 0.0
    lower = None
    for number in range(max(2, atmosphere.pressure.shape[0] // 2)):
        upper = atmosphere.level(number)
        if lower is not None:
            warmth = 0.5 * R_DRY * (lower.virtual_temperature + upper.virtual_temperature)
            expected += float(np.mean(warmth * np.log(lower.pressure / upper.pressure)))
            given += float(np.mean(upper.z - lower.z))
        lower = upper
    if not abs(given / expected - 1.0) <= HYDROSTATIC_TOLERANCE:
        raise BadInput(
            f"{address}: PH+PHB is {given / GRAVITY:.6g} m deep but T, P+PB and QVAPOR give {expected / GRAVITY:.6g} m;"
            f" allowed a difference of {HYDROSTATIC_TOLERANCE:.1%}"
        )
