"""ERA5, the background in training: its variable names, and the ARCO archive, a Zarr store of the globe.

`gs://gcp-public-data-arco-era5/ar/full_37-1h-0p25deg-chunk-1.zarr-v3`: one object holds one variable at one hour for
the whole globe and, on pressure levels, for all 37 of them. data-formats.md 4. CDS downloads are read by `era5_cds`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from stormcast_tw import quality
from stormcast_tw.cycle import datetime64
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, on_grid, require_times, require_variables
from stormcast_tw.sources.formats import cf
from stormcast_tw.sources.formats.grib import Window
from stormcast_tw.sources.formats.netcdf import Array
from stormcast_tw.sources.formats.zarr_store import ZarrStore
from stormcast_tw.sources.translate.derive import FloatArray
from stormcast_tw.sources.translate.time_steps import checked_in_our_units
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import VARIABLES, Variable, VariableSet


@dataclass(frozen=True)
class Names:
    """The names of one variable, at any level: in ARCO, in CDS NetCDF, and its GRIB shortName."""

    arco: str
    netcdf: str
    grib: str


_SURFACE = {
    "t2m": Names("2m_temperature", "t2m", "2t"),
    "u10m": Names("10m_u_component_of_wind", "u10", "10u"),
    "v10m": Names("10m_v_component_of_wind", "v10", "10v"),
    "msl": Names("mean_sea_level_pressure", "msl", "msl"),
    "sp": Names("surface_pressure", "sp", "sp"),
    "tcwv": Names("total_column_water_vapour", "tcwv", "tcwv"),
    "tp01": Names("total_precipitation", "tp", "tp"),
}
_LETTERS = {
    "z": Names("geopotential", "z", "z"),
    "q": Names("specific_humidity", "q", "q"),
    "t": Names("temperature", "t", "t"),
    "u": Names("u_component_of_wind", "u", "u"),
    "v": Names("v_component_of_wind", "v", "v"),
}
PROVIDED: dict[str, Names] = _SURFACE | {
    variable_id: _LETTERS[variable_id[0]]
    for variable_id, variable in VARIABLES.items()
    if variable.level_hpa is not None
}
"""Every ERA5 variable that is read, by our id; its rain is in metres over the hour ending at valid_time."""

_DIMENSIONS = {False: ("time", "latitude", "longitude"), True: ("time", "level", "latitude", "longitude")}
_HOUR = np.timedelta64(1, "h")


def in_our_units(values: FloatArray, variable: Variable, address: str) -> FloatArray:
    """Return ERA5's values (any shape) in our units and checked: rain in mm instead of metres, small negatives as 0."""
    if variable.id == "tp01":
        values, _ = quality.clip_small_negatives(1000.0 * values, quality.RAIN_NEGATIVE_LIMIT, variable, address)
    return checked_in_our_units(values, variable, 1.0, address)


def require_hours(source: str, valid_times: tuple[datetime, ...]) -> tuple[datetime, ...]:
    """Return the valid times in UTC; raises ValueError unless they are ascending full hours."""
    times = require_times(source, valid_times)
    if odd := [str(time) for time in times if time.minute or time.second or time.microsecond]:
        raise ValueError(f"{source}: {', '.join(odd)} is not a full hour; analyses are hourly")
    return times


