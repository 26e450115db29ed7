"""Sections of a model card that are made after the training: its record, from scorecards, and its acceptance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stormcast_tw.errors import BadInput
from stormcast_tw.training.card import NAME

OURS, PERFECT, REFERENCE = "forecast", "perfect", "persistence_dressed"
SHOWN = (1, 3, 6, 12)
VARIABLES = ("t2m", "u10m", "v10m", "tp01")


def put_section(folder: Path, title: str, lines: Sequence[str]) -> Path:
    """Write a section into the card of a package, in the place of one of that title or before Limits; return the card.

    Raises BadInput where the folder has no card.
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


def title_of(scorecard: Mapping[str, Any]) -> str:
    """Return the title of the section that a scorecard makes."""
    return f"Record, truth {scorecard['truth']}"


def record(scorecard: Mapping[str, Any]) -> list[str]:
    """Return the lines of Markdown that a scorecard (verification.report, as JSON) makes."""
    leads: list[int] = scorecard["leads"]
    first, last = scorecard["period"]
    shown = [(leads.index(lead), lead) for lead in SHOWN if lead in leads]
    crps = {v: curves for v, curves in scorecard["curves"]["crps"].items() if v in VARIABLES}
    return [
        f"{scorecard['cycles']} cycles from {first} to {last}, {scorecard['members'][OURS]} members, fair CRPS (mean "
        f"absolute error of what is not an ensemble). `lower at`: at how many of {len(leads)} leads it is lower.",
        "",
        "| variable | system |" + "".join(f" {lead} h |" for _, lead in shown) + " mean | lower at |",
        "|---|---|" + "---|" * (len(shown) + 2),
        *(row for v, curves in crps.items() for row in _rows(v, _values(curves), shown)),
        "",
        "| variable | spread / error "
        + ", ".join(f"{lead} h" for _, lead in shown)
        + " | way to perfect, mean, least |",
        "|---|---|---|",
        *(_calibration(scorecard, v, _values(curves), shown) for v, curves in crps.items()),
        "",
        "Way to perfect: share of the way from dressed persistence to the perfect ensemble, over leads.",
        *_fractions(scorecard),
    ]


def _values(curves: Mapping[str, Any]) -> dict[str, list[float]]:
    return {system: curve["value"] if isinstance(curve, Mapping) else curve for system, curve in curves.items()}


def _rows(variable: str, curves: Mapping[str, list[float]], shown: list[tuple[int, int]]) -> Iterator[str]:
    ours = curves[OURS]
    for system, values in curves.items():
        lower = sum(a < b for a, b in zip(ours, values, strict=True))
        beaten = "" if system == OURS else f"{lower}"
        cells = "".join(f" {values[n]:.3g} |" for n, _ in shown)
        name = "**this package**" if system == OURS else system
        yield f"| {variable} | {name} |{cells} {sum(values) / len(values):.3g} | {beaten} |"


def _calibration(
    scorecard: Mapping[str, Any], variable: str, curves: Mapping[str, list[float]], shown: list[tuple[int, int]]
) -> str:
    ratios = _values(scorecard["curves"]["spread_error"][variable])[OURS]
    told, way = ", ".join(f"{ratios[n]:.2f}" for n, _ in shown), "-"
    if PERFECT in curves and REFERENCE in curves:
        shares = [
            (reference - ours) / (reference - perfect)
            for ours, reference, perfect in zip(curves[OURS], curves[REFERENCE], curves[PERFECT], strict=True)
        ]
        way = f"{sum(shares) / len(shares):.0%}, {min(shares):.0%}"
    return f"| {variable} | {told} | {way} |"


def _fractions(scorecard: Mapping[str, Any]) -> Iterator[str]:
    """Say the fractions skill score of rain against RWRP's, over all leads."""
    for threshold, windows in scorecard["fss"]["point"].items():
        if threshold.startswith("tp01>=") and float(threshold.split("=")[1]) in (1.0, 5.0):
            for window in ("5", "11"):
                if window in windows and "rwrp" in windows[window]:
                    ours, rwrp = windows[window][OURS], windows[window]["rwrp"]
                    yield f"FSS {threshold} mm, {window} points: {ours:.3f}, RWRP {rwrp:.3f}."
