"""What runs beside the cycles: the gaps that `reconcile` fills, the archive, the removal of what is kept no longer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from stormcast_tw.cycle import Cycle
from stormcast_tw.flows.archive import archive
from stormcast_tw.flows.operations import operations
from stormcast_tw.flows.prune import prune
from stormcast_tw.flows.reconcile import clock
from stormcast_tw.operations.reconciliation import due_cycles, gaps
from stormcast_tw.publication.archive import Archive
from stormcast_tw.settings import settings
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.tasks.page import wait_until_shown
from tests.conftest import CYCLE, NOW

SIX_LATER = NOW + timedelta(hours=6)
SIZE = {"cycle": str(CYCLE), "lead_hours": 2, "members": 2, "wait": False}


def found(now=SIX_LATER) -> list[tuple[str, str]]:
    return [(str(gap.cycle), gap.kind) for gap in gaps(settings(), "demo", 2, now, 1)]


def test_gaps_are_cycles_that_are_due_and_better_inputs(inputs: Path):
    assert due_cycles(CYCLE.init_time + timedelta(minutes=14), 1)[-1] == Cycle(CYCLE.init_time - timedelta(hours=6))
    assert due_cycles(CYCLE.init_time + timedelta(minutes=15), 1)[-1] == CYCLE
    assert found() == [], "where nothing has ever been published nobody waits for anything"
    radar = inputs / "qpesums" / qpesums_path(CYCLE.init_time)
    kept = radar.read_bytes()
    radar.unlink()
    assert operations(**SIZE, now=NOW).details["status"] == "degraded"
    later = str(Cycle(CYCLE.valid_time(6)))
    assert found() == [(later, "without inputs")]
    radar.write_bytes(kept)
    assert found() == [(str(CYCLE), "better inputs"), (later, "without inputs")]
    assert operations(**SIZE, now=NOW).details["status"] == "complete"
    assert found() == [(later, "without inputs")]
    assert wait_until_shown(600)

    assert archive(now=SIX_LATER) == 1
    assert archive(now=SIX_LATER) == 0
    opened = Archive(settings().archive_root, "demo").open()
    assert opened["init_time"].size == 1
    assert prune(now=SIX_LATER) == 0
    assert clock(now=NOW) is None, "it is published"
    assert clock(now=SIX_LATER) == later


def test_a_late_run_skips_itself(inputs: Path, monkeypatch):
    """A worker that was away for a day: of the runs that pile up, only that of the newest cycle is carried out."""
    import stormcast_tw.flows.operations as module

    scheduled = CYCLE.init_time + timedelta(minutes=15)
    monkeypatch.setattr(module.this_run, "scheduled_start_time", scheduled, raising=False)
    state = operations(lead_hours=2, members=2, wait=False, now=scheduled + timedelta(hours=6), return_state=True)
    assert (state.name, state.is_completed()) == ("Skipped", True)
    assert "reconcile fills the gap" in state.message
