"""`stormcast-tw train`: from training data to a package. No logic of its own.

The same command under torchrun trains with many processes:
`torchrun --nproc-per-node 2 -m stormcast_tw.cli train run demo ...`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stormcast_tw.cli.options import Json, completed_by, device_name, one_of
from stormcast_tw.cli.shown import example, print_table

RecipeArgument = Annotated[
    str,
    typer.Argument(
        parser=one_of("stormcast_tw.training.recipes", "RECIPES"),
        autocompletion=completed_by("stormcast_tw.training.recipes", "RECIPES"),
        metavar="RECIPE",
        help="How to train: rehearsal for a first try; demo_tuned continues demo, demo_driven continues demo_tuned.",
    ),
]

train_app = typer.Typer(no_args_is_help=True, help="Train a package; compare two trainings.")


@train_app.command("run", epilog=example("stormcast-tw train run rehearsal --output runs/rehearsal"))
def run(
    recipe: RecipeArgument,
    output: Annotated[Path, typer.Option(help="Folder of the run; give the same folder again to resume.")],
    data: Annotated[
        str | None, typer.Option(help="Training dataset, a folder or s3://; default: newest of `prepare RECIPE`.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="Package to continue from; with background_only, to add networks to.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of initial weights, sample order and noise.")] = 0,
    channels: Annotated[
        int | None, typer.Option(min=16, help="Width of the networks, instead of the recipe's.")
    ] = None,
    device: Annotated[str, typer.Option(parser=device_name, metavar="DEVICE", help="cpu, cuda or cuda:N.")] = "cpu",
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16, keep weights in float32.")] = False,
    tf32: Annotated[bool, typer.Option("--tf32", help="Allow TF32 multiplication on CUDA.")] = False,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the networks (takes minutes at start).")] = False,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Keep channels innermost in memory.")] = False,
    at_once: Annotated[int, typer.Option(min=0, help="Samples per process in one pass; 0: its whole share.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="torch threads per process; 0: as many as cores.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read ahead, per training process.")] = 0,
    log_every: Annotated[int, typer.Option(min=1, help="Updates between lines of the log.")] = 20,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Updates between checkpoints.")] = 500,
) -> None:
    """Train RECIPE, or resume it. Exit code 1 if the training is ill, 4 if it was asked to stop and can be resumed."""
    from stormcast_tw.training.recipes import DATA, NEED_A_BASE, RECIPES

    if base is None and recipe in NEED_A_BASE:
        raise typer.BadParameter(f"recipe {recipe} needs it: the package to continue from", param_hint="'--base'")
    from stormcast_tw.model import package as packages
    from stormcast_tw.model.description import describe
    from stormcast_tw.settings import settings
    from stormcast_tw.training.learner import Switches
    from stormcast_tw.training.run import carry_out
    from stormcast_tw.training_data.reader import TrainingData

    chosen = RECIPES[recipe]().model_copy(update={"seed": seed})
    switches = Switches(
        device=device,
        bf16=bf16,
        tf32=tf32,
        compile=compile_,
        channels_last=channels_last,
        at_once=at_once,
        threads=threads,
        workers=workers,
        log_every=log_every,
        checkpoint_every=checkpoint_every,
    )
    package = carry_out(
        chosen.grown(channels) if channels else chosen,
        TrainingData.open(data) if data else TrainingData.newest(settings().work_root, DATA.get(recipe, recipe)),
        output,
        switches,
        datetime.now(UTC),
        packages.load(base) if base else None,
    )
    typer.echo(f"{package}: digest {describe(package).digest}")


@train_app.command("compare", epilog=example("stormcast-tw train compare runs/a runs/b --tolerance 0.02"))
def compare(
    run_a: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    run_b: Annotated[Path, typer.Argument(help="Folder of the other run.")],
    tolerance: Annotated[float, typer.Option(min=0, help="Relative tolerance of the metrics.")] = 0.02,
    as_json: Json = False,
) -> None:
    """Check whether two trainings agree: code, data, seeds, hardware, metrics. Exit code 1 if they do not."""
    from stormcast_tw.training.agreement import compare as compared

    agreement = compared(run_a, run_b, tolerance)
    if as_json:
        typer.echo(agreement.model_dump_json(indent=1))
    else:
        verdict = f"The two runs {'agree' if agreement.agree else 'DO NOT AGREE'} within {tolerance:.1%}."
        print_table(("", "a", "b", ""), ((row.what, row.a, row.b, row.verdict) for row in agreement.rows), verdict)
    if not agreement.agree:
        raise typer.Exit(1)


@train_app.command("accept", epilog=example("stormcast-tw train accept runs/demo/package --cycles 8"))
def accept(
    package: Annotated[
        Path, typer.Argument(help="A trained package; the result becomes the section Acceptance of its card.")
    ],
    data: Annotated[str | None, typer.Option(help="Training dataset; default: newest of `prepare acceptance`.")] = None,
    cycles: Annotated[int, typer.Option(min=1, help="Held-out hours to start from.")] = 8,
    threads: Annotated[int, typer.Option(min=0, help="torch threads; 0: as many as cores.")] = 0,
    as_json: Json = False,
) -> None:
    """Test a package on held-out hours: two-day runs, diffusion against white noise, grain. Exit code 1 if it fails."""
    import json

    import torch
    from rich.console import Console

    from stormcast_tw.model import package as packages
    from stormcast_tw.settings import settings
    from stormcast_tw.training.acceptance import accept as accepted
    from stormcast_tw.training.acceptance import table
    from stormcast_tw.training.model_card_record import put_section
    from stormcast_tw.training_data.reader import TrainingData

    if threads:
        torch.set_num_threads(threads)
    held_out = TrainingData.open(data) if data else TrainingData.newest(settings().work_root, "acceptance")
    console = Console(stderr=True)
    findings = accepted(packages.load(package), held_out, cycles, lambda text: console.print(text))
    lines = [f"On {cycles} held-out hours each of data {held_out.digest[:12]}: `stormcast-tw train accept`.", ""]
    card = put_section(package, "Acceptance", [*lines, *table(findings)])
    if as_json:
        typer.echo(json.dumps([finding.model_dump(mode="json") for finding in findings], indent=1))
    else:
        typer.echo("\n".join([*table(findings), f"written into {card}"]))
    if not all(finding.kept for finding in findings):
        raise typer.Exit(1)


@train_app.command("record", epilog=example("stormcast-tw train record runs/demo/package scorecard.json"))
def record(
    package: Annotated[Path, typer.Argument(help="A trained package; its card gets one section per truth.")],
    scorecards: Annotated[list[Path], typer.Argument(help="scorecard.json of `stormcast-tw verify run`.")],
) -> None:
    """Write the results of scorecards into the card of their package."""
    from stormcast_tw.training.model_card_record import write_record

    for path in scorecards:
        typer.echo(f"{write_record(package, path)}: {path}")
