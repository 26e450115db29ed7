"""The shape of every dataset we write, declared once: dimensions, coordinates, CF attributes, chunks, encoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import Cycle, datetime64
from stormcast_tw.grid import Grid
from stormcast_tw.lazy import lazy_import
from stormcast_tw.settings import settings
from stormcast_tw.variables import VariableSet

if TYPE_CHECKING:
    import xarray as xr
else:
    xr = lazy_import("xarray")

CONVENTIONS = "CF-1.11, ACDD-1.3"


@dataclass(frozen=True)
class ArraySpec:
    """One array to be filled piece by piece."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset before its values: coordinates (with the global attributes) and float32 arrays still to be filled."""

    coordinates: xr.Dataset
    arrays: Mapping[str, ArraySpec]


def labels(*, simulated: bool, trained: bool | None) -> str:
    """Return the words that must precede any title, with a trailing space: SIMULATED, UNTRAINED, both or none.

    `trained` is None where no model was involved.
    """
    return ("SIMULATED " if simulated else "") + ("UNTRAINED " if trained is False else "")


def global_attributes(title: str, *, simulated: bool, trained: bool | None = None, **more: str) -> dict[str, Any]:
    """Return a dataset's global CF attributes; the title says SIMULATED and UNTRAINED where they apply."""
    return {
        "Conventions": CONVENTIONS,
        "title": labels(simulated=simulated, trained=trained) + title,
        "institution": settings().attribution.institution,
        "simulated": int(simulated),
        **({} if trained is None else {"trained": int(trained)}),
        **more,
    }


def coverage_attributes(cycle: Cycle, grid: Grid, lead_hours: int) -> dict[str, Any]:
    """Return the global attributes (ACDD-1.3) of where and when a forecast is: its points, and its hours of rain."""
    latitude, longitude = grid.latlon()
    south, north, west, east = (float(f(a)) for a in (latitude, longitude) for f in (np.min, np.max))
    corners = ((south, west), (south, east), (north, east), (north, west), (south, west))
    return {
        "geospatial_bounds": f"POLYGON (({', '.join(f'{y:g} {x:g}' for y, x in corners)}))",
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_lat_min": south,
        "geospatial_lat_max": north,
        "geospatial_lat_units": "degrees_north",
        "geospatial_lon_min": west,
        "geospatial_lon_max": east,
        "geospatial_lon_units": "degrees_east",
        "time_coverage_start": f"{cycle.init_time:%Y-%m-%dT%H:%M:%SZ}",
        "time_coverage_end": f"{cycle.valid_time(lead_hours):%Y-%m-%dT%H:%M:%SZ}",
        "time_coverage_duration": f"PT{lead_hours}H",
        "time_coverage_resolution": "PT1H",
        "standard_name_vocabulary": "CF Standard Name Table v93",
        "comment": "Temperature 2 m and wind 10 m above ground are of points; rain is the mean of a grid cell.",
    }


def time_coordinates(cycle: Cycle, lead_hours: Iterable[int]) -> xr.Dataset:
    """Return init_time (), lead_time (lead_time), valid_time (lead_time) and its one-hour bounds (lead_time, 2)."""
    leads = np.array(list(lead_hours), dtype="timedelta64[h]").astype("timedelta64[ns]")
    init_time = datetime64(cycle.init_time)
    valid_time = init_time + leads
    bounds = np.stack([valid_time - np.timedelta64(1, "h"), valid_time], axis=-1)
    return xr.Dataset(
        coords={
            "init_time": (
                (),
                init_time,
                {"standard_name": "forecast_reference_time", "long_name": "start of the forecast"},
            ),
            "lead_time": (
                "lead_time",
                leads,
                {"standard_name": "forecast_period", "long_name": "time since init_time"},
            ),
            "valid_time": (
                "lead_time",
                valid_time,
                {"standard_name": "time", "long_name": "valid time", "bounds": "valid_time_bounds"},
            ),
            "valid_time_bounds": (("lead_time", "bounds"), bounds),
        }
    )


def member_coordinate(members: int) -> xr.Dataset:
    """Return the coordinate member (member), counted from 0."""
    attributes = {"standard_name": "realization", "long_name": "ensemble member", "units": "1"}
    return xr.Dataset(coords={"member": ("member", np.arange(members, dtype=np.int32), attributes)})


