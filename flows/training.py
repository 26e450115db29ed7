"""Trains a package under Prefect: progress on the run's page, an event when the training is ill."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run as this_run

from stormcast_tw.tasks.page import report_failure
from stormcast_tw.tasks.training import train_package


def _run_name() -> str:
    parameters = this_run.parameters
    return f"training-{parameters.get('recipe')}-{Path(str(parameters.get('output'))).name}"


@flow(name="training", flow_run_name=_run_name, on_failure=[report_failure], on_crashed=[report_failure])
def training(recipe: str, output: Path, processes: int = 1, options: list[str] | None = None) -> Path:
    """Train `recipe` with `processes` processes on this machine, or resume it; return the folder of the package.

    `options` are those of `stormcast-tw train run`, as words: `["--data", "s3://..."]`. Raises Refused, quoting the
    training's output, if it ends without a package.
    """
    return train_package(recipe, output.absolute(), processes, tuple(options or ()))
