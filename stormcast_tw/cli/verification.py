"""`stormcast-tw verify`: score what was forecast, and choose between packages. No logic of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stormcast_tw.cli.options import (
    End,
    Experiment,
    Json,
    Start,
    TruthOption,
    WorldSeed,
    parse_dates,
    parse_package,
    require_span,
)
from stormcast_tw.cli.shown import example, print_table
from stormcast_tw.errors import NotReady

if TYPE_CHECKING:
    from stormcast_tw.flows.verification import Verified
    from stormcast_tw.verification.record import Scoring

verify_app = typer.Typer(no_args_is_help=True, help="Score published forecasts; choose between packages.")

Training = Annotated[
    str,
    typer.Option(
        "--training",
        parser=parse_dates,
        metavar="FROM..TO",
        help="Dates whose errors dress the baselines; by default the year before.",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed for breaking ties, dressing and STEPS.")]


def _begin(start: str, end: str, experiment: str, training: str, seed: int, *packages: Path | None) -> Scoring:
    """Refuse a wrong span, no package and nothing published before Prefect is imported; prepare its home."""
    from stormcast_tw.model.description import describe
    from stormcast_tw.publication.pointers import PUBLISHED
    from stormcast_tw.settings import settings
    from stormcast_tw.storage.store import Store

    require_span(start, end)
    for package in packages:
        describe(package or settings().package)
    published = Store(settings().published_root)
    if not published.objects.exists(f"{PUBLISHED}/{experiment}"):
        raise NotReady(f"{published.root}: nothing is published in experiment {experiment}: there is nothing to score")
    settings().use_prefect_home()
    return _scoring(training, seed)


def _scoring(training: str, seed: int) -> Scoring:
    from stormcast_tw.verification.record import Scoring
    from stormcast_tw.verification.systems.dressing import TrainingSpan

    if not training:
        return Scoring(seed=seed)
    start, end = (datetime.fromisoformat(part).replace(tzinfo=UTC) for part in training.split(".."))
    return Scoring(training=TrainingSpan(start=start, end=end), seed=seed)


@verify_app.command(
    "run", epilog=example("stormcast-tw verify run --start 20260109T00Z --end 20260113T18Z --truth simulated")
)
def run(
    start: Start,
    end: End,
    experiment: Experiment = "demo",
    truth: TruthOption = "operational",
    package: Annotated[
        Path | None,
        typer.Option(parser=parse_package, metavar="PACKAGE", help="Package to score; by default the configured one."),
    ] = None,
    training: Training = "",
    seed: Seed = 0,
    as_json: Json = False,
    *,
    world_seed: WorldSeed,
) -> None:
    """Score every published cycle of a range once, against every baseline, and draw the scorecard."""
    scoring = _begin(start, end, experiment, training, seed, package)
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
    rows = ((outcome.cycle, outcome.outcome, outcome.text) for outcome in verified.outcomes)
    print_table(("cycle", "", "record or reason"), rows, "scores against the truth")
    typer.echo(f"scorecard: {verified.scorecard or 'none: nothing has been scored yet'}")


@verify_app.command(
    "compare",
    epilog=example(
        "stormcast-tw verify compare packages/demo runs/new/package --start 20260109T00Z --end 20260113T18Z"
    ),
)
def compare(
    package_a: Annotated[Path, typer.Argument(parser=parse_package, metavar="A", help="The package in service.")],
    package_b: Annotated[Path, typer.Argument(parser=parse_package, metavar="B", help="The other package.")],
    start: Start,
    end: End,
    experiment: Experiment = "demo",
    truth: TruthOption = "operational",
    training: Training = "",
    seed: Seed = 0,
    as_json: Json = False,
    *,
    world_seed: WorldSeed,
) -> None:
    """Write the choice between two packages as a document: the rule, the verdict, the numbers."""
    scoring = _begin(start, end, experiment, training, seed, package_a, package_b)
    from stormcast_tw.flows.verification import comparison
    from stormcast_tw.verification.choice import markdown

    made, address = comparison(
        package_a, package_b, start, end, experiment=experiment, truth=truth, world_seed=world_seed, scoring=scoring
    )
    typer.echo(made.model_dump_json(indent=1) if as_json else f"{markdown(made)}\nwritten to {address}")
