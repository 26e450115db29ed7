"""Forecast cycles and the three times of a forecast: init_time, lead_time, valid_time (all UTC)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from stormcast_tw.errors import Refused

HOURS_BETWEEN_CYCLES = 6
_TEXT = re.compile(r"(\d{4})(\d{2})(\d{2})T(\d{2})Z")


def as_utc(time: datetime) -> datetime:
    """Return `time` in UTC. Raises ValueError for a naive time: a time zone is never guessed."""
    if time.tzinfo is None:
        raise ValueError(f"time {time.isoformat()} has no time zone; write it in UTC, e.g. {time.isoformat()}+00:00")
    return time.astimezone(UTC)


def datetime64(time: datetime) -> np.datetime64:
    """Return an aware time as numpy's UTC datetime64[ns], the form of every time coordinate."""
    return np.datetime64(as_utc(time).replace(tzinfo=None), "ns")


def to_datetime(time: np.datetime64) -> datetime:
    """Return one of numpy's UTC times as an aware datetime, to the second: the way back from `datetime64`."""
    return datetime.fromtimestamp(int(time.astype("datetime64[s]").astype(np.int64)), UTC)


def hours(count: int) -> timedelta:
    """Return `count` hours."""
    return timedelta(hours=count)


@dataclass(frozen=True, order=True)
class Cycle:
    """An init_time the system serves: 00, 06, 12 or 18 UTC. Text form `20261122T06Z`.

    Raises ValueError for a naive time or one that is not on a six-hour boundary.
    """

    init_time: datetime

    def __post_init__(self) -> None:
        init_time = as_utc(self.init_time)
        object.__setattr__(self, "init_time", init_time)
        on_the_hour = init_time == init_time.replace(minute=0, second=0, microsecond=0)
        if init_time.hour % HOURS_BETWEEN_CYCLES or not on_the_hour:
            raise ValueError(f"{init_time:%Y-%m-%dT%H:%M:%SZ} is not a cycle: cycles are 00, 06, 12 and 18 UTC")

    @classmethod
    def parse(cls, text: str) -> Cycle:
        """Read the text form `20261122T06Z`; raises ValueError for anything else."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"cycle {text!r} is not of the form YYYYMMDDTHHZ, e.g. 20261122T06Z")
        year, month, day, hour = (int(group) for group in match.groups())
        return cls(datetime(year, month, day, hour, tzinfo=UTC))

    @classmethod
    def at_or_before(cls, time: datetime) -> Cycle:
        """Return the newest cycle whose init_time is not after `time`."""
        time = as_utc(time)
        hour = time.hour - time.hour % HOURS_BETWEEN_CYCLES
        return cls(time.replace(hour=hour, minute=0, second=0, microsecond=0))

    def require_not_after(self, now: datetime) -> None:
        """Raise Refused for a cycle that begins more than six hours after `now`: it would pin what is latest."""
        if self.init_time > (limit := as_utc(now) + hours(HOURS_BETWEEN_CYCLES)):
            raise Refused(f"cycle {self} begins after {limit:%Y-%m-%dT%H:%MZ}, {HOURS_BETWEEN_CYCLES} h from now")

    def valid_time(self, lead_hours: int) -> datetime:
        """Return init_time + lead_hours."""
        return self.init_time + hours(lead_hours)

    def until(self, last: Cycle) -> Iterator[Cycle]:
        """Yield every cycle from this one to `last`, both included."""
        cycle = self
        while cycle <= last:
            yield cycle
            cycle = Cycle(cycle.valid_time(HOURS_BETWEEN_CYCLES))

    def __str__(self) -> str:
        return f"{self.init_time:%Y%m%dT%HZ}"
