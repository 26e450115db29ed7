"""What the examination of inputs and the checksums add to a cycle: TAIWAN_2KM, the demo package, 12 hours.

    python benchmarks/trust.py

Prints one JSON line a part, medians of five; a cycle may pay two seconds for all of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from stormcast_tw.cycle import Cycle
from stormcast_tw.inputs.examination import examine
from stormcast_tw.inputs.fetch import COMPARED, COMPARED_BACKGROUND, fetch
from stormcast_tw.inputs.readiness import STATE_FROM_RWRP, look
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import describe
from stormcast_tw.settings import settings
from stormcast_tw.simulation.cycle import simulate_cycle
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.storage.store import Store

ALLOWED_SECONDS = 2.0
CYCLE, BEFORE = Cycle.parse("20260611T06Z"), Cycle.parse("20260611T00Z")
REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """Return the median time of `work`, after one call that is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)


def main() -> int:
    """Measure, print, and return 1 if a cycle pays more than it may."""
    package = settings().package
    request = Request(CYCLE, 12, "demo", package, describe(package), datetime(2026, 6, 11, 9, tzinfo=UTC))
    with tempfile.TemporaryDirectory() as folder:
        root, store = Path(folder, "inputs"), Store(str(Path(folder, "work")))
        for cycle in (BEFORE, CYCLE):
            simulate_cycle(cycle, str(root))
        state, background = RwrpState(Folder(str(root / "rwrp"))), GlobalAI(Folder(str(root / "global_ai")))
        rain, model_rain = Qpesums(Folder(str(root / "qpesums"))), RwrpRain(Folder(str(root / "rwrp")))
        sources = {"rwrp": state, "global_ai": background, "qpesums": rain, "rwrp_rain": model_rain}
        inputs = look(request.need, sources)
        fetched = fetch(store, request, inputs, ("past_rain", "rain", "model_rain", "state", "background"), sources)
        found = {served.name: served for served in inputs.inputs if served.name in COMPARED}
        hour_before = (CYCLE.valid_time(-1),)
        run_before = (CYCLE.init_time,)
        parts = {
            "read the hour before of the state": lambda: state.read(
                state.find(hour_before, STATE_FROM_RWRP, found["state"].init_time)
            ),
            "read the background's run before": lambda: background.read(
                background.find(run_before, COMPARED_BACKGROUND, BEFORE.valid_time(-12))
            ),
            "examine": lambda: examine(store, inputs, (fetched,)),
            "check every byte of what was fetched": lambda: store.damage(fetched),
        }
        spent = {name: seconds(work) for name, work in parts.items()}
    for name, value in {**spent, "all": sum(spent.values())}.items():
        print(json.dumps({"part": name, "seconds": round(value, 3)}))
    return int(sum(spent.values()) > ALLOWED_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
