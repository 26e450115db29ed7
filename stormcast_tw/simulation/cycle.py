"""Write the input files of one forecast cycle as if three providers had delivered them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.settings import WORLD_SEED
from stormcast_tw.simulation.files import global_ai, qpesums, rwrp
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.global_ai import path as global_ai_path
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.sources.rwrp import path as rwrp_path
from stormcast_tw.storage.objects import objects

RWRP_LAST_LEADS = {5: 0, 4: 0, 3: 3, 2: 2, 1: 1}
"""Age of each RWRP run in hours before the cycle, and its last lead. The two runs of only an analysis ensure that
six-hourly cycles together leave an analysis of every hour, against which forecasts are scored."""
PAST_RAIN_HOURS = 23
GLOBAL_HOURS_BEFORE = 12
GLOBAL_STEP_HOURS = 6

Writer = Callable[[], bytes]


def files_of_cycle(cycle: Cycle, seed: int, lead_hours: int) -> Iterator[tuple[str, Writer]]:
    """Yield (path below the inputs root, function that makes its bytes) for every file that `cycle` needs."""
    world = World(seed)
    for before, last in RWRP_LAST_LEADS.items():
        init = cycle.init_time - hours(before)
        for lead in range(last + 1):
            path = f"rwrp/{rwrp_path(init, init + hours(lead))}"
            yield path, lambda init=init, lead=lead: rwrp.encode(world, init, lead)  # type: ignore[misc]
    for before in range(PAST_RAIN_HOURS, -1, -1):
        time = cycle.valid_time(-before)
        yield f"qpesums/{qpesums_path(time)}", lambda time=time: qpesums.encode(world, time)  # type: ignore[misc]
    start = cycle.init_time - timedelta(hours=GLOBAL_HOURS_BEFORE)
    end = GLOBAL_HOURS_BEFORE + -(-lead_hours // GLOBAL_STEP_HOURS) * GLOBAL_STEP_HOURS
    for lead in range(GLOBAL_HOURS_BEFORE, end + 1, GLOBAL_STEP_HOURS):
        path = f"global_ai/{global_ai_path(start, lead)}"
        yield path, lambda lead=lead: global_ai.encode(world, start, lead)  # type: ignore[misc]


def simulate_cycle(
    cycle: Cycle,
    inputs_root: str,
    seed: int = WORLD_SEED,
    lead_hours: int = 12,
    progress: Callable[[str], None] | None = None,
) -> list[str]:
    """Write every input file of `cycle` under `inputs_root`/{rwrp,qpesums,global_ai}; return their addresses.

    The root may be a local path or s3://. Existing files are left as they are, because their bytes are a function of
    seed and cycle: use another root for another seed. `progress` is called with each address once the file exists.
    """
    root = objects(inputs_root)
    written = []
    for path, make in files_of_cycle(cycle, seed, lead_hours):
        if not root.exists(path):
            root.create(path, make())
        written.append(f"{inputs_root}/{path}")
        if progress is not None:
            progress(written[-1])
    return written
