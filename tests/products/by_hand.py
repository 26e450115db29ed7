"""Forecasts small enough to be worked by hand."""

from __future__ import annotations

import numpy as np
import xarray as xr

from stormcast_tw.grid import Grid
from stormcast_tw.schema import (
    array_attributes,
    coverage_attributes,
    global_attributes,
    member_coordinate,
    of_forecast,
    time_coordinates,
)
from stormcast_tw.settings import settings
from stormcast_tw.variables import VARIABLES
from tests.conftest import CYCLE

TWO = Grid("TWO", 23.0, 23.1, 2, 120.0, 120.1, 2)
LAMBERT = Grid.from_axes(
    "LAMBERT", np.arange(4) * 2000.0, np.arange(5) * 2000.0, {"proj": "lcc", "lat_1": 10.0, "lat_2": 40.0,
    "lat_0": 23.5, "lon_0": 120.9, "R": 6370000.0}
)  # fmt: skip


def forecast(leads: int = 3, grid: Grid = TWO, **fields: object) -> xr.Dataset:
    """A forecast whose fields are given per member (M,) or per member and lead (M, L), the same at every point."""
    given = {name: np.asarray(field, np.float32) for name, field in fields.items()}
    members = max((field.shape[0] for field in given.values()), default=4)
    calm = {name: np.full(members, value, np.float32) for name, value in CALM.items()}
    shape = (members, leads, *grid.shape)
    arrays = {
        name: (
            ("member", "lead_time", *grid.dims),
            np.array(np.broadcast_to(field.reshape(members, -1)[:, :, None, None], shape)),
            array_attributes(of_forecast(VARIABLES[name].attributes), grid.dims),
        )
        for name, field in (calm | given).items()
    }
    coordinates = [grid.with_cells(), time_coordinates(CYCLE, range(1, leads + 1)), member_coordinate(members)]
    attributes = global_attributes(
        "StormCast Taiwan ensemble forecast", simulated=True, trained=False, history="by hand",
        **coverage_attributes(CYCLE, grid, leads), **settings().attribution.stated,
    )  # fmt: skip
    return xr.merge(coordinates).assign(arrays).assign_attrs(attributes)


CALM = {"t2m": 290.0, "u10m": 0.0, "v10m": 0.0, "tp01": 0.0}


def random_forecast(members: int = 5, leads: int = 12, grid: Grid = TWO) -> xr.Dataset:
    """A forecast that is different everywhere, with dry and very wet points, heat, frost and gales."""
    rng = np.random.default_rng(1)
    made = forecast(leads, grid, t2m=np.zeros(members))
    shape = made["t2m"].shape
    for name, values in {
        "t2m": 295 + 12 * rng.standard_normal(shape),
        "u10m": 12 * rng.standard_normal(shape),
        "v10m": 12 * rng.standard_normal(shape),
        "tp01": np.clip(rng.gamma(0.3, 40, shape) - 1, 0, 300),
    }.items():
        made[name].values[:] = values
    return made


def value(products: xr.Dataset, name: str, lead: int = 1, **where: float) -> float:
    """The product's value at the first point."""
    here = products[name].sel(lead_time=np.timedelta64(lead, "h"), **where)
    return float(here.values.reshape(-1)[0])


def observed(grid: Grid = TWO, **hours: object) -> xr.Dataset:
    """Observed rain of the hours before init_time: `h0` is the hour that ends there, `h1` the one before, and so on."""
    ages = sorted((int(name[1:]) for name in hours), reverse=True)
    times = np.datetime64(CYCLE.init_time.replace(tzinfo=None), "ns") - np.array(ages, "timedelta64[h]")
    fields = [np.broadcast_to(np.asarray(hours[f"h{age}"], np.float32), grid.shape) for age in ages]
    rain = np.array(fields).reshape(len(ages), *grid.shape)
    made = grid.coordinates().assign_coords(valid_time=("valid_time", times))
    return made.assign(tp01=(("valid_time", *grid.dims), rain))


def random_observed(grid: Grid = TWO) -> xr.Dataset:
    """A day of observed rain, without the hour before the last, and with a cell that no radar sees."""
    rain = np.random.default_rng(2).gamma(0.3, 20, (24, *grid.shape))
    rain[:, -1, -1] = np.nan
    return observed(grid, **{f"h{age}": rain[age] for age in range(24) if age != 1})


def hills(grid: Grid = TWO) -> np.ndarray:
    """Heights in m, from the sea to a mountain."""
    return np.linspace(0, 1200, grid.ny * grid.nx).reshape(grid.shape)
