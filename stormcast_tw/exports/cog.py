"""Cloud-optimised GeoTIFFs: one file a field, a band a lead, for geographic information systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.exports.fields import Field, fields
from stormcast_tw.grid import Grid
from stormcast_tw.lazy import lazy_import

rasterio_io, rasterio_shutil = lazy_import("rasterio.io"), lazy_import("rasterio.shutil")
rasterio_transform = lazy_import("rasterio.transform")

_COG = {"driver": "COG", "compress": "DEFLATE", "blocksize": 256, "overviews": "NONE"}
"""One tile of 256 x 256 holds the grid of Taiwan, so overviews would only be a second copy."""
_KEPT = ("title", "experiment", "run", "source", "inputs_status", "inputs", "institution", "license", "acknowledgement")


def statistics(*, products: xr.Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield `<field>.tif` for each field of the products, by path.

    Bands are in the order of the leads and named after their valid times; values and units are those of the products,
    missing is NaN, or -1 for classes. North is up, and each pixel is the cell around its grid point. Tags say which run
    it is, and SIMULATED where it is. Raises BadInput unless the grid is in latitude and longitude.
    """
    grid = Grid.of(products)
    if not grid.is_geographic:
        raise BadInput(f"grid {grid.name}: a projection cannot be written as GeoTIFF yet; allowed latitude/longitude")
    tags = {name: str(products.attrs[name]) for name in _KEPT if name in products.attrs}
    tags |= {"init_time": _time(products["init_time"].values)}
    tags |= {"SIMULATED": "SIMULATED: not real weather 模擬資料，非真實天氣"} if products.attrs["simulated"] else {}
    for field in fields(products):
        yield f"{field.name}.tif", _geotiff(field, grid, tags)


def _geotiff(field: Field, grid: Grid, tags: dict[str, str]) -> bytes:
    bands = field.values.transpose("lead_time", ...) if field.has_leads else field.values.expand_dims("lead_time")
    northern_first = bands.values[:, ::-1]
    whole = northern_first.dtype.kind != "f"
    profile = {
        "driver": "GTiff",
        "count": len(northern_first),
        "height": grid.ny,
        "width": grid.nx,
        "dtype": "int16" if whole else "float32",
        "nodata": -1 if whole else np.nan,
        "crs": "EPSG:4326",
        "transform": rasterio_transform.from_origin(
            grid.x_first - grid.dx / 2, grid.y_last + grid.dy / 2, grid.dx, grid.dy
        ),
    }
    with rasterio_io.MemoryFile() as plain, rasterio_io.MemoryFile() as optimised:
        with plain.open(**profile) as file:
            file.write(northern_first.astype(profile["dtype"]))
            file.update_tags(**tags, long_name=field.long_name, **_described(field))
            for band, description in enumerate(_bands(field), 1):
                file.set_band_description(band, description)
                file.set_band_unit(band, str(field.values.attrs.get("units", "1")))
        rasterio_shutil.copy(plain.name, optimised.name, **_COG, predictor="STANDARD" if whole else "FLOATING_POINT")
        return bytes(optimised.read())


def _described(field: Field) -> dict[str, Any]:
    attributes = field.values.attrs
    return {name: str(attributes[name]) for name in ("units", "cell_methods", "flag_meanings") if name in attributes}


def _bands(field: Field) -> list[str]:
    """Return what each band is called: its valid time, or what the field is where it is of all leads together."""
    if not field.has_leads:
        return [field.long_name]
    hours = field.values["lead_time"].values // np.timedelta64(1, "h")
    times = field.values["valid_time"].values
    return [f"{_time(time)} (+{hour} h)" for time, hour in zip(times, hours, strict=True)]


def _time(time: Any) -> str:
    return f"{np.datetime_as_string(time, 's')}Z"
