"""Make the days of a training dataset on an engine, and show the progress."""

from __future__ import annotations

import functools
import sys
from datetime import datetime
from types import TracebackType
from typing import Self

from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.tasks.page import ProgressPage, show_table
from stormcast_tw.tasks.policy import task_under
from stormcast_tw.training_data.archives import archive_of
from stormcast_tw.training_data.build import Account, DatasetJob, begin, days_to_make, make_run, plan, runs_of_days
from stormcast_tw.training_data.day import Status
from stormcast_tw.training_data.finish import finish, read_report
from stormcast_tw.training_data.recipe import DataRecipe
from stormcast_tw.training_data.workers import Local, Scheduler, Slurm, run_parts, workers_of

LONGEST_TABLE = 500
"""Rows of the page's table of unusable hours; report.json has them all."""


@task_under("regrid")
def begin_dataset(recipe: DataRecipe) -> tuple[DatasetJob, Artifact | None]:
    """Return the job of a recipe, and its dataset if it is sealed already."""
    job = plan(settings().work_root, recipe, archive_of(recipe, settings()))
    return job, begin(job)


@task_under("training_data")
def make_days(job: DatasetJob, engine: Local | Scheduler | Slurm, share: tuple[int, int]) -> int:
    """Make the days of this share (number, of how many) that are not made yet; return how many of all days remain."""
    number, shares = share
    mine = set(job.recipe.days[number - 1 :: shares])
    wanted = [day for day in days_to_make(job) if day in mine]
    with _Page(job, len(mine), len(mine) - len(wanted)) as page:
        runs = runs_of_days(wanted, workers_of(engine))
        run_parts(engine, functools.partial(make_run, job), runs, page.add)
    return len(days_to_make(job))


@task_under("publish")
def finish_dataset(job: DatasetJob, now: datetime) -> Artifact:
    """Seal the dataset; its report is a table of the run's page."""
    artifact = finish(job, now)
    report = read_report(artifact)
    rows = [hour.model_dump() for hour in report.unusable[:LONGEST_TABLE]]
    title = f"{report.usable} of {report.hours} hours usable; {report.missing} missing, {report.refused} refused"
    show_table(rows or [{"hour": "all are usable"}], _key(job), title)
    get_run_logger().info("%s; pairs: %s", title, report.pairs)
    return artifact


class _Page:
    """The progress artifact of the run's page, its log lines, and a progress bar if there is a terminal."""

    def __init__(self, job: DatasetJob, total: int, done: int) -> None:
        self._total, self._done, self._lost = total, done, 0
        text = f"{total} days of recipe {job.recipe.name}, {job.archive.describe()}, run {job.address.run}"
        self._page = ProgressPage(f"{_key(job)}-days", text, self._share)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._task = self._bar.add_task(f"days of {job.recipe.name}", total=total, completed=done)

    def add(self, made: tuple[Account, ...]) -> None:
        """Count days that are made."""
        self._done += len(made)
        self._lost += sum(status is not Status.USABLE for account in made for status in account.status)
        self._bar.advance(self._task, len(made))
        days = f"{self._done} of {self._total} days made"
        self._page.show(self._share, f"{days}, with {self._lost} unusable hours")

    @property
    def _share(self) -> float:
        return self._done / self._total if self._total else 1.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def _key(job: DatasetJob) -> str:
    return f"training-data-{job.recipe.name}".lower().replace("_", "-")
