"""How a verb shows what it found: JSON, or text that fits 80 columns, with times in UTC and by the region's clock."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from stormcast_tw.inputs.input_set import Input, InputSet


_NEVER_FOLDED = 16
"""Characters: as long as `2026-06-11 14:00`, longer than a cycle or a run."""


def example(command: str) -> str:
    """Return what stands below the `--help` of a verb."""
    return f"Example: {command}"


def print_result(text: str, value: Any, as_json: bool) -> None:
    """Print `text`, or `value` as JSON."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else text)


def print_table(header: Iterable[str], rows: Iterable[Iterable[str]], title: str = "") -> None:
    """Print a title and a table without borders; what is longer than a run or a time is folded, nothing is cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names, cells = tuple(header), [tuple(row) for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(names))
    for column in zip(*([names] if names else []), *cells, strict=True):
        short = max(map(len, column)) <= _NEVER_FOLDED
        table.add_column(column[0] if names else "", overflow="fold", no_wrap=short)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))  # no markup: [link=...] stays what it is
    if title:
        typer.echo(title)
    Console().print(table)


def here(time: datetime, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return a time by the clock of the region that is forecast."""
    from stormcast_tw.regions import HOME

    return f"{time.astimezone(HOME.clock):{form}}"


def and_here(time: datetime) -> str:
    """Return the words that follow a time in UTC, e.g. `2026-06-11 14:00 Taiwan time`."""
    from stormcast_tw.regions import HOME

    return f"{here(time)} {HOME.name.capitalize()} time"


def cycle_here(cycle: str) -> str:
    """Return a cycle with its time in the region, e.g. `20260611T06Z (2026-06-11 14:00 Taiwan time)`."""
    from stormcast_tw.cycle import Cycle

    return f"{cycle} ({and_here(Cycle.parse(cycle).init_time)})"


_OUTCOMES = {
    "ready": "A forecast can start.",
    "degraded": "A forecast can start; it will say everywhere that its inputs are degraded.",
    "missing": "No forecast can start yet; `--follow` looks again every 30 s until all is ready.",
}


_WHY = {"ready": "Note", "degraded": "It is degraded", "missing": "Nothing serves it"}


def input_lines(found: InputSet, width: int, root: str) -> Iterator[str]:
    """Yield one line an input, what is wrong with it below, and at the end what that means.

    Files are named by their paths below `root`, the inputs root.
    """
    from stormcast_tw.cycle import Cycle
    from stormcast_tw.regions import HOME

    cycle = Cycle.parse(found.cycle)
    layout = "{:10}  {:8}  {:16}  {:11}  {:11}  {}"
    yield f"inputs of {cycle_here(found.cycle)}: {found.status}"
    yield ""
    yield layout.format("input", "status", "served by", "run, UTC", HOME.name.capitalize(), "age (usual)")
    for one in found.inputs:
        served = one.source if one.status != "missing" else "nothing"
        run = one.init_time
        times = ("", "", "") if run is None else (
            f"{run:%m-%d %H:%M}", here(run, "%m-%d %H:%M"), f"{one.age_hours(cycle)} h ({one.expected_age_hours} h)"
        )  # fmt: skip
        yield layout.format(one.name, one.status, served, *times).rstrip()
        for sentence in _sentences(one):
            yield from textwrap.wrap(
                sentence.replace(f"{root}/", ""),
                width,
                initial_indent="    ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    yield ""
    if any(f"{root}/" in one.remark for one in found.inputs):
        yield f"Paths are below {root}."
    yield _OUTCOMES[found.status]


def _sentences(one: Input) -> Iterator[str]:
    if one.reason:
        yield f"{_WHY[one.status]}: {one.reason}."
    if one.doubt:
        yield f"It looks suspicious: {one.doubt}."
    if one.status != "ready" and not one.required:
        yield "The forecast does not wait for it."
