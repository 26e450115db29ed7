"""Regridding: weights are computed once per (source grid, target grid) and applied many times.

Use `bilinear` for state variables, `cell_mean` for model rain on a projected grid, `conservative` for observed rain
with gaps. All compute in float64 and return the dtype they were given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid

FloatArray = npt.NDArray[np.float64]
Dtype = TypeVar("Dtype", np.float32, np.float64)

EDGE_TOLERANCE = 1e-3
"""How far, in source cells, a target point may lie beyond the last source point (axes are rounded to float32)."""

OBSERVED_SHARE = 0.999
"""Share of a target cell's area that valid source cells must cover for it to count as observed."""


@dataclass(frozen=True, eq=False)
class PointWeights:
    """Each target value is a weighted sum of source values; the weights of a target point add to 1."""

    source: Grid
    target: Grid
    matrix: sparse.csr_array

    def __call__(self, values: npt.NDArray[Dtype]) -> npt.NDArray[Dtype]:
        """Regrid (..., source ny, source nx) to (..., target ny, target nx). Raises ValueError for other shapes.

        NaN spreads to every target point with a weight on it.
        """
        _require_shape(values, self.source)
        flat = values.reshape(-1, self.source.ny * self.source.nx).astype(np.float64)
        out = (self.matrix @ flat.T).T
        return np.asarray(out).reshape(*values.shape[:-2], *self.target.shape).astype(values.dtype)


@lru_cache(maxsize=16)
def bilinear(source: Grid, target: Grid) -> PointWeights:
    """Return bilinear weights in the index space of the source, so that a projected grid needs no triangles.

    Exact for fields linear in the source's own coordinates. Raises BadInput when the target is not covered.
    """
    return PointWeights(source, target, _bilinear_matrix(source, target, *target.latlon()))


@lru_cache(maxsize=16)
def cell_mean(source: Grid, target: Grid, points: int = 4) -> PointWeights:
    """Return weights for the mean over each target cell, taken at points x points bilinear sub-points.

    For rain of a model: nearly conserves the total (within 0.5 % where rain lies in the interior), which point
    values do not. Raises BadInput when a target cell is not covered.
    """
    offsets = (np.arange(points) + 0.5) / points - 0.5
    matrix = sparse.csr_array((target.ny * target.nx, source.ny * source.nx))
    for dy in offsets * target.dy:
        for dx in offsets * target.dx:
            shifted = Grid(
                target.name,
                target.y_first + dy,
                target.y_last + dy,
                target.ny,
                target.x_first + dx,
                target.x_last + dx,
                target.nx,
                target.projection,
            )
            matrix = matrix + _bilinear_matrix(source, target, *shifted.latlon())
    return PointWeights(source, target, sparse.csr_array(matrix / points**2))


def _bilinear_matrix(source: Grid, target: Grid, latitude: FloatArray, longitude: FloatArray) -> sparse.csr_array:
    j, i = source.index_of(latitude, longitude)
    rows, row_weights = _along(j.ravel(), source.ny, "y", source, target)
    columns, column_weights = _along(i.ravel(), source.nx, "x", source, target)
    count = j.size
    data = (row_weights[:, :, None] * column_weights[:, None, :]).reshape(count, 4)
    index = (rows[:, :, None] * source.nx + columns[:, None, :]).reshape(count, 4)
    pointers = np.arange(0, 4 * count + 1, 4)
    return sparse.csr_array((data.ravel(), index.ravel(), pointers), shape=(count, source.ny * source.nx))


def covers(source: Grid, target: Grid) -> bool:
    """Return whether every point of the target lies on the source, as `bilinear` needs it."""
    indices = source.index_of(*target.latlon())
    return all(
        bool((_beyond(index, count) <= EDGE_TOLERANCE).all())
        for index, count in zip(indices, source.shape, strict=True)
    )


def _beyond(index: FloatArray, count: int) -> FloatArray:
    """Return how far fractional indices lie beyond the ends of an axis, in its cells; negative inside."""
    return np.maximum(-index, index - (count - 1))


