"""Two datasets of one plan compared: equal bit for bit, or the first difference, with its place and its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.plan import Frozen
from stormcast_tw.products.rounding import DIGITS, STEPS

TOLERANCE = {"K": STEPS["K"], "m s-1": 0.02, "kg m-2": 0.1}
"""Largest difference that counts as rounding, by units; of other units none. Convolutions differ by about 1e-6 per call
between machines, and hundreds of calls amplify that; anything larger is another forecast. One step of what is published
is within it: of two numbers as good as equal each may be rounded to its own side."""
_SHARES = {units: 2.0 ** (1 - digits) for units, digits in DIGITS.items()}
"""The same as a share of the value, where the step grows with it."""

Verdict = Literal["identical", "equal within tolerance", "different"]
VERDICTS: tuple[Verdict, ...] = ("identical", "equal within tolerance", "different")
"""From best to worst."""
_WHEN = ("history", "source", "date_created")
"""Global attributes that say when, and by which release, a dataset was written."""


class Difference(Frozen):
    """How one variable differs, or an attribute of it or of the dataset: in words, and whether this is rounding."""

    variable: str
    text: str
    verdict: Verdict = "different"


class Comparison(Frozen):
    """The comparison of one dataset: what it is, and every variable that differs, in the dataset's order."""

    what: str
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all variables."""
        return max((d.verdict for d in self.differences), key=VERDICTS.index, default="identical")

    @property
    def text(self) -> str:
        """One line: the first variable that differs by more than rounding, or differs at all."""
        if not self.differences:
            return f"{self.what}: equal bit for bit"
        first = next((d for d in self.differences if d.verdict == self.verdict), self.differences[0])
        more = f" (and {len(self.differences) - 1} more)" if len(self.differences) > 1 else ""
        return f"{self.what}: {self.verdict}: {first.text}{more}"


def compare_datasets(what: str, then: xr.Dataset, now: xr.Dataset) -> Comparison:
    """Compare every variable, coordinates included, bit for bit, and every attribute but history and source."""
    differences = list(_of_attributes("dataset", _plain(then.attrs), _plain(now.attrs)))
    names = [*then.variables, *(name for name in now.variables if name not in then.variables)]
    for name in map(str, names):
        if name not in now.variables or name not in then.variables:
            differences.append(
                Difference(variable=name, text=f"{name} is only {'now' if name in now else 'then'} there")
            )
        else:
            differences += _of_variable(name, then.variables[name], now.variables[name])
    return Comparison(what=what, differences=tuple(differences))


def compare_fields(what: str, then: xr.Dataset, now: xr.Dataset) -> Comparison:
    """Compare the values of every field of `then`, in its order of dimensions: of what an older layout described."""
    return compare_datasets(what, _fields(then, then), _fields(now, then))


def _fields(dataset: xr.Dataset, like: xr.Dataset) -> xr.Dataset:
    fields = {}
    for name in (name for name in like.data_vars if name in dataset.data_vars):
        dims, field = like[name].dims, dataset[name].variable
        ordered = field.transpose(*dims) if set(dims) == set(field.dims) else field
        fields[name] = xr.Variable(ordered.dims, ordered.values, {"units": like[name].attrs.get("units", "")})
    return xr.Dataset(fields)


def _plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in attributes.items() if name not in _WHEN}


def _of_attributes(variable: str, then: Mapping[Any, Any], now: Mapping[Any, Any]) -> Iterator[Difference]:
    for name in sorted({*then, *now}):
        a, b = then.get(name), now.get(name)
        if _bits(np.asarray(a)) != _bits(np.asarray(b)):
            yield Difference(variable=variable, text=f"{variable}, attribute {name}: then {a!r}, now {b!r}")
            return


def _of_variable(name: str, then: xr.Variable, now: xr.Variable) -> Iterator[Difference]:
    shapes = [f"{v.dtype} ({', '.join(f'{d} {n}' for d, n in v.sizes.items())})" for v in (then, now)]
    if shapes[0] != shapes[1]:
        yield Difference(variable=name, text=f"{name}: then {shapes[0]}, now {shapes[1]}")
        return
    a, b = np.asarray(then.values), np.asarray(now.values)
    if _bits(a) != _bits(b):
        yield _of_values(name, then, a, b)
    yield from _of_attributes(name, then.attrs, now.attrs)


def _of_values(name: str, variable: xr.Variable, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Difference:
    units = str(variable.attrs.get("units", ""))
    differ = ~((a == b) | ((a != a) & (b != b)))  # NaN is NaN
    if not differ.any():
        return Difference(variable=name, text=f"{name}: other bits of the same numbers", verdict=VERDICTS[1])
    place = tuple(int(n) for n in np.argwhere(differ)[0])
    where = ", ".join(f"{dim} {n}" for dim, n in zip(variable.dims, place, strict=True))
    largest, verdict = float("inf"), VERDICTS[2]
    if a.dtype.kind in "fiub":
        found, again = a[differ].astype(float), b[differ].astype(float)
        if np.isfinite(found).all() and np.isfinite(again).all():
            apart = np.abs(found - again)
            allowed = np.maximum(TOLERANCE.get(units, 0.0), _SHARES.get(units, 0.0) * np.abs(found))
            largest, verdict = float(apart.max()), VERDICTS[1] if (apart <= allowed).all() else VERDICTS[2]
    at = f"{name}[{where}]" if where else name
    numbers = f"then {a[place]}, now {b[place]}"
    count = f"{int(differ.sum())} of {differ.size} values differ, by at most {largest:.3g} {units}".rstrip()
    return Difference(variable=name, text=f"{at}: {numbers}; {count}", verdict=verdict)


def _bits(values: npt.NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    return str(values.dtype), values.shape, values.tobytes()
