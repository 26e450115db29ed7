"""How much of each cell of a grid lies in a polygon: exact, by Green's theorem, without cutting any polygon."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_SMALLEST = 1e-9
"""Shares below it are rounding: a few cm of a 2 km cell's edge."""


def cell_shares(polygons: Iterable[Iterable[FloatArray]], shape: tuple[int, int]) -> FloatArray:
    """Return the share (ny, nx) of each cell, 0 to 1, that lies in the union of disjoint polygons.

    A polygon is its outer ring and then its holes, each ring (n, 2) of (y, x) in units of cells, closed or not, in
    either direction; cell (j, i) is the square from (j, i) to (j + 1, i + 1). Points outside the grid are allowed.

    At height y the part of a cell's row that is inside is bounded by edges: those that go up on its right, those that
    go down on its left. So the area in a cell is the sum over all edges of the integral of clip(x - i, 0, 1) dy (the
    signed areas by which fonts are drawn): whole dy for cells left of the edge, a part in the cell that it crosses.
    """
    rows, columns = shape
    covered = np.zeros((rows, columns + 1))
    passed = np.zeros((rows, columns + 1))
    for polygon in polygons:
        for number, ring in enumerate(polygon):
            start, end = _pieces(ring if (_area(ring) > 0) == (number == 0) else ring[::-1])
            y, x = ((start + end) / 2).T
            height = end[:, 0] - start[:, 0]
            here = (y > 0) & (y < rows) & (x > 0)
            row, column = y[here].astype(int), np.minimum(x[here].astype(int), columns)
            np.add.at(covered, (row, column), (x[here] - column) * height[here])
            np.add.at(passed, (row, column), height[here])
    to_the_right = np.cumsum(passed[:, ::-1], axis=1)[:, ::-1][:, 1:]
    share = covered[:, :-1] + to_the_right
    return np.where(np.abs(share) < _SMALLEST, 0.0, share)


def ring_area(polygons: Iterable[Iterable[FloatArray]]) -> float:
    """Return the area of polygons as `cell_shares` takes them, in cells."""
    return sum(
        abs(_area(ring)) * (1 if number == 0 else -1) for polygon in polygons for number, ring in enumerate(polygon)
    )


def _area(ring: FloatArray) -> float:
    """Return the area of a ring of (y, x); positive if it goes anticlockwise, x to the right and y upwards."""
    (y, x), (y_next, x_next) = (ring - ring[0]).T, np.roll(ring - ring[0], -1, axis=0).T
    return float(np.sum(x * y_next - x_next * y)) / 2


def _pieces(ring: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return where the edges of a ring start and end, each (n, 2), cut where they cross from cell to cell."""
    start, end = ring, np.roll(ring, -1, axis=0)
    for axis in (0, 1):
        start, end = _cut(start, end, axis)
    return start, end


def _cut(start: FloatArray, end: FloatArray, axis: int) -> tuple[FloatArray, FloatArray]:
    """Cut edges at every whole number of one coordinate that they cross."""
    low, high = np.minimum(start, end)[:, axis], np.maximum(start, end)[:, axis]
    first = np.floor(low) + 1
    lines = np.maximum(np.ceil(high) - first, 0).astype(int)
    edge = np.repeat(np.arange(len(start)), lines + 1)
    piece = np.arange(edge.size) - np.repeat(np.cumsum(lines + 1) - lines - 1, lines + 1)
    rising = (end >= start)[:, axis]
    line = np.where(rising, first, first + lines - 1)[edge] + np.where(rising, 1, -1)[edge] * piece
    length = np.where(high > low, end[:, axis] - start[:, axis], 1.0)
    until = np.where(piece == lines[edge], 1.0, (line - start[edge, axis]) / length[edge])
    since = np.where(piece == 0, 0.0, np.roll(until, 1))
    along = (end - start)[edge]
    return start[edge] + since[:, None] * along, start[edge] + until[:, None] * along
