"""The scorecard page: one HTML file that opens offline, and the same numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template

from stormcast_tw.verification.scorecard.maps import CycleMaps, Panel
from stormcast_tw.verification.scorecard.numbers import best_and_worst, scorecard
from stormcast_tw.verification.scorecard.sections import SECTIONS, maps_of_cycles, method
from stormcast_tw.verification.scorecard.words import Card, headline, sentences

__all__ = ["CycleMaps", "Panel", "best_and_worst", "scorecard", "scorecard_html", "scorecard_json"]


def scorecard_json(card: Card) -> str:
    """Return the card as JSON: the numbers of the HTML and more; null where there is no number."""
    return json.dumps(card, ensure_ascii=False, allow_nan=False, indent=1)


def scorecard_html(card: Card, maps: Sequence[CycleMaps] = ()) -> str:
    """Return the card as one HTML document without external references or scripts, with its numbers embedded as JSON.

    `card` is what `scorecard` returns, `maps` are those of the best and worst cycle (see `best_and_worst`).
    """
    template = Template(resources.files(__package__).joinpath("scorecard.html").read_text(encoding="utf-8"))
    drawn = [*(section(card) for section in SECTIONS), maps_of_cycles(maps), method(card)]
    return template.substitute(
        title=escape(card["title"]),
        flags=_flags(card),
        facts=_facts(card),
        summary=_summary(card),
        sections="".join(drawn),
        numbers=json.dumps(card, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
    )


def _flags(card: Card) -> str:
    flags = [("模擬資料 SIMULATED", card["simulated"]), ("未經訓練 UNTRAINED", not card["trained"])]
    return "".join(f'<span class="flag">{words}</span>' for words, applies in flags if applies)


def _facts(card: Card) -> str:
    first, last = card["period"]
    facts = {
        "期間 period": first if first == last else f"{first} – {last}",
        "個案 cycles": card["cycles"],
        "模式 package": card["package"],
        "成員 members": card["members"][card["forecast"]],
        "真值 truth": card["truth"],
        "預報時數 leads": f"{card['leads'][0]}–{card['leads'][-1]} h",
    }
    return "".join(f"<div><dt>{name}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts.items())


def _summary(card: Card) -> str:
    first, *rest = [headline(card), *sentences(card)]
    pairs = [f'<p class="headline">{escape(first.zh)}</p><p class="headline" lang="en">{escape(first.en)}</p>']
    pairs += [f'<p>{escape(sentence.zh)}</p><p lang="en">{escape(sentence.en)}</p>' for sentence in rest]
    return "".join(f'<div class="pair">{pair}</div>' for pair in pairs)
