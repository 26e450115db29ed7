"""The plan of a forecast, from a package, prepared inputs and the ensemble asked for."""

from __future__ import annotations

from stormcast_tw.model.description import Description
from stormcast_tw.plan import InputsPlan, Plan
from stormcast_tw.version import code_version


def plan_forecast(package: Description, inputs: InputsPlan, members: int | None, base_seed: int) -> Plan:
    """Return the plan of a forecast from prepared inputs; by default with the package's number of members."""
    return Plan(
        inputs=inputs,
        members=members or package.members,
        base_seed=base_seed,
        sampler=package.sampler,
        members_per_batch=package.members_per_batch,
        code_version=code_version("forecast"),
    )
