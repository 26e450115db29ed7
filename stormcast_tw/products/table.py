"""The table of products. A product is one row here and one pure function.

Rows are made from four small tables: per-member quantities (`quantities.QUANTITIES`), statistics, the region's hazards
and what is said of each (`chances`), and the few single rows at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products.chances import chances
from stormcast_tw.products.ensemble import mean, probability_matched_mean, quantiles, spread
from stormcast_tw.products.localised import AREA_KM, localised_probability_matched_mean
from stormcast_tw.products.place import horizontal
from stormcast_tw.products.projected import OBSERVED, PROJECTED_HOURS, with_observed
from stormcast_tw.products.quantities import QUANTITIES, Product, Quantity
from stormcast_tw.products.surface import BEAUFORT_NAMES, OROGRAPHY, beaufort, vector_mean_direction
from stormcast_tw.products.timing import highest
from stormcast_tw.regions import HOME
from stormcast_tw.schema import accumulation_coordinates, array_attributes, of_forecast, since_init_coordinates

_RAIN = ("tp01", "tp03", "tp06", "tp12")
_PROJECTED = tuple(f"tp{hours:02d}_projected" for hours in PROJECTED_HOURS)


@dataclass(frozen=True)
class _Statistic:
    """A statistic of the members of some quantities: the end of the product's name, its words and its function."""

    suffix: str
    words: str
    method: str
    compute: Callable[[xr.DataArray], xr.DataArray]
    quantities: tuple[str, ...]
    members: int = 1
    since_init: bool = False


_STATISTICS = (
    _Statistic("mean", "ensemble mean of the members' values", "realization: mean", mean,
               ("wind_speed", "t2m", *_RAIN)),
    _Statistic("spread", "ensemble standard deviation (divisor M - 1)", "realization: standard_deviation", spread,
               ("wind_speed", "t2m", *_RAIN), members=2),
    _Statistic("quantile", "ensemble quantiles, linear between members", "", quantiles,
               ("wind_speed", "t2m", *_RAIN, *_PROJECTED)),
    _Statistic("pmm", "probability-matched ensemble mean", "", probability_matched_mean, _RAIN),
    _Statistic("lpmm", f"probability-matched ensemble mean of areas of {AREA_KM:g} km, joined", "",
               localised_probability_matched_mean, ("tp01", *_PROJECTED)),
    _Statistic("highest_quantile", "ensemble quantiles of each member's highest hour since init_time",
               "time: maximum (interval: 1 hour comment: of the hours since init_time)",
               lambda members: quantiles(highest(members)), ("wind_speed", "tp01"), since_init=True),
)  # fmt: skip


def _statistic(quantity: Quantity, of: _Statistic) -> Product:
    base = quantity.attributes
    attributes = {
        **base,
        "long_name": f"{base['long_name']}, {of.words}",
        "cell_methods": f"{base['cell_methods']} {of.method}".strip(),
    }
    if of.suffix == "spread" and base["units"] == "K":
        attributes["units_metadata"] = "temperature: difference"
    return Product(f"{quantity.name}_{of.suffix}", quantity, attributes, of.compute, of.members, of.since_init)


def _beaufort(statistic: str, words: str, compute: Callable[[xr.DataArray], xr.DataArray]) -> Product:
    attributes = {
        "standard_name": "beaufort_wind_force",
        "long_name": f"Beaufort force of the {words}",
        "units": "1",
        "cell_methods": "time: point",
        "flag_values": list(range(len(BEAUFORT_NAMES))),
        "flag_meanings": " ".join(BEAUFORT_NAMES),
    }
    return Product(
        f"beaufort_{statistic}", QUANTITIES["wind_speed"], attributes, lambda speed: beaufort(compute(speed))
    )


PRODUCTS: dict[str, Product] = {
    row.name: row
    for row in (
        *(_statistic(quantity, of) for quantity in QUANTITIES.values() for of in _STATISTICS
          if quantity.name in of.quantities),
        *(row for hazard in HOME.hazards for row in chances(hazard)),
        _beaufort("mean", "ensemble mean of the members' 10 metre wind speeds", mean),
        _beaufort("quantile", "ensemble quantiles of 10 metre wind speed", quantiles),
        Product("wind_direction_mean", QUANTITIES["wind_vector"], {
            "standard_name": "wind_from_direction", "units": "degree", "cell_methods": "time: point",
            "long_name": "10 metre wind direction of the ensemble mean vector",
            "comment": "missing where the mean vector is zero"}, vector_mean_direction),
        *(Product(quantity.name, quantity, quantity.attributes, lambda field: field)
          for quantity in QUANTITIES.values() if not quantity.of_members),
    )
}  # fmt: skip
"""Every product, by name."""


