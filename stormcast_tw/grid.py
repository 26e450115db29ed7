"""Horizontal grids: evenly spaced axes in degrees or in the metres of a map projection; wind rotation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import PlainSerializer, PlainValidator

from stormcast_tw.lazy import lazy_import

if TYPE_CHECKING:
    import pyproj
    import xarray as xr
else:
    pyproj = lazy_import("pyproj")
    xr = lazy_import("xarray")

FloatArray = npt.NDArray[np.float64]

EARTH_RADIUS_WRF = 6_370_000.0
"""Radius in metres of the sphere that WRF (and CWA's WRF products) compute on."""

KM_PER_DEGREE = 111.195
"""Kilometres per degree along a great circle of the mean earth (radius 6371 km)."""

_LATITUDE = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"}
_LONGITUDE = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"}
_Y = {
    "standard_name": "projection_y_coordinate",
    "long_name": "y of the projection",
    "units": "m",
    "axis": "Y",
}
_X = {
    "standard_name": "projection_x_coordinate",
    "long_name": "x of the projection",
    "units": "m",
    "axis": "X",
}


@dataclass(frozen=True)
class Grid:
    """A regular grid, described by its end points; both ends are grid points, y and x ascend.

    `projection` holds PROJ parameters (for example `proj`, `lat_1`, `R`) as sorted pairs, empty for plain
    latitude/longitude in degrees. Grids are equal when all of this is equal; the name is a label only.
    Raises ValueError when an axis does not ascend or has fewer than two points.
    """

    name: str
    y_first: float
    y_last: float
    ny: int
    x_first: float
    x_last: float
    nx: int
    projection: tuple[tuple[str, float | str], ...] = ()

    def __post_init__(self) -> None:
        for axis, first, last, count in (
            ("y", self.y_first, self.y_last, self.ny),
            ("x", self.x_first, self.x_last, self.nx),
        ):
            if count < 2 or not last > first:
                raise ValueError(
                    f"grid {self.name}: axis {axis} from {first} to {last} with {count} points does not ascend"
                )

    @classmethod
    def from_axes(
        cls,
        name: str,
        y: npt.ArrayLike,
        x: npt.ArrayLike,
        projection: Mapping[str, float | str] | None = None,
        tolerance: float = 1e-3,
    ) -> Grid:
        """Describe the grid with these axes (y, x); raises ValueError unless each is even and ascending.

        `tolerance` is the largest allowed distance from an even axis, as a fraction of the spacing.
        """
        ends: list[float | int] = []
        for label, values in (("y", y), ("x", x)):
            axis = np.asarray(values, dtype=np.float64)
            even = np.linspace(axis[0], axis[-1], axis.size)
            spacing = (axis[-1] - axis[0]) / max(axis.size - 1, 1)
            error = np.max(np.abs(axis - even))
            if not error <= tolerance * abs(spacing):
                raise ValueError(f"grid {name}: axis {label} is uneven by {error:g} with a spacing of {spacing:g}")
            ends += [float(axis[0]), float(axis[-1]), int(axis.size)]
        pairs = tuple(sorted((projection or {}).items()))
        return cls(name, ends[0], ends[1], int(ends[2]), ends[3], ends[4], int(ends[5]), pairs)

    @property
    def is_geographic(self) -> bool:
        """True for a latitude/longitude grid."""
        return not self.projection

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self.ny, self.nx

    @property
    def dims(self) -> tuple[str, str]:
        """Names of the two horizontal dimensions."""
        return ("latitude", "longitude") if self.is_geographic else ("y", "x")

    @property
    def y(self) -> FloatArray:
        """The y axis (ny,): degrees north or metres."""
        return np.linspace(self.y_first, self.y_last, self.ny)

    @property
    def x(self) -> FloatArray:
        """The x axis (nx,): degrees east or metres."""
        return np.linspace(self.x_first, self.x_last, self.nx)

    @property
    def dy(self) -> float:
        """Spacing along y."""
        return (self.y_last - self.y_first) / (self.ny - 1)

    @property
    def dx(self) -> float:
        """Spacing along x."""
        return (self.x_last - self.x_first) / (self.nx - 1)

    @property
    def fingerprint(self) -> str:
        """sha256 of the axes and the projection: two grids are the same points if and only if these agree."""
        described = self.describe()
        del described["name"]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return the grid as plain JSON values; `Grid.parse` is the inverse."""
        return {
            "name": self.name,
            "y": [self.y_first, self.y_last, self.ny],
            "x": [self.x_first, self.x_last, self.nx],
            "projection": dict(self.projection),
        }

    @classmethod
    def parse(cls, described: Mapping[str, Any]) -> Grid:
        """Read what `describe` wrote; raises ValueError for an invalid grid."""
        (y_first, y_last, ny), (x_first, x_last, nx) = described["y"], described["x"]
        pairs = tuple(sorted(described["projection"].items()))
        return cls(described["name"], y_first, y_last, int(ny), x_first, x_last, int(nx), pairs)

    def latlon(self) -> tuple[FloatArray, FloatArray]:
        """Return the latitude and longitude of every point in degrees, each (ny, nx); the arrays are read-only."""
        return _latlon(self)

    @property
    def spacing_km(self) -> tuple[float, float]:
        """Mean distance between neighbours along y and x, in km."""
        if not self.is_geographic:
            return self.dy / 1000.0, self.dx / 1000.0
        middle = np.cos(np.radians((self.y_first + self.y_last) / 2.0))
        return KM_PER_DEGREE * self.dy, float(KM_PER_DEGREE * self.dx * middle)

    def index_of(self, latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return fractional indices (j, i) of points given in degrees; outside the grid they lie beyond its ends."""
        y, x = np.asarray(latitude, dtype=np.float64), np.asarray(longitude, dtype=np.float64)
        if not self.is_geographic:
            x, y = self._proj(x, y)
        return (y - self.y_first) / self.dy, (x - self.x_first) / self.dx

    def grid_north(self) -> FloatArray:
        """Return the angle in radians (ny, nx) by which true north lies anticlockwise of the grid's y axis.

        Positive where true north leans left of grid north. In WRF's files SINALPHA = -sin and COSALPHA = cos
        of this angle for a Lambert grid east of STAND_LON; measured here by a small step north, so that it
        holds for any conformal projection.
        """
        if self.is_geographic:
            return np.zeros(self.shape)
        latitude, longitude = self.latlon()
        step = 1e-4
        x0, y0 = self._proj(longitude, latitude - step)
        x1, y1 = self._proj(longitude, latitude + step)
        return np.asarray(np.arctan2(-(x1 - x0), y1 - y0), dtype=np.float64)

    @property
    def _proj(self) -> pyproj.Proj:
        return _proj(self.projection)

    def coordinates(self) -> xr.Dataset:
        """Return a dataset of CF coordinates and the grid mapping variable `crs`, to be merged into a dataset.

        A projected grid also carries 2-D `latitude` and `longitude`. `Grid.of` is the inverse.
        """
        return _coordinates(self).copy()

    def with_cells(self) -> xr.Dataset:
        """Return `coordinates` and the edges of the cells, half a spacing to either side of their points.

        They are latitude_bounds (latitude, 2) and longitude_bounds; on a projection y_bounds and x_bounds.
        """
        made = self.coordinates()
        for dim, values, step in zip(self.dims, (self.y, self.x), (self.dy, self.dx), strict=True):
            edges = np.stack([values - step / 2, values + step / 2], axis=-1)
            made = made.assign_coords({f"{dim}_bounds": ((dim, "bounds"), edges)})
            made[dim].attrs["bounds"] = f"{dim}_bounds"
        return made

    @classmethod
    def of(cls, dataset: xr.Dataset) -> Grid:
        """Read the grid of a dataset written with `coordinates`; raises ValueError if it is missing or changed."""
        if "crs" not in dataset.variables:
            raise ValueError("the dataset has no grid mapping variable 'crs'")
        attributes = dataset["crs"].attrs
        projection = json.loads(attributes.get("projection", "{}"))
        y, x = ("y", "x") if projection else ("latitude", "longitude")
        grid = cls.from_axes(attributes["grid_name"], dataset[y].values, dataset[x].values, projection)
        if grid.fingerprint != attributes["grid_fingerprint"]:
            raise ValueError(f"the axes of grid {grid.name} are not those it was written with")
        return grid


def _parsed(value: Any) -> Grid:
    try:
        return value if isinstance(value, Grid) else Grid.parse(value)
    except (KeyError, TypeError) as error:
        raise ValueError(f"is not a grid: {error!r}") from error


DescribedGrid = Annotated[Grid, PlainValidator(_parsed), PlainSerializer(Grid.describe)]
"""A grid as a field of a pydantic model: in JSON it is what `Grid.describe` returns."""


@lru_cache(maxsize=64)
def _proj(projection: tuple[tuple[str, float | str], ...]) -> pyproj.Proj:
    return pyproj.Proj(dict(projection))


@lru_cache(maxsize=8)
def _latlon(grid: Grid) -> tuple[FloatArray, FloatArray]:
    x, y = np.meshgrid(grid.x, grid.y)
    longitude, latitude = (x, y) if grid.is_geographic else grid._proj(x, y, inverse=True)
    for axis in (latitude, longitude):
        axis.flags.writeable = False
    return latitude, longitude


@lru_cache(maxsize=8)
def _coordinates(grid: Grid) -> xr.Dataset:
    attributes: dict[str, Any] = {"grid_name": grid.name, "grid_fingerprint": grid.fingerprint}
    axes: dict[str, tuple[Any, ...]]
    if grid.is_geographic:
        attributes |= pyproj.CRS.from_epsg(4326).to_cf()
        axes = {
            "latitude": ("latitude", grid.y, _LATITUDE),
            "longitude": ("longitude", grid.x, _LONGITUDE),
        }
    else:
        attributes |= pyproj.CRS.from_dict(dict(grid.projection)).to_cf()
        attributes |= {"projection": json.dumps(dict(grid.projection), sort_keys=True)}
        latitude, longitude = grid.latlon()
        horizontal = {k: v for k, v in _LATITUDE.items() if k != "axis"}
        axes = {
            "y": ("y", grid.y, _Y),
            "x": ("x", grid.x, _X),
            "latitude": (("y", "x"), latitude, horizontal),
            "longitude": (("y", "x"), longitude, {k: v for k, v in _LONGITUDE.items() if k != "axis"}),
        }
    return xr.Dataset(coords={**axes, "crs": ((), np.int32(0), attributes)})


def to_earth_relative(
    u: npt.NDArray[Any], v: npt.NDArray[Any], cos_alpha: npt.NDArray[Any], sin_alpha: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Turn grid-relative wind components into eastward and northward ones, m s-1, any shape.

    `cos_alpha`, `sin_alpha` are WRF's COSALPHA and SINALPHA (WRF Users' Guide, "wind rotation").
    """
    return u * cos_alpha - v * sin_alpha, v * cos_alpha + u * sin_alpha


def to_grid_relative(
    eastward: npt.NDArray[Any],
    northward: npt.NDArray[Any],
    cos_alpha: npt.NDArray[Any],
    sin_alpha: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The inverse of `to_earth_relative`."""
    return eastward * cos_alpha + northward * sin_alpha, northward * cos_alpha - eastward * sin_alpha
