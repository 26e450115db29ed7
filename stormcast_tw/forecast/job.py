"""What a rollout is asked for and what it says of itself; nothing here needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, Field

from stormcast_tw.plan import Frozen, Plan
from stormcast_tw.storage.artifact import Address, Details

FORECAST = "forecast"
"""The dataset of a forecast."""


class Progress(Frozen):
    """The progress of a rollout: member-hours stored, their total, and seconds the last took each (0 if none yet)."""

    done: int
    total: int
    seconds_each: float = 0.0


class Rolled(Details):
    """The manifest details of a forecast: the package, the machine, and the cost of a member-hour on it."""

    package: dict[str, Any] = Field(default_factory=dict)
    machine: dict[str, Any] = Field(default_factory=dict)
    seconds_per_member_hour: float | None = None
    attribution: dict[str, str] | None = None
    """Who forecast it, as its datasets say. None before 0.2."""


class RolloutJob(Frozen):
    """What the child process is asked to do."""

    plan: Plan
    prepared: Address
    prepared_root: str
    work_root: str
    package: Path
    device: str
    threads: int
    attribution: dict[str, str] = Field(default_factory=dict)
    """Global attributes that say who forecasts: `settings.Attribution.stated`."""
    now: AwareDatetime


def address(plan: Plan) -> Address:
    """Return where the forecast of a plan is kept."""
    return Address(kind="forecast", experiment=plan.experiment, cycle=plan.inputs.cycle, run=plan.run)
