"""What every verb of the command line shares."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def say(text: str, value: Any, as_json: bool) -> None:
    """Print `text`, or `value` as JSON."""
    typer.echo(json.dumps(value, indent=1) if as_json else text)
