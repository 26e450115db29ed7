"""The table of products. A product is one row here and one pure function.

Rows are made from four small tables: per-member quantities (`QUANTITIES`), statistics, the region's hazards and the few
single rows at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products.ensemble import mean, probability, probability_matched_mean, quantiles, spread
from stormcast_tw.products.rain import ACCUMULATION_HOURS, accumulate
from stormcast_tw.products.surface import (
    BEAUFORT_NAMES,
    beaufort,
    vector_mean_direction,
    wind_speed,
    wind_vector,
)
from stormcast_tw.regions import HOME
from stormcast_tw.regions.region import Hazard
from stormcast_tw.schema import accumulation_coordinates, array_attributes, of_forecast
from stormcast_tw.variables import VARIABLES

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Quantity:
    """A quantity at a point, computed for each member before any statistic.

    `form` takes the forecast and returns (member, lead_time, y, x) in `attributes["units"]`. `hours` is the length of
    the interval that ends at valid_time; if it exceeds one hour, the first hours - 1 leads are absent.
    """

    name: str
    inputs: tuple[str, ...]
    attributes: Attributes
    form: Callable[[xr.Dataset], xr.DataArray]
    hours: int = 1


@dataclass(frozen=True)
class Product:
    """A statistic of a quantity: its name, CF attributes and the pure function from members to product.

    `compute` takes (member, lead_time, y, x) and returns (lead_time, ..., y, x), float32 or int8 classes. It needs at
    least `members` members.
    """

    name: str
    quantity: Quantity
    attributes: Attributes
    compute: Callable[[xr.DataArray], xr.DataArray]
    members: int = 1

    @property
    def inputs(self) -> tuple[str, ...]:
        """The forecast variables it needs."""
        return self.quantity.inputs


def _rain(hours: int) -> Quantity:
    long_name = "rain in the past hour" if hours == 1 else f"rain in the past {hours} hours"
    summed = {} if hours == 1 else {
        "cell_methods": f"time: sum (interval: 1 hour comment: of the {hours} hours that end at this time) area: mean",
        "comment": f"missing at lead times below {hours} h: a sum is whole or not given",
    }  # fmt: skip
    attributes = {**VARIABLES["tp01"].attributes, "long_name": long_name, **summed}
    return Quantity(f"tp{hours:02d}", ("tp01",), attributes, lambda f: accumulate(f, hours), hours)


_WIND = {"units": "m s-1", "cell_methods": "time: point"}

QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity("wind_speed", ("u10m", "v10m"),
                 {"standard_name": "wind_speed", "long_name": "10 metre wind speed", **_WIND}, wind_speed),
        Quantity("wind_vector", ("u10m", "v10m"), {"long_name": "10 metre wind vector", **_WIND}, wind_vector),
        Quantity("t2m", ("t2m",), VARIABLES["t2m"].attributes, lambda f: f["t2m"]),
        *(_rain(hours) for hours in ACCUMULATION_HOURS),
    )
}  # fmt: skip
"""Every quantity, by name."""


def _statistic(quantity: Quantity, suffix: str, words: str, method: str,
               compute: Callable[[xr.DataArray], xr.DataArray], members: int = 1) -> Product:  # fmt: skip
    base = quantity.attributes
    attributes = {
        **base,
        "long_name": f"{base['long_name']}, {words}",
        "cell_methods": f"{base['cell_methods']} {method}".strip(),
    }
    if suffix == "spread" and base["units"] == "K":
        attributes["units_metadata"] = "temperature: difference"
    return Product(f"{quantity.name}_{suffix}", quantity, attributes, compute, members)


def _statistics() -> Iterator[Product]:
    for quantity in QUANTITIES.values():
        if quantity.name == "wind_vector":
            continue
        yield _statistic(quantity, "mean", "ensemble mean of the members' values", "realization: mean", mean)
        yield _statistic(quantity, "spread", "ensemble standard deviation (divisor M - 1)",
                         "realization: standard_deviation", spread, members=2)  # fmt: skip
        yield _statistic(quantity, "quantile", "ensemble quantiles, linear between members", "", quantiles)
        if quantity.name.startswith("tp"):
            yield _statistic(quantity, "pmm", "probability-matched ensemble mean", "", probability_matched_mean)


def _probability(hazard: Hazard) -> Product:
    """CF has no standard name for it; as in number_of_days_with_X_above_threshold, the coordinate is named after X."""
    quantity, name = QUANTITIES[hazard.quantity], f"{hazard.name}_threshold"
    whole = array_attributes(quantity.attributes)
    kept = {k: v for k, v in whole.items() if k in ("standard_name", "units", "units_metadata")}
    threshold = {**kept, "long_name": f"threshold of {hazard.long_name}, {hazard.side}"}
    attributes = {
        "long_name": f"probability of {hazard.long_name} {hazard.side} a threshold",
        "units": "1",
        "cell_methods": f"realization: mean (share of the members {hazard.side} the threshold)",
        **{k: v for k, v in quantity.attributes.items() if k == "comment"},
    }
    compute = partial(probability, thresholds=hazard.thresholds, side=hazard.side, name=name, attributes=threshold)
    return Product(f"{hazard.name}_probability", quantity, attributes, compute)


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
        *_statistics(),
        *(_probability(hazard) for hazard in HOME.hazards),
        _beaufort("mean", "ensemble mean of the members' 10 metre wind speeds", mean),
        _beaufort("quantile", "ensemble quantiles of 10 metre wind speed", quantiles),
        Product("wind_direction_mean", QUANTITIES["wind_vector"], {
            "standard_name": "wind_from_direction", "units": "degree", "cell_methods": "time: point",
            "long_name": "10 metre wind direction of the ensemble mean vector",
            "comment": "missing where the mean vector is zero"}, vector_mean_direction),
    )
}  # fmt: skip
"""Every product, by name."""


def make_products(forecast: xr.Dataset) -> xr.Dataset:
    """Return all products of a forecast (member, lead_time, y, x), each (lead_time, y, x) in SI units.

    Between lead_time and y quantiles have a dimension `quantile`, the probabilities of a hazard their own, for example
    `tp01_threshold`. All products share the forecast's lead times: an n-hour sum is NaN at leads below n, and has its
    own time coordinate `valid_time_<n>h` with n-hour bounds. There are no n-hour products of a forecast shorter than n
    hours, and no spread of a single member. Global attributes are the forecast's and `members`. Raises BadInput when a
    variable is absent or not finite.
    """
    members = forecast.sizes["member"]
    products = forecast.drop_dims("member")
    for quantity in QUANTITIES.values():
        values = _member_values(quantity, forecast)
        if not values.sizes["lead_time"]:
            continue
        time = "valid_time" if quantity.hours == 1 else f"valid_time_{quantity.hours}h"
        for row in PRODUCTS.values():
            if row.quantity is quantity and members >= row.members:
                made = row.compute(values)
                if values.sizes["lead_time"] < products.sizes["lead_time"]:
                    made = made.reindex(lead_time=products["lead_time"])
                attributes = array_attributes(of_forecast(row.attributes), tuple(map(str, made.dims[-2:])), time)
                added = {name: made[name] for name in made.dims if name not in products.coords}
                products = products.assign_coords(added).assign({row.name: (made.dims, made.values, attributes)})
        if quantity.hours > 1:
            products = products.assign_coords(accumulation_coordinates(forecast["valid_time"], quantity.hours).coords)
    title = str(forecast.attrs["title"]).replace("ensemble forecast", "ensemble products")
    return products.assign_attrs(forecast.attrs | {"title": title, "members": members})


def _member_values(quantity: Quantity, forecast: xr.Dataset) -> xr.DataArray:
    absent = [name for name in quantity.inputs if name not in forecast]
    if absent:
        raise BadInput(f"{quantity.name}: the forecast has no {', '.join(absent)}")
    values = quantity.form(forecast[list(quantity.inputs)].load())
    bad = np.count_nonzero(~np.isfinite(values.values))
    if bad:
        raise BadInput(
            f"{quantity.name} of {', '.join(quantity.inputs)}: {bad} values are not finite, allowed are none"
        )
    return values