@dataclass(frozen=True)
class Era5:
    """Hourly analyses of the ARCO store at `path` below `folder`, around `grid`, in our units.

    `preliminary` also accepts ERA5T, the days before the final release; otherwise these are not ready.
    """

    folder: Folder
    path: str = "full_37-1h-0p25deg-chunk-1.zarr-v3"
    grid: Grid = field(default=TAIWAN_2KM)
    preliminary: bool = False
    name: str = "era5"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find the chunks, one per variable (all levels) and hour.

        Raises NotReady if an hour is not filled yet, BadInput for a variable this source does not have or an invalid
        store, ValueError for times that are naive, unsorted or not full hours.
        """
        require_variables(self.name, PROVIDED, variables)
        times = require_hours(self.name, valid_times)
        store = ZarrStore(self.folder, self.path, {})
        self._require_filled(store, times[-1])
        indices = _indices(store, times)
        names = dict.fromkeys(PROVIDED[v.id].arco for v in variables)
        files = [file for index in indices for name in names for file in store.files(name, index)]
        return Located(self.name, tuple(files), times, variables)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, latitude, longitude) float32.

        Raises NotReady if a chunk has changed since or holds nothing yet, BadInput for a missing variable or level,
        another layout, or implausible values.
        """
        store = ZarrStore(self.folder, self.path, {file.address: file for file in located.files})
        part, indices = self._part(store), _indices(store, located.valid_times)
        by_name: dict[str, list[Variable]] = {}
        for variable in located.variables:
            by_name.setdefault(PROVIDED[variable.id].arco, []).append(variable)
        fields: dict[Variable, list[FloatArray]] = {variable: [] for variable in located.variables}
        for name, variables in by_name.items():
            array, levels = _map(store, name, variables)
            for index in indices:
                block = cf.cut(array.read(index), part)
                for variable, level in zip(variables, levels, strict=True):
                    values = block if level is None else block[level]
                    fields[variable].append(cf.unpacked(values, array.attributes, name, f"{store.address}/{name}"))
        title = str(store.attributes().get("title", ""))
        values = {v: self._checked(np.stack(hourly), v, store, located) for v, hourly in fields.items()}
        attributes: dict[str, str | int | float] = {
            "source": located.source,
            "simulated": int("SIMULATED" in title.upper()),
        }
        return Reading(on_grid(part.grid, located.valid_times, values, attributes), store.used)

    def _require_filled(self, store: ZarrStore, last: datetime) -> None:
        name = "valid_time_stop_era5t" if self.preliminary else "valid_time_stop"
        stop = str(store.attributes().get(name, ""))
        if not stop:
            raise BadInput(f"{store.address}: has no attribute {name}: which hours are filled is not known")
        try:
            # a date alone means all its hours
            end = np.datetime64(stop, "h") + (np.timedelta64(23, "h") if len(stop) == 10 else np.timedelta64(0, "h"))
        except ValueError:
            raise BadInput(f"{store.address}: {name} is {stop!r}; allowed a date such as 2026-06-30") from None
        if datetime64(last) > end:
            raise NotReady(f"{store.address}: is filled until {end}Z ({name}); {last:%Y-%m-%dT%HZ} is not there yet")

    def _part(self, store: ZarrStore) -> Window:
        axes = [cf.column(store.array(axis, axis=True), store.address) for axis in ("latitude", "longitude")]
        return cf.window(axes[0], axes[1], self.grid, store.address)

    def _checked(self, values: FloatArray, variable: Variable, store: ZarrStore, located: Located) -> FloatArray:
        name = PROVIDED[variable.id].arco
        for hour, time in zip(values, located.valid_times, strict=True):
            if np.isnan(hour).all():
                raise NotReady(
                    f"{store.address}/{name}: {variable.id} at {time:%Y-%m-%dT%HZ} is not filled: all is NaN"
                )
        return in_our_units(values, variable, f"{store.address}/{name}")


def _map(store: ZarrStore, name: str, variables: list[Variable]) -> tuple[Array, list[int | None]]:
    """Return the array that holds these variables, and the index of each one's level."""
    array, deep = store.array(name), variables[0].level_hpa is not None
    if array.dimensions != _DIMENSIONS[deep]:
        raise BadInput(f"{store.address}/{name}: has dimensions {array.dimensions}; allowed {_DIMENSIONS[deep]}")
    for dimension, size in zip(array.dimensions[1:], array.shape[1:], strict=True):
        if (length := store.array(dimension, axis=True).shape) != (size,):
            raise BadInput(f"{store.address}/{name}: {size} values along {dimension}, whose axis is of shape {length}")
    if not deep:
        return array, [None for _ in variables]
    known = cf.column(store.array("level", axis=True), store.address).tolist()
    if absent := [v.id for v in variables if known.count(v.level_hpa) != 1]:
        raise BadInput(f"{store.address}/{name}: has no level for {', '.join(absent)}; its levels are {known}")
    return array, [known.index(v.level_hpa) for v in variables]


def _indices(store: ZarrStore, times: tuple[datetime, ...]) -> list[int]:
    """Return the indices of the valid times on the time axis, reading only the chunks that hold them."""
    axis = store.array("time", axis=True)
    if len(axis.shape) != 1:
        raise BadInput(f"{store.address}/time: has shape {axis.shape}; allowed one dimension")

    def at(index: int) -> np.datetime64:
        value = np.asarray(axis.read(index), np.float64).reshape(1)
        return np.datetime64(cf.times(value, axis.attributes, f"{store.address}/time")[0])

    first, indices = at(0), []
    for time in times:
        index = int((datetime64(time) - first) // _HOUR)
        if not 0 <= index < axis.shape[0]:
            raise NotReady(f"{store.address}/time: has {axis.shape[0]} hours from {first}; none is {datetime64(time)}")
        if at(index) != datetime64(time):
            raise BadInput(f"{store.address}/time: {at(index)} is at {index}; allowed {datetime64(time)}: hourly")
        indices.append(index)
    return indices
