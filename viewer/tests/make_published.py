"""Make a published folder for the page to show, of branches of the simulated world in place of a model's members.

    python viewer/tests/make_published.py FOLDER [--members 16] [--cycles 20260611T06Z 20260812T06Z]

FOLDER then holds `demo/latest.json`, `demo/recent.json` and a run of each cycle, as a real published root does. The
newest cycle is the last one named. Equal input gives equal bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.products import make_products
from stormcast_tw.products.board import to_json
from stormcast_tw.products.rounding import rounded
from stormcast_tw.products.zones import zones_here
from stormcast_tw.publication.beside import Beside, in_tenths
from stormcast_tw.publication.views import views
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.schema import (
    array_attributes,
    coverage_attributes,
    global_attributes,
    member_coordinate,
    of_forecast,
    time_coordinates,
)
from stormcast_tw.settings import settings
from stormcast_tw.simulation.invariants import simulated_invariants
from stormcast_tw.simulation.world.weather import SURFACE_IDS, World
from stormcast_tw.variables import VARIABLES

EXPERIMENT = "demo"
LEADS = range(1, 13)
RUN, FORECAST = "0123456789ab", "ba9876543210"
"""The run that is published, and that of its forecast, by which the maps are named."""
DELAY = timedelta(hours=3)
"""From the cycle to its publication."""


def forecast_of(cycle: Cycle, members: int) -> xr.Dataset:
    """Return branches of the simulated world as a forecast (member, lead_time, latitude, longitude)."""
    grid = TAIWAN_2KM
    values = {name: np.empty((members, len(LEADS), *grid.shape), np.float32) for name in SURFACE_IDS}
    for member in range(members):
        world = World().branch(cycle.init_time, f"member {member}", foresight_hours=12)
        for n, lead in enumerate(LEADS):
            surface = world.surface(cycle.valid_time(lead))
            for name in SURFACE_IDS:
                values[name][member, n] = surface[name].values
    arrays = {
        name: (
            ("member", "lead_time", *grid.dims),
            field,
            array_attributes(of_forecast(VARIABLES[name].attributes), grid.dims),
        )
        for name, field in values.items()
    }
    coordinates = [grid.with_cells(), time_coordinates(cycle, LEADS), member_coordinate(members)]
    attributes = global_attributes(
        "StormCast Taiwan ensemble forecast", simulated=True, trained=False, experiment=EXPERIMENT,
        run=FORECAST, **coverage_attributes(cycle, grid, len(LEADS)), **settings().attribution.stated,
    )  # fmt: skip
    return rounded(xr.merge(coordinates).assign(arrays).assign_attrs(attributes))


def observed_before(cycle: Cycle) -> xr.Dataset:
    """Return the rain of the simulated truth of the 24 hours up to init_time, NaN where no radar sees."""
    hours = [cycle.init_time - timedelta(hours=age) for age in reversed(range(24))]
    seen = simulated_invariants(TAIWAN_2KM)["coverage"] >= 0.5
    rain = np.stack([np.where(seen, World().surface(hour)["tp01"].values, np.nan) for hour in hours])
    times = np.array([hour.replace(tzinfo=None) for hour in hours], "datetime64[ns]")
    return xr.Dataset(
        {"tp01": (("valid_time", *TAIWAN_2KM.dims), rain, {"units": "kg m-2", "long_name": "observed rain"})},
        {"valid_time": times, **TAIWAN_2KM.coordinates().coords},
    )


def run_files(cycle: Cycle, members: int, status: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a run by path below its folder, those of the page as a publication makes them."""
    forecast = forecast_of(cycle, members).assign_attrs(inputs_status=status)
    observed = in_tenths(observed_before(cycle))
    beside = Beside(observed, (), simulated_invariants(TAIWAN_2KM)["orog"])
    products = make_products(forecast, beside.observed, beside.orography)
    yield from views(forecast, products, beside, zones_here(TAIWAN_2KM), RUN)
    details = {"status": status, "inputs": _inputs(status)}
    manifest = {"format": 1, "simulated": True, "trained": False, "written_at": _published(cycle), "details": details}
    yield "manifest.json", to_json(manifest)


def _inputs(status: str) -> list[dict[str, str]]:
    """Return the table of inputs as the manifest of a published run has it, see `inputs/input_set.py`."""
    served = {"state": ("rwrp", "0 h"), "background": ("global_ai", "6 h"), "past_rain": ("qpesums", "0 h")}
    rows = [
        {"input": name, "served by": source, "status": "ready", "age": age, "expected": age, "remark": ""}
        for name, (source, age) in served.items()
    ]
    if status == "degraded":
        rows[1] |= {"served by": "gfs", "status": "degraded", "remark": "gfs stands in for global_ai"}
    return rows


def publish(folder: Path, cycle: Cycle, members: int, status: str) -> dict[str, Any]:
    """Write a run and return its entry of `recent.json`."""
    for path, data in run_files(cycle, members, status):
        target = folder / EXPERIMENT / str(cycle) / RUN / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return {
        "init_time": _text(cycle.init_time),
        "run": RUN,
        "manifest": f"{cycle}/{RUN}/manifest.json",
        "status": status,
        "written_at": _published(cycle),
        "members": members,
    }


def pointers(folder: Path, entries: list[Mapping[str, Any]]) -> None:
    """Write `recent.json`, newest first, and `latest.json`, from the entries of runs, oldest first."""
    newest = entries[-1]
    init = datetime.fromisoformat(newest["init_time"])
    latest = {
        **{name: newest[name] for name in ("init_time", "run", "manifest", "status")},
        "next_expected": _text(init + timedelta(hours=6) + DELAY),
        "valid_until": _text(init + timedelta(hours=len(LEADS))),
    }
    (folder / EXPERIMENT / "recent.json").write_text(json.dumps({"version": 1, "runs": entries[::-1]}))
    (folder / EXPERIMENT / "latest.json").write_text(json.dumps(latest))


def _published(cycle: Cycle) -> str:
    return _text(cycle.init_time + DELAY)


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def main() -> None:
    """Make the folder that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--cycles", nargs="+", type=Cycle.parse, default=["20260611T06Z", "20260812T06Z"])
    given = parser.parse_args()
    cycles = [Cycle.parse(c) if isinstance(c, str) else c for c in given.cycles]
    statuses = ["complete"] * (len(cycles) - 1) + ["degraded"]
    pointers(given.folder, [publish(given.folder, c, given.members, s) for c, s in zip(cycles, statuses, strict=True)])


if __name__ == "__main__":
    main()
