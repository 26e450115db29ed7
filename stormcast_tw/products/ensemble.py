"""Statistics over the ensemble, formed from per-member values."""

from __future__ import annotations

import numpy as np
import xarray as xr

QUANTILES = (0.1, 0.5, 0.9)


def mean(members: xr.DataArray) -> xr.DataArray:
    """Return the ensemble mean: (member, ...) -> (...)."""
    return members.mean("member")


def quantiles(members: xr.DataArray) -> xr.DataArray:
    """Return the 10, 50 and 90 percentiles: (member, ...) -> (quantile, ...).

    Linear interpolation between order statistics (Hyndman and Fan 1996, type 7).
    """
    values = np.quantile(members.values, QUANTILES, axis=members.get_axis_num("member"), method="linear")
    rest = [dim for dim in members.dims if dim != "member"]
    attributes = {"long_name": "quantile of the ensemble", "units": "1"}
    coordinates = {name: c for name, c in members.coords.items() if "member" not in c.dims}
    quantile = ("quantile", np.array(QUANTILES), attributes)
    return xr.DataArray(
        values.astype(np.float32), dims=("quantile", *rest), coords={**coordinates, "quantile": quantile}
    )
