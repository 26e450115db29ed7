"""How many hours of simulated weather a second of one core makes: surface truth, and with the full background.

Run on one thread: OMP_NUM_THREADS=1 python benchmarks/simulation.py. Wanted: 20 and 5 hours a second.
"""

from datetime import UTC, datetime, timedelta
from time import process_time

from stormcast_tw.simulation.files.global_ai import points
from stormcast_tw.simulation.world.weather import World

STARTS = [datetime(2024, month, 10, tzinfo=UTC) for month in (1, 4, 6, 8, 10)]
HOURS = 48


def hours_a_second(with_background: bool) -> float:
    """Mean over sequences of 48 hours in five seasons, each warmed up for one hour."""
    world, spent = World(), 0.0
    for start in STARTS:
        world.box(start)
        world.background(start, *points())
        before = process_time()
        for hour in range(1, HOURS + 1):
            world.box(start + timedelta(hours=hour))
            if with_background:
                world.background(start + timedelta(hours=hour), *points())
        spent += process_time() - before
    return len(STARTS) * HOURS / spent


if __name__ == "__main__":
    print(f"surface truth:              {hours_a_second(False):6.1f} h/s of one core (wanted 20)")
    print(f"with the 69-field background: {hours_a_second(True):4.1f} h/s of one core (wanted 5)")
