"""Options that several verbs share, each declared once. What is wrong with one is said before anything starts.

A parser imports what it needs when it is given a text, so that `--help` imports nothing.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stormcast_tw.verification import TruthKind

if TYPE_CHECKING:
    from stormcast_tw.storage.artifact import Artifact
    from stormcast_tw.storage.store import Store

DEMO_CYCLE = "20260611T06Z"
"""A Mei-yu afternoon in the simulated Taiwan."""
MOST_MEMBERS = 1024
MOST_SEED = 2**63 - 1


def one_of(module: str, table: str) -> Callable[[str], str]:
    """Return a parser that accepts the names in a module's table."""

    def parse(text: str) -> str:
        allowed = _names(module, table)
        if text not in allowed:
            raise typer.BadParameter(f"{text!r}: allowed: {', '.join(allowed)}")
        return text

    return parse


def completed_by(module: str, table: str) -> Callable[[str], list[str]]:
    """Return what completes a word with the names in a module's table."""
    return lambda incomplete: [name for name in _names(module, table) if name.startswith(incomplete)]


def _names(module: str, table: str) -> tuple[str, ...]:
    return tuple(getattr(importlib.import_module(module), table))


def parse_cycle(text: str) -> str:
    """Return the text of a cycle as it is, or say what a cycle looks like."""
    from stormcast_tw.cycle import Cycle

    try:
        Cycle.parse(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{error}; allowed: YYYYMMDDTHHZ with hour 00, 06, 12 or 18, e.g. {DEMO_CYCLE}"
        ) from error
    return text


def parse_begun_cycle(text: str) -> str:
    """Return the text of a cycle that a forecast can start from today: not one of the future."""
    from stormcast_tw.cycle import Cycle
    from stormcast_tw.errors import Refused

    try:
        Cycle.parse(parse_cycle(text)).require_not_after(datetime.now(UTC))
    except Refused as error:
        raise typer.BadParameter(str(error)) from error
    return text


def _experiment(text: str) -> str:
    from stormcast_tw.names import EXPERIMENT

    try:
        return EXPERIMENT.require(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def require_span(start: str, end: str) -> None:
    """Refuse a span of cycles that ends before it starts; both texts are cycles."""
    if end < start:
        raise typer.BadParameter(
            f"{end} is before --start {start}; allowed: the same cycle or a later one", param_hint="'--end'"
        )


def parse_dates(text: str) -> str:
    """Return `FROM..TO` as it is if it is two dates, the first before the second; empty is allowed."""
    wrong = f"{text!r}: allowed: two dates, the first before the second, e.g. 2024-01-01..2024-12-29"
    try:
        first, last = (date.fromisoformat(part) for part in text.split("..")) if text else (date.min, date.max)
    except ValueError as error:
        raise typer.BadParameter(wrong) from error
    if last <= first:
        raise typer.BadParameter(wrong)
    return text


def device_name(text: str) -> str:
    """Return the name of a torch device as it is, or say which there are."""
    if re.fullmatch(r"cpu|cuda(:\d+)?", text) is None:
        raise typer.BadParameter(f"{text!r}: allowed: cpu, cuda or cuda:N")
    return text


def parse_package(text: str) -> Path:
    """Return the folder of a package, which may be given as the name of one that is shipped."""
    from stormcast_tw.settings import package_folder

    return package_folder(Path(text))


def parse_share(text: str) -> str:
    """Return `K/N` as it is if K is from 1 to N."""
    number, _, shares = text.partition("/")
    if not (number.isdecimal() and shares.isdecimal() and 1 <= int(number) <= int(shares)):
        raise typer.BadParameter(f"{text!r}: allowed: K/N with K from 1 to N, e.g. 2/5")
    return text


def world_seed() -> int:
    """Return the seed of the simulated Taiwan."""
    from stormcast_tw.settings import WORLD_SEED

    return WORLD_SEED


CycleOption = Annotated[
    str,
    typer.Option(
        "--cycle", parser=parse_cycle, metavar="CYCLE", help="Init time of the cycle, UTC, e.g. 20260611T06Z."
    ),
]
CycleToRead = Annotated[
    str | None, typer.Option("--cycle", parser=parse_cycle, metavar="CYCLE", help="By default the latest published.")
]
BegunCycle = Annotated[
    str,
    typer.Option(
        "--cycle", parser=parse_begun_cycle, metavar="CYCLE", help="Init time of the cycle, UTC, e.g. 20260611T06Z."
    ),
]
LeadHours = Annotated[int, typer.Option(min=1, max=48, help="Last lead time in hours.")]
Members = Annotated[
    int | None, typer.Option(min=1, max=MOST_MEMBERS, help="Ensemble size; by default that of the package.")
]
BaseSeed = Annotated[int, typer.Option("--seed", min=0, max=MOST_SEED, help="Base seed of the ensemble.")]
Start = Annotated[
    str, typer.Option("--start", parser=parse_cycle, metavar="CYCLE", help="First cycle, e.g. 20260610T00Z.")
]
End = Annotated[
    str, typer.Option("--end", parser=parse_begun_cycle, metavar="CYCLE", help="Last cycle, which is included.")
]
Experiment = Annotated[
    str,
    typer.Option(
        parser=_experiment,
        metavar="NAME",
        help="Experiment that the runs belong to; `oper` refuses simulated inputs.",
    ),
]
TruthOption = Annotated[
    TruthKind, typer.Option("--truth", help="Score against the simulated truth, or RWRP's analyses and QPESUMS.")
]
WorldSeed = Annotated[
    int,
    typer.Option(
        default_factory=world_seed,
        show_default="that of the simulated Taiwan",
        help="Seed of the simulated weather.",
    ),
]


def run_to_read(experiment: str, cycle: str | None) -> tuple[Store, Artifact]:
    """Return the published root and the run that `--experiment` and `--cycle` name, by default the latest."""
    from stormcast_tw.cycle import Cycle
    from stormcast_tw.publication import answers
    from stormcast_tw.settings import settings
    from stormcast_tw.storage.store import Store

    store = Store(settings().published_root)
    return store, answers.run_to_read(store, experiment, Cycle.parse(cycle) if cycle else None)


PackageFolder = Annotated[
    Path | None,
    typer.Argument(
        parser=parse_package, metavar="PACKAGE", help="Folder, or name of a shipped one; default: the configured one."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
