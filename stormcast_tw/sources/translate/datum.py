"""The geodetic datum of a provider's grid: TWD67, the old one of Taiwan, lies 0.8 km off WGS84.

CWA's open data declare TWD67; the binary files say nothing. Whether the radar pixels truly lie on TWD67, or are only
labelled so, nobody has verified (data-formats.md 1.2 and 7), hence the sources' argument `datum`. Its default is
`wgs84`, no shift: what is in doubt is not moved. Either way the error is at most 0.8 km, 0.4 cells of TAIWAN_2KM.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from stormcast_tw.grid import Grid
from stormcast_tw.lazy import lazy_import

if TYPE_CHECKING:
    import pyproj
else:
    pyproj = lazy_import("pyproj")

Datum = Literal["wgs84", "twd67"]

_SHIFT_M = (-752.0, -358.0, -179.0)
_ROTATION_RAD = (-1.1698e-6, 1.8398e-6, 9.822e-7)
_SCALE_PPM = 23.29
"""From TWD67 (ellipsoid aust_SA) to WGS84, position vector convention: the published set of seven (data-formats.md
1.2). pyproj's own EPSG:3821 to 4326 is a ballpark transformation that shifts nothing."""


def to_wgs84(grid: Grid, datum: Datum) -> Grid:
    """Return a geographic grid in WGS84, given in `datum`: +0.00812 E and -0.00178 N at the middle of Taiwan.

    Each end of the grid moves as the middle of that side does, so that the grid stays even. Over Taiwan its points then
    lie within 0.0002 degrees (20 m) of where the transformation puts them, at the corners of 921 x 881 within 0.0005.
    """
    if datum == "wgs84":
        return grid
    middle_x, middle_y = (grid.x_first + grid.x_last) / 2, (grid.y_first + grid.y_last) / 2
    x, y = _transformer().transform(
        (grid.x_first, grid.x_last, middle_x, middle_x), (middle_y, middle_y, grid.y_first, grid.y_last)
    )
    return Grid(grid.name, y[2], y[3], grid.ny, x[0], x[1], grid.nx)


@lru_cache(maxsize=1)
def _transformer() -> pyproj.Transformer:
    x, y, z = _SHIFT_M
    rx, ry, rz = (math.degrees(angle) * 3600.0 for angle in _ROTATION_RAD)
    steps = (
        "+proj=unitconvert +xy_in=deg +xy_out=rad",
        "+proj=cart +ellps=aust_SA",
        f"+proj=helmert +x={x} +y={y} +z={z} +rx={rx!r} +ry={ry!r} +rz={rz!r} +s={_SCALE_PPM}"
        " +convention=position_vector",
        "+inv +proj=cart +ellps=WGS84",
        "+proj=unitconvert +xy_in=rad +xy_out=deg",
    )
    return pyproj.Transformer.from_pipeline("+proj=pipeline " + " ".join(f"+step {step}" for step in steps))
