"""The vocabulary of events: what the system reports, and about which resource."""

from enum import StrEnum

from stormcast_tw.cycle import Cycle


class Event(StrEnum):
    """Names of the events that flows emit and automations wait for."""

    INPUTS_READY = "inputs.ready"
    INPUTS_DEGRADED = "inputs.degraded"
    INPUTS_MISSING = "inputs.missing"
    CYCLE_PUBLISHED = "cycle.published"
    CYCLE_DEGRADED = "cycle.degraded"
    CYCLE_SKIPPED = "cycle.skipped"
    CYCLE_FAILED = "cycle.failed"
    SKILL_DROPPED = "skill.dropped"
    TRAINING_ILL = "training.ill"
    RUN_FAILED = "run.failed"
    """A backfill, a verification, a reconciliation: any flow but a cycle's, which has an event of its own."""
    CYCLE_DUE = "cycle.due"


_CYCLES = "stormcast.cycle."
_TRAININGS = "stormcast.training."
_FLOWS = "stormcast.flow."
HEARTBEAT = "prefect.flow-run.heartbeat"
"""Prefect's own event that a run lives."""
NEWS_LABEL = "stormcast.news"
"""The label of an event's resource that is `true` when the state changed; alarms wait for that."""


def cycle_resource(cycle: Cycle) -> str:
    """Return the resource id of a cycle, e.g. `stormcast.cycle.20261122T06Z`."""
    return f"{_CYCLES}{cycle}"


def cycle_pattern() -> str:
    """Return the pattern of the resource ids of all cycles."""
    return f"{_CYCLES}*"


def training_resource(run: str) -> str:
    """Return the resource id of a training, by the name of its folder, e.g. `stormcast.training.surface_2y5-a`."""
    return f"{_TRAININGS}{run}"


def training_pattern() -> str:
    """Return the pattern of the resource ids of all trainings."""
    return f"{_TRAININGS}*"


def flow_resource(flow: str) -> str:
    """Return the resource id of a flow, by its name, e.g. `stormcast.flow.backfill`."""
    return f"{_FLOWS}{flow}"


def flow_pattern() -> str:
    """Return the pattern of the resource ids of all flows."""
    return f"{_FLOWS}*"
