"""GRIB 2 for the tools of weather services: a file for each field and each variable of the members, with its index.

WMO Manual on Codes, FM 92 (WMO-No. 306). Maps are on a latitude/longitude grid, north row first, packed with CCSDS in
16 bits: off by at most the range of a map / 2^16. Rain is parameter 0/1/52, summed over the hours to its valid time, in
kg m-2, which eccodes calls `tp`; a probability is in percent. Files hold one kind of message each, because tools that
make arrays of them, cfgrib among them, cannot tell apart thresholds or percentiles in one file.

What FM 92 has no words for is left out: probability-matched means, Beaufort classes (which follow from the wind), the
direction of the mean wind, and whatever else is not a mean, spread, percentile or probability at a point.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.exports.fields import Field, fields
from stormcast_tw.grid import Grid
from stormcast_tw.lazy import lazy_import
from stormcast_tw.products.table import PRODUCTS
from stormcast_tw.regions import HOME
from stormcast_tw.settings import settings
from stormcast_tw.sources.formats.grib import SIMULATED_SECTION

eccodes = lazy_import("eccodes")

Keys = Mapping[str, int | float | str]

_PARAMETERS: dict[str, tuple[int, int, int]] = {
    # category, number, height above ground in metres; 0 is the surface
    "tp": (1, 52, 0),
    "t2m": (0, 0, 2),
    "wind_speed": (2, 1, 10),
    "u10m": (2, 2, 10),
    "v10m": (2, 3, 10),
}
"""Parameters of discipline 0 (code table 4.2), by quantity; sums of rain of any length are `tp`."""
_TEMPLATES = {"member": (1, 11), "mean": (2, 12), "spread": (2, 12), "probability": (5, 9), "quantile": (6, 10)}
"""Product definition templates (code table 4.0) at a time and over an interval."""
_DERIVED = {"mean": 0, "spread": 4}
"""Code table 4.7: unweighted mean of all members, spread of all members."""
_SIDES = {"at or above": (3, "Lower"), "at or below": (4, "Upper")}
"""Code table 4.9, above the lower or below the upper limit, and which limit is given."""
_HAZARDS = {hazard.name: hazard for hazard in HOME.hazards}
_TABLES = 33
"""Version of the code tables."""
_BEFORE_LOCAL = 37
"""Bytes of sections 0 and 1, after which the local section follows where there is one."""


def statistics(*, products: xr.Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield `<field>.grib2` and its index for each field of the products that FM 92 has words for, by path.

    A lead at which all of a field is missing has no message; missing points have a bitmap. Raises BadInput unless the
    grid is in latitude and longitude.
    """
    with _blank(products) as blank:
        for field in fields(products):
            if (described := _described(field, products.attrs)) is not None:
                maps = [(described.keys, values) for values in field.values.transpose("lead_time", ...)]
                yield from _file(field.name, described, maps, blank, simulated=bool(products.attrs["simulated"]))


