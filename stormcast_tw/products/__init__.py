"""What forecasters read, derived from a forecast: xarray in, xarray out, no model and no files."""

from stormcast_tw.products.table import PRODUCTS, Product, make_products, summarise

__all__ = ["PRODUCTS", "Product", "make_products", "summarise"]
