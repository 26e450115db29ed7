"""Is this field believable: finite, and within what can occur near Taiwan.

Every verdict names the file, the variable, the number found and the number allowed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.variables import Variable

RAIN_NEGATIVE_LIMIT = 0.1
"""mm: rain between minus this and 0 is rounding of accumulations and becomes 0; below it the file is wrong."""

HUMIDITY_NEGATIVE_LIMIT = 5e-5
"""kg kg-1: undershoot of neural models and GRIB packing, a third of the mean at 250 hPa (realism.md)."""


def check(values: npt.NDArray[Any], variable: Variable, address: str, *, missing_allowed: bool = False) -> None:
    """Refuse a field of any shape, in the variable's units, that cannot be this variable.

    Raises BadInput when a value is not finite (NaN is let through where `missing_allowed`) or lies outside
    `Variable.valid_range`. `address` is where the field came from and opens the message.
    """
    finite = np.isfinite(values)
    bad = np.count_nonzero(~(finite | np.isnan(values)) if missing_allowed else ~finite)
    if bad:
        raise BadInput(f"{address}: {variable.id} has {bad} of {values.size} values that are not finite; allowed 0")
    if not finite.any():
        if missing_allowed:
            return
        raise BadInput(f"{address}: {variable.id} has no values at all")
    low, high = variable.valid_range
    least, greatest = float(np.nanmin(values)), float(np.nanmax(values))
    if least < low or greatest > high:
        raise BadInput(
            f"{address}: {variable.id} spans {least:.6g} to {greatest:.6g} {variable.units};"
            f" allowed {low:g} to {high:g}"
        )


def clip_small_negatives(
    values: npt.NDArray[np.float64], limit: float, variable: Variable, address: str
) -> tuple[npt.NDArray[np.float64], int]:
    """Return `values` (any shape) with those in [-limit, 0) set to 0, and how many there were.

    Raises BadInput for a value below -limit. NaN stays NaN.
    """
    negative = values < 0
    count = int(np.count_nonzero(negative))
    if count and float(np.nanmin(values)) < -limit:
        raise BadInput(
            f"{address}: {variable.id} falls to {float(np.nanmin(values)):.6g} {variable.units};"
            f" allowed no lower than {-limit:g}"
        )
    return np.where(negative, 0.0, values), count
