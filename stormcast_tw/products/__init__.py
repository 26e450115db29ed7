"""Products: what forecasters read, derived from a forecast; xarray in, xarray out.

The package can be called: `stormcast_tw.products(forecast)` is `make_products(forecast)`.
"""

import sys
from types import ModuleType

import numpy.typing as npt
import xarray as xr

from stormcast_tw.products.quantities import QUANTITIES, Product, Quantity
from stormcast_tw.products.summary import summarise
from stormcast_tw.products.table import PRODUCTS, make_products

__all__ = [
    "PRODUCTS",
    "QUANTITIES",
    "Product",
    "Quantity",
    "make_products",
    "summarise",
]


class _Callable(ModuleType):
    def __call__(
        self, forecast: xr.Dataset, observed: xr.Dataset | None = None, orography: npt.ArrayLike | None = None
    ) -> xr.Dataset:
        """Return all products of a forecast."""
        return make_products(forecast, observed, orography)


sys.modules[__name__].__class__ = _Callable
