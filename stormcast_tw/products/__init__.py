"""Products: what forecasters read, derived from a forecast; xarray in, xarray out."""

from stormcast_tw.products.summary import summarise
from stormcast_tw.products.table import PRODUCTS, QUANTITIES, Product, Quantity, make_products

__all__ = [
    "PRODUCTS",
    "QUANTITIES",
    "Product",
    "Quantity",
    "make_products",
    "summarise",
]
