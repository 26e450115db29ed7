"""`stormcast-tw page`: the web page on what is published. No logic of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stormcast_tw.cli.options import Experiment
from stormcast_tw.cli.shown import example

page_app = typer.Typer(no_args_is_help=True, help="The web page on what is published.")


def _published() -> Path:
    """Return the folder that readers see; raises Refused where it is no folder of this machine."""
    from stormcast_tw.errors import Refused
    from stormcast_tw.operations.page_server import BUILT
    from stormcast_tw.settings import settings

    root = settings().published_root
    if "://" in root:
        raise Refused(f"{root}: a store serves its page itself; copy {BUILT} to {root}/published/site")
    return Path(root, "published")


@page_app.command("install", epilog=example("stormcast-tw page install"))
def install() -> None:
    """Put the page beside what is published, where `page serve`, nginx or a bucket serves it from."""
    from stormcast_tw.operations.page_server import install_page

    typer.echo(f"{install_page(_published())}: the page, as it was built")


@page_app.command("serve", epilog=example("stormcast-tw page serve --port 8765"))
def serve(
    experiment: Experiment = "demo",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")] = 8765,
    address: Annotated[str, typer.Option(help="Where it listens; the default is for this machine.")] = "127.0.0.1",
) -> None:
    """Serve the page and what is published until Ctrl-C."""
    from stormcast_tw.operations.page_server import install_page, page_server, rehearsed_at
    from stormcast_tw.publication.pointers import latest
    from stormcast_tw.storage.store import Store

    folder = _published()
    install_page(folder)
    server = page_server(folder, address, port)
    run = latest(Store(str(folder.parent)), experiment)
    shown = "" if run is None else rehearsed_at(run, datetime.now(UTC))
    named = "" if experiment == "demo" else f"{'&' if shown else '?'}exp={experiment}"
    typer.echo(f"http://{address}:{server.server_port}/site/{shown}{named}")
    typer.echo("Ctrl-C ends it")
    server.serve_forever()
