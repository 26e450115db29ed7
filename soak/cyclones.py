"""How sure the floor of a typhoon's centre is: quiet cycles of a simulated year, and those with a typhoon.

    python -m soak.cyclones 2026             # 40 cycles without a typhoon, spread over the year, and every one with
    python -m soak.cyclones 2026 --quiet 200

Each cycle is the simulated truth as a forecast of one member and 12 h. Prints every false centre, the largest
circulation without a typhoon, which is to stay below `cyclone.FLOOR`, and how far centres are from the true ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import xarray as xr

from stormcast_tw.cycle import HOURS_BETWEEN_CYCLES, Cycle, hours
from stormcast_tw.products.cyclone import FLOOR, circulation, tracks
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.schema import member_coordinate, time_coordinates
from stormcast_tw.simulation.world.chance import hour_index
from stormcast_tw.simulation.world.geography import distance_km
from stormcast_tw.simulation.world.synoptic import synopsis
from stormcast_tw.simulation.world.weather import World

LEADS = range(1, 13)
WORLD = World()


def truth(cycle: Cycle) -> xr.Dataset:
    """Return u10m and v10m (member = 1, lead_time, latitude, longitude) of the 12 hours after a cycle."""
    hourly = [WORLD.surface(cycle.valid_time(lead)) for lead in LEADS]
    coordinates = xr.merge([TAIWAN_2KM.coordinates(), time_coordinates(cycle, LEADS), member_coordinate(1)])
    dims = ("member", "lead_time", *TAIWAN_2KM.dims)
    return coordinates.assign(
        {name: (dims, np.stack([hour[name].values for hour in hourly])[None]) for name in ("u10m", "v10m")}
    )


def cycles_of(year: int) -> Iterator[Cycle]:
    """Yield every cycle of a year."""
    cycle = Cycle(datetime(year, 1, 1, tzinfo=UTC))
    while cycle.init_time.year == year:
        yield cycle
        cycle = Cycle(cycle.init_time + hours(HOURS_BETWEEN_CYCLES))


def has_typhoon(cycle: Cycle, within_km: float) -> bool:
    """Return whether a simulated typhoon comes within a distance of the middle of Taiwan in the 12 hours."""
    states = (synopsis(WORLD.chance, hour_index(cycle.valid_time(lead))) for lead in (0, *LEADS))
    return any(np.hypot(t.east_km, t.north_km) < within_km for state in states for t in state.typhoons)


def main() -> None:
    """Run the quiet cycles, then those with a typhoon."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("year", type=int)
    parser.add_argument("--quiet", type=int, default=40, help="how many cycles without a typhoon")
    options = parser.parse_args()
    whole = list(cycles_of(options.year))
    quiet = [cycle for cycle in whole if not has_typhoon(cycle, 600.0)]
    chosen = [quiet[place] for place in np.linspace(0, len(quiet) - 1, options.quiet).astype(int)]
    largest, false = 0.0, 0
    for cycle in chosen:
        forecast = truth(cycle)
        found, strength = tracks(forecast), float(circulation(forecast).max())
        false += len(found)
        largest = max(largest, strength)
        if found:
            print(f"{cycle}: false centre, {1000 * strength:.2f}e-3 s-1, {WORLD.regime(cycle.valid_time(6))}")
    print(
        f"{len(chosen)} quiet cycles: {false} false centres, at most {1000 * largest:.2f}e-3 s-1 ({1000 * FLOOR:g}e-3)"
    )
    _with_typhoon([cycle for cycle in whole if has_typhoon(cycle, 150.0)])


def _with_typhoon(cycles: list[Cycle]) -> None:
    """Print how many of the cycles with a typhoon over Taiwan show it, and the distances of its centres."""
    seen, errors = 0, []
    for cycle in cycles:
        for track in tracks(truth(cycle)):
            seen += 1
            for centre in track.centres:
                place = TAIWAN_2KM.y[centre.j], TAIWAN_2KM.x[centre.i]
                east, north = distance_km(*place, 23.6, 121.0)
                state = synopsis(WORLD.chance, hour_index(cycle.valid_time(centre.lead)))
                errors.append(min(np.hypot(t.east_km - east, t.north_km - north) for t in state.typhoons))
            print(f"{cycle}: {track.end}, leads {track.centres[0].lead} to {track.centres[-1].lead}")
    print(f"{len(cycles)} cycles with a typhoon: {seen} found; from the true centre {np.median(errors):.0f} km in the"
          f" median, at most {max(errors):.0f} km ({len(errors)} centres)")  # fmt: skip


if __name__ == "__main__":
    main()
