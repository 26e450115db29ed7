"""A STAC item for a published run, so that catalogues find it by place and time (STAC 1.1.0)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.cycle import to_datetime
from stormcast_tw.grid import Grid
from stormcast_tw.lazy import lazy_import

pystac = lazy_import("pystac")

_TYPES = {
    ".zarr": "application/vnd.zarr; version=3",
    ".nc": "application/netcdf",
    ".grib2": "application/wmo-GRIB2; edition=2",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".csv": "text/csv",
    ".xml": "application/cap+xml",
    ".index": "application/x-ndjson",
    ".json": "application/json",
}
"""Media types by the end of a file's name."""


def item(*, products: xr.Dataset, assets: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield `item.json`: where and when the run forecasts, who made it, and its files.

    `assets` are titles by path relative to the item. `datetime` is the run's start; the hours that it forecasts lie
    between `start_datetime` and `end_datetime`. The licence is free text, which STAC calls "other".
    """
    about = products.attrs
    start, *_, end = (to_datetime(time) for time in (products["init_time"].values, *products["valid_time"].values))
    made = pystac.Item(
        id="-".join((str(about["experiment"]), f"{start:%Y%m%dT%HZ}", str(about["run"]))),
        **_where(Grid.of(products)),
        datetime=start,
        start_datetime=start,
        end_datetime=end,
        properties=_properties(products, start),
    )
    for path, title in sorted(assets.items()):
        suffix = next((end for end in _TYPES if path.rstrip("/").endswith(end)), None)
        made.add_asset(path, pystac.Asset(href=f"./{path}", title=title, media_type=_TYPES.get(suffix or "")))
    document = made.to_dict(include_self_link=False, transform_hrefs=False)
    yield "item.json", (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _where(grid: Grid) -> dict[str, Any]:
    """Return the outline of the grid's points as a polygon, and its box: west, south, east, north."""
    latitude, longitude = grid.latlon()
    west, south, east, north = (float(f(a)) for f in (np.min, np.max) for a in (longitude, latitude))
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"bbox": [west, south, east, north], "geometry": {"type": "Polygon", "coordinates": [ring]}}


def _properties(products: xr.Dataset, start: datetime) -> dict[str, Any]:
    about = products.attrs
    named = {"title": about["title"], "description": about.get("summary", about["title"])}
    providers = [{"name": about["institution"], "roles": ["producer", "licensor"]}]
    return {
        **named,
        "created": about.get("date_created"),
        "license": "other",
        "providers": providers,
        "license_text": about.get("license", ""),
        "forecast:reference_datetime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "experiment": about["experiment"],
        "run": about["run"],
        "members": int(about["members"]),
        "simulated": bool(about["simulated"]),
        "trained": bool(about.get("trained", False)),
        "inputs_status": about.get("inputs_status", ""),
    }
