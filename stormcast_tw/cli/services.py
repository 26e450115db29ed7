"""`stormcast-tw up` and `down`: everything that one host runs. No logic of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from stormcast_tw.cli.shown import print_table

Folder = Annotated[Path, typer.Option(help="Where the services keep their configuration, logs and database.")]
DEFAULT_FOLDER = Path("var/up")
_SECONDS = 300.0
_SOON = ("STARTING", "BACKOFF")


def up(
    folder: Folder = DEFAULT_FOLDER,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Port of Prefect's server, on loopback.")] = 4200,
    postgres: Annotated[
        bool,
        typer.Option("--postgres", help="Run a PostgreSQL of its own; else PREFECT_SERVER_DATABASE_CONNECTION_URL."),
    ] = False,
) -> None:
    """Start a Prefect server, workers and the deployments, and keep them running until `stormcast-tw down`."""
    from stormcast_tw.operations.services import Host, services, start
    from stormcast_tw.settings import settings

    host = Host(folder, port, postgres, os.environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL"))
    start(host, services(host, settings(), os.environ))
    found = _settled(folder)
    print_table(("service", "state", "log"), ((n, s, f"{folder}/{n}.log") for n, s in found.items()))
    typer.echo(f"Prefect's page: {host.api.removesuffix('/api')}")
    if not host.alarms_work:
        typer.echo("Its database is SQLite, on which events get lost: alarms need PostgreSQL (`up --postgres`).")
    typer.echo("stormcast-tw down      ends all of it")


def down(folder: Folder = DEFAULT_FOLDER) -> None:
    """End everything that `stormcast-tw up` started."""
    from stormcast_tw.operations.services import stop

    typer.echo("everything has ended" if stop(folder) else f"nothing is up in {folder}")


def _settled(folder: Path) -> dict[str, str]:
    """Return the states of the services when none is about to change, or after five minutes."""
    from stormcast_tw.operations.services import states

    deadline = time.monotonic() + _SECONDS
    while True:
        found = states(folder)
        deployed = found.get("deploy") == "EXITED"
        if (deployed and not any(state in _SOON for state in found.values())) or time.monotonic() > deadline:
            return found
        time.sleep(1)