def accumulation_coordinates(valid_time: xr.DataArray, hours: int) -> xr.Dataset:
    """Return valid_time_<hours>h (lead_time) and its bounds (lead_time, 2): the time axis of sums over `hours` hours.

    It is separate from `valid_time`, on the same lead times, because a CF time coordinate has one interval length.
    """
    begin = valid_time.values - np.timedelta64(hours, "h")
    return _interval(f"valid_time_{hours}h", begin, valid_time, f"end of the {hours} hours")


def since_init_coordinates(init_time: xr.DataArray, valid_time: xr.DataArray) -> xr.Dataset:
    """Return valid_time_since_init (lead_time) and its bounds (lead_time, 2): the hours since init_time."""
    begin = np.full(valid_time.shape, init_time.values)
    return _interval("valid_time_since_init", begin, valid_time, "end of the hours since init_time")


def _interval(name: str, begin: npt.NDArray[Any], end: xr.DataArray, long_name: str) -> xr.Dataset:
    attributes = {"standard_name": "time", "long_name": long_name, "bounds": f"{name}_bounds"}
    bounds = np.stack([begin, end.values], axis=-1)
    return xr.Dataset(
        coords={name: ("lead_time", end.values, attributes), f"{name}_bounds": (("lead_time", "bounds"), bounds)}
    )


def array_attributes(
    attributes: Mapping[str, Any],
    horizontal: tuple[str, ...] = ("latitude", "longitude"),
    time: str | None = "valid_time",
) -> dict[str, Any]:
    """Return a data variable's attributes with the links to its grid mapping and auxiliary coordinates.

    `horizontal` names its last two dimensions, `time` the coordinate whose bounds are its interval, None for an array
    that does not lie along the lead times. Temperatures are marked as values on the scale, unless `attributes` marks
    them as differences.
    """
    scale = {"units_metadata": "temperature: on_scale"} if attributes["units"] == "K" else {}
    places = () if horizontal == ("latitude", "longitude") else ("latitude", "longitude")
    times = () if time is None else (time,)
    return scale | {**attributes, "grid_mapping": "crs", "coordinates": " ".join(("init_time", *times, *places))}


def of_forecast(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a variable's attributes where a model forecast it, unless they say otherwise.

    Rain, which is regridded conservatively, is by cell.
    """
    methods = str(attributes["cell_methods"])
    if methods.startswith("time: sum") and "area:" not in methods:
        methods = methods.replace("time: sum", "time: sum area: mean")
    content = attributes.get("coverage_content_type", "modelResult")
    return {**attributes, "cell_methods": methods, "coverage_content_type": content}


def forecast_spec(
    cycle: Cycle, grid: Grid, variables: VariableSet, members: int, lead_hours: int, attributes: Mapping[str, Any]
) -> DatasetSpec:
    """Return the shape of a forecast: (member, lead_time, latitude, longitude), leads 1..lead_hours.

    Each chunk is one map. Coordinates have the edges of cells; a sum over time is the mean of its cell.
    """
    coordinates = xr.merge(
        [grid.with_cells(), time_coordinates(cycle, range(1, lead_hours + 1)), member_coordinate(members)]
    )
    coordinates.attrs = dict(attributes)
    dims = ("member", "lead_time", *grid.dims)
    shape, chunks = (members, lead_hours, *grid.shape), (1, 1, *grid.shape)
    described = {v.id: array_attributes(of_forecast(v.attributes), grid.dims) for v in variables}
    return DatasetSpec(coordinates, {name: ArraySpec(dims, shape, chunks, text) for name, text in described.items()})


def encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return the Zarr encoding of a dataset: times as seconds since 1970, leads as whole hours, one map per chunk."""
    encoded: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind == "M":
            encoded[str(name)] = {"units": "seconds since 1970-01-01", "dtype": "int64"}
        elif variable.dtype.kind == "m":
            encoded[str(name)] = {"units": "hours", "dtype": "int64"}
        elif variable.ndim >= 2 and name in dataset.data_vars:
            encoded[str(name)] = {"chunks": (*(1,) * (variable.ndim - 2), *variable.shape[-2:])}
    return encoded
