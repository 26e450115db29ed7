"""`stormcast-tw verify`: score what was forecast, and choose between packages. No logic of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from stormcast_tw.cli.options import End, Experiment, Json, Start, print_table
from stormcast_tw.settings import WORLD_SEED, settings
from stormcast_tw.verification import TruthKind

if TYPE_CHECKING:
    from stormcast_tw.flows.verification import Verified
    from stormcast_tw.verification.record import Scoring

verify_app = typer.Typer(no_args_is_help=True, help="Score published forecasts; choose between packages.")

TruthOption = Annotated[
    TruthKind, typer.Option("--truth", help="Score against the simulated truth, or RWRP's analyses and QPESUMS.")
]
WorldSeed = Annotated[int, typer.Option(help="Seed of the simulated inputs; a wrong one is detected.")]
Training = Annotated[
    str, typer.Option("--training", help="FROM..TO: dates whose errors dress the baselines [the year before]")
]
Seed = Annotated[int, typer.Option(help="Seed for breaking ties, dressing and STEPS.")]


def _scoring(training: str, seed: int) -> Scoring:
    from stormcast_tw.verification.record import Scoring
    from stormcast_tw.verification.systems.dressing import TrainingSpan

    if not training:
        return Scoring(seed=seed)
    parts = training.split("..")
    if len(parts) != 2:
        raise ValueError(f"--training {training}: write two dates, e.g. 2024-01-01..2024-12-29")
    start, end = (datetime.fromisoformat(part).replace(tzinfo=UTC) for part in parts)
    return Scoring(training=TrainingSpan(start=start, end=end), seed=seed)


@verify_app.command("run")
def run(
    start: Start,
    end: End,
    experiment: Experiment = "demo",
    truth: TruthOption = "operational",
    package: Annotated[Path | None, typer.Option(help="Package to score; by default the configured one.")] = None,
    world_seed: WorldSeed = WORLD_SEED,
    training: Training = "",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score every published cycle of a range once, against every baseline, and draw the scorecard."""
    scoring = _scoring(training, seed)
    settings().use_prefect_home()
    from stormcast_tw.flows.verification import verification

    verified = verification(
        start=start,
        end=end,
        experiment=experiment,
        truth=truth,
        package=package,
        world_seed=world_seed,
        scoring=scoring,
    )
    if as_json:
        typer.echo(verified.model_dump_json(indent=1))
        return
    _show(verified)


def _show(verified: Verified) -> None:
    table = Table("cycle", "", "record or reason", title="scores against the truth")
    for outcome in verified.outcomes:
        table.add_row(outcome.cycle, outcome.outcome, outcome.text)
    print_table(table)
    typer.echo(f"scorecard: {verified.scorecard or 'none: nothing has been scored yet'}")


@verify_app.command("compare")
def compare(
    package_a: Annotated[Path, typer.Argument(help="Folder of the package in service.")],
    package_b: Annotated[Path, typer.Argument(help="Folder of the other package.")],
    start: Start,
    end: End,
    experiment: Experiment = "demo",
    truth: TruthOption = "operational",
    world_seed: WorldSeed = WORLD_SEED,
    training: Training = "",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write the choice between two packages as a document: the rule, the verdict, the numbers."""
    from stormcast_tw.verification.choice import markdown

    scoring = _scoring(training, seed)
    settings().use_prefect_home()
    from stormcast_tw.flows.verification import comparison

    made, address = comparison(
        package_a, package_b, start, end, experiment=experiment, truth=truth, world_seed=world_seed, scoring=scoring
    )
    typer.echo(made.model_dump_json(indent=1) if as_json else f"{markdown(made)}\nwritten to {address}")
