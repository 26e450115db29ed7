"""The grid of a package, which may be a stranger's: bounded, on the earth, in a projection without files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, Strict, ValidationError

from stormcast_tw.grid import DescribedGrid, Grid
from stormcast_tw.lazy import lazy_import
from stormcast_tw.names import Text
from stormcast_tw.plan import Frozen, first_problem

if TYPE_CHECKING:
    import pyproj
else:
    pyproj = lazy_import("pyproj")

MOST_POINTS = 2**22
"""Of a grid: 2048 x 2048; the 2 km grid of Taiwan has 28,672."""

_Number = Annotated[float, Strict(), Field(ge=-1e8, le=1e8)]
"""Degrees or metres; the earth's circumference is 4e7 m."""
_Axis = tuple[_Number, _Number, Annotated[int, Strict(), Field(ge=2, le=4096)]]
_Parameter = Literal[
    "proj", "R", "a", "b", "ellps", "datum", "units", "zone", "south", "lat_0", "lat_1", "lat_2", "lat_ts", "lon_0",
    "x_0", "y_0", "k", "k_0",
]  # fmt: skip
"""Those of PROJ that name no file."""


class _Told(Frozen):
    """What `Grid.describe` returns."""

    model_config = ConfigDict(allow_inf_nan=False)

    name: Text
    y: _Axis
    x: _Axis
    projection: dict[_Parameter, _Number | Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,32}$")]]


def _on_earth(value: Any) -> Any:
    """Return a described grid, or a Grid, as it is; raises ValueError unless it is one that can be forecast on."""
    try:
        told = _Told.model_validate(value.describe() if isinstance(value, Grid) else value)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error
    if told.y[2] * told.x[2] > MOST_POINTS:
        raise ValueError(f"{told.y[2]} x {told.x[2]} points; allowed are {MOST_POINTS:,} in all")
    assert isinstance(value, Mapping | Grid)
    grid = value if isinstance(value, Grid) else Grid.parse(value)
    try:
        latitude, longitude = replace(grid, ny=2, nx=2).latlon()
    except pyproj.exceptions.ProjError as error:
        raise ValueError(f"projection {dict(grid.projection)}: {error}") from error
    if not (np.all(np.abs(latitude) <= 90) and np.all(np.abs(longitude - 90) <= 270)):
        raise ValueError(
            f"corners at latitudes {latitude.min():g} to {latitude.max():g} and longitudes {longitude.min():g} to "
            f"{longitude.max():g}; allowed are -90 to 90 and -180 to 360"
        )
    return value


PackageGrid = Annotated[DescribedGrid, BeforeValidator(_on_earth)]
"""A grid as a field of a package's description."""
