"""Makes a training dataset from an archive of past hours."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.runtime import flow_run as this_run

from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.tasks.page import report_failure
from stormcast_tw.tasks.training_data import begin_dataset, finish_dataset, make_days
from stormcast_tw.training_data.recipe import DataRecipe, named
from stormcast_tw.training_data.workers import Engine, Local


def _run_name() -> str:
    recipe = this_run.parameters.get("recipe") or {}
    name = recipe.get("name") if isinstance(recipe, dict) else getattr(recipe, "name", recipe)
    return f"training-data-{name}"


@flow(name="training-data", flow_run_name=_run_name, on_failure=[report_failure], on_crashed=[report_failure])
def training_data(
    recipe: DataRecipe | str, engine: Engine | None = None, share: tuple[int, int] = (1, 1), now: datetime | None = None
) -> Artifact | None:
    """Make the dataset of a recipe or a recipe's name, day by day on `engine` (by default this machine's cores).

    A sealed dataset is returned as it is; an interrupted one is continued. With `share` (2, 5) only the second of five
    shares of the days is made here, for clusters without Dask; the run that finds no day missing seals the dataset, and
    None is returned until then.
    """
    job, sealed = begin_dataset(named(recipe) if isinstance(recipe, str) else recipe)
    if sealed is not None:
        return sealed
    if make_days(job, engine or Local(), share):
        return None
    return finish_dataset(job, now or datetime.now(UTC))
