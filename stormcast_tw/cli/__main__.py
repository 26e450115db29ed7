"""Kilometre-scale ensemble weather forecasts for Taiwan.

Exit codes: 0 done or ready, 1 refused or failed, 2 usage error, 3 degraded inputs, 4 not ready or missing, 130 Ctrl-C.
"""

# The docstring is the help text. Every verb calls a flow or a core function; there is no logic here.

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from stormcast_tw import __version__
from stormcast_tw.cli import answers, operations, services, simulation, upkeep
from stormcast_tw.cli.catalogue import catalogue_app
from stormcast_tw.cli.interrupt import end_at_ctrl_c
from stormcast_tw.cli.package import package_app
from stormcast_tw.cli.page import page_app
from stormcast_tw.cli.shown import example
from stormcast_tw.cli.training import train_app
from stormcast_tw.cli.training_data import prepare
from stormcast_tw.cli.verification import verify_app
from stormcast_tw.errors import StormcastError

EXTRAS = {
    "dask": "training", "distributed": "training", "dask_jobqueue": "training", "scores": "verification",
    "pysteps": "rain", "rasterio": "exports", "icechunk": "exports", "pystac": "exports",
}  # fmt: skip
"""Libraries that are not installed with the rest, and the extra that brings each."""

OPERATE, LOOK, TRAIN = "Operate", "Look", "Train and judge"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=__doc__,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb, _panel, _example in (
    (operations.forecast, OPERATE, "stormcast-tw forecast --cycle 20260611T06Z --members 4"),
    (operations.backfill, OPERATE, "stormcast-tw backfill --start 20260610T00Z --end 20260611T06Z"),
    (operations.reproduce, OPERATE, "stormcast-tw reproduce var/published/demo/20260611T06Z/RUN"),
    (upkeep.prune, OPERATE, "stormcast-tw prune --dry-run"),
    (services.up, OPERATE, "stormcast-tw up --postgres"),
    (services.down, OPERATE, "stormcast-tw down"),
    (simulation.simulate, OPERATE, "stormcast-tw simulate --cycle 20260611T06Z"),
    (answers.hazards, LOOK, "stormcast-tw hazards --zone 花蓮縣"),
    (answers.at, LOOK, "stormcast-tw at 蘭嶼 15:00"),
    (answers.difference, LOOK, "stormcast-tw difference"),
    (operations.export, OPERATE, "stormcast-tw export netcdf_members --cycle 20260611T06Z"),
    (operations.inputs, LOOK, "stormcast-tw inputs --cycle 20260611T06Z --follow"),
    (upkeep.watch, LOOK, "stormcast-tw watch --experiment oper"),
    (operations.doctor, LOOK, "stormcast-tw doctor"),
    (prepare, TRAIN, "stormcast-tw prepare rehearsal"),
):
    app.command(rich_help_panel=_panel, epilog=example(_example))(_verb)
app.add_typer(catalogue_app, name="catalogue", rich_help_panel=LOOK)
app.add_typer(package_app, name="package", rich_help_panel=LOOK)
app.add_typer(page_app, name="page", rich_help_panel=LOOK)
app.add_typer(verify_app, name="verify", rich_help_panel=TRAIN)
app.add_typer(train_app, name="train", rich_help_panel=TRAIN)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stormcast-tw {__version__}")
        raise typer.Exit


@app.callback(help=__doc__)
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


def main() -> None:
    """Be the program `stormcast-tw`."""
    end_at_ctrl_c(next((word for word in sys.argv[1:] if not word.startswith("-")), ""))
    if not sys.warnoptions:  # what libraries warn of, here and in children, is for those who ask: `python -W default`
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"
    run()


def run() -> None:
    """Run the command line; an expected error becomes one line on standard error and an exit code."""
    try:
        sys.exit(app(standalone_mode=False))
    except StormcastError as error:
        _end(f"{type(error).__name__}: {error}", error.exit_code)
    except ModuleNotFoundError as error:
        if (extra := EXTRAS.get(str(error.name).partition(".")[0])) is None:
            raise
        _end(f"{error.name} is not installed here: pip install 'stormcast-tw[{extra}]'", 1)
    except OSError as error:
        _end(f"{type(error).__name__}: {error}", 1)
    except typer.Abort:
        _end("Aborted.", 1)
    except typer.TyperException as error:
        _end(error.format_message(), error.exit_code)
    except ValueError as error:
        _end(str(error), 2)


def _end(line: str, exit_code: int) -> None:
    from stormcast_tw.operations.logs import json_line, masked

    if os.environ.get("STORMCAST_TW_LOG") == "json":
        typer.echo(json_line(line), err=True)
    else:
        typer.secho(masked(line), fg="red", err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
