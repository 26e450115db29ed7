"""Options that several verbs share, each declared once, and how a verb prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table


def one_of(names: Callable[[], Iterable[str]]) -> Callable[[str], str]:
    """Return a parser of names of a table, which is imported only when a name is to be checked against it."""

    def parse(text: str) -> str:
        allowed = tuple(names())
        if text not in allowed:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(allowed)}")
        return text

    return parse


CycleOption = Annotated[str, typer.Option("--cycle", help="Init time of the cycle, e.g. 20260611T06Z.")]
LeadHours = Annotated[int, typer.Option(min=1, max=48, help="Last lead time in hours.")]
Members = Annotated[int | None, typer.Option(min=1, help="Ensemble size; by default the package's.")]
BaseSeed = Annotated[int, typer.Option("--seed", help="Base seed of the ensemble.")]
Start = Annotated[str, typer.Option("--start", help="First cycle, e.g. 20260610T00Z.")]
End = Annotated[str, typer.Option("--end", help="Last cycle.")]
Experiment = Annotated[
    str, typer.Option(help="The experiment that runs are published in; `oper` refuses simulated inputs.")
]
PackageFolder = Annotated[Path | None, typer.Argument(help="The package's folder; by default the configured one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

DEMO_CYCLE = "20260611T06Z"
"""A Mei-yu afternoon of the simulated Taiwan."""


def say(text: str, value: Any, as_json: bool) -> None:
    """Print `text`, or `value` as JSON."""
    typer.echo(json.dumps(value, indent=1) if as_json else text)


def show(table: Table) -> None:
    """Print a table."""
    Console().print(table)
