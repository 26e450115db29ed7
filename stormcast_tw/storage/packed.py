"""A dataset as one compressed NetCDF-4 object, where a Zarr folder would be thousands of tiny ones."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store

_MISSING = np.int16(-32768)


def pack(dataset: xr.Dataset, steps: Mapping[str, float] | None = None) -> bytes:
    """Return the bytes of a dataset; variables in `steps` are stored as 16-bit multiples of their step, NaN kept.

    Raises BadInput for a value beyond 32767 steps.
    """
    encoding: dict[str, dict[str, Any]] = {str(name): {"zlib": True, "complevel": 1} for name in dataset.data_vars}
    for name, step in (steps or {}).items():
        largest = float(np.nanmax(np.abs(dataset[name].values), initial=0.0))
        if not largest < 32767 * step:
            raise BadInput(f"{name} reaches {largest:g}; allowed below {32767 * step:g} in steps of {step:g}")
        encoding[name] |= {
            "dtype": "int16",
            "scale_factor": np.float32(step),
            "_FillValue": _MISSING,
            "chunksizes": (1,) * (dataset[name].ndim - 2) + dataset[name].shape[-2:],
        }
    return bytes(dataset.to_netcdf(engine="h5netcdf", encoding=encoding))


def unpack(store: Store, artifact: Artifact, name: str) -> xr.Dataset:
    """Return the dataset that a sealed artifact keeps as `name`; raises BadInput if it is missing or damaged."""
    packed = store.read(artifact, name)
    try:
        return xr.load_dataset(io.BytesIO(packed), engine="h5netcdf")
    except (OSError, ValueError) as error:
        raise BadInput(f"{artifact.uri}/{name}: {len(packed)} bytes are not a NetCDF file ({error})") from error
