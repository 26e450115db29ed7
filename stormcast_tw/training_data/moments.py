"""Additive sums of an hour, from which means and standard deviations of any set of hours follow.

A moment is (number of values, sum, sum of squares), float64, after the variable's transform. Moments of hours, days and
spans add; nothing is computed again. NaN never counts. The background's moments are those of its fields on the model's
grid, computed without interpolating them: with x the coarse field and W the weights, the sum is (W^T 1).x and the sum
of squares x^T (W^T W) x.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import RAIN_QPESUMS
from stormcast_tw.regrid import bilinear
from stormcast_tw.variables import Variable, VariableSet

FloatArray = npt.NDArray[np.float64]

MOMENTS = ("count", "sum", "sum_of_squares")


def transformed(values: npt.NDArray[Any], variable: Variable) -> FloatArray:
    """Return values of any shape as the model sees them before scaling: log1p of rain, other variables unchanged."""
    wide = values.astype(np.float64)
    return np.log1p(wide) if variable.transform == "log1p" else wide


def state_moments(values: npt.NDArray[np.float32], rain_source: npt.NDArray[np.int8], of: VariableSet) -> FloatArray:
    """Return the moments (variable, 3) of a state (variable, y, x); those of rain only where it was observed."""
    return np.stack([_moments(field) for field in _fields(values, rain_source, of)])


def tendency_moments(
    now: npt.NDArray[np.float32],
    before: npt.NDArray[np.float32],
    rain_source_now: npt.NDArray[np.int8],
    rain_source_before: npt.NDArray[np.int8],
    of: VariableSet,
) -> FloatArray:
    """Return the moments (variable, 3) of the hourly change; those of rain only where it was observed at both ends."""
    changes = zip(_fields(now, rain_source_now, of), _fields(before, rain_source_before, of), strict=True)
    return np.stack([_moments(later - earlier) for later, earlier in changes])


def background_moments(values: npt.NDArray[np.float32], source: Grid, target: Grid, of: VariableSet) -> FloatArray:
    """Return the moments (variable, 3), on `target`, of a background (variable, y, x) on `source`.

    Raises ValueError for a variable with a transform, which does not commute with the interpolation.
    """
    if bent := [variable.id for variable in of if variable.transform != "identity"]:
        raise ValueError(f"background set {of.name}: {', '.join(bent)} have a transform; allowed none")
    column_sums, squares = _sums_through(source, target)
    flat = values.reshape(len(of), -1).astype(np.float64)
    sums = flat @ column_sums
    sums_of_squares = np.sum(flat * (squares @ flat.T).T, axis=1)
    counts = np.full(len(of), float(target.ny * target.nx))
    return np.stack([counts, sums, sums_of_squares], axis=-1)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of one variable after its transform, and the number of values."""

    mean: float
    std: float
    count: int


def spreads(moments: Sequence[FloatArray] | FloatArray, ids: Sequence[str], what: str) -> dict[str, Spread]:
    """Return the spread of every variable from moments (hour, variable, 3), which are added up here.

    Raises BadInput for a variable with fewer than two values or with constant ones: it cannot be scaled.
    """
    total = np.sum(np.asarray(moments, dtype=np.float64).reshape(-1, len(ids), len(MOMENTS)), axis=0)
    out = {}
    for variable_id, (count, sum_, squares) in zip(ids, total, strict=True):
        if count < 2:
            raise BadInput(f"{what}: {variable_id} has {count:.0f} values; allowed 2 or more")
        mean = sum_ / count
        variance = squares / count - mean**2
        if not variance > 1e-12 * (mean**2 + 1e-12):
            raise BadInput(f"{what}: {variable_id} is {mean:.6g} at all of {count:.0f} values; allowed some spread")
        out[variable_id] = Spread(float(mean), float(np.sqrt(variance)), int(count))
    return out


def _fields(
    values: npt.NDArray[np.float32], rain_source: npt.NDArray[np.int8], of: VariableSet
) -> Iterable[FloatArray]:
    for variable, field in zip(of, values, strict=True):
        wide = transformed(field, variable)
        yield np.where(rain_source == RAIN_QPESUMS, wide, np.nan) if variable.id == "tp01" else wide


def _moments(values: FloatArray) -> FloatArray:
    known = values[np.isfinite(values)]
    return np.array([known.size, np.sum(known), np.sum(known * known)])


@lru_cache(maxsize=4)
def _sums_through(source: Grid, target: Grid) -> tuple[FloatArray, sparse.csr_array]:
    weights = bilinear(source, target).matrix
    return np.asarray(weights.sum(axis=0)).ravel(), sparse.csr_array(weights.T @ weights)
