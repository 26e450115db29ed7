"""What forecasters read, derived from a forecast: xarray in, xarray out; only `export` writes a file."""

from stormcast_tw.exports.netcdf import to_netcdf
from stormcast_tw.products.hazards import HAZARDS, Hazard
from stormcast_tw.products.summary import summarise
from stormcast_tw.products.table import PRODUCTS, QUANTITIES, Product, Quantity, make_products

__all__ = [
    "HAZARDS",
    "PRODUCTS",
    "QUANTITIES",
    "Hazard",
    "Product",
    "Quantity",
    "make_products",
    "summarise",
    "to_netcdf",
]
