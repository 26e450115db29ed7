"""The products one field at a time, with a name each, and the table of how numbers of each kind are packed and shown.

A field is one product at one quantile or threshold: what a map shows, a GeoTIFF holds and a GRIB file is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product as combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products.surface import BEAUFORT_LIMITS

Array = npt.NDArray[Any]
_ZERO_CELSIUS = 273.15


@dataclass(frozen=True)
class Kind:
    """How numbers of one kind are packed into whole numbers, and what people read.

    A stored number n stands for n * `scale` + `offset` in `units` (SI), and for missing where it is `fill`. People read
    `shown_units`, which are the SI units less `offset`. `steps` are the lower edges of the legend's classes in them,
    `colours` the name of the colour table.
    """

    name: str
    units: str
    dtype: str
    scale: float
    offset: float
    fill: int
    shown_units: str
    zh: str
    en: str
    colours: str
    steps: tuple[float, ...]

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes by which CF readers unpack an array of this kind."""
        scale = {} if self.scale == 1 else {"scale_factor": self.scale}
        offset = {"add_offset": self.offset} if self.offset else {}
        return {"units": self.units, **scale, **offset, "_FillValue": self.fill}

    @property
    def described(self) -> dict[str, Any]:
        """All of it but the name, for a page that unpacks, draws and labels it."""
        return {name: value for name, value in asdict(self).items() if name != "name"}

    def packed(self, values: Array, name: str) -> Array:
        """Return values (any shape) as whole numbers, NaN as `fill`; off by at most half of `scale`.

        Raises BadInput, which names the field, for a number that does not fit.
        """
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        whole = np.rint((values.astype(np.float64) - self.offset) / self.scale)
        limits = np.iinfo(self.dtype)
        low, high = (limits.min + 1, limits.max) if self.fill == limits.min else (limits.min, limits.max - 1)
        beyond = ~missing & ~((whole >= low) & (whole <= high))
        if beyond.any():
            allowed = f"{low * self.scale + self.offset:g} to {high * self.scale + self.offset:g} {self.units}"
            raise BadInput(f"{name}: {values[beyond].flat[0]:g} does not fit into {self.dtype}; allowed {allowed}")
        return np.where(missing, self.fill, whole).astype(self.dtype)


_RAIN_STEPS = (0.1, 1, 2, 6, 10, 15, 20, 30, 40, 50, 70, 90, 110, 130, 150, 200, 300)
_CELSIUS_STEPS = tuple(range(39))
_CHANCE_STEPS = tuple(n / 10 for n in range(1, 10))
_INT16, _UINT8 = ("int16", -32768), ("uint8", 255)


def _kind(name: str, units: str, into: tuple[str, int], scale: float, offset: float, *shown: Any) -> Kind:
    dtype, fill = into
    return Kind(name, units, dtype, scale, offset, fill, *shown)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("rain", "kg m-2", _INT16, 0.1, 0, "mm", "雨量", "rain", "rain", _RAIN_STEPS),
        # Sums over hours are many times as large: in tenths, a map of a day in a typhoon is half as many bytes again.
        _kind("rain_hours", "kg m-2", _INT16, 0.5, 0, "mm", "雨量", "rain", "rain", _RAIN_STEPS),
        _kind("rain_day", "kg m-2", _INT16, 1, 0, "mm", "雨量", "rain", "rain", _RAIN_STEPS),
        _kind("temperature", "K", _INT16, 0.1, _ZERO_CELSIUS, "°C", "氣溫", "temperature", "temperature",
              _CELSIUS_STEPS),
        _kind("difference", "K", _INT16, 0.1, 0, "°C", "氣溫離散度", "spread of temperature", "spread", (0.5, 1, 2, 3)),
        _kind("wind", "m s-1", _INT16, 0.1, 0, "m/s", "風速", "wind speed", "wind", BEAUFORT_LIMITS),
        _kind("direction", "degree", _INT16, 1, 0, "°", "風向", "wind direction", "direction", (0, 90, 180, 270)),
        _kind("probability", "1", _UINT8, 1 / 200, 0, "1", "機率", "probability", "probability", _CHANCE_STEPS),
        _kind("hours", "h", _UINT8, 1, 0, "h", "時間", "hours", "hours", (1, 3, 6, 9, 12)),
        _kind("class", "1", _UINT8, 1, 0, "", "等級", "class", "classes", ()),
    )
}  # fmt: skip
"""Every kind, by name. Steps of rain and temperature: as commonly coded for the Central Weather Administration's maps.
Of wind: Beaufort forces 1 to 12."""

