"""What the tests of the command line share."""

from __future__ import annotations

from typing import Any

from stormcast_tw.plan import InputsPlan, Plan, ProductsPlan, Sampler
from tests.conftest import CYCLE


def plan_without_package() -> dict[str, Any]:
    """Return the plan of a published run of 16 members and 12 h."""
    inputs = InputsPlan(
        experiment="demo", cycle=str(CYCLE), inputs={}, package="0" * 64, lead_hours=12, code_version="0"
    )
    sampler = Sampler(name="dpmpp_2m", steps=6, sigma_min=0.005, sigma_max=80.0, rho=7.0)
    plan = ProductsPlan(forecast=Plan(inputs=inputs, members=16, base_seed=0, sampler=sampler, members_per_batch=4))
    return plan.model_dump(mode="json", exclude_none=True)
