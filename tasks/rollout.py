"""Run the model in a child process and show how far it is."""

from __future__ import annotations

import time
from datetime import datetime
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from stormcast_tw.forecast.process import run_in_child
from stormcast_tw.forecast.rollout import Job, Progress
from stormcast_tw.plan import Plan
from stormcast_tw.settings import settings
from stormcast_tw.storage.store import Artifact
from tasks.policy import artifact_key, under

SECONDS_BETWEEN_UPDATES = 2.0


@under("rollout")
def roll_out(plan: Plan, prepared: Artifact, now: datetime) -> Artifact:
    """Return the forecast of a plan; an interrupted one continues where it stopped."""
    where = settings()
    job = Job(
        plan=plan,
        prepared=prepared.address,
        prepared_root=where.work_root,
        work_root=where.work_root,
        package=where.package.absolute(),
        device=where.device,
        threads=where.threads,
        now=now,
    )
    return run_in_child(job, where.rollout_deadline_seconds, _Page(plan))


class _Page:
    """The progress artifact of the run's page and its log lines, at most one every two seconds."""

    def __init__(self, plan: Plan) -> None:
        text = f"{plan.members} members x {plan.lead_hours} h of {plan.cycle}, run {plan.run}"
        self._artifact = cast("UUID", create_progress_artifact(0.0, artifact_key("rollout", plan.cycle), text))
        self._log, self._said = get_run_logger(), 0.0

    def __call__(self, progress: Progress) -> None:
        finished = progress.done == progress.total
        if time.monotonic() - self._said < SECONDS_BETWEEN_UPDATES and not finished:
            return
        self._said = time.monotonic()
        update_progress_artifact(self._artifact, round(100.0 * progress.done / progress.total, 1))
        self._log.info(
            "%d of %d member-hours stored, %.2f s each", progress.done, progress.total, progress.seconds_each
        )
