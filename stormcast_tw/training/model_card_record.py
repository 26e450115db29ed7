"""Sections of a model card that are written after the training: the record, from scorecards, and the acceptance."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stormcast_tw.errors import BadInput
from stormcast_tw.model.description import describe
from stormcast_tw.training.model_card import NAME

OURS, PERFECT, REFERENCE = "forecast", "perfect", "persistence_dressed"
SHOWN = (1, 3, 6, 12)
VARIABLES = ("t2m", "u10m", "v10m", "tp01")
_DRY = ("t2m", "u10m", "v10m")

MUSTS = {"persistence": VARIABLES, REFERENCE: VARIABLES, "global": _DRY, "extrapolation": ("tp01",)}
"""Systems whose fair CRPS a package that ships must beat at every lead, and in which variables."""
RWRP_LEADS = 6
"""Last lead at which a radar-assimilating model should be beaten: that is when it loses its radar."""
FSS = (("tp01>=1", "5"), ("tp01>=1", "11"), ("tp01>=5", "5"), ("tp01>=5", "11"))
SPREAD_ERROR, SPREAD_FROM = (0.8, 1.2), 2
POWER = (0.7, 1.3)
WAY_MEAN, WAY_LEAST = {"t2m": 0.6, "u10m": 0.6, "v10m": 0.6, "tp01": 0.5}, 0.3

Card = Mapping[str, Any]
Checks = list[tuple[str, str, bool]]
"""(variable, lead or the like, whether it is met) of every single comparison of a criterion."""


def put_section(folder: Path, title: str, lines: Sequence[str]) -> Path:
    """Write a section into the card of a package, replacing one of that title or before Limits; return its path.

    Raises BadInput if the folder has no card.
    """
    path = folder / NAME
    if not path.exists():
        raise BadInput(f"{path}: there is no model card; `stormcast-tw train run` makes it with the package")
    parts = re.split(r"(?m)^(?=## )", path.read_text())
    kept = [part for part in parts if not part.startswith(f"## {title}\n")]
    at = next((n for n, part in enumerate(kept) if part.startswith("## Limits\n")), len(kept))
    kept.insert(at, "\n".join([f"## {title}", "", *lines, "", ""]))
    path.write_text("".join(kept).rstrip("\n") + "\n")
    return path


def write_record(package: Path, scorecard: Path) -> Path:
    """Write the record of a scorecard.json into the card of its package, one section per truth; return its path.

    Raises BadInput if the scorecard is of another package.
    """
    card, digest = json.loads(scorecard.read_text()), describe(package).digest
    if f"({digest[:12]})" not in card["package"]:
        raise BadInput(f"{scorecard}: scores {card['package']}; {package} has the digest {digest[:12]}")
    return put_section(package, f"Record, truth {card['truth']}", record(card))


def record(scorecard: Card) -> list[str]:
    """Return the record as lines of Markdown, from a scorecard (`verification.scorecard`, as JSON)."""
    leads: list[int] = scorecard["leads"]
    first, last = scorecard["period"]
    shown = [(leads.index(lead), lead) for lead in SHOWN if lead in leads]
    crps, ratios = _curves(scorecard, "crps"), _curves(scorecard, "spread_error")
    return [
        f"{scorecard['cycles']} cycles from {first} to {last}, {scorecard['members'][OURS]} members.",
        _regimes(scorecard),
        "",
        "| criterion | reached / total | not reached |",
        "|---|---|---|",
        *(_criterion(what, checks) for what, checks in criteria(scorecard) if checks),
        "",
        "Fair CRPS (mean absolute error of what is not an ensemble). "
        f"`lower at`: at how many of {len(leads)} leads this package is lower.",
        "",
        "| variable | system |" + "".join(f" {lead} h |" for _, lead in shown) + " mean | lower at |",
        "|---|---|" + "---|" * (len(shown) + 2),
        *(row for v in VARIABLES if v in crps for row in _rows(v, crps[v], shown)),
        "",
        "| variable | spread / error "
        + ", ".join(f"{lead} h" for _, lead in shown)
        + " | way to perfect, mean, least |",
        "|---|---|---|",
        *(_calibration(v, ratios[v][OURS], _way(crps[v]), shown) for v in VARIABLES if v in crps),
        "",
        "Way to perfect: share of the way from dressed persistence to the perfect ensemble, over leads.",
    ]


def criteria(scorecard: Card) -> Iterator[tuple[str, Checks]]:
    """Yield each criterion that a package must or should reach, with all its single comparisons.

    Criteria that the scorecard cannot answer, for want of a system, have no comparisons.
    """
    crps, leads = _curves(scorecard, "crps"), scorecard["leads"]
    for system, variables in MUSTS.items():
        yield f"**must**: CRPS below {system}", _below(crps, variables, system, leads)
    yield f"CRPS below rwrp to {RWRP_LEADS} h", _below(crps, _DRY, "rwrp", [n for n in leads if n <= RWRP_LEADS])
    yield f"FSS of rain above rwrp to {RWRP_LEADS} h", list(_fss(scorecard))
    ratios, (low, high) = _curves(scorecard, "spread_error"), SPREAD_ERROR
    yield (
        f"spread / error {low:g} to {high:g} from {SPREAD_FROM} h",
        [
            (v, f"{lead} h", low <= ratio <= high)
            for v in VARIABLES
            for lead, ratio in zip(leads, ratios.get(v, {}).get(OURS, ()), strict=False)
            if lead >= SPREAD_FROM
        ],
    )
    yield (
        f"power over truth's {POWER[0]:g} to {POWER[1]:g}, all octaves over 10 km",
        [
            (field, f"{octave} km", POWER[0] <= ratio <= POWER[1])
            for field, systems in scorecard["spectra"].items()
            for octave, ratio in zip(scorecard["octaves_km"], systems[OURS], strict=True)
        ],
    )
    ways = {v: _way(crps[v]) for v in VARIABLES if v in crps}
    yield (
        "mean way to perfect " + ", ".join(f"{v} {share:.0%}" for v, share in WAY_MEAN.items()),
        [(v, "mean", sum(way) / len(way) >= WAY_MEAN[v]) for v, way in ways.items() if way],
    )
    yield (
        f"way to perfect at least {WAY_LEAST:.0%} at every lead",
        [(v, f"{lead} h", x >= WAY_LEAST) for v, way in ways.items() for lead, x in zip(leads, way, strict=False)],
    )


def _curves(scorecard: Card, score: str) -> dict[str, dict[str, list[float]]]:
    return {
        variable: {system: curve["value"] for system, curve in systems.items()}
        for variable, systems in scorecard["curves"][score].items()
    }


def _below(crps: Mapping[str, Mapping[str, list[float]]], names: Sequence[str], than: str, leads: list[int]) -> Checks:
    return [
        (v, f"{lead} h", ours < theirs)
        for v in names
        for lead, ours, theirs in zip(leads, crps.get(v, {}).get(OURS, ()), crps.get(v, {}).get(than, ()), strict=False)
    ]


def _fss(scorecard: Card) -> Iterator[tuple[str, str, bool]]:
    for event, window in FSS:
        systems = scorecard["fss_by_lead"].get(window, {}).get("point", {}).get(event, {})
        for lead, ours, rwrp in zip(scorecard["leads"], systems.get(OURS, ()), systems.get("rwrp", ()), strict=False):
            if lead <= RWRP_LEADS and None not in (ours, rwrp):
                yield f"{event} mm, {window} points", f"{lead} h", ours > rwrp


def _way(curves: Mapping[str, list[float]]) -> list[float]:
    """Return by lead the share of the way from dressed persistence to the perfect ensemble; empty without these two."""
    if not {REFERENCE, PERFECT} <= set(curves):
        return []
    return [
        (reference - ours) / (reference - perfect)
        for ours, reference, perfect in zip(curves[OURS], curves[REFERENCE], curves[PERFECT], strict=True)
    ]


def _criterion(what: str, checks: Checks) -> str:
    misses = []
    for name in dict.fromkeys(name for name, *_ in checks):
        missed = [where for variable, where, met in checks if variable == name and not met]
        whole = len(missed) == sum(variable == name for variable, *_ in checks) > 1
        misses += [f"{name} {'all' if whole else _together(missed)}"] if missed else []
    return f"| {what} | {sum(met for *_, met in checks)} / {len(checks)} | {'; '.join(misses)} |"


def _together(places: list[str]) -> str:
    """Return `2, 3, 5 h` of `2 h`, `3 h`, `5 h`."""
    unit = places[0].partition(" ")[2]
    return f"{', '.join(place.partition(' ')[0] for place in places)} {unit}".rstrip()


def _regimes(scorecard: Card) -> str:
    cycles_of = {regime: stratum["cycles"] for regime, stratum in scorecard["strata"]["regime"].items()}
    if set(cycles_of) == {"all"}:
        return "Regimes are not named where truth is observed."
    return "Regimes: " + ", ".join(f"{regime} {cycles}" for regime, cycles in sorted(cycles_of.items())) + "."


def _rows(variable: str, curves: Mapping[str, list[float]], shown: list[tuple[int, int]]) -> Iterator[str]:
    ours = curves[OURS]
    for system, values in curves.items():
        lower = sum(a < b for a, b in zip(ours, values, strict=True))
        beaten = "" if system == OURS else f"{lower}"
        cells = "".join(f" {values[n]:.3g} |" for n, _ in shown)
        name = "**this package**" if system == OURS else system
        yield f"| {variable} | {name} |{cells} {sum(values) / len(values):.3g} | {beaten} |"


def _calibration(variable: str, ratios: list[float], way: list[float], shown: list[tuple[int, int]]) -> str:
    share = f"{sum(way) / len(way):.0%}, {min(way):.0%}" if way else "-"
    return f"| {variable} | {', '.join(f'{ratios[n]:.2f}' for n, _ in shown)} | {share} |"
