"""The table of products. A product is one row here and one pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.products.ensemble import mean, quantiles
from stormcast_tw.products.surface import vector_mean_direction, wind_speed
from stormcast_tw.schema import array_attributes
from stormcast_tw.variables import VARIABLES


@dataclass(frozen=True)
class Product:
    """A quantity derived from a forecast: its name, the variables it needs, its CF attributes and how it is formed."""

    name: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, str]
    compute: Callable[[xr.Dataset], xr.DataArray]


_SPEED = {"standard_name": "wind_speed", "units": "m s-1"}
_T2M, _RAIN = VARIABLES["t2m"].attributes, VARIABLES["tp01"].attributes


def _row(name: str, inputs: tuple[str, ...], base: Mapping[str, str], long_name: str,
         compute: Callable[[xr.Dataset], xr.DataArray]) -> Product:  # fmt: skip
    return Product(name, inputs, {**base, "long_name": long_name}, compute)


PRODUCTS: dict[str, Product] = {
    row.name: row
    for row in (
        _row("wind_speed_mean", ("u10m", "v10m"), _SPEED,
             "10 metre wind speed, ensemble mean of the members' speeds", lambda f: mean(wind_speed(f))),
        _row("wind_speed_quantile", ("u10m", "v10m"), _SPEED,
             "10 metre wind speed, ensemble quantiles", lambda f: quantiles(wind_speed(f))),
        _row("wind_direction_mean", ("u10m", "v10m"), {"standard_name": "wind_from_direction", "units": "degree"},
             "10 metre wind direction of the ensemble mean vector", vector_mean_direction),
        _row("t2m_mean", ("t2m",), _T2M, "2 metre temperature, ensemble mean", lambda f: mean(f["t2m"])),
        _row("t2m_quantile", ("t2m",), _T2M, "2 metre temperature, ensemble quantiles", lambda f: quantiles(f["t2m"])),
        _row("tp01_mean", ("tp01",), _RAIN, "rain in the past hour, ensemble mean", lambda f: mean(f["tp01"])),
        _row("tp01_quantile", ("tp01",), _RAIN, "rain in the past hour, ensemble quantiles",
             lambda f: quantiles(f["tp01"])),
    )
}  # fmt: skip
"""Every product by its name."""


def make_products(forecast: xr.Dataset) -> xr.Dataset:
    """Return all products of a forecast (member, lead_time, latitude, longitude) on (lead_time, latitude, longitude).

    Quantiles have a leading dimension `quantile`. Global attributes are the forecast's. Raises BadInput when a variable
    is absent.
    """
    products = forecast.drop_dims("member")
    for product in PRODUCTS.values():
        absent = [name for name in product.inputs if name not in forecast]
        if absent:
            raise BadInput(f"product {product.name}: the forecast has no {', '.join(absent)}")
        values = product.compute(forecast).astype(np.float32)
        products[product.name] = values.assign_attrs(array_attributes(product.attributes))
    title = str(forecast.attrs["title"]).replace("ensemble forecast", "ensemble products")
    return products.assign_attrs(forecast.attrs | {"title": title})


def summarise(products: xr.Dataset) -> list[dict[str, Any]]:
    """Return one row a lead for people in a hurry: domain ranges of temperature, wind and rain, in display units."""
    rows: list[dict[str, Any]] = []
    high = products.sel(quantile=0.9)
    for lead in range(products.sizes["lead_time"]):
        here, extreme = products.isel(lead_time=lead), high.isel(lead_time=lead)
        celsius = here["t2m_mean"] - 273.15
        rows.append(
            {
                "lead (h)": int(here["lead_time"] / np.timedelta64(1, "h")),
                "valid (UTC)": str(here["valid_time"].values)[:16],
                "temperature mean (°C)": f"{float(celsius.min()):.1f} to {float(celsius.max()):.1f}",
                "wind mean max (m/s)": f"{float(here['wind_speed_mean'].max()):.1f}",
                "wind p90 max (m/s)": f"{float(extreme['wind_speed_quantile'].max()):.1f}",
                "rain mean max (mm/h)": f"{float(here['tp01_mean'].max()):.1f}",
                "rain p90 max (mm/h)": f"{float(extreme['tp01_quantile'].max()):.1f}",
            }
        )
    return rows
