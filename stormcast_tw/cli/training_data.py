"""`stormcast-tw prepare`: makes a training dataset from an archive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stormcast_tw.cli.options import Json, completed_by, one_of, parse_share

if TYPE_CHECKING:
    from stormcast_tw.storage.artifact import Artifact
    from stormcast_tw.training_data.finish import Report

LISTED = 20
"""Unusable hours that are listed at most; report.json has them all."""


RecipeArgument = Annotated[
    str,
    typer.Argument(
        parser=one_of("stormcast_tw.training_data.recipe", "RECIPES"),
        autocompletion=completed_by("stormcast_tw.training_data.recipe", "RECIPES"),
        metavar="RECIPE",
        help="rehearsal for a first try; see training_data/recipe.py.",
    ),
]


def prepare(
    recipe: RecipeArgument,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes, or with --slurm, jobs.")] = None,
    memory: Annotated[
        float, typer.Option(min=0.5, help="Memory limit of a worker, GiB; Dask ends a worker that exceeds it.")
    ] = 2.0,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to use, tcp://host:8786.")] = None,
    slurm: Annotated[str | None, typer.Option(help="Run as SLURM jobs in this partition.")] = None,
    slurm_option: Annotated[
        list[str] | None, typer.Option(help="Extra #SBATCH option, e.g. --account=x; repeatable.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address at which SLURM jobs reach this machine.")] = None,
    share: Annotated[
        str,
        typer.Option(
            parser=parse_share,
            metavar="K/N",
            help="Make only every Nth day from the Kth; the last share to end finishes.",
        ),
    ] = "1/1",
    as_json: Json = False,
) -> None:
    """Make a training dataset below the work root. If interrupted, run it again to resume. Exit code 4: days remain."""
    if scheduler is not None and slurm is not None:
        raise typer.BadParameter("use either --scheduler or --slurm", param_hint="'--slurm'")
    from stormcast_tw.settings import settings

    settings().use_prefect_home()
    from stormcast_tw.flows.training_data import training_data
    from stormcast_tw.training_data.finish import read_report
    from stormcast_tw.training_data.recipe import named
    from stormcast_tw.training_data.workers import Local, Scheduler, Slurm

    chosen = named(recipe)
    engine: Local | Scheduler | Slurm = Local(memory_gib=memory, **({"workers": workers} if workers else {}))
    if scheduler is not None:
        engine = Scheduler(address=scheduler)
    elif slurm is not None:
        more = tuple(slurm_option or ())
        engine = Slurm(jobs=workers or 1, memory_gib=memory, partition=slurm, host=host, directives=more)
    number, shares = map(int, share.split("/"))
    made = training_data(chosen, engine, (number, shares))
    if made is None:
        typer.echo(f"share {share} of {recipe} is made; other days remain")
        raise typer.Exit(4)
    report = read_report(made)
    if as_json:
        typer.echo(json.dumps({"uri": made.uri, "report": report.model_dump(mode="json")}, indent=1))
    else:
        _show(recipe, made, report)


def _show(recipe: str, made: Artifact, report: Report) -> None:
    words = "SIMULATED " if made.simulated else ""
    typer.echo(f"{words}training data of recipe {recipe}, run {made.address.run}:\n  {made.uri}/data.zarr")
    typer.echo(f"  {report.usable} of {report.hours} hours usable, {report.missing} missing, {report.refused} refused")
    typer.echo(f"  pairs: {', '.join(f'{count} {split}' for split, count in report.pairs.items())}")
    for hour in report.unusable[:LISTED]:
        typer.echo(f"  {hour.time} {hour.status}: {hour.reason}")
    if len(report.unusable) > LISTED:
        typer.echo(f"  and {len(report.unusable) - LISTED} more: {made.uri}/report.json")
