"""The choice between two packages, as a document: the rule that decides is fixed before the numbers are known.

Both are scored on the same cycles against the same truth; a difference counts only where the block bootstrap over these
cycles excludes chance (intervals.gain). Scores are over all leads and the whole domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import xarray as xr

from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadInput, NotReady, Refused
from stormcast_tw.inputs.readiness import ROWS
from stormcast_tw.plan import Frozen
from stormcast_tw.publication.catalogue import Published
from stormcast_tw.sources.base import Source
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.variables import VariableSet
from stormcast_tw.verification.scores.categories import EVENTS
from stormcast_tw.verification.scores.intervals import gain
from stormcast_tw.verification.scores.statistics import SCORES, scores, total
from stormcast_tw.verification.systems.pairs import FORECAST

Winner = Literal["A", "B"]

HAZARDS = tuple(e.name for e in EVENTS if e.quantity != "tp01" or e.threshold >= 10.0)
"""Events that warnings are about: at least 10 mm in an hour, heavy 3-hour rain, Beaufort 6 or more, heat and cold."""
NEIGHBOURHOOD = 11
"""Side of the windows of the fractions skill score in points: 22 km, about a township."""
CALIBRATED = ("t2m", "wind", "tp01")
FEWEST_DAYS = 10
"""Fewest common days for a decision by scores: intervals from a handful of days are too narrow."""
CHEAPER = 0.9
"""Share of the other's seconds per member-hour below which a package is cheaper: machines differ by less than 10 %."""

RULE = (
    "A package that no live global model can drive is out.",
    f"Fewer than {FEWEST_DAYS} days that both forecast decide nothing: A, which is in service, stays.",
    "Of hazards (CSI, FSS in 22 km, fair Brier score; thresholds below), who wins more of those differences that are"
    " real wins.",
    "If they are even: of calibration (spread over error of t2m, wind and rain), likewise.",
    "If they are even: of the fair CRPS of the same variables, likewise.",
    "If they are even: who needs less than 90 % of the other's seconds a member-hour.",
    "Else A stays: a change needs a reason.",
)
"""Applied in this order; the first that distinguishes the packages decides."""


class Side(Frozen):
    """What a package is and costs; `drivers` gives, for every live global model, what it lacks of the background."""

    name: str
    version: str
    digest: str
    trained: bool
    members: int
    seconds_per_member_hour: float | None
    """Median over the runs compared; None if their manifests do not give it."""
    drivers: dict[str, str]
    """Global model -> empty if it can drive the package, otherwise why not."""

    @property
    def driven_by(self) -> tuple[str, ...]:
        """The global models that can drive it."""
        return tuple(name for name, reason in self.drivers.items() if not reason)


class ScoreRow(Frozen):
    """One comparison: the scores of A and B, and how much better B is, with its interval."""

    about: Literal["hazards", "calibration", "accuracy"]
    score: str
    what: str
    a: float | None
    b: float | None
    gain: float | None
    low: float | None
    high: float | None
    winner: Winner | None
    """None if the difference is not real, or if there was nothing to score."""


class Choice(Frozen):
    """The whole document as data."""

    rule: tuple[str, ...] = RULE
    experiment: str
    truth: str
    cycles: tuple[str, ...]
    a: Side
    b: Side
    rows: tuple[ScoreRow, ...]
    winner: Winner
    because: str


def drivers(background: VariableSet, providers: Mapping[str, Source]) -> dict[str, str]:
    """Return, for every global model in readiness.ROWS, why it cannot drive a package; empty if it can.

    A source refuses a variable that it lacks before it looks for a file, and raises NotReady if only the file is
    absent. A model without settings of its own is left out.
    """
    init_time = datetime(2026, 1, 1, tzinfo=UTC)
    reasons: dict[str, str] = {}
    for row in ROWS:
        if row.input != "background" or row.provider not in providers:
            continue
        try:
            providers[row.provider].find((init_time + hours(12),), background, init_time)
            reasons[row.provider] = ""
        except NotReady:
            reasons[row.provider] = ""
        except BadInput as error:
            reasons[row.provider] = str(error)
    return reasons


def cost(runs: Sequence[Artifact]) -> float | None:
    """Return the median seconds per member-hour in the manifests of these runs; None if none gives it."""
    costs = (Published.of(run).seconds_per_member_hour for run in runs)
    seconds = [cost for cost in costs if cost is not None]
    return float(np.median(seconds)) if seconds else None


