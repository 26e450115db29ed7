"""When a cycle is due, in one table: the schedule, the deadline and the flow all read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from stormcast_tw.cycle import HOURS_BETWEEN_CYCLES, Cycle


@dataclass(frozen=True)
class Timetable:
    """Times after init_time. Raises ValueError unless 0 <= latency < deadline < overdue < the next cycle.

    `latency` is when the last input has usually arrived and the flow starts; `deadline`, when the flow stops waiting;
    `overdue`, when a forecast that waited until then should have been published.
    """

    latency: timedelta
    deadline: timedelta
    overdue: timedelta

    def __post_init__(self) -> None:
        next_cycle = timedelta(hours=HOURS_BETWEEN_CYCLES)
        if not timedelta(0) <= self.latency < self.deadline < self.overdue < next_cycle:
            times = f"latency {self.latency}, deadline {self.deadline} and overdue {self.overdue}"
            raise ValueError(f"{times} do not ascend within {next_cycle}")
        if self.latency >= timedelta(hours=1) or self.latency.seconds % 60:
            raise ValueError(f"latency {self.latency} is not a whole number of minutes below 60")

    @property
    def cron(self) -> str:
        """The schedule in UTC."""
        hours = ",".join(str(hour) for hour in range(0, 24, HOURS_BETWEEN_CYCLES))
        return f"{self.latency.seconds // 60} {hours} * * *"

    def cycle_of(self, scheduled_start: datetime) -> Cycle:
        """Return the cycle that a run scheduled for this time serves; a late or repeated run keeps its cycle."""
        return Cycle.at_or_before(scheduled_start - self.latency)


OPERATIONS = Timetable(
    # QPESUMS rain ending at T arrives about 10 minutes after T; RWRP and the global forecast are older runs.
    latency=timedelta(minutes=15),
    deadline=timedelta(hours=3),
    # From the deadline on a forecast takes minutes; three quarters of an hour allow for one that begins again.
    overdue=timedelta(hours=3, minutes=45),
)
"""The six-hourly cycle."""
