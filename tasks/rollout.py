"""Run the model in a child process and show its progress."""

from __future__ import annotations

from datetime import datetime

from stormcast_tw.forecast.job import Progress, RolloutJob
from stormcast_tw.forecast.process import Patience, run_in_child
from stormcast_tw.plan import Plan
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.tasks.page import ProgressPage, artifact_key
from stormcast_tw.tasks.policy import task_under


@task_under("rollout")
def roll_out(plan: Plan, prepared: Artifact, now: datetime) -> Artifact:
    """Return the forecast of a plan; an interrupted one continues where it stopped."""
    where = settings()
    job = RolloutJob(
        plan=plan,
        prepared=prepared.address,
        prepared_root=where.work_root,
        work_root=where.work_root,
        package=where.package.absolute(),
        device=where.device,
        threads=where.threads,
        attribution=where.attribution.stated,
        now=now,
    )
    text = f"{plan.members} members x {plan.lead_hours} h of {plan.cycle}, run {plan.run}"
    page = ProgressPage(artifact_key("rollout", plan.cycle), text)

    def report(progress: Progress) -> None:
        done, each = f"{progress.done} of {progress.total} member-hours stored", f"{progress.seconds_each:.2f} s each"
        page.show(progress.done / progress.total, f"{done}, {each}")

    patience = Patience(where.rollout_deadline_seconds, where.rollout_silent_seconds)
    return run_in_child(job, patience, report)
