"""Kilometre-scale ensemble weather forecasts for Taiwan.

Exit codes: 0 done or ready, 1 refused or failed, 2 usage error, 3 degraded inputs, 4 not ready or missing.
"""

# The docstring is the help text. Every verb calls a flow or a core function; there is no logic here.

from __future__ import annotations

import sys

import typer
from rich.console import Console

from stormcast_tw.cli import operations, simulation
from stormcast_tw.cli.catalogue import catalogue_app
from stormcast_tw.cli.package import package_app
from stormcast_tw.cli.training import train_app
from stormcast_tw.cli.training_data import prepare
from stormcast_tw.cli.verification import verify_app
from stormcast_tw.errors import StormcastError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for _verb in (
    simulation.simulate,
    operations.forecast,
    operations.inputs,
    operations.backfill,
    operations.reproduce,
    operations.doctor,
    prepare,
):
    app.command()(_verb)
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(package_app, name="package")
app.add_typer(verify_app, name="verify")
app.add_typer(train_app, name="train")

err = Console(stderr=True)


def main() -> None:
    """Run the command line; an expected error becomes one line on standard error and an exit code."""
    try:
        app()
    except StormcastError as error:
        err.print(f"{type(error).__name__}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except OSError as error:
        err.print(f"{type(error).__name__}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except ValueError as error:
        err.print(f"{error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
