"""The sections of the scorecard, each a function from the card to HTML; empty if there is nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from stormcast_tw.verification.scorecard.blocks import folded, grid, legend, line, section, table
from stormcast_tw.verification.scorecard.charts import Frame, Line, line_chart
from stormcast_tw.verification.scorecard.diagrams import calibration, neighbourhoods, texture
from stormcast_tw.verification.scorecard.maps import PALETTES, CycleMaps, Kind, data_uri
from stormcast_tw.verification.scorecard.words import JUDGED, REGIONS, VARIABLES, Card, event_name, system_name

_SYMBOLS = {"better": "▲", "worse": "▼", "equal": "＝", "unsure": "?", "": "·"}
_CURVES = {
    "crps": ("CRPS", None),
    "rmse": ("RMSE", None),
    "bias": ("偏差 bias", 0.0),
    "spread_error": ("離散／誤差 spread/error", 1.0),
}
"""Curves that are drawn, with their ideal level; the JSON has more."""
_STRATA = {"regime": "天氣型態 regime", "season": "季節 season", "month": "月份 month",
           "init_hour": "起始時刻 init hour", "valid_hour": "有效時刻 valid hour"}  # fmt: skip


def _verdicts(card: Card) -> str:
    body = []
    for variable in JUDGED:
        gains = card["gains"].get(variable, {})
        rows = [_verdict_row(system, gain, VARIABLES[variable][1]) for system, gain in gains.items()]
        if rows:
            title = escape(str(VARIABLES[variable][0]))
            body.append(f'<tr class="group"><th colspan="{len(card["leads"]) + 1}">{title}</th></tr>{"".join(rows)}')
    if not body:
        return ""
    head = "".join(f"<th>{lead}</th>" for lead in card["leads"])
    symbols = "".join(
        f'<span><span class="sample {kind}">{_SYMBOLS[kind]}</span> {words}</span>'
        for kind, words in (("better", "確定較佳 really better"), ("worse", "確定較差 really worse"),
                            ("equal", "無確定差異 no real difference"), ("unsure", "個案太少 too few cycles"),
                            ("", "無資料 no data"))
    )  # fmt: skip
    made = (
        f'<table class="verdicts"><thead><tr><th>對照 against ＼ h</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )
    level = f"{card['intervals']['level']:.0%}"
    return section(
        "勝負表 Better or worse",
        f"本預報的公平 CRPS 與各基準相比；差異的 {level} 區間不含 0 才算確定。移到格上看數字。 Fair CRPS of this "
        f"forecast against each baseline by lead; a difference is real only if its {level} interval excludes 0.",
        f'<div class="legend">{symbols}</div><div class="scroll">{made}</div>',
    )


def _verdict_row(system: str, gain: Mapping[str, Any], unit: str) -> str:
    cells = []
    for value, low, high, verdict in zip(gain["value"], gain["low"], gain["high"], gain["verdict"], strict=True):
        bounds = "" if low is None or high is None else f" [{low:+.3g}, {high:+.3g}]"
        told = "" if value is None else f' title="{value:+.3g} {unit}{bounds}"'
        cells.append(f'<td class="{verdict}"{told}>{_SYMBOLS[verdict]}</td>')
    return f"<tr><td>{escape(str(system_name(system)))}</td>{''.join(cells)}</tr>"


def _curves(card: Card) -> str:
    body = []
    for variable in JUDGED:
        name, unit = VARIABLES[variable]
        curves_of = {score: card["curves"][score].get(variable, {}) for score in _CURVES}
        shown = [system for system in card["members"] if any(system in curves for curves in curves_of.values())]
        charts = [
            line_chart(
                Frame(words, "", "" if score == "spread_error" else unit, level=level).of_leads(card["leads"]),
                [_curve(card, system, curve) for system, curve in reversed(curves_of[score].items())],
            )
            for score, (words, level) in _CURVES.items()
            if curves_of[score]
        ]
        body.append(f"<h3>{escape(str(name))}</h3>{legend(card, shown)}{grid(charts)}" if charts else "")
    return section(
        "分數與預報時數 Scores against lead time",
        "CRPS 與 RMSE 越低越好；虛線為加上過去誤差的系集。單一預報的 CRPS 即平均絕對誤差。陰影為區間。 CRPS and RMSE: "
        "lower is better. Dashed: baselines dressed with past errors. The CRPS of one member is its absolute error. "
        "Shaded: interval.",
        "".join(body),
    )


def _curve(card: Card, system: str, curve: Mapping[str, Any]) -> Line:
    band = (curve["low"], curve["high"]) if system == card["forecast"] else ()
    return line(card, system, card["leads"], curve["value"], *band)


_EVENT_SCORES = {
    "csi": "CSI（臨界成功指數 critical success index）",
    "frequency_bias": "頻率偏差 frequency bias",
    "pod": "偵測率 POD",
    "far": "誤報率 FAR",
    "ets": "ETS",
    "hss": "HSS",
    "fair_brier": "公平 Brier 分數 fair Brier score",
    "roc_area": "ROC 面積 ROC area",
}


def _events(card: Card) -> str:
    tables = [
        folded(words, table(card, card["events"][score], event_name), unfolded=place == 0)
        for place, (score, words) in enumerate(_EVENT_SCORES.items())
    ]
    return section(
        "門檻 Thresholds",
        "所有時數合計。雨量取機率擬合平均，其餘取系集平均；Brier 與 ROC 取機率。 All leads together. Rain: "
        "probability-matched mean, else the ensemble mean; Brier and ROC: probabilities.",
        "".join(tables),
    )


def _strata(card: Card) -> str:
    """Return the CRPS over all leads by region, month, season, hour and regime."""
    body = []
    for variable in JUDGED:
        name, unit = VARIABLES[variable]
        regions = {
            str(REGIONS[region]): row[variable] for region, row in card["regions"]["crps"].items() if variable in row
        }
        tables = [table(card, regions, str)]
        for by, words in _STRATA.items():
            rows = {f"{label} ({stratum['cycles']})": stratum["crps"][variable]
                    for label, stratum in card["strata"][by].items() if variable in stratum["crps"]}  # fmt: skip
            tables.append(f"<h3>{words}</h3>{table(card, rows, str)}" if rows else "")
        if any(tables):
            body.append(folded(f"{name} ({unit})", "".join(tables)))
    return section(
        "分區與分類 Where and when",
        "所有時數合計的 CRPS；括號內為個案數。 CRPS of all leads together; cycles in brackets.",
        "".join(body),
    )


SECTIONS: tuple[Callable[[Card], str], ...] = (
    _verdicts, _curves, _events, neighbourhoods, calibration, texture, _strata,
)  # fmt: skip
"""The sections, in the order of the page."""


def maps_of_cycles(maps: Sequence[CycleMaps]) -> str:
    """Return the maps of the best and the worst cycle, with colour legends."""
    body = []
    for shown in maps:
        which = {"best": "最佳個案 best cycle", "worst": "最差個案 worst cycle"}[shown.which]
        pictures = "".join(
            f'<figure><img src="{data_uri(panel, shown.land)}" alt="{escape(panel.title)}" '
            f'width="{panel.values.shape[1]}" height="{panel.values.shape[0]}" style="height:auto">'
            f"<figcaption>{escape(panel.title)}</figcaption></figure>"
            for panel in shown.panels
        )
        title = escape(f"{which} {shown.cycle}")
        body.append(f'<h3>{title}</h3><p class="note">{escape(shown.note)}</p><div class="maps">{pictures}</div>')
    kinds = [kind for kind in PALETTES if any(panel.kind == kind for shown in maps for panel in shown.panels)]
    return section("個案 Cycles", "", "".join(body) + "".join(map(_swatches, kinds)) if body else "")


def _swatches(kind: Kind) -> str:
    palette = PALETTES[kind]
    names = [f"< {palette.edges[0]:g}", *(f"{edge:g}" for edge in palette.edges)]
    boxes = "".join(
        f'<span><i style="background:#{colour}"></i>{escape(name)}</span>'
        for name, colour in zip(names, palette.colours, strict=True)
    )
    return f'<div class="swatches"><span>{palette.unit}</span>{boxes}</div>'


def method(card: Card) -> str:
    """Return how the numbers were made: intervals, the sample of every system, definitions."""
    made = card["intervals"]
    samples = "; ".join(
        f"{system_name(name).en} {card['cycles_of_system'][name]} × {members}"
        for name, members in card["members"].items()
    )
    definitions = "".join(
        f"<li><b>{escape(name)}</b> {escape(words)}</li>" for name, words in card["definitions"].items()
    )
    text = (
        f"Intervals: {made['level']:.0%}, {made['resamples']} circular block bootstrap resamples of cycles, blocks of "
        f"{made['block_cycles']} cycles, seed {made['seed']}. Of equal systems {1 - made['level']:.0%} of comparisons "
        "would still be called different. Sums over cycles are taken before ratios and roots; unobserved points never "
        f"count. Cycles × members: {samples}."
    )
    return section("方法 Method", text, folded("定義 Definitions", f"<ul>{definitions}</ul>"))
