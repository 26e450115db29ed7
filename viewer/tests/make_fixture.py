"""Write `fixture.json`: small maps and points as Python encodes them, and the numbers that they stand for.

python viewer/tests/make_fixture.py
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.exports.web import maps, points
from stormcast_tw.grid import Grid
from stormcast_tw.products import make_products
from stormcast_tw.products.rounding import rounded
from stormcast_tw.schema import array_attributes, global_attributes, member_coordinate, of_forecast, time_coordinates
from stormcast_tw.variables import VARIABLES

FIXTURE = Path(__file__).with_name("fixture.json")
GRID = Grid("FIXTURE", 23.0, 23.2, 5, 120.5, 120.7, 4)
KEPT = ["tp01_mean", "tp01_probability", "tp01_onset", "t2m_mean", "wind_speed_mean"]
PLACE = (3, 2)


def members() -> xr.Dataset:
    """Return three members of three hours, different everywhere, dry at some points."""
    cycle, rng, shape = Cycle.parse("20260611T06Z"), np.random.default_rng(1), (3, 3, *GRID.shape)
    values = {
        "t2m": 295 + 5 * rng.standard_normal(shape),
        "u10m": 8 * rng.standard_normal(shape),
        "v10m": 8 * rng.standard_normal(shape),
        "tp01": np.clip(rng.gamma(0.4, 30, shape) - 1, 0, 300),
    }
    arrays = {
        name: (
            ("member", "lead_time", *GRID.dims),
            field.astype(np.float32),
            array_attributes(of_forecast(VARIABLES[name].attributes), GRID.dims),
        )
        for name, field in values.items()
    }
    coordinates = [GRID.with_cells(), time_coordinates(cycle, range(1, 4)), member_coordinate(3)]
    attributes = global_attributes("fixture", simulated=True, trained=False, experiment="demo", run="fixture")
    return rounded(xr.merge(coordinates).assign(arrays).assign_attrs(attributes))


def fixture() -> dict[str, Any]:
    """Return the files by path, and fields and members at a place as numbers that people read."""
    forecast = members()
    products = make_products(forecast)[KEPT]
    files = {f"maps/{path}": data for path, data in maps(products=products)}
    files |= {f"points/{path}": data for path, data in points(members=forecast)}
    shown = {
        "tp01_mean": products["tp01_mean"],
        "t2m_mean": products["t2m_mean"] - 273.15,
        "tp01_probability_40": products["tp01_probability"].sel(tp01_threshold=40),
        "tp01_onset_5": products["tp01_onset"].sel(tp01_threshold=5),
    }
    at = forecast.isel(dict(zip(GRID.dims, PLACE, strict=True)))
    return {
        "files": {path: base64.b64encode(data).decode() for path, data in sorted(files.items())},
        "fields": {name: _listed(field.values) for name, field in shown.items()},
        "place": list(PLACE),
        "members": {name: _listed(at[name].values) for name in ("tp01", "u10m", "v10m")},
    }


def _listed(values: np.ndarray) -> list[Any]:
    """Return numbers flat, None where they are missing."""
    return [None if np.isnan(x) else round(float(x), 4) for x in values.ravel()]


def text() -> str:
    """Return what the file holds: the same each time."""
    return json.dumps(fixture(), indent=1) + "\n"


if __name__ == "__main__":
    FIXTURE.write_text(text())
