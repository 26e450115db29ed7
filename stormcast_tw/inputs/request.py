"""The request for a forecast, passed through the input steps unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.inputs.readiness import Need
from stormcast_tw.model.description import Description, load_invariants
from stormcast_tw.names import EXPERIMENT, is_operational
from stormcast_tw.settings import settings
from stormcast_tw.variables import BACKGROUND_SETS

SEEN = 0.999
"""Share of a cell that radars must see for its rain to be observed."""


@dataclass(frozen=True)
class Request:
    """One forecast: its cycle, how many hours, for which experiment, by which package, requested at `now`.

    Raises ValueError for an experiment that is no name, Refused for a cycle in the
    future, and in `oper` for an untrained or simulated package, and for one that the settings do not trust.
    """

    cycle: Cycle
    lead_hours: int
    experiment: str
    package: Path
    """The folder of the package."""
    description: Description
    now: datetime

    def __post_init__(self) -> None:
        described = self.description
        EXPERIMENT.require(self.experiment)
        self.cycle.require_not_after(self.now)
        if is_operational(self.experiment) and (not described.trained or described.simulated):
            what = "simulated" if described.trained else "untrained"
            raise Refused(f"experiment {self.experiment}: package {described.name} {described.version} is {what}")
        if is_operational(self.experiment):
            from stormcast_tw.model.signature import require_trusted

            trusted = settings()
            require_trusted(self.package, described, trusted.oper_packages, trusted.oper_keys)

    @cached_property
    def need(self) -> Need:
        """What readiness must look for."""
        return need_of(self.cycle, self.lead_hours, self.package, self.description)


def need_of(cycle: Cycle, lead_hours: int, package: Path, description: Description) -> Need:
    """Return what a forecast by the package in a folder needs of its inputs."""
    background = BACKGROUND_SETS[description.background_set]
    seen = load_invariants(package, description)["coverage"]
    return Need(cycle, lead_hours, background, description.begins_alone, radar_sees_all=bool(np.all(seen >= SEEN)))
