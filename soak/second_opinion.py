"""How often sound inputs are doubted: every six-hourly cycle of simulated years, measured as in operations.

    python -m soak.second_opinion 2024             # the year that the limits were drawn from
    python -m soak.second_opinion 2023 2025        # two others
    python -m soak.second_opinion 2025 --native 50 # the providers' own files of 50 of its cycles, fetched and examined

Prints the range of every measure, and counts what lies beyond the limits. The fields hold the errors of the simulated
providers but, without --native, are not written to files. What was measured is kept below `var/soak`, so a run that
was stopped goes on with the same command.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.stats import beta

from stormcast_tw.cycle import HOURS_BETWEEN_CYCLES, Cycle, datetime64, hours
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.examination import examine, findings
from stormcast_tw.inputs.fetch import fetch
from stormcast_tw.inputs.readiness import look
from stormcast_tw.inputs.request import Request
from stormcast_tw.inputs.second_opinion import measure
from stormcast_tw.model.description import describe
from stormcast_tw.regions import HOME
from stormcast_tw.settings import settings
from stormcast_tw.simulation.cycle import simulate_cycle
from stormcast_tw.simulation.files import global_ai, qpesums, rwrp
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.base import Source, on_grid
from stormcast_tw.sources.formats.arrays import MARGIN_DEGREES
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.translate.time_steps import interpolate_in_time
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.storage.store import Store
from stormcast_tw.variables import BACKGROUND_SETS, VARIABLES

KEPT = Path("var/soak/second_opinion")
PARTS = 52
"""A part is kept when it is whole: about a week."""
Row = dict[str, Any]
Fields = Mapping[str, npt.NDArray[Any]]


def inputs(world: World, init_time: datetime) -> dict[str, xr.Dataset]:
    """Return the fields of a cycle as their sources read them, by the names of `second_opinion.measure`.

    RWRP's own six-hour forecast stands for ours: a forecast of the same resolution and age.
    """
    run, before = init_time - hours(1), init_time - hours(HOURS_BETWEEN_CYCLES)
    analysed = init_time - hours(2 * HOURS_BETWEEN_CYCLES)
    times = tuple(init_time + hours(lead) for lead in range(13))
    return {
        "state": _on_rwrp(_state(world, run, 1), init_time),
        "state_before": _on_rwrp(_state(world, run, 0), run),
        "forecast": _on_rwrp(_near_surface(world, before, HOURS_BETWEEN_CYCLES), init_time),
        "background": _background(world, analysed, (12, 18, 24), times),
        "background_before": _background(world, analysed - hours(HOURS_BETWEEN_CYCLES), (18,), (init_time,)),
        "rain": _rain(world, (init_time,)),
        "past_rain": _rain(world, tuple(init_time - hours(back) for back in range(23, 0, -1))),
        "model_rain": _on_rwrp({"tp01": rwrp._ground()[4](rwrp.run_on_box(world, run, 1)["tp01"])}, init_time),
    }


def _near_surface(world: World, run: datetime, lead_hours: int) -> Fields:
    box, sample = rwrp.run_on_box(world, run, lead_hours), rwrp._ground()[4]
    return {name: sample(box[name]) for name in ("t2m", "u10m", "v10m")}


def _state(world: World, run: datetime, lead_hours: int) -> Fields:
    fields = rwrp.run_fields(world, run, lead_hours)
    return {**_near_surface(world, run, lead_hours), "sp": fields["PSFC"], "orog": fields["HGT"]}


def _on_rwrp(fields: Fields, time: datetime) -> xr.Dataset:
    return on_grid(rwrp.grid(), (time,), {VARIABLES[name]: values[None] for name, values in fields.items()}, {})


@lru_cache(maxsize=30)
def _radar(world: World, time: datetime) -> npt.NDArray[np.float32]:
    counts = qpesums.observed_rain(world, time)
    return np.where(counts < 0, np.nan, counts / qpesums.SCALE).astype(np.float32)


def _rain(world: World, times: tuple[datetime, ...]) -> xr.Dataset:
    return on_grid(qpesums.GRID, times, {VARIABLES["tp01"]: np.stack([_radar(world, time) for time in times])}, {})


@lru_cache(maxsize=1)
def _window() -> tuple[Grid, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the part of the global grid that is read, south to north, and its rows and columns."""
    latitude, longitude = global_ai.points()[0][:, 0], global_ai.points()[1][0]
    (south, north), (west, east) = ((axis[0], axis[-1]) for axis in (HOME.grid.y, HOME.grid.x))
    rows = np.flatnonzero((latitude >= south - MARGIN_DEGREES) & (latitude <= north + MARGIN_DEGREES))[::-1]
    columns = np.flatnonzero((longitude >= west - MARGIN_DEGREES) & (longitude <= east + MARGIN_DEGREES))
    y, x = latitude[rows], longitude[columns]
    return Grid("GLOBAL", y[0], y[-1], len(y), x[0], x[-1], len(x)), rows, columns


def _background(world: World, run: datetime, leads: tuple[int, ...], times: tuple[datetime, ...]) -> xr.Dataset:
    grid, rows, columns = _window()
    steps = [global_ai.run_fields(world, run, lead) for lead in leads]
    known, wanted = [datetime64(run + hours(lead)) for lead in leads], list(map(datetime64, times))
    fields = {
        variable: interpolate_in_time([step[variable.id][rows][:, columns] for step in steps], known, wanted)
        for variable in BACKGROUND_SETS["background24"]
    }
    return on_grid(grid, times, fields, {})


