"""File formats read by byte ranges: GRIB, NetCDF, Zarr, numbers in text. No provider is known here."""
