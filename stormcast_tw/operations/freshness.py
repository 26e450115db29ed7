"""Is a forecast fresh, late or stale: one rule for `watch`, `latest.json` and pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from stormcast_tw.cycle import HOURS_BETWEEN_CYCLES, Cycle, as_utc
from stormcast_tw.operations.timetable import OPERATIONS

State = Literal["fresh", "late", "stale"]

TAKES = timedelta(minutes=15)
"""From the start of the flow to `latest.json`. The demo package, 16 members and 12 h, took 78 s on two cores; a package
of ten times the cost is no later than expected."""
LATE_AFTER = timedelta(minutes=60)
"""After the next was expected: an input that comes an hour late, or a run that was repeated once, is no alarm."""
STALE_AFTER = timedelta(hours=HOURS_BETWEEN_CYCLES)
"""After the next was expected, when the one after that is expected too: two are missing, and of a forecast of 12 h
nothing is left that is still ahead."""


@dataclass(frozen=True)
class Freshness:
    """How fresh the newest published cycle is: its age since init_time, what is due next and when, and the state."""

    state: State
    age: timedelta
    due: Cycle
    """The cycle after it."""
    next_expected: datetime
    valid_until: datetime
    """Until then it may be used."""


def expected(cycle: Cycle) -> datetime:
    """Return when a cycle is expected to be published, in UTC."""
    return cycle.init_time + OPERATIONS.latency + TAKES


def next_expected(newest: Cycle) -> datetime:
    """Return when the cycle after `newest` is expected to be published, in UTC."""
    return expected(Cycle(newest.valid_time(HOURS_BETWEEN_CYCLES)))


def valid_until(newest: Cycle) -> datetime:
    """Return when `newest` becomes stale unless another is published, in UTC."""
    return next_expected(newest) + STALE_AFTER


def freshness(newest: Cycle, now: datetime) -> Freshness:
    """Return how fresh the newest published cycle is at `now`; a limit itself still counts as before it.

    Raises Refused for a cycle of the future, which would look fresh for ever.
    """
    newest.require_not_after(now)
    due, until, now = Cycle(newest.valid_time(HOURS_BETWEEN_CYCLES)), valid_until(newest), as_utc(now)
    state: State = "stale" if now > until else "late" if now > expected(due) + LATE_AFTER else "fresh"
    return Freshness(state, now - newest.init_time, due, expected(due), until)