def part(year: int, number: int) -> list[Row]:
    """Measure the cycles of a part of a year, or read what was measured before."""
    kept = KEPT / str(year) / f"{number}.json"
    if kept.exists():
        return list(json.loads(kept.read_text()))
    first, world, rows = datetime(year, 1, 1, tzinfo=UTC), World(), []
    count = (datetime(year + 1, 1, 1, tzinfo=UTC) - first).days * 4
    for cycle in range(number * count // PARTS, (number + 1) * count // PARTS):
        init_time = first + hours(HOURS_BETWEEN_CYCLES * cycle)
        numbers = measure(inputs(world, init_time), HOME.compared_at)
        rows.append({"cycle": f"{init_time:%Y%m%dT%HZ}", "regime": world.regime(init_time), "numbers": numbers})
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_suffix(".part")
    temporary.write_text(json.dumps(rows))
    temporary.rename(kept)
    return rows


def ranges(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line per measure: its least and greatest value and its 1st, 50th and 99th percentile."""
    names = dict.fromkeys(name for row in rows for name in row["numbers"])
    for name in names:
        values = np.array([row["numbers"][name] for row in rows if name in row["numbers"]])
        low, middle, high = np.percentile(values, (1, 50, 99))
        span = f"{values.min():.4g} to {values.max():.4g}"
        yield f"| {name} | {span} | {low:.3g} | {middle:.3g} | {high:.3g} | {values.size} |"


def false_alarms(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line per cycle that is doubted, then the counts, with an upper bound of 95 % (Clopper and Pearson)."""
    counts = {kind: [0, 0] for kind in ("typhoon", "other")}
    for row in rows:
        beyond = list(findings(row["numbers"]))
        kind = "typhoon" if row["regime"].startswith("typhoon") else "other"
        counts[kind][0] += bool(beyond)
        counts[kind][1] += 1
        if beyond:
            words = "refused" if any(finding.refused for finding in beyond) else "noticed"
            yield f"{row['cycle']} {row['regime']}: {words}: {'; '.join(map(str, beyond))}"
    counts["all"] = [sum(pair) for pair in zip(*counts.values(), strict=True)]
    for kind, (alarms, cycles) in counts.items():
        bound = float(beta.ppf(0.95, alarms + 1, cycles - alarms)) if cycles else 1.0
        yield f"{kind}: {alarms} false alarms in {cycles} cycles (at most {bound:.2%} with 95 % confidence)"


def examined(init_time: datetime) -> Row:
    """Simulate the files of a cycle, fetch and examine them as operations do, and return what was said of them."""
    cycle, package = Cycle(init_time), settings().package
    with tempfile.TemporaryDirectory() as folder:
        simulate_cycle(cycle, f"{folder}/inputs")
        root, store = f"{folder}/inputs", Store(f"{folder}/work")
        sources: dict[str, Source] = {
            "rwrp": RwrpState(Folder(f"{root}/rwrp")),
            "rwrp_rain": RwrpRain(Folder(f"{root}/rwrp")),
            "qpesums": Qpesums(Folder(f"{root}/qpesums")),
            "global_ai": GlobalAI(Folder(f"{root}/global_ai")),
        }
        request = Request(cycle, 12, "demo", package, describe(package), init_time + hours(3))
        found = look(request.need, sources)
        fetched = fetch(store, request, found, ("past_rain", "rain", "model_rain", "state", "background"), sources)
        judged, numbers = examine(store, found, (fetched,))
    said = "; ".join((*judged.degraded, *judged.missing, *judged.doubts))
    return {"cycle": str(cycle), "regime": World().regime(init_time), "numbers": numbers, "said": said}


def natively(years: Sequence[int], count: int, pool: ProcessPoolExecutor) -> list[Row]:
    """Examine the native files of `count` cycles, evenly spread over the years; what is said of one is printed."""
    first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in (min(years), max(years) + 1))
    cycles = (last - first) // hours(HOURS_BETWEEN_CYCLES)
    chosen = [first + hours(HOURS_BETWEEN_CYCLES * (number * cycles // count)) for number in range(count)]
    rows = list(pool.map(examined, chosen))
    print(*(f"{row['cycle']} {row['regime']}: {row['said']}" for row in rows if row["said"]), sep="\n")
    print(f"native files: {sum(not row['said'] for row in rows)} of {count} cycles ready, without a word")
    return rows


def main() -> None:
    """Measure the years, and print ranges and false alarms."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("years", type=int, nargs="+")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--native", type=int, default=0, metavar="CYCLES")
    chosen = parser.parse_args()
    if chosen.native:
        with ProcessPoolExecutor(chosen.workers) as pool:
            print(*false_alarms(natively(chosen.years, chosen.native, pool)), sep="\n")
        return
    wanted = [(year, number) for year in chosen.years for number in range(PARTS)]
    with ProcessPoolExecutor(chosen.workers) as pool:
        rows = [row for found in pool.map(part, *zip(*wanted, strict=True)) for row in found]
    print("| measure | range | 1 % | 50 % | 99 % | cycles |", "|---|---|---|---|---|---|", *ranges(rows), sep="\n")
    print(*false_alarms(rows), sep="\n")


if __name__ == "__main__":
    main()
