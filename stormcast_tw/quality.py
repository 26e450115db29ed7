"""Is this field believable: finite, within what can occur near Taiwan, covering the domain, neither stuck nor jumping?

A field that fails raises BadInput with the file, the variable, the number found and the number allowed. A field that
passes yields a `Verdict` with the same numbers, for the table of inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.variables import VARIABLES, Variable

if TYPE_CHECKING:
    import xarray as xr

RAIN_NEGATIVE_LIMIT = 0.1
"""mm. Rain between minus this and 0 is rounding of accumulations and becomes 0; lower values mean a bad file."""

HUMIDITY_NEGATIVE_LIMIT = 5e-5
"""kg kg-1. Undershoot of neural models and GRIB packing; a third of the mean humidity at 250 hPa (realism.md)."""


def check(values: npt.NDArray[Any], variable: Variable, address: str, *, missing_allowed: bool = False) -> None:
    """Refuse a field of any shape, in the variable's units, that cannot be this variable.

    Raises BadInput when a value is not finite (NaN is let through where `missing_allowed`) or lies outside
    `Variable.valid_range`. `address` says where the field came from and starts the message.
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


@dataclass(frozen=True)
class Verdict:
    """A check that a variable passed: the value found, and what was allowed."""

    check: str
    variable: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.variable} {self.check} {self.found} (allowed {self.allowed})"


HEAVIEST_PERCENTILE_MM = 120.0
"""Largest accepted 99th percentile of hourly rain: three times that of typhoon Soudelor (40 mm, realism.md);
the archive holds an hour with 345 mm."""

LEAST_COVERAGE = 0.3
"""Smallest observed share of the forecast domain: with one of its four radars left, a network sees a third."""

LARGEST_JUMP = {"t2m": 4.0, "u10m": 8.0, "v10m": 8.0, "sp": 600.0}
"""Largest accepted root mean square change in one hour, SI units: about five times the mean change of the air over
Taiwan. A front or a typhoon changes part of the domain by more; a wrong unit or a wrong field changes all of it."""


def examine_rain(rain: npt.NDArray[Any], address: str) -> tuple[Verdict, ...]:
    """Check hourly rain (ny, nx), mm, on the forecast domain, NaN where it is not observed.

    Raises BadInput for too little coverage or for a gross error of the whole field.
    """
    share = float(np.isfinite(rain).mean())
    if share < LEAST_COVERAGE:
        raise BadInput(f"{address}: tp01 covers {share:.1%} of the domain; allowed no less than {LEAST_COVERAGE:.0%}")
    heaviest = float(np.nanpercentile(rain, 99))
    if heaviest > HEAVIEST_PERCENTILE_MM:
        raise BadInput(
            f"{address}: tp01 has a 99th percentile of {heaviest:.4g} kg m-2; allowed {HEAVIEST_PERCENTILE_MM:g}"
        )
    return (
        Verdict("coverage", "tp01", f"{share:.1%}", f"{LEAST_COVERAGE:.0%} or more"),
        Verdict("99th percentile", "tp01", f"{heaviest:.4g} kg m-2", f"{HEAVIEST_PERCENTILE_MM:g} or less"),
    )


def examine_change(
    now: npt.NDArray[Any], before: npt.NDArray[Any], variable: Variable, address: str
) -> tuple[Verdict, ...]:
    """Compare a field (ny, nx) with the field one hour earlier. Raises BadInput if it is a copy, or changes too much.

    A field of a single value, such as no rain anywhere, may stay the same.
    """
    both = np.isfinite(now) & np.isfinite(before)
    if not both.any():
        return ()
    change = now[both].astype(np.float64) - before[both]
    if not change.any() and np.ptp(now[both]) > 0:
        raise BadInput(
            f"{address}: {variable.id} equals the hour before at all of {change.size} points; allowed at fewer"
        )
    jump, limit = float(np.sqrt(np.mean(change**2))), LARGEST_JUMP.get(variable.id)
    if limit is None:
        return ()
    if jump > limit:
        raise BadInput(
            f"{address}: {variable.id} changed by {jump:.4g} {variable.units} RMS in an hour; allowed {limit:g}"
        )
    return (Verdict("change in an hour", variable.id, f"{jump:.3g} {variable.units} RMS", f"{limit:g}"),)


def ranges(dataset: xr.Dataset) -> tuple[Verdict, ...]:
    """Return the range and the share of missing values of every variable that passed `check`."""
    return tuple(_range(VARIABLES[str(name)], array.values) for name, array in dataset.data_vars.items())


def _range(variable: Variable, values: npt.NDArray[Any]) -> Verdict:
    low, high = variable.valid_range
    missing = float(np.isnan(values).mean())
    holes = f", {missing:.1%} missing" if missing else ""
    found = f"{float(np.nanmin(values)):.5g} to {float(np.nanmax(values)):.5g} {variable.units}{holes}"
    return Verdict("range", variable.id, found, f"{low:g} to {high:g}")
