"""What a published forecast started from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.grid import Grid
from stormcast_tw.plan import Plan
from stormcast_tw.storage.store import Address, Artifact, Store

Invariants = Mapping[str, npt.NDArray[np.float32]]
"""A package's constant fields, each (y, x)."""


@dataclass(frozen=True)
class Start:
    """What a forecast started from: prepared state (y, x) and background (lead_time from 0, y, x), and RWRP's run."""

    cycle: Cycle
    lead_hours: int
    grid: Grid
    state: xr.Dataset
    background: xr.Dataset
    rwrp_run: datetime | None
    """None where another provider stood in for RWRP."""


def start_of(work: Store, run: Artifact) -> Start:
    """Return what a published run started from; raises NotReady where it is no longer kept in the work root."""
    plan = Plan.model_validate(run.plan)
    prepared = work.get(
        Address(kind="prepared", experiment=plan.experiment, cycle=plan.inputs.cycle, run=plan.inputs.run)
    )
    inputs = [work.get(_address(uri)) for uri in prepared.parents]
    rows = {row["name"]: row for one in inputs for row in one.details["inputs"]}
    state = rows.get("state", {})
    return Start(
        cycle=plan.cycle,
        lead_hours=plan.lead_hours,
        grid=Grid.parse(run.grid),
        state=work.open(prepared, "state").load(),
        background=work.open(prepared, "background").load(),
        rwrp_run=datetime.fromisoformat(state["init_time"]) if state.get("source") == "rwrp" else None,
    )


def _address(uri: str) -> Address:
    kind, experiment, cycle, run = uri.rsplit("/", 4)[-4:]
    return Address(kind=kind, experiment=experiment, cycle=cycle, run=run)