def _along(
    index: FloatArray, count: int, axis: str, source: Grid, target: Grid
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return the two neighbours (n, 2) of fractional indices (n,) on an axis, and their weights (n, 2)."""
    beyond = _beyond(index, count)
    outside = ~(beyond <= EDGE_TOLERANCE)
    if outside.any():
        raise BadInput(
            f"grid {source.name} {source.shape} does not cover {target.name}: {np.count_nonzero(outside)} of"
            f" {index.size} points lie up to {float(np.max(beyond)):.3g} cells beyond its {axis} axis;"
            f" allowed {EDGE_TOLERANCE}"
        )
    clipped = np.clip(index, 0.0, count - 1.0)
    lower = np.minimum(clipped.astype(np.int64), count - 2)
    weight = clipped - lower
    return np.stack([lower, lower + 1], axis=-1), np.stack([1.0 - weight, weight], axis=-1)


@dataclass(frozen=True, eq=False)
class AreaWeights:
    """Overlap of latitude/longitude cells on the sphere: areas are dlongitude x dsin(latitude), hence separable."""

    source: Grid
    target: Grid
    rows: sparse.csr_array
    columns: sparse.csr_array
    areas: FloatArray

    def __call__(self, values: npt.NDArray[Dtype]) -> npt.NDArray[Dtype]:
        """Regrid (..., source ny, source nx) to (..., target ny, target nx); NaN where not observed.

        A target cell's value is the amount that valid source cells contribute, divided by the cell's whole area.
        Nothing is invented for the uncovered part (at most 0.1 %), so the area integral over the observed cells is
        conserved.
        """
        _require_shape(values, self.source)
        valid = np.isfinite(values)
        amount = self._integrate(np.where(valid, values, 0.0).astype(np.float64))
        covered = self._integrate(valid.astype(np.float64))
        observed = covered >= OBSERVED_SHARE * self.areas
        return np.where(observed, amount / self.areas, np.nan).astype(values.dtype)

    def _integrate(self, values: FloatArray) -> FloatArray:
        flat = values.reshape(-1, *values.shape[-2:])
        out = np.stack([(self.columns @ (self.rows @ field).T).T for field in flat])
        return out.reshape(*values.shape[:-2], *out.shape[-2:])


@lru_cache(maxsize=16)
def conservative(source: Grid, target: Grid) -> AreaWeights:
    """Return first-order conservative weights (Jones 1999, Mon. Wea. Rev. 127) between latitude/longitude grids.

    Points are cell centres. The target may reach beyond the source: such cells are unobserved (NaN).
    Raises BadInput for a projected grid.
    """
    for grid in (source, target):
        if not grid.is_geographic:
            raise BadInput(f"grid {grid.name} is projected ({dict(grid.projection)}); allowed latitude/longitude")
    rows = _overlap(np.sin(np.radians(_edges(source.y))), np.sin(np.radians(_edges(target.y))))
    columns = _overlap(np.radians(_edges(source.x)), np.radians(_edges(target.x)))
    return AreaWeights(source, target, sparse.csr_array(rows), sparse.csr_array(columns), cell_areas(target))


def cell_areas(grid: Grid) -> FloatArray:
    """Return the areas (ny, nx) of latitude/longitude cells on the unit sphere, steradian."""
    heights = np.diff(np.sin(np.radians(_edges(grid.y))))
    widths = np.diff(np.radians(_edges(grid.x)))
    return np.asarray(heights[:, None] * widths)


def _edges(centres: FloatArray) -> FloatArray:
    half = (centres[-1] - centres[0]) / (centres.size - 1) / 2
    return np.append(centres - half, centres[-1] + half)


def _overlap(source_edges: FloatArray, target_edges: FloatArray) -> FloatArray:
    """Return the length (target cells, source cells) that each target interval shares with each source interval."""
    upper = np.minimum(target_edges[1:, None], source_edges[None, 1:])
    lower = np.maximum(target_edges[:-1, None], source_edges[None, :-1])
    return np.asarray(np.clip(upper - lower, 0.0, None))


def _require_shape(values: npt.NDArray[Any], grid: Grid) -> None:
    if values.shape[-2:] != grid.shape:
        raise ValueError(f"values {values.shape} are not on grid {grid.name} {grid.shape}")