def make_products(
    forecast: xr.Dataset, observed: xr.Dataset | None = None, orography: npt.ArrayLike | None = None
) -> xr.Dataset:
    """Return all products of a forecast (member, lead_time, y, x), each (lead_time, y, x) in SI units.

    `observed` holds the rain before init_time, `tp01` (valid_time, y, x), for the projected sums; `orography` (ny, nx),
    m, is the package's, without which there is no temperature of the lowland. Both are on the forecast's grid.
    Between lead_time and y quantiles have a dimension `quantile`, the probabilities of a hazard their own, for example
    `tp01_threshold`; what holds for the whole run has no lead_time. All products share the forecast's lead times: an
    n-hour sum is NaN at leads below n, unless hours before it were observed, and has its own time coordinate
    `valid_time_<n>h` with n-hour bounds. There are no n-hour products of a forecast shorter than n hours, and no spread
    of a single member. Global attributes are the forecast's and `members`. Raises BadInput when a variable is absent or
    not finite, or where what is beside the forecast does not fit it.
    """
    leads = forecast["lead_time"]
    made: dict[str, tuple[Any, ...]] = {}
    coordinates = dict(since_init_coordinates(forecast["init_time"], forecast["valid_time"]).coords)
    source = beside(forecast, observed, orography)
    for quantity in QUANTITIES.values():
        if not set(quantity.optional_inputs) <= set(source.data_vars):
            continue
        values = _values(quantity, source)
        if not values.sizes.get("lead_time", 1):
            continue
        for row in PRODUCTS.values():
            if row.quantity is quantity and forecast.sizes["member"] >= row.members:
                product = row.compute(values)
                coordinates |= {str(name): product[name] for name in product.dims if name not in forecast.coords}
                made[row.name] = _placed(row, product, leads)
        if quantity.hours > 1:
            coordinates |= accumulation_coordinates(forecast["valid_time"], quantity.hours).coords
    title = str(forecast.attrs["title"]).replace("ensemble forecast", "ensemble products")
    products = forecast.drop_dims("member").assign_coords(coordinates).assign(made)
    return products.assign_attrs(forecast.attrs | {"title": title, "members": forecast.sizes["member"]})


def beside(forecast: xr.Dataset, observed: xr.Dataset | None, orography: npt.ArrayLike | None) -> xr.Dataset:
    """Return the forecast with `observed` and `orog`, where they are given, as quantities take them.

    Raises BadInput where they are not on the forecast's grid, or cannot be.
    """
    source = with_observed(forecast, observed)
    if orography is None:
        return source
    dims, heights = horizontal(forecast), np.asarray(orography)
    shape = tuple(forecast.sizes[dim] for dim in dims)
    if heights.shape != shape or not np.isfinite(heights).all():
        raise BadInput(f"orography: {heights.shape}, or not finite; allowed finite heights of the forecast's {shape}")
    return source.assign({OROGRAPHY: (dims, heights)})


def _placed(row: Product, product: xr.DataArray, leads: xr.DataArray) -> tuple[Any, ...]:
    """Return dimensions, values and attributes of a product on all leads of the forecast."""
    time = "valid_time" if row.quantity.hours == 1 else f"valid_time_{row.quantity.hours}h"
    along = "lead_time" in product.dims
    if along and product.sizes["lead_time"] < leads.size:
        product = product.reindex(lead_time=leads)
    when = ("valid_time_since_init" if row.since_init else time) if along else None
    attributes = array_attributes(of_forecast(row.attributes), tuple(map(str, product.dims[-2:])), when)
    return product.dims, product.values, attributes


def _values(quantity: Quantity, source: xr.Dataset) -> xr.DataArray:
    absent = [name for name in quantity.inputs if name not in source]
    if absent:
        raise BadInput(f"{quantity.name}: the forecast has no {', '.join(absent)}")
    wanted = [name for name in (*quantity.inputs, OBSERVED, OROGRAPHY) if name in source]
    values = quantity.form(source[wanted].load())
    bad = 0 if quantity.of_some_cells else np.count_nonzero(~np.isfinite(values.values))
    if bad:
        raise BadInput(
            f"{quantity.name} of {', '.join(quantity.inputs)}: {bad} values are not finite, allowed are none"
        )
    return values
