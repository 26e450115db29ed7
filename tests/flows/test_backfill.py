"""A span of cycles: skipped, failed, tried again, and `latest` where it belongs."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.backfill import backfill
from flows.operations import operations
from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.publication import pointers
from stormcast_tw.simulation.cycle import simulate_cycle
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW

pytestmark = pytest.mark.usefixtures("rollout_here")

FIRST, MISSING, LAST = "20260610T18Z", "20260611T00Z", str(CYCLE)
REQUEST = {"start": FIRST, "end": LAST, "lead_hours": 1, "members": 1, "now": NOW}


def test_each_cycle_once_and_latest_never_backwards(inputs: Path, tmp_path: Path):
    newest = operations(cycle=LAST, lead_hours=1, members=1, now=NOW)
    simulate_cycle(Cycle.parse(FIRST), str(inputs), lead_hours=1)
    with pytest.raises(Refused, match=rf"backfill: 1 of 3 cycles failed: {MISSING}: {MISSING}: state \("):
        backfill(**REQUEST, order="newest first")
    store = Store(str(tmp_path / "published"))
    assert [a.address.cycle for a in store.list("published", "demo")] == [FIRST, LAST]
    assert pointers.latest(store, "demo") == newest

    simulate_cycle(Cycle.parse(MISSING), str(inputs), lead_hours=1)
    outcomes = backfill(**REQUEST, parallel=2)
    assert [(o.cycle, o.outcome) for o in outcomes] == [
        (FIRST, "skipped"),
        (MISSING, "published"),
        (LAST, "skipped"),
    ]
    assert [a.address.cycle for a in store.list("published", "demo")] == [FIRST, MISSING, LAST]
    assert pointers.latest(store, "demo") == newest


def test_empty_span_is_refused():
    with pytest.raises(Refused, match=f"backfill: {FIRST} is before {LAST}"):
        backfill(start=LAST, end=FIRST)
