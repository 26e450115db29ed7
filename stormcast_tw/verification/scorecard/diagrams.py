"""The diagram sections of the scorecard: rain neighbourhoods, calibration of probabilities, and scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stormcast_tw.verification.scorecard.blocks import folded, grid, legend, line, section, table
from stormcast_tw.verification.scorecard.charts import Frame, bar_chart, line_chart
from stormcast_tw.verification.scorecard.words import COMPONENTS, VARIABLES, Card, Name, event_name

FEWEST = 0.001
"""Share of the forecasts below which a point of a reliability diagram is not drawn; the JSON still has it."""
_UNIT = (0.0, 1.0)
_SPECTRA = {
    **{name: VARIABLES[name][0] for name in ("t2m", "tp01")},
    "wind": Name("10 公尺風動能", "10 m kinetic energy"),
}


def neighbourhoods(card: Card) -> str:
    """Return FSS by neighbourhood size, for one map per system and for probabilities, and FSS by lead."""
    point, probability = (card["fss"].get(product, {}) for product in ("point", "probability"))
    single = [_fss(card, event, windows, list(card["members"])) for event, windows in point.items()]
    ensembles = [system for system, members in card["members"].items() if members > 1]
    chances = [_fss(card, event, windows, ensembles) for event, windows in probability.items()]
    by_lead = [
        folded(f"隨預報時數 By lead, {window} × {window}", grid(_by_lead(card, products.get("point", {}))))
        for window, products in card["fss_by_lead"].items()
    ]
    shown = [
        system for system in card["members"] if any(system in row for rows in point.values() for row in rows.values())
    ]
    return section(
        "雨區鄰域 Rain in neighbourhoods (FSS)",
        "機率擬合平均與單一預報同比；機率另計。鄰域在邊界與無觀測處截斷。1 為完美。 Probability-matched mean against "
        "single forecasts; probabilities below. Windows are cut at the border and at unobserved points. 1 is perfect.",
        legend(card, shown) + grid(single) + folded("機率 Probabilities", grid(chances)) + "".join(by_lead)
        if single
        else "",
    )


def _fss(card: Card, event: str, windows: Mapping[str, Mapping[str, float]], systems: Sequence[str]) -> str:
    sizes = list(windows)
    frame = Frame(event_name(event), "鄰域邊長 window (points)", "FSS", y_limits=_UNIT, x_names=sizes)
    present = [system for system in systems if any(system in row for row in windows.values())]
    values = {system: [windows[size].get(system) for size in sizes] for system in present}
    return line_chart(frame, [line(card, system, range(len(sizes)), values[system]) for system in reversed(present)])


def _by_lead(card: Card, events: Mapping[str, Mapping[str, Sequence[float | None]]]) -> list[str]:
    charts = []
    for event, rows in events.items():
        lines = [line(card, system, card["leads"], values) for system, values in reversed(list(rows.items()))]
        frame = Frame(event_name(event), "", "FSS", y_limits=_UNIT).of_leads(card["leads"])
        charts.append(line_chart(frame, lines))
    return charts


def calibration(card: Card) -> str:
    """Return reliability diagrams and ROC curves of the ensembles, and the rank histograms of the forecast."""
    happened = card["events"]["base_rate"]
    events = {
        event: curves for event, curves in card["reliability"].items() if happened.get(event, {}).get(card["forecast"])
    }
    reliability = [_reliability(card, event, curves) for event, curves in events.items()]
    roc = [_roc(card, event, curves) for event, curves in events.items()]
    ensembles = [system for system, members in card["members"].items() if members > 1]
    body = grid(_ranks(card)) + (legend(card, ensembles) + grid(reliability) if reliability else "")
    return section(
        "機率可信度 Calibration",
        "直方圖平坦、可靠度在對角線上為理想（虛線）；U 形表示離散不足。 Flat ranks and points on the diagonal "
        f"(dotted) are ideal, a U is too narrow. Probabilities in less than {FEWEST:.1%} of the cases are not drawn.",
        body + folded("ROC", grid(roc)),
    )


def _reliability(card: Card, event: str, curves: Mapping[str, Mapping[str, Any]]) -> str:
    frame = Frame(event_name(event), "預報機率 forecast", "觀測頻率 observed", _UNIT, _UNIT, diagonal=True)
    lines = []
    for system, curve in reversed(list(curves.items())):
        shown = [
            frequency if share is not None and share >= FEWEST else None
            for frequency, share in zip(curve["observed_frequency"], curve["forecast_share"], strict=True)
        ]
        lines.append(line(card, system, curve["forecast_probability"], shown))
    return line_chart(frame, lines)


def _roc(card: Card, event: str, curves: Mapping[str, Mapping[str, Any]]) -> str:
    frame = Frame(event_name(event), "誤報比率 false alarm rate", "命中率 hit rate", _UNIT, _UNIT, diagonal=True)
    return line_chart(
        frame,
        [
            line(card, system, curve["false_alarm_rate"], curve["hit_rate"])
            for system, curve in reversed(list(curves.items()))
        ],
    )


def _ranks(card: Card) -> list[str]:
    count = card["members"][card["forecast"]] + 1
    charts = []
    for variable, by_system in card["ranks"].items():
        shares = by_system.get(card["forecast"])
        if shares is not None and count > 2:
            title = f"等級直方圖 rank histogram，{VARIABLES[variable][0]}"
            frame = Frame(title, "低於真值的成員數 members below the truth", "比例 share", level=1 / count)
            charts.append(bar_chart(frame, shares[:count], "s0"))
    return charts


def texture(card: Card) -> str:
    """Return the ratio of spectra by octave, and the SAL scores."""
    charts, octaves = [], card["octaves_km"]
    for spectrum, rows in card["spectra"].items():
        frame = Frame(f"能譜比 spectra，{_SPECTRA[spectrum]}", "波長 wavelength (km)", "預報／真值 ratio",
                      level=1.0, x_names=octaves, logarithmic=True)  # fmt: skip
        charts.append(
            line_chart(frame, [line(card, system, range(len(octaves)), rows[system]) for system in reversed(rows)])
        )
    sal = table(card, card["sal"]["sal_mean"], lambda component: str(COMPONENTS[component]))
    return section(
        "細節與結構 Texture",
        "成員變異數與真值之比，1 為正確；低於 1 過於平滑。 Variance of the members over that of the truth by octave of "
        "wavelength; below 1 is too smooth. Only fields without missing points have a spectrum.",
        (legend(card, card["members"]) + grid(charts) if charts else "")
        + (f"<h3>雨區 SAL（0 為完美）SAL of rain (0 is perfect)</h3>{sal}" if sal else ""),
    )
