"""Hours of archive a second a core: ours against a plain script of the usual kind, on the same files, in turns.

    python benchmarks/training_data.py [days]

The archive is simulated once, in the providers' own formats and sizes: RWRP's training form on 450 x 450 points
(without the upper air, which neither side reads for the surface set), QPEPRE text, ERA5 as the Climate Data Store gives
it. The plain script does what such scripts do: xarray opens a file, np.loadtxt reads the rain, scipy's
RegularGridInterpolator is made for every variable and hour, every hour is written to Zarr on the forecast grid, and a
second pass makes the statistics. It checks nothing. Both sides run on one thread, in turns; medians of CPU time are
told, with those of wall time beside them: machines are noisy. Ours makes as many days in a row as `prepare` gives one
worker of a long archive. Then ours on one and on two worker processes of Dask.
"""

from __future__ import annotations

import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np
import xarray as xr
import zarr
from pyproj import Proj
from scipy.interpolate import RegularGridInterpolator
from scipy.io import netcdf_file

from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.settings import Settings
from stormcast_tw.simulation.files import era5, qpepre
from stormcast_tw.simulation.world.box import BOX
from stormcast_tw.simulation.world.geography import land_mask, orography
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.era5 import PROVIDED
from stormcast_tw.sources.qpepre import GRID as QPEPRE
from stormcast_tw.sources.qpepre import path as qpepre_path
from stormcast_tw.sources.rwrp_training import TAIWAN_LAMBERT
from stormcast_tw.sources.rwrp_training import path as rwrp_path
from stormcast_tw.training_data import build
from stormcast_tw.training_data.archives import archive_of
from stormcast_tw.training_data.recipe import DataRecipe, Providers, Span, hours_of
from stormcast_tw.training_data.workers import Local, run_parts
from stormcast_tw.variables import BACKGROUND_SETS

FIRST = date(2021, 6, 10)
ROUNDS, PLAIN_HOURS, A_RUN = 3, 12, 2
ARCHIVE_HOURS = 30_660
"""Three and a half years."""
BACKGROUND = BACKGROUND_SETS["background24"]
STATE = {"T2": "t2m", "umet10": "u10m", "vmet10": "v10m"}
POINTS = np.stack(TAIWAN_2KM.latlon(), axis=-1)


def write_archive(root: Path, days: int) -> None:
    """Write whole days from FIRST on, the hour before them and the day after."""
    for provider in ("rwrp_training", "qpepre", "era5_cds"):
        (root / provider).mkdir()
    half, (x, y) = 449_000.0, Proj(dict(TAIWAN_LAMBERT))(121.0, 23.6)
    latitude, longitude = Grid("RWRF", y - half, y + half, 450, x - half, x + half, 450, TAIWAN_LAMBERT).latlon()
    places = zip(BOX.index_of(latitude, longitude), BOX.shape, strict=True)
    nearest = tuple(np.clip(np.rint(index), 0, size - 1).astype(int) for index, size in places)
    fixed = {"XLAT": latitude, "XLONG": longitude}
    fixed |= {"HGT": orography(latitude, longitude), "LANDMASK": land_mask(latitude, longitude)}
    start, world = hours_of(FIRST)[0], World()
    for hour in range(-1, 24 * days):
        now = start + timedelta(hours=hour)
        fields = world.box(now)
        write_wrf(
            root / "rwrp_training" / rwrp_path(now), now, fixed | {n: fields[v][nearest] for n, v in STATE.items()}
        )
        (root / "qpepre" / qpepre_path(now, "utc", "end")).write_bytes(qpepre.encode(world, now))
    kinds = {
        "single": [v.id for v in BACKGROUND if not v.level_hpa],
        "pressure": [v.id for v in BACKGROUND if v.level_hpa],
    }
    for day in range(-1, days + 1):
        times = hours_of(FIRST + timedelta(days=day))
        (root / "era5_cds" / f"{times[0]:%Y}").mkdir(exist_ok=True)
        for kind, ids in kinds.items():
            (root / "era5_cds" / f"{times[0]:%Y/era5_{kind}_%Y%m%d}.nc").write_bytes(era5.cds_netcdf(world, times, ids))


