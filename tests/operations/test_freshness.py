"""Fresh, late, stale: the instants worked out by hand from the timetable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.operations.freshness import freshness, next_expected, valid_until

NEWEST = Cycle.parse("20261122T06Z")


def at(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 22, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (at(6, 0), "fresh"),
        (at(12, 31), "fresh"),  # 12Z starts 12:15 and takes 15 minutes
        (at(13, 30), "fresh"),
        (at(13, 30) + timedelta(seconds=1), "late"),
        (at(18, 30), "late"),
        (at(18, 30) + timedelta(seconds=1), "stale"),
        (at(18, 30) + timedelta(days=9), "stale"),
    ],
)
def test_the_state_changes_at_these_instants(now: datetime, state: str):
    found = freshness(NEWEST, now)
    assert found.state == state
    assert (str(found.due), found.next_expected, found.valid_until) == ("20261122T12Z", at(12, 30), at(18, 30))
    assert found.age == now - NEWEST.init_time
    assert (next_expected(NEWEST), valid_until(NEWEST)) == (at(12, 30), at(18, 30))


def test_a_cycle_of_the_future_is_no_fresh_one():
    assert freshness(NEWEST, at(0, 0)).state == "fresh", "within six hours: a clock may be wrong"
    with pytest.raises(Refused, match=r"20261122T06Z begins after 2026-11-22T05:59Z"):
        freshness(NEWEST, at(0, 0) - timedelta(minutes=1))
