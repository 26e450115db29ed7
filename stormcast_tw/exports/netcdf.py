"""One CF NetCDF file with the content of the Zarr, for everybody whose tools read NetCDF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput

_TIME = {"units": "hours since 1970-01-01", "calendar": "standard", "dtype": "float64", "_FillValue": None}
_DURATION = {"units": "hours", "dtype": "float64", "_FillValue": None}
_LEVEL = 1
"""zlib's fastest: on products of 16 members level 4 takes a quarter more time to save 3 % of 24 MB."""


def to_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Write products, a forecast or both merged as one CF-1.11 NetCDF-4 file; `path` appears whole or not at all.

    Fields are float32 and compressed without loss, one map per chunk, so values equal the Zarr's; classes stay int8.
    Times are hours since 1970 in float64. Global attributes, `simulated` and `trained` among them, are kept. Raises
    BadInput for a variable whose type NetCDF and CF do not share (booleans, objects).
    """
    prepared = _prepared(dataset)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        prepared.to_netcdf(partial, engine="netcdf4", format="NETCDF4")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _prepared(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset with the attributes and encodings of the file; values are shared, not copied."""
    prepared = dataset.copy()
    prepared.attrs = {name: _plain(value) for name, value in dataset.attrs.items() if name != "coordinates"}
    links = [n for n in dataset.coords if n == "crs" or str(n).endswith("_bounds")]
    prepared = prepared.reset_coords(links)  # variables that attributes point at, not coordinates of a field
    for name, variable in prepared.variables.items():
        listed = variable.attrs.pop("coordinates", variable.encoding.get("coordinates"))
        is_field = name in prepared.data_vars and name not in links
        attributes = {key: _plain(value) for key, value in variable.attrs.items()}
        if variable.dtype.kind == "M" and "standard_name" in attributes:
            attributes["units_metadata"] = "leap_seconds: none"  # every day has 24 hours
        if "flag_values" in attributes:
            attributes["flag_values"] = np.asarray(attributes["flag_values"], variable.dtype)
        variable.attrs = attributes
        variable.encoding = _encoding(str(name), variable, is_field)
        if name in prepared.data_vars:
            variable.encoding["coordinates"] = listed if is_field else None
    return prepared


def _encoding(name: str, variable: xr.Variable, is_field: bool) -> dict[str, Any]:
    kind = variable.dtype.kind
    if kind == "M":
        return dict(_TIME)
    if kind == "m":
        return dict(_DURATION)
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
