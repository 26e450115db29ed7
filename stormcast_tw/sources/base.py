"""The interface of every source: find the files that serve some valid times, then read them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import as_utc, datetime64
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.storage.provider_files import SourceFile, Used
from stormcast_tw.variables import Variable, VariableSet

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Located:
    """The files that serve a request, found and not yet read. `init_time` is None for observations."""

    source: str
    files: tuple[SourceFile, ...]
    valid_times: tuple[datetime, ...]
    variables: VariableSet
    init_time: datetime | None = None

    def forecast_from(self) -> datetime:
        """Return the init_time; raises ValueError where there is none."""
        if self.init_time is None:
            raise ValueError(f"{self.source}: a located forecast needs an init_time")
        return self.init_time


@dataclass(frozen=True)
class Reading:
    """The outcome of reading: the dataset, and an account of the files it was read from."""

    dataset: xr.Dataset
    used: tuple[Used, ...]


class Source(Protocol):
    """A provider of fields.

    `find` only locates: it returns the files of the run of `init_time` (None for observations) that serve the valid
    times, and raises NotReady if one is absent. `read` returns a dataset with dimensions (valid_time, y, x) or
    (valid_time, latitude, longitude) on the provider's own grid (`Grid.of` reads it back), one float32 array per
    variable under our id, in our units, with the attributes `source`, `simulated` and, for forecasts, `init_time`. It
    raises BadInput for anything that fails a check, NotReady if a file has changed since it was found.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    def find(  # noqa: D102
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located: ...

    def read(self, located: Located) -> Reading: ...  # noqa: D102


def interpretation(source: object) -> dict[str, str]:
    """Return the settings by which a source interprets its files, by name: a datum, a clock; not where they lie."""
    inner = getattr(source, "source", source)
    if not is_dataclass(inner) or isinstance(inner, type):
        return {}
    values = {field.name: getattr(inner, field.name) for field in fields(inner) if field.name != "name"}
    return {name: str(value) for name, value in values.items() if isinstance(value, str | int | float | bool)}


def require_times(source: str, valid_times: Iterable[datetime]) -> tuple[datetime, ...]:
    """Return the valid times in UTC; raises ValueError unless there are some, all aware and ascending."""
    times = tuple(as_utc(time) for time in valid_times)
    if not times or any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise ValueError(f"{source}: valid times {[str(t) for t in times]} must be ascending and not empty")
    return times


def require_init_time(source: str, init_time: datetime | None) -> datetime:
    """Return the init_time in UTC; raises ValueError for a forecast without one."""
    if init_time is None:
        raise ValueError(f"{source}: a forecast is asked for by its init_time")
    return as_utc(init_time)


def require_variables(source: str, provided: Iterable[str], wanted: VariableSet) -> None:
    """Raise BadInput for a variable that this source does not have."""
    allowed = tuple(provided)
    if unknown := [variable_id for variable_id in wanted.ids if variable_id not in allowed]:
        raise BadInput(f"{source}: does not provide {', '.join(unknown)}; it provides {', '.join(allowed)}")


def on_grid(
    grid: Grid,
    valid_times: tuple[datetime, ...],
    fields: Mapping[Variable, npt.NDArray[Any]],
    attributes: Mapping[str, str | int | float],
) -> xr.Dataset:
    """Return `fields`, each (valid_time, ny, nx) in the variable's units, as a float32 dataset with CF attributes."""
    time = {"standard_name": "time", "long_name": "valid time, UTC", "axis": "T"}
    coordinates = grid.coordinates().assign_coords(
        valid_time=("valid_time", np.array([datetime64(t) for t in valid_times], "datetime64[ns]"), time)
    )
    arrays = {
        variable.id: (
            ("valid_time", *grid.dims),
            np.asarray(values, np.float32),
            {**variable.attributes, "grid_mapping": "crs"},
        )
        for variable, values in fields.items()
    }
    return coordinates.assign(arrays).assign_attrs(dict(attributes))
