"""Bring what was fetched onto the package's grid."""

from __future__ import annotations

from datetime import datetime

from prefect.logging import get_run_logger

from stormcast_tw.inputs.prepare import prepare
from stormcast_tw.inputs.readiness import InputSet
from stormcast_tw.model.package import Description
from stormcast_tw.plan import InputsPlan
from stormcast_tw.settings import settings
from stormcast_tw.storage.store import Artifact, Store
from tasks.policy import under


@under("regrid")
def regrid_inputs(
    plan: InputsPlan, inputs: InputSet, state: Artifact, background: Artifact, package: Description, now: datetime
) -> Artifact:
    """Return the prepared inputs of a forecast."""
    store = Store(settings().work_root)
    artifact = prepare(store, plan, inputs, (state, background), settings().package, package, now)
    get_run_logger().info("%s", artifact.details["rain"])
    return artifact
