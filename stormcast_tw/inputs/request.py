"""What is asked for when a forecast is asked for: handed through the chain of inputs unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.inputs.readiness import Need
from stormcast_tw.model.description import Description
from stormcast_tw.names import EXPERIMENT, is_operational
from stormcast_tw.variables import BACKGROUND_SETS


@dataclass(frozen=True)
class Request:
    """One forecast: its cycle, how many hours, for which experiment, by which package, asked for at `now`.

    Raises ValueError for an experiment that is no name, Refused for an untrained or simulated package in `oper`.
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
        if is_operational(self.experiment) and (not described.trained or described.simulated):
            what = "simulated" if described.trained else "untrained"
            raise Refused(f"experiment {self.experiment}: package {described.name} {described.version} is {what}")

    @property
    def need(self) -> Need:
        """What readiness is to look for."""
        background = BACKGROUND_SETS[self.description.background_set]
        return Need(self.cycle, self.lead_hours, background, self.description.begins_alone)