def members(*, members: xr.Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield `<variable>_members.grib2` and its index for rain, wind and temperature of the members, by path."""
    with _blank(members) as blank:
        for name in (str(n) for n in members.data_vars if _parameter(str(n)) is not None):
            described = _Described(name, "member", {"numberOfForecastsInEnsemble": members.sizes["member"]})
            maps = (
                ({"perturbationNumber": int(member["member"]), **described.keys}, values)
                for member in members[name].transpose("member", "lead_time", ...)
                for values in member
            )
            simulated = bool(members.attrs["simulated"])
            yield from _file(f"{name}_members", described, maps, blank, simulated=simulated)


@dataclass(frozen=True)
class _Described:
    """What the messages of a file are in the words of FM 92: a quantity, a statistic and the keys of that."""

    quantity: str
    statistic: str
    keys: Keys

    @property
    def hours(self) -> int:
        """Over how many hours it is summed; 0 for what is of a time."""
        return _hours(self.quantity)


def _described(field: Field, about: Mapping[str, Any]) -> _Described | None:
    """Return what a field is in the words of FM 92; None where it has none."""
    row, (start, _, statistic) = PRODUCTS.get(field.product), field.product.rpartition("_")
    if row is None or statistic not in _TEMPLATES or not field.has_leads:
        return None
    quantity = row.quantity.name
    if start not in ({quantity} if statistic != "probability" else _HAZARDS) or _parameter(quantity) is None:
        return None
    if statistic in _DERIVED:
        keys = {"derivedForecast": _DERIVED[statistic], "numberOfForecastsInEnsemble": int(about["members"])}
        return _Described(quantity, statistic, keys)
    if statistic == "quantile":
        return _Described(quantity, statistic, {"percentileValue": round(100 * field.at["quantile"])})
    kind, limit = _SIDES[_HAZARDS[start].side]
    factor, scaled = _scaled(field.at[f"{start}_threshold"])
    limits = {f"scaleFactorOf{limit}Limit": factor, f"scaledValueOf{limit}Limit": scaled}
    counted = {"forecastProbabilityNumber": 1, "totalNumberOfForecastProbabilities": 1}
    return _Described(quantity, statistic, {**counted, "probabilityType": kind, **limits})


def _scaled(number: float) -> tuple[int, int]:
    """Return the decimal factor f and the whole number n of number = n / 10^f."""
    text = f"{number:.4f}".rstrip("0")
    factor = len(text.partition(".")[2])
    return factor, round(number * 10**factor)


def _parameter(quantity: str) -> tuple[int, int, int] | None:
    return _PARAMETERS.get("tp" if _hours(quantity) else quantity)


def _hours(quantity: str) -> int:
    """Return over how many hours a quantity is summed, 0 for one of a time: tp03 is 3."""
    return int(quantity[2:]) if quantity.startswith("tp") and quantity[2:].isdigit() else 0


def _file(
    name: str, described: _Described, maps: Iterable[tuple[Keys, xr.DataArray]], blank: int, *, simulated: bool
) -> Iterator[tuple[str, bytes]]:
    """Yield a file of one message a map (y, x), each with its own keys, and its index: a line of JSON a message."""
    scale = 100.0 if described.statistic == "probability" else 1.0
    messages, index, offset = [], [], 0
    with _clone(blank, _identity(described)) as template:
        for keys, values in maps:
            if np.isnan(values.values).all():
                continue
            lead = int(values["lead_time"].values // np.timedelta64(1, "h"))
            step = f"{lead - described.hours}-{lead}" if described.hours else str(lead)
            message = _message(template, {**keys, "stepUnits": "h", "stepRange": step}, scale * values.values)
            message = _marked(message) if simulated else message
            line = {"param": name, "step": step, **keys, "_offset": offset, "_length": len(message)}
            index.append(json.dumps(line) + "\n")
            messages.append(message)
            offset += len(message)
    yield f"{name}.grib2", b"".join(messages)
    yield f"{name}.index", "".join(index).encode()


@contextmanager
def _blank(dataset: xr.Dataset) -> Iterator[int]:
    """A message of eccodes that knows its origin and its grid, and nothing else."""
    packing: dict[str, int | float | str] = {"packingType": "grid_ccsds", "bitsPerValue": 16}
    handle: int = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    try:
        _set(handle, packing | _origin(dataset) | _area(Grid.of(dataset)))
        yield handle
    finally:
        eccodes.codes_release(handle)


@contextmanager
def _clone(handle: int, keys: Keys) -> Iterator[int]:
    """A copy of a message, with these keys."""
    clone: int = eccodes.codes_clone(handle)
    try:
        _set(clone, keys)
        yield clone
    finally:
        eccodes.codes_release(clone)


def _set(handle: int, keys: Keys) -> None:
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)


def _identity(described: _Described) -> Keys:
    """Return the keys of section 4 that all messages of a file share: the statistic, the parameter and its height."""
    parameter = _parameter(described.quantity)
    assert parameter is not None
    height, over_hours = parameter[2], described.hours > 0
    return {
        "productDefinitionTemplateNumber": _TEMPLATES[described.statistic][over_hours],
        "discipline": 0,
        "parameterCategory": parameter[0],
        "parameterNumber": parameter[1],
        "typeOfGeneratingProcess": 4,
        "typeOfFirstFixedSurface": 103 if height else 1,
        "scaleFactorOfFirstFixedSurface": 0,
        "scaledValueOfFirstFixedSurface": height,
        **({"typeOfStatisticalProcessing": 1, "typeOfTimeIncrement": 2} if over_hours else {}),
        **({"typeOfEnsembleForecast": 255} if described.statistic == "member" else {}),
    }


def _origin(dataset: xr.Dataset) -> dict[str, int | float | str]:
    """Return the keys of section 1: who made it, of which run, and whether it is operational, a test or research."""
    init_time = str(np.datetime_as_string(dataset["init_time"].values, "m"))
    simulated, oper = bool(dataset.attrs["simulated"]), dataset.attrs.get("experiment") == "oper"
    return {
        "tablesVersion": _TABLES,
        "centre": settings().grib_centre,
        "subCentre": settings().grib_subcentre,
        "productionStatusOfProcessedData": 2 if simulated else 0 if oper else 1,
        "typeOfProcessedData": 4 if "member" in dataset.dims else 5,
        "dataDate": int(init_time[:10].replace("-", "")),
        "dataTime": int(init_time[11:].replace(":", "")),
    }


def _area(grid: Grid) -> dict[str, int | float | str]:
    """Return the keys of section 3: the grid on WGS 84, west to east, then north to south."""
    if not grid.is_geographic:
        raise BadInput(f"grid {grid.name}: a projection cannot be written as GRIB 2 yet; allowed latitude/longitude")
    return {
        "shapeOfTheEarth": 5,
        "Ni": grid.nx,
        "Nj": grid.ny,
        "iScansNegatively": 0,
        "jScansPositively": 0,
        "latitudeOfFirstGridPointInDegrees": grid.y_last,
        "longitudeOfFirstGridPointInDegrees": grid.x_first,
        "latitudeOfLastGridPointInDegrees": grid.y_first,
        "longitudeOfLastGridPointInDegrees": grid.x_last,
        "iDirectionIncrementInDegrees": grid.dx,
        "jDirectionIncrementInDegrees": grid.dy,
    }


def _message(template: int, keys: Keys, values: Any) -> bytes:
    northern_first = np.asarray(values, np.float64)[::-1]
    missing = np.isnan(northern_first)
    with _clone(template, keys) as handle:
        if missing.any():
            eccodes.codes_set(handle, "bitmapPresent", 1)
            northern_first = np.where(missing, eccodes.codes_get(handle, "missingValue"), northern_first)
        eccodes.codes_set_values(handle, northern_first.ravel())
        return bytes(eccodes.codes_get_message(handle))


def _marked(message: bytes) -> bytes:
    """Return a message without a local section with one that says that it is simulated."""
    local = (5 + len(SIMULATED_SECTION)).to_bytes(4, "big") + b"\x02" + SIMULATED_SECTION
    whole = message[:_BEFORE_LOCAL] + local + message[_BEFORE_LOCAL:]
    return whole[:8] + len(whole).to_bytes(8, "big") + whole[16:]
