"""Options that several verbs share, each declared once, and how a verb prints."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stormcast_tw.cycle import Cycle
from stormcast_tw.names import EXPERIMENT


def one_of(module: str, table: str) -> Callable[[str], str]:
    """Return a parser that accepts the names in a module's table; it is imported only when a name is parsed."""

    def parse(text: str) -> str:
        allowed = tuple(getattr(importlib.import_module(module), table))
        if text not in allowed:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(allowed)}")
        return text

    return parse


def _checked(require: Callable[[str], object]) -> Callable[[str], str]:
    """Return a parser that leaves a text as it is, or makes what is wrong with it a usage error."""

    def parse(text: str) -> str:
        try:
            require(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        return text

    return parse


parse_cycle = _checked(Cycle.parse)
_experiment = _checked(EXPERIMENT.require)

CycleOption = Annotated[
    str, typer.Option("--cycle", parser=parse_cycle, metavar="CYCLE", help="Init time of the cycle, e.g. 20260611T06Z.")
]
LeadHours = Annotated[int, typer.Option(min=1, max=48, help="Last lead time in hours.")]
Members = Annotated[int | None, typer.Option(min=1, help="Ensemble size; by default that of the package.")]
BaseSeed = Annotated[int, typer.Option("--seed", help="Base seed of the ensemble.")]
Start = Annotated[
    str, typer.Option("--start", parser=parse_cycle, metavar="CYCLE", help="First cycle, e.g. 20260610T00Z.")
]
End = Annotated[str, typer.Option("--end", parser=parse_cycle, metavar="CYCLE", help="Last cycle (included).")]
Experiment = Annotated[
    str,
    typer.Option(
        parser=_experiment,
        metavar="NAME",
        help="Experiment that the runs belong to; `oper` refuses simulated inputs.",
    ),
]
PackageFolder = Annotated[Path | None, typer.Argument(help="Folder of the package; by default the configured one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

DEMO_CYCLE = "20260611T06Z"
"""A Mei-yu afternoon in the simulated Taiwan."""


def print_result(text: str, value: Any, as_json: bool) -> None:
    """Print `text`, or `value` as JSON."""
    typer.echo(json.dumps(value, indent=1) if as_json else text)


def print_table(table: Table) -> None:
    """Print a table."""
    Console().print(table)
