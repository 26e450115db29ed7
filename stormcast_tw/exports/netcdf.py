"""One CF NetCDF file with the content of the Zarr, for everybody whose tools read NetCDF.

Tools that know one time axis only read it whole: the first dimension of every field is `time`, which is unlimited and
the only variable that says when a field is true. An n-hour sum says its interval in its cell methods and in the bounds
of `lead_time_<n>h`, which counts from `init_time` and so is no second time axis.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput

_TIME = {"units": "hours since 1970-01-01", "calendar": "standard", "dtype": "float64", "_FillValue": None}
_DURATION = {"units": "hours", "dtype": "float64", "_FillValue": None}
_OF_SUMS = "valid_time_"
_HOUR = np.timedelta64(1, "h")
_LEVEL = 1
"""zlib's fastest: on products of 16 members level 4 takes a quarter more time to save 3 % of 24 MB."""


def to_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Write products, a forecast or both merged as one CF-1.11 NetCDF-4 file; `path` appears whole or not at all.

    Fields are (time, ..., y, x): `valid_time` is called `time`, and `lead_time` lies along it. They are float32 and
    compressed without loss, one map per chunk, so values equal the Zarr's; classes stay int8. Times are hours since
    1970 in float64. Global attributes, `simulated` and `trained` among them, are kept. Raises BadInput for a variable
    whose type NetCDF and CF do not share (booleans, objects).
    """
    prepared = _prepared(dataset)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        prepared.to_netcdf(partial, engine="netcdf4", format="NETCDF4", unlimited_dims=["time"])
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _prepared(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset with the dimensions, attributes and encodings of the file; fields are shared, not copied."""
    prepared = _on_one_time_axis(dataset)
    prepared.attrs = {name: _plain(value) for name, value in dataset.attrs.items() if name != "coordinates"}
    links = [n for n in prepared.coords if n == "crs" or str(n).endswith("_bounds")]
    prepared = prepared.reset_coords(links)  # variables that attributes point at, not coordinates of a field
    for name, variable in prepared.variables.items():
        listed = variable.attrs.pop("coordinates", variable.encoding.get("coordinates"))
        is_field = name in prepared.data_vars and name not in links
        attributes = {key: _plain(value) for key, value in variable.attrs.items()}
        if name in prepared.dims or name in ("latitude", "longitude"):
            attributes["coverage_content_type"] = "coordinate"
        if variable.dtype.kind == "M" and "standard_name" in attributes:
            attributes["units_metadata"] = "leap_seconds: none"  # every day has 24 hours
        if "flag_values" in attributes:
            attributes["flag_values"] = np.asarray(attributes["flag_values"], variable.dtype)
        variable.attrs = attributes
        variable.encoding = _encoding(str(name), variable, is_field)
        if name in prepared.data_vars:
            methods = str(attributes.get("cell_methods", ""))
            variable.encoding["coordinates"] = _coordinates(str(listed), methods) if is_field else None
    return prepared


def _on_one_time_axis(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset on the dimension `time`, which comes first, and the sums' intervals counted from init_time."""
    made = dataset.swap_dims(lead_time="valid_time").rename(valid_time="time", valid_time_bounds="time_bounds")
    made["time"].attrs |= {"axis": "T", "bounds": "time_bounds"}
    for end in [str(n) for n in made.coords if str(n).startswith(_OF_SUMS) and not str(n).endswith("_bounds")]:
        name = end.replace("valid", "lead")
        text = f"{made[end].attrs['long_name']}, since init_time"
        lead, bounds = ((made[n].values - made["init_time"].values) / _HOUR for n in (end, f"{end}_bounds"))
        attributes = {"long_name": text, "units": "hours", "bounds": f"{name}_bounds"}
        made = made.drop_vars([end, f"{end}_bounds"]).assign_coords(
            {name: ("time", lead, attributes), f"{name}_bounds": (("time", "bounds"), bounds)}
        )
    if "members" in dataset.attrs:
        attributes = {"long_name": "number of members that the statistics are of", "units": "1"}
        made = made.assign_coords(realization=((), np.int32(dataset.attrs["members"]), attributes))
    return made.transpose("time", ...)


def _coordinates(listed: str, cell_methods: str) -> str:
    """Return the coordinates of a field in the file, from those of the dataset."""
    found = []
    for name in listed.split():
        found += [name] if name != "valid_time" and not name.startswith(_OF_SUMS) else ["lead_time"]
        found += [name.replace("valid", "lead")] if name.startswith(_OF_SUMS) else []
    return " ".join(found + ["realization"] * ("realization:" in cell_methods))


def _encoding(name: str, variable: xr.Variable, is_field: bool) -> dict[str, Any]:
    kind = variable.dtype.kind
    if kind in "Mm":
        whole = {"chunksizes": variable.shape} if variable.ndim else {}
        return (_TIME if kind == "M" else _DURATION) | whole
    if kind not in "fi":
        raise BadInput(f"{name}: type {variable.dtype} cannot be written; allowed numbers and times")
    if not is_field or variable.ndim < 2:
        return {"_FillValue": None, "dtype": "int32" if variable.dtype == np.int64 else variable.dtype}
    chunks = (*(1,) * (variable.ndim - 2), *variable.shape[-2:])
    field = {"zlib": True, "complevel": _LEVEL, "shuffle": True, "chunksizes": chunks}
    if kind == "i":
        return {**field, "_FillValue": None, "dtype": variable.dtype}
    return {**field, "_FillValue": np.float32(np.nan), "dtype": "float32"}


def _plain(value: Any) -> Any:
    """Return an attribute as NetCDF types: whole numbers as int32, not int64."""
    return np.int32(value) if isinstance(value, (bool, int, np.integer)) else value