def side_by_side(of_a: Mapping[str, xr.Dataset], of_b: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return the statistics of the common cycles, with two systems, A and B. Raises Refused if there are none."""
    common = [cycle for cycle in of_a if cycle in of_b]
    if not common:
        raise Refused(f"compare: the packages have no scored cycle in common ({len(of_a)} and {len(of_b)} cycles)")
    paired = {}
    for cycle in common:
        sides = (("A", of_a[cycle]), ("B", of_b[cycle]))
        named = [sums.sel(system=[FORECAST]).assign_coords(system=[name]) for name, sums in sides]
        paired[cycle] = xr.concat(
            named, "system", data_vars="minimal", coords="minimal", compat="override", join="outer", fill_value=0
        )
    return paired


def compare(experiment: str, truth: str, a: Side, b: Side, cycles: Mapping[str, xr.Dataset], seed: int = 0) -> Choice:
    """Compare two packages by RULE on statistics of the same cycles, each with systems A and B."""
    pooled = [cycle.sum("lead_time", keep_attrs=True).sel(region="all") for cycle in cycles.values()]
    rows = tuple(_rows(pooled, seed))
    winner, because = _decide(a, b, rows, days=len({cycle[:8] for cycle in cycles}))
    return Choice(
        experiment=experiment, truth=truth, cycles=tuple(cycles), a=a, b=b, rows=rows, winner=winner, because=because
    )


_QUESTIONS: tuple[tuple[Literal["hazards", "calibration", "accuracy"], str, str, tuple[str, ...]], ...] = (
    ("hazards", "csi", "event", HAZARDS),
    ("hazards", "fss", "rain_event", tuple(name for name in HAZARDS if name.startswith("tp"))),
    ("hazards", "fair_brier", "event", HAZARDS),
    ("calibration", "spread_error", "variable", CALIBRATED),
    ("accuracy", "crps", "variable", CALIBRATED),
)
"""The comparisons: their heading, the score, its dimension, and the entries along that dimension."""


def _rows(cycles: Sequence[xr.Dataset], seed: int) -> list[ScoreRow]:
    values = scores(total(cycles))
    rows = []
    for about, score, dim, wanted in _QUESTIONS:
        chosen: dict[str, object] = {"product": "point", "window": NEIGHBOURHOOD} if score == "fss" else {}
        ours = values[score].sel(chosen)
        better = gain(cycles, score, "B", "A", seed=seed).sel(chosen)
        for what in wanted:
            at = {dim: what}
            a, b = (_number(ours.sel({"system": name, **at})) for name in ("A", "B"))
            size, low, high = (_number(better[name].sel(at)) for name in ("estimate", "low", "high"))
            winner: Winner | None = None
            if low is not None and high is not None:
                winner = "B" if low > 0 else "A" if high < 0 else None
            rows.append(
                ScoreRow(about=about, score=score, what=what, a=a, b=b, gain=size, low=low, high=high, winner=winner)
            )
    return rows


def _number(value: xr.DataArray) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None


def _decide(a: Side, b: Side, rows: Sequence[ScoreRow], days: int) -> tuple[Winner, str]:
    """Return the winner by RULE, and the sentence that says why."""
    sides: dict[Winner, Side] = {"A": a, "B": b}
    drivable = [name for name, side in sides.items() if side.driven_by]
    if len(drivable) == 1:
        return drivable[0], f"no live global model can drive {'B' if drivable[0] == 'A' else 'A'}"
    if days < FEWEST_DAYS:
        return "A", f"{days} days that both forecast are too few to decide by"
    for about in ("hazards", "calibration", "accuracy"):
        wins = {name: sum(row.winner == name for row in rows if row.about == about) for name in sides}
        if wins["A"] != wins["B"]:
            best: Winner = "A" if wins["A"] > wins["B"] else "B"
            return best, f"{about}: {wins['A']} real differences for A, {wins['B']} for B"
    of_a, of_b = a.seconds_per_member_hour, b.seconds_per_member_hour
    if of_a is not None and of_b is not None and min(of_a, of_b) < CHEAPER * max(of_a, of_b):
        cheaper: Winner = "A" if of_a < of_b else "B"
        return cheaper, f"cost: {min(of_a, of_b):.2f} against {max(of_a, of_b):.2f} s a member-hour, else even"
    return "A", "nothing tells them apart"


def markdown(comparison: Choice) -> str:
    """Return the document for people: the rule, the verdict and the numbers."""
    first, last = min(comparison.cycles), max(comparison.cycles)
    lines = [
        f"# {comparison.a.name} {comparison.a.version} or {comparison.b.name} {comparison.b.version}",
        "",
        f"Truth: {comparison.truth}. Experiment {comparison.experiment}: {len(comparison.cycles)} cycles that both"
        f" forecast, {first} to {last}.",
        "",
        "## The rule",
        "",
        *(f"{number}. {sentence}" for number, sentence in enumerate(comparison.rule, 1)),
        "",
        f"**{comparison.winner} wins: {comparison.because}.**",
        "",
        "## The packages",
        "",
        "| | A | B |",
        "|---|---|---|",
        *_facts(comparison.a, comparison.b),
        "",
    ]
    for about in ("hazards", "calibration", "accuracy"):
        lines += [f"## {about.capitalize()}", "", *_table([row for row in comparison.rows if row.about == about]), ""]
    lines.append(
        "Gain is how much better B is; 95 % interval by block bootstrap over cycles. A dash: it never happened."
    )
    return "\n".join(lines) + "\n"


def _facts(a: Side, b: Side) -> list[str]:
    def seconds(side: Side) -> str:
        return "not in the manifests" if side.seconds_per_member_hour is None else f"{side.seconds_per_member_hour:.2f}"

    rows = [
        ("name", a.name, b.name),
        ("version", a.version, b.version),
        ("digest", a.digest[:12], b.digest[:12]),
        ("trained", "yes" if a.trained else "NO", "yes" if b.trained else "NO"),
        ("members", str(a.members), str(b.members)),
        ("seconds a member-hour", seconds(a), seconds(b)),
        *((f"driven by {name}", a.drivers[name] or "yes", b.drivers.get(name, "") or "yes") for name in a.drivers),
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def _table(rows: Sequence[ScoreRow]) -> list[str]:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.4g}"

    head = ["| score | of | A | B | gain of B | interval | real |", "|---|---|---|---|---|---|---|"]
    body = []
    for row in rows:
        words = SCORES[row.score].words
        interval = "-" if row.low is None or row.high is None else f"{shown(row.low)} to {shown(row.high)}"
        cells = (words, row.what, shown(row.a), shown(row.b), shown(row.gain), interval, row.winner or "no")
        body.append(f"| {' | '.join(cells)} |")
    return head + body
