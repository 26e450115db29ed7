"""`stormcast-tw catalogue`: what is published, and whether it is still what it was."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stormcast_tw.cli.options import Experiment, Json, parse_cycle, print_result, print_table
from stormcast_tw.settings import settings

catalogue_app = typer.Typer(help="List what is published; check and repair it.")


@catalogue_app.callback(invoke_without_command=True)
def catalogue(
    context: typer.Context,
    experiment: Experiment = "demo",
    as_json: Json = False,
) -> None:
    """List the published runs, newest cycle last; `check` reads every byte of them."""
    if context.invoked_subcommand is not None:
        return
    from stormcast_tw.errors import BadInput
    from stormcast_tw.publication.catalogue import plan_of
    from stormcast_tw.publication.pointers import PUBLISHED, latest
    from stormcast_tw.schema import labels
    from stormcast_tw.storage.store import Store

    store = Store(settings().published_root)
    newest, unreadable = None, list[str]()
    runs = store.list(PUBLISHED, experiment, unreadable)
    try:
        newest = latest(store, experiment)
    except BadInput as error:
        unreadable.append(str(error))
    if as_json:
        print_result("", [a.model_dump(mode="json") | {"uri": a.uri, "latest": a == newest} for a in runs], True)
        return
    table = Table(
        "cycle", "run", "members", "leads", "made (UTC)", "", title=f"published runs of experiment {experiment}"
    )
    for a in runs:
        words = labels(simulated=a.simulated, trained=a.trained) + ("<- latest" if a == newest else "")
        plan = plan_of(a)
        size = (str(plan.members), f"1-{plan.lead_hours} h", f"{a.written_at:%Y-%m-%d %H:%M}")
        table.add_row(a.address.cycle, a.address.run, *size, words)
    print_table(table)
    for text in unreadable:
        typer.echo(f"DAMAGED: {text}", err=True)


@catalogue_app.command("check")
def catalogue_check(
    experiment: Experiment = "demo",
    repair: Annotated[
        bool, typer.Option("--repair", help="Make damaged files again from their plan, and set damaged pointers.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read every byte that was sealed, in the work and the published root; exit code 1 if any is damaged."""
    from stormcast_tw.forecast.reproduce import carry_out_again
    from stormcast_tw.publication import integrity
    from stormcast_tw.storage.store import Store

    published, work = Store(settings().published_root), Store(settings().work_root)
    mended: list[integrity.Damage] = []
    if repair:
        with tempfile.TemporaryDirectory(prefix="stormcast-tw-") as scratch:
            mended = integrity.repair(
                published,
                work,
                experiment,
                lambda run, folder: carry_out_again(run, settings(), folder, lambda _: None),
                Path(scratch),
            )
    reports = [integrity.check(store, experiment) for store in (published, work)]
    damaged, old = [d for report in reports for d in report.damaged], sum(report.old for report in reports)
    if as_json:
        print_result("", {"damaged": [vars(d) for d in damaged], "repaired": [vars(d) for d in mended]}, True)
    else:
        for damage in mended:
            outcome = "repaired" if damage.repaired else f"not repaired: {damage.remark}"
            typer.echo("\n".join(f"{damage.where}/{name}: {outcome}" for name in damage.files))
        for damage in damaged:
            typer.echo("\n".join(f"DAMAGED {damage.where}/{name}: {wrong}" for name, wrong in damage.files.items()))
        typer.echo(f"experiment {experiment}: {len(damaged) or 'nothing is'} damaged")
        if old:
            typer.echo(f"{old} artifacts were made before 0.2: without checksums nobody can tell")
    if damaged:
        raise typer.Exit(1)


@catalogue_app.command("latest")
def catalogue_latest(
    experiment: Experiment = "demo",
    cycle: Annotated[
        str | None,
        typer.Option("--cycle", parser=parse_cycle, metavar="CYCLE", help="Move it to the chosen run of this cycle."),
    ] = None,
    why: Annotated[str | None, typer.Option(help="Why it is moved; kept beside the pointer.")] = None,
    who: Annotated[str | None, typer.Option(envvar="USER", help="Who moves it.")] = None,
    as_json: Json = False,
) -> None:
    """Say what `latest.json` names and who moved it; with --cycle and --why, move it, back too, and record that."""
    from stormcast_tw.publication import pointers
    from stormcast_tw.storage.store import Store

    store = Store(settings().published_root)
    if cycle is not None:
        if not (why and who):
            raise typer.BadParameter("a move is recorded: say --why, and --who where $USER is not set")
        pointers.move_latest(store, experiment, cycle, who, why, datetime.now(UTC))
    unreadable: list[str] = []
    recorded, run = pointers.moves(store, experiment, unreadable), pointers.latest(store, experiment)
    named = None if run is None else str(run.address)
    if as_json:
        print_result("", {"latest": named, "moves": [move.model_dump(mode="json") for move in recorded]}, True)
    else:
        typer.echo("\n".join([f"experiment {experiment}: latest is {named or 'not there'}", *map(str, recorded)]))
    for text in unreadable:
        typer.echo(f"DAMAGED: {text}", err=True)
