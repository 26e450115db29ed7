"""The start of a published forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.fetch import Fetched
from stormcast_tw.publication.catalogue import plan_of
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.store import Store

Invariants = Mapping[str, npt.NDArray[np.float32]]
"""A package's constant fields, each (y, x)."""


@dataclass(frozen=True)
class Start:
    """What a forecast started from: prepared state (y, x), background (lead_time from 0, y, x), and RWRP run."""

    cycle: Cycle
    lead_hours: int
    grid: Grid
    state: xr.Dataset
    background: xr.Dataset
    rwrp_run: datetime | None
    """None if another provider stood in for RWRP."""


def start_of(work: Store, run: Artifact) -> Start:
    """Return what a published run started from; raises NotReady if it is no longer kept in the work root."""
    plan = plan_of(run)
    prepared = work.get(
        Address(kind="prepared", experiment=plan.experiment, cycle=plan.inputs.cycle, run=plan.inputs.run)
    )
    inputs = [work.get(_address(parent)) for parent in prepared.parents]
    served = {row.name: row for artifact in inputs for row in Fetched.of(artifact).inputs}
    state = served.get("state")
    return Start(
        cycle=plan.cycle,
        lead_hours=plan.lead_hours,
        grid=Grid.parse(run.grid),
        state=work.open(prepared, "state").load(),
        background=work.open(prepared, "background").load(),
        rwrp_run=state.init_time if state is not None and state.source == "rwrp" else None,
    )


def _address(parent: str) -> Address:
    """Read the address of a parent; before 0.2 its root stood in front."""
    kind, experiment, cycle, run = parent.rsplit("/", 4)[-4:]
    return Address(kind=kind, experiment=experiment, cycle=cycle, run=run)