_KIND_OF_SUM = {"tp03": "rain_hours", "tp06": "rain_hours", "tp12": "rain_day", "tp24": "rain_day"}
_KIND_OF_UNITS = {
    "kg m-2": "rain", "K": "temperature", "m s-1": "wind", "degree": "direction", "1": "probability",
    "h": "hours", "hour": "hours", "hours": "hours",
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One product at one quantile or threshold: (lead_time, y, x), or (y, x) where it is of all leads together.

    `at` gives the quantile and threshold in SI units, by the names of their dimensions.
    """

    name: str
    product: str
    at: dict[str, float]
    values: xr.DataArray
    kind: Kind

    @property
    def has_leads(self) -> bool:
        """True where there is a map for each lead."""
        return "lead_time" in self.values.dims

    @property
    def long_name(self) -> str:
        """What it is, with its quantile or threshold."""
        return " ".join((str(self.values.attrs["long_name"]), *_words(self.values, self.at)))


def fields(products: xr.Dataset) -> Iterator[Field]:
    """Yield every field of the products, in the order of the dataset.

    Its name is that of the product; `_p90` follows for a quantile, `_40` for a threshold in the units that people use:
    mm, Beaufort force, degrees Celsius. Raises BadInput for units that the table of kinds does not know.
    """
    for name, values in products.data_vars.items():
        dims = [str(dim) for dim in values.dims[:-2] if dim != "lead_time"]
        kind = kind_of(str(name), values)
        for place in combinations(*(range(values.sizes[dim]) for dim in dims)):
            here = values.isel(dict(zip(dims, place, strict=True)))
            at = {dim: float(here[dim]) for dim in dims}
            suffixes = (_suffix(dim, number, values[dim].attrs.get("units", "")) for dim, number in at.items())
            yield Field("_".join((str(name), *suffixes)), str(name), at, here, kind)


def kind_of(name: str, values: xr.DataArray) -> Kind:
    """Return what kind of numbers a variable holds; raises BadInput for units without a kind."""
    units = str(values.attrs.get("units", ""))
    if values.dtype.kind in "biu" and units in ("1", ""):
        return KINDS["class"]
    if values.attrs.get("units_metadata") == "temperature: difference":
        return KINDS["difference"]
    if units not in _KIND_OF_UNITS:
        raise BadInput(f"{name}: units {units!r} cannot be packed; allowed {', '.join(_KIND_OF_UNITS)}")
    if units == "kg m-2" and name[:4] in _KIND_OF_SUM:
        return KINDS[_KIND_OF_SUM[name[:4]]]
    return KINDS[_KIND_OF_UNITS[units]]


def _suffix(dim: str, number: float, units: str) -> str:
    if dim == "quantile":
        return f"p{100 * number:g}"
    return f"{shown(number, units)[0]:g}"


def shown(number: float, units: str) -> tuple[float, str]:
    """Return a threshold in the units that people use: mm, Beaufort force where it begins one, degrees Celsius."""
    if units == "K":
        return round(number - _ZERO_CELSIUS, 2), "°C"
    if units == "m s-1":
        speed = round(number, 4)
        return (BEAUFORT_LIMITS.index(speed) + 1.0, "Beaufort") if speed in BEAUFORT_LIMITS else (speed, "m/s")
    return round(number, 4), {"kg m-2": "mm"}.get(units, units)


def _words(values: xr.DataArray, at: dict[str, float]) -> Iterator[str]:
    for dim, number in at.items():
        if dim == "quantile":
            yield f"{100 * number:g} %"
        else:
            figure, units = shown(number, str(values[dim].attrs.get("units", "")))
            yield f"{figure:g} {units}".strip()
