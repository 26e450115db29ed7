"""Members as they are published: rounded to what the model knows, so that they need fewer bytes.

The values are float32 as before; only their last binary digits are zero, which any reader takes as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

Floats = npt.NDArray[np.float32]

STEPS = {"K": 2.0**-5, "m s-1": 2.0**-6}
"""By units, the step whose multiples are published; errors are at most half a step: 0.016 K, 0.008 m s-1."""
DIGITS = {"kg m-2": 10}
"""By units, the binary digits that are published where errors are relative: 10 are off by at most 0.098 %."""


def rounded(members: xr.Dataset) -> xr.Dataset:
    """Return a forecast (member, lead_time, y, x) as it is published, with attributes that say how it was rounded.

    What is rounded already stays as it is, bit for bit; so does a variable of units without a rule, or of other types.
    """
    made = members.copy()
    for name, field in members.data_vars.items():
        units = str(field.attrs.get("units", ""))
        if field.dtype == np.float32 and units in STEPS:
            step = STEPS[units]
            made[name] = field.copy(data=_to_multiples(field.values, step)).assign_attrs(_said(step, units))
        elif field.dtype == np.float32 and units in DIGITS:
            digits = DIGITS[units]
            made[name] = field.copy(data=_to_digits(field.values, digits)).assign_attrs(_said_of_digits(digits))
    return made


def _to_multiples(values: Floats, step: float) -> Floats:
    """Exact: steps are powers of two. Zero has no sign."""
    return np.asarray(np.rint(values / np.float32(step)) * np.float32(step) + np.float32(0), np.float32)


def _to_digits(values: Floats, digits: int) -> Floats:
    """Keep so many binary digits, the first among them; the nearest, of two as near the even one. Zero has no sign."""
    fraction, exponent = np.frexp(values)
    scale = np.float32(2**digits)
    return np.asarray(np.ldexp(np.rint(fraction * scale) / scale, exponent) + np.float32(0), np.float32)


def _said(step: float, units: str) -> dict[str, Any]:
    text = f"rounded at publication to multiples of {step:g} {units}: off by at most {step / 2:g} {units}"
    return {"rounding": text, "rounding_error": step / 2}


def _said_of_digits(digits: int) -> dict[str, Any]:
    share = 2.0**-digits
    text = f"rounded at publication to {digits} binary digits: off by at most {100 * share:.2g} % of the value"
    return {"rounding": text, "rounding_relative_error": share}
