"""The building blocks of the scorecard's sections: headings, legends, grids of charts, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from stormcast_tw.verification.scorecard.charts import Line, Numbers, key
from stormcast_tw.verification.scorecard.words import CEILING, Card, system_name
from stormcast_tw.verification.systems.pairs import DRESSED

_CEILING_COLOUR = 6
_COLOURS = 5
"""Colours of baselines, s1 to s5; s0 is the forecast's, s6 the ceiling's."""


def section(title: str, note: str, body: str) -> str:
    """Return a section with its heading; an empty string without a body."""
    return f'<section><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>{body}</section>' if body else ""


def folded(title: str, body: str, *, unfolded: bool = False) -> str:
    """Return a block that the reader can unfold; an empty string without a body."""
    how = " open" if unfolded else ""
    return f"<details{how}><summary>{escape(title)}</summary>{body}</details>" if body else ""


def style(card: Card, system: str) -> tuple[str, int]:
    """Return a system's CSS class and mark: its own colour; a dressed baseline has its baseline's colour, dashed."""
    bare = system.removesuffix(DRESSED)
    if system == card["forecast"]:
        return "s0", 0
    if bare == CEILING:
        return f"s{_CEILING_COLOUR}", _CEILING_COLOUR
    order = dict.fromkeys(name.removesuffix(DRESSED) for name in card["members"])
    place = 1 + [name for name in order if name not in (card["forecast"], CEILING)].index(bare) % _COLOURS
    return f"s{place}" + (" dressed" if bare != system else ""), place


def line(card: Card, system: str, x: Numbers, y: Numbers, low: Numbers = (), high: Numbers = ()) -> Line:
    """Return a system's line in its style."""
    return Line(str(system_name(system)), x, y, *style(card, system), low, high)


def legend(card: Card, systems: Iterable[str]) -> str:
    """Return the legend of systems."""
    entries = [key(str(system_name(system)), *style(card, system)) for system in systems]
    return f'<div class="legend">{"".join(entries)}</div>'


def grid(charts: Sequence[str]) -> str:
    """Return charts side by side; an empty string without charts."""
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def table(card: Card, rows: Mapping[str, Mapping[str, float | None]], name: Callable[[str], str]) -> str:
    """Return a table of rows by system, the forecast's column in bold; an empty string without numbers."""
    systems = [system for system in card["members"] if any(system in row for row in rows.values())]
    if not systems:
        return ""
    names = [system_name(system) for system in systems]
    head = "".join(f"<th>{escape(heading.zh)}<br>{escape(heading.en)}</th>" for heading in names)
    body = []
    for label, row in rows.items():
        classes = ["mine" if system == card["forecast"] else "other" for system in systems]
        values = [_number(row.get(system)) for system in systems]
        cells = "".join(f'<td class="{kind}">{value}</td>' for kind, value in zip(classes, values, strict=True))
        body.append(f"<tr><td>{escape(name(label))}</td>{cells}</tr>")
    made = f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="scroll"><table>{made}</table></div>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
