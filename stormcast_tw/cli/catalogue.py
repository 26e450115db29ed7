"""`stormcast-tw catalogue`: what is published, and whether it is still what it was."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stormcast_tw.cli.options import Experiment, Json, print_result, print_table
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
    from stormcast_tw.publication.catalogue import PUBLISHED, latest, plan_of
    from stormcast_tw.schema import labels
    from stormcast_tw.storage.store import Store

    store = Store(settings().published_root)
    newest = latest(store, experiment)
    unreadable: list[str] = []
    runs = store.list(PUBLISHED, experiment, unreadable)
    if as_json:
        print_result("", [a.model_dump(mode="json") | {"uri": a.uri, "latest": a == newest} for a in runs], True)
        return
    table = Table(
        "cycle", "run", "members", "leads", "made (UTC)", "", title=f"published runs of experiment {experiment}"
    )
    for a in runs:
        words = labels(simulated=a.simulated, trained=a.trained) + ("<- latest" if a == newest else "")
        plan = plan_of(a)
        table.add_row(
            a.address.cycle,
            a.address.run,
            str(plan.members),
            f"1-{plan.lead_hours} h",
            f"{a.written_at:%Y-%m-%d %H:%M}",
            words,
        )
    print_table(table)
    for text in unreadable:
        typer.echo(f"DAMAGED: {text}", err=True)


@catalogue_app.command("check")
def catalogue_check(
    experiment: Experiment = "demo",
    repair: Annotated[
        bool, typer.Option("--repair", help="Make damaged published files again from their plan.")
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
        now = datetime.now(UTC)
        with tempfile.TemporaryDirectory(prefix="stormcast-tw-") as scratch:
            mended = integrity.repair(
                published,
                work,
                experiment,
                lambda run, folder: carry_out_again(run, settings(), folder, now, lambda _: None),
                Path(scratch),
                now,
            )
    damaged = [*integrity.check(published, experiment), *integrity.check(work, experiment)]
    if as_json:
        print_result("", {"damaged": [vars(d) for d in damaged], "repaired": [vars(d) for d in mended]}, True)
    else:
        for damage in mended:
            typer.echo(f"{damage.where}: {'repaired' if damage.repaired else damage.remark}")
        for damage in damaged:
            typer.echo("\n".join(f"DAMAGED {damage.where}/{name}: {wrong}" for name, wrong in damage.files.items()))
        old = sum(integrity.unverifiable(store, experiment) for store in (published, work))
        typer.echo(f"experiment {experiment}: {len(damaged) or 'nothing is'} damaged")
        if old:
            typer.echo(f"{old} artifacts were made before 0.2: without checksums nobody can tell")
    if damaged:
        raise typer.Exit(1)
