"""What all forms of QPESUMS share: one field per file, no-data as NaN, one grid, and its datum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.sources.base import Located, Reading, on_grid
from stormcast_tw.sources.translate.datum import Datum, to_wgs84
from stormcast_tw.storage.provider_files import Folder, SourceFile, Used
from stormcast_tw.variables import Variable

NO_ECHO_DBZ = -35.0
"""dBZ given to "the radar looked and saw nothing": the floor of WRF's own reflectivity and of `refc`'s valid range, so
that observation and model agree on what nothing is. Where no radar looked the value is NaN."""


_FINEST_DEGREES = 1e-5
"""Smallest spacing: a metre, below which points could not be told apart."""


@dataclass(frozen=True)
class Field:
    """What one file holds: values (ny, nx) south to north, our units, NaN where nothing was observed; its grid."""

    values: npt.NDArray[Any]
    grid: Grid
    simulated: bool


Decode = Callable[[bytes, str, datetime], Field]
"""Decodes a file from its bytes, its address, and the valid time that it must have."""


def read_fields(
    located: Located, folder_of: Callable[[SourceFile], Folder], decode: Decode, largest_bytes: int, datum: Datum
) -> Reading:
    """Read one file per valid time: the one located variable as (valid_time, latitude, longitude) float32.

    Rain between -0.1 mm and 0 becomes 0 and is counted in the attribute `clipped_negatives`. Raises BadInput for a file
    of more than `largest_bytes`, values outside the variable's range, or grids that differ.
    """
    (variable,) = located.variables
    fields: list[Field] = []
    used: list[Used] = []
    clipped = 0
    for file, valid_time in zip(located.files, located.valid_times, strict=True):
        if file.size > largest_bytes:
            raise BadInput(f"{file.address}: has {file.size} bytes; allowed {largest_bytes}")
        with folder_of(file).open(file) as reader:
            field = decode(reader.all(), file.address, valid_time)
            used.append(reader.used)
        values, count = _checked(field.values, variable, file.address)
        clipped += count
        fields.append(Field(values, field.grid, field.simulated))
        if field.grid != fields[0].grid:
            raise BadInput(f"{file.address}: grid {field.grid.describe()} differs from {fields[0].grid.describe()}")
    simulated = int(any(field.simulated for field in fields))
    stacked = {variable: np.stack([field.values for field in fields])}
    attributes: dict[str, str | int | float] = {"source": located.source, "simulated": simulated, "datum": datum}
    dataset = on_grid(to_wgs84(fields[0].grid, datum), located.valid_times, stacked, attributes)
    if variable.id == "tp01":
        dataset["tp01"].attrs["clipped_negatives"] = clipped
    return Reading(dataset, tuple(used))


def _checked(values: npt.NDArray[Any], variable: Variable, address: str) -> tuple[npt.NDArray[Any], int]:
    count = 0
    if variable.id == "tp01":
        values, count = quality.clip_small_negatives(values, quality.RAIN_NEGATIVE_LIMIT, variable, address)
    quality.check(values, variable, address, missing_allowed=True)
    return values, count


def even_grid(address: str, west: float, south: float, nx: int, ny: int, dx: float, dy: float) -> Grid:
    """Return the grid of nx x ny points from its south-west corner; raises BadInput if it is not on the globe."""
    for name, count in (("nx", nx), ("ny", ny)):
        if not 2 <= count <= 4096:
            raise BadInput(f"{address}: grid's {name} is {count}; allowed 2 to 4096")
    for name, step in (("dx", dx), ("dy", dy)):
        if not step >= _FINEST_DEGREES:
            raise BadInput(f"{address}: grid's {name} is {step:g}; allowed {_FINEST_DEGREES:g} or more")
    north, east = south + (ny - 1) * dy, west + (nx - 1) * dx
    if south < -90 or north > 90 or west < -180 or east > 360:
        raise BadInput(
            f"{address}: covers {south:g} to {north:g} N, {west:g} to {east:g} E; allowed -90 to 90 N, -180 to 360 E"
        )
    return Grid("QPESUMS", south, north, ny, west, east, nx)
