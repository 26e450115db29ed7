"""How much of each cell of a grid lies in a polygon."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stormcast_tw.lazy import lazy_import

if TYPE_CHECKING:
    import shapely
else:
    shapely = lazy_import("shapely")

FloatArray = npt.NDArray[np.float64]


def multipolygon(polygons: Iterable[Iterable[FloatArray]]) -> shapely.MultiPolygon:
    """Return polygons, each its outer ring and then its holes, rings (n, 2) of (x, y), as one geometry.

    Raises ValueError where they are not valid, for example where two lie on each other.
    """
    rings = [list(polygon) for polygon in polygons]
    made = shapely.MultiPolygon([(outer, holes) for outer, *holes in rings])
    if not made.is_valid:
        raise ValueError(str(shapely.is_valid_reason(made)))
    return made


def cell_shares(polygons: shapely.MultiPolygon, shape: tuple[int, int]) -> FloatArray:
    """Return the share (ny, nx) of each cell, 0 to 1, that lies in polygons; what lies outside the grid counts nowhere.

    Coordinates are in units of cells: cell (j, i) is the square from (x, y) = (i, j) to (i + 1, j + 1). Rows are cut
    out first, and cells from them: to cut every cell out of a whole county takes ten times as long.
    """
    rows, columns = shape
    shares = np.zeros(shape)
    if polygons.is_empty:
        return shares
    _, low, _, high = polygons.bounds
    for j in range(max(int(np.floor(low)), 0), min(int(np.ceil(high)), rows)):
        row = shapely.clip_by_rect(polygons, 0, j, columns, j + 1)
        if not row.is_empty:
            left, _, right, _ = row.bounds
            cells = range(int(np.floor(left)), int(np.ceil(right)))
            shares[j, cells] = [shapely.area(shapely.clip_by_rect(row, i, j, i + 1, j + 1)) for i in cells]
    return shares
