"""Verbs that keep the system in order from outside: remove what is kept no longer, watch what is published."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stormcast_tw.cli.options import Experiment, Json
from stormcast_tw.cli.shown import print_result, print_table

if TYPE_CHECKING:
    from stormcast_tw.publication.pruning import Removal


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Remove what is kept no longer, of all experiments: members, products, fetched inputs, work and old drafts.

    How long is a setting: STORMCAST_TW_RETENTION__MEMBERS_DAYS, __PRODUCTS_DAYS, __INPUTS_DAYS, __WORK_DAYS, __CYCLES.
    Manifests stay, and `pruned.json` beside each says what went. It may be interrupted, and run beside everything.
    """
    from stormcast_tw.publication import pruning
    from stormcast_tw.settings import settings
    from stormcast_tw.storage.store import Store

    where, now = settings(), datetime.now(UTC)
    planned = pruning.plan(Store(where.published_root), Store(where.work_root), where.retention, now)
    went = planned.removals if dry_run else pruning.prune(planned, where.retention, now, lambda _: None)
    if as_json:
        listed = [_as_json(removal) for removal in went]
        print_result("", {"removed": not dry_run, "removals": listed, "damaged": planned.damaged}, True)
    else:
        if went:
            print_table(("what", "files", "MB", "why"), map(_row, went))
        megabytes = sum(removal.bytes for removal in went) / 1e6
        typer.echo(
            f"{'would go' if dry_run else 'removed'}: {len(went)} of {len(planned.removals)}, {megabytes:.1f} MB"
        )
    for text in planned.damaged:
        typer.echo(f"DAMAGED: {text}; nothing of its cycle is removed", err=True)


def _row(removal: Removal) -> tuple[str, ...]:
    where = " ".join((str(removal.address), *(removal.names if removal.what == "part" else (f"({removal.what})",))))
    return where, str(removal.files), f"{removal.bytes / 1e6:.1f}", removal.why


def _as_json(removal: Removal) -> dict[str, object]:
    said = {"what": removal.what, "names": removal.names, "files": removal.files, "bytes": removal.bytes}
    return {"address": f"{removal.store.root}/{removal.address}", **said, "why": removal.why}


def watch(
    experiment: Experiment = "demo",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Answer at /health and /metrics on this port until Ctrl-C; 0: any."),
    ] = None,
    address: Annotated[str, typer.Option(help="Where --port listens; only this machine reaches it.")] = "127.0.0.1",
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print metrics in Prometheus's text format.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Is what is published fresh enough? Exit code 0 if it is, 1 if it is stale or there is nothing."""
    from stormcast_tw.operations import watch as watching
    from stormcast_tw.settings import settings

    if port is not None:
        from stormcast_tw.operations.watch_server import serve

        serve(address, port, lambda: watching.look(settings(), experiment, datetime.now(UTC)), typer.echo)
        return
    seen = watching.look(settings(), experiment, datetime.now(UTC))
    text = watching.metrics(seen).rstrip() if prometheus else seen.text
    print_result(text, seen.as_json(), as_json)
    if not seen.fine:
        raise typer.Exit(1)