def write_wrf(path: Path, now: datetime, fields: dict[str, np.ndarray]) -> None:
    """Write the surface of one hour of RWRP's training form."""
    with netcdf_file(path, "w", version=2) as file:
        file.TITLE, file.SIMULATION_START_DATE = "SIMULATED", f"{now:%Y-%m-%d_%H:%M:%S}"
        for name, size in {"Time": 1, "DateStrLen": 19, "south_north": 450, "west_east": 450}.items():
            file.createDimension(name, size)
        file.createVariable("Times", "c", ("Time", "DateStrLen"))[0] = np.frombuffer(
            f"{now:%Y-%m-%d_%H:%M:%S}".encode(), "S1"
        )
        for name, values in fields.items():
            file.createVariable(name, "f4", ("Time", "south_north", "west_east"))[0] = values


class Plain:
    """The usual script."""

    def __init__(self, archive: Path, out: Path, count: int) -> None:
        self.archive, self.count = archive, count
        self.group = zarr.open_group(str(out), mode="w")
        for name, variables in (("state", 4), ("background", len(BACKGROUND))):
            shape = (variables, *TAIWAN_2KM.shape)
            self.group.create_array(name, shape=(count, *shape), chunks=(1, *shape), dtype="f4")

    def run(self) -> None:
        """Hours one after the other, then means and standard deviations of what was written."""
        for number in range(self.count):
            now = hours_of(FIRST)[0] + timedelta(hours=number)
            self.group["state"][number] = self.state(now)
            self.group["background"][number] = self.background(now)
        for name in ("state", "background"):
            values = [self.group[name][number] for number in range(self.count)]
            np.mean(values, axis=(0, 2, 3)), np.std(values, axis=(0, 2, 3))
            np.std(np.diff(values, axis=0), axis=(0, 2, 3))

    def state(self, now: datetime) -> np.ndarray:
        with xr.open_dataset(self.archive / "rwrp_training" / rwrp_path(now), decode_cf=False) as file:
            axes = (file["XLAT"].values[0, :, 0], file["XLONG"].values[0, 0, :])
            fields = [RegularGridInterpolator(axes, file[name].values[0])(POINTS) for name in STATE]
        rain = np.loadtxt(self.archive / "qpepre" / qpepre_path(now, "utc", "end"))[:, 3].reshape(QPEPRE.shape)
        rain[rain < 0] = np.nan
        fields.append(np.log1p(RegularGridInterpolator((QPEPRE.y, QPEPRE.x), rain, bounds_error=False)(POINTS)))
        return np.stack(fields)

    def background(self, now: datetime) -> np.ndarray:
        before = now.replace(hour=now.hour // 6 * 6)
        weight = now.hour % 6 / 6
        ends = [self.analysis(anchor) for anchor in (before, before + timedelta(hours=6))]
        fields = []
        for v in BACKGROUND:
            (axes, first), (_, last) = (end[v.id] for end in ends)
            fields.append(RegularGridInterpolator(axes, (1 - weight) * first + weight * last)(POINTS))
        return np.stack(fields)

    def analysis(self, time: datetime) -> dict[str, tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
        fields = {}
        for kind in ("single", "pressure"):
            with xr.open_dataset(self.archive / "era5_cds" / f"{time:%Y/era5_{kind}_%Y%m%d}.nc") as file:
                now = file.sel(valid_time=np.datetime64(time.replace(tzinfo=None), "ns")).sortby("latitude").load()
                axes = (now["latitude"].values, now["longitude"].values)
                for v in BACKGROUND:
                    if (kind == "pressure") == bool(v.level_hpa):
                        array = now[PROVIDED[v.id].netcdf]
                        array = array.sel(pressure_level=v.level_hpa) if v.level_hpa else array
                        fields[v.id] = (axes, array.values)
        return fields


def job_of(root: Path, work: Path, days: int) -> build.DatasetJob:
    """Begin a dataset of the archive below `root`."""
    where = Settings(inputs_root=str(root), qpepre_clock="utc", qpepre_stamp="end")
    recipe = DataRecipe(
        name="bench",
        archive=Providers(background="era5_cds"),
        training=(Span(first=FIRST, last=FIRST + timedelta(days=days - 1)),),
    )
    job = build.plan(str(work), recipe, archive_of(recipe, where))
    build.begin(job)
    return job


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return CPU and wall seconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def compare(archive: Path, scratch: Path, count: int) -> float:
    """Both sides in turns, ours of so many days in a row; tells and returns our CPU seconds an hour."""
    ours, plain = [], []
    days = [FIRST + timedelta(days=n) for n in range(count)]
    build.make_run(job_of(archive, scratch / "warm", count), days)  # weights and imports
    Plain(archive, scratch / "warm.zarr", 2).run()
    for turn in range(ROUNDS):
        run = functools.partial(build.make_run, job_of(archive, scratch / f"ours{turn}", count), days)
        ours.append([seconds / 24 / count for seconds in timed(run)])
        script = Plain(archive, scratch / f"plain{turn}.zarr", PLAIN_HOURS)
        plain.append([seconds / PLAIN_HOURS for seconds in timed(script.run)])
    for name, seconds in (("plain script", plain), ("ours", ours)):
        cpu, wall = (statistics.median(column) for column in zip(*seconds, strict=True))
        print(f"{name:12} {1 / cpu:6.2f} hours a second of CPU: {1e3 * cpu:.1f} ms an hour ({1e3 * wall:.1f} of wall)")
    ratios = sorted(p[0] / o[0] for p, o in zip(plain, ours, strict=True))
    spread = f"{ratios[0]:.1f} to {ratios[-1]:.1f} in {ROUNDS} turns"
    print(f"ours is {ratios[ROUNDS // 2]:.1f} times as fast ({spread}; wanted 10)")
    return statistics.median(one[0] for one in ours)


def run_and_cost(job: build.DatasetJob, days: tuple[date, ...]) -> tuple[float, float]:
    """Make some days; return their CPU seconds and the most memory their process ever had, MiB."""
    import resource

    cpu, _ = timed(functools.partial(build.make_run, job, days))
    return cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def on_workers(archive: Path, work: Path, days: int, workers: int) -> tuple[float, float, float]:
    """Return hours a second of wall time once all workers are warm, CPU seconds an hour, and the peak memory, MiB."""
    job, stamps, costs = job_of(archive, work, days), [], []
    runs = [job.recipe.days[first : first + A_RUN] for first in range(0, days, A_RUN)]

    def done(cost: tuple[float, float]) -> None:
        stamps.append(time.perf_counter())
        costs.append(cost)

    run_parts(Local(workers=workers), functools.partial(run_and_cost, job), runs, done)
    rate = 24 * A_RUN * (len(stamps) - workers) / (stamps[-1] - stamps[workers - 1])
    cost = statistics.median(cost for cost, _ in costs[workers:]) / 24 / A_RUN
    return rate, cost, max(memory for _, memory in costs)


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (archive := scratch / "archive").mkdir()
        write_archive(archive, days)
        print(f"load of this machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        cpu = compare(archive, scratch, min(days, build.LONGEST_RUN))
        print(f"{ARCHIVE_HOURS} hours take {ARCHIVE_HOURS * cpu / 60:.0f} core-minutes")
        rates: dict[int, list[float]] = {1: [], 2: []}
        costs: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(ROUNDS):
            for workers in rates:
                rate, cost, memory = on_workers(archive, scratch / f"dask{workers}-{turn}", days, workers)
                rates[workers].append(rate)
                costs[workers].append(cost)
        one, two = (statistics.median(rates[workers]) for workers in (1, 2))
        more = statistics.median(costs[2]) / statistics.median(costs[1])
        print(f"Dask, hours a second of wall: 1 worker {one:.1f}, 2 workers {two:.1f}: {two / one:.2f} times (of 1.8)")
        print(f"CPU an hour with 2 workers is {more:.2f} of that with 1: on two free cores {2 / more:.2f} times")
        print(f"a worker took at most {memory:.0f} MiB")


if __name__ == "__main__":
    main()
