"""The names used on the scorecard, in Traditional Chinese and English, and the sentences at its top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from stormcast_tw.verification.systems.pairs import DRESSED

Card = Mapping[str, Any]


class Name(NamedTuple):
    """A name in two languages."""

    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.zh} {self.en}"


SYSTEMS = {
    "forecast": Name("本預報", "this forecast"),
    "persistence": Name("持續法", "persistence"),
    "rwrp": Name("RWRP 預報", "RWRP forecast"),
    "global": Name("全球模式內插", "interpolated global model"),
    "extrapolation": Name("雨區外延", "rain extrapolation"),
    "steps": Name("STEPS 系集外延", "STEPS"),
    "perfect": Name("完美系集（上限）", "perfect ensemble (ceiling)"),
}
CEILING = "perfect"
"""The system that is not a baseline but the best that chance allows."""

VARIABLES = {
    "t2m": (Name("2 公尺氣溫", "2 m temperature"), "K"),
    "wind": (Name("10 公尺風（向量）", "10 m wind (vector)"), "m/s"),
    "wind_speed": (Name("10 公尺風速", "10 m wind speed"), "m/s"),
    "tp01": (Name("1 小時雨量", "1 h rain"), "mm"),
    "u10m": (Name("10 公尺東西風", "10 m eastward wind"), "m/s"),
    "v10m": (Name("10 公尺南北風", "10 m northward wind"), "m/s"),
}
"""Name and unit of the variables scored at points; sentences and the table of verdicts cover the first four."""
JUDGED = tuple(VARIABLES)[:4]

REGIONS = {
    "all": Name("全區", "whole domain"),
    "land": Name("陸地", "land"),
    "sea": Name("海面", "sea"),
    "above_1000m": Name("1000 公尺以上", "above 1000 m"),
}

COMPONENTS = {
    "structure": Name("結構", "structure"),
    "amplitude": Name("雨量", "amplitude"),
    "location": Name("位置", "location"),
}
"""Components of SAL."""

_UNITS = {"tp01": "mm/h", "tp03": "mm/3h", "wind_speed": "m/s", "t2m": "K"}
_QUANTITIES = {
    "tp01": Name("1 小時雨量", "1 h rain"),
    "tp03": Name("3 小時雨量", "3 h rain"),
    "wind_speed": Name("風速", "wind speed"),
    "t2m": Name("氣溫", "temperature"),
}


def system_name(system: str) -> Name:
    """Return the name of a system; a system that is not in the table is called by its id."""
    bare = system.removesuffix(DRESSED)
    name = SYSTEMS.get(bare, Name(bare, bare))
    return Name(f"{name.zh}＋誤差系集", f"dressed {name.en}") if system != bare else name


def event_name(event: str) -> str:
    """Return a readable name of an event of categories.py, temperatures in Celsius: `1 小時雨量 1 h rain ≥ 5 mm/h`."""
    sign = ">=" if ">=" in event else "<="
    quantity, threshold = event.split(sign)
    value, unit = float(threshold), _UNITS[quantity]
    if quantity == "t2m":
        value, unit = round(value - 273.15, 2), "°C"
    return f"{_QUANTITIES[quantity]} {'≥' if sign == '>=' else '≤'} {value:g} {unit}"


def spans(leads: Iterable[int]) -> str:
    """Return hours as spans: 1, 2, 3, 6 becomes `1–3, 6`."""
    groups: list[list[int]] = []
    for lead in sorted(leads):
        if groups and lead == groups[-1][-1] + 1:
            groups[-1].append(lead)
        else:
            groups.append([lead])
    return ", ".join(f"{span[0]}–{span[-1]}" if len(span) > 1 else f"{span[0]}" for span in groups)


def headline(card: Card) -> Name:
    """Return how many comparisons of the judged variables with every baseline are won, lost and undecided."""
    verdicts = [
        verdict
        for variable in JUDGED
        for system, gain in card["gains"].get(variable, {}).items()
        if system != CEILING
        for verdict in gain["verdict"]
        if verdict
    ]
    won, lost = verdicts.count("better"), verdicts.count("worse")
    still = len(verdicts) - won - lost
    return Name(
        f"{len(verdicts)} 項比較（變數 × 基準 × 預報時數）中，確定較佳 {won} 項，確定較差 {lost} 項，未定 {still} 項。",
        f"Of {len(verdicts)} comparisons (variable × baseline × lead) {won} are really better, {lost} really worse, "
        f"{still} undecided.",
    )


def sentences(card: Card) -> list[Name]:
    """Return the summary: one sentence in two languages per judged variable, then one on calibration."""
    verdicts = [sentence for variable in JUDGED if (sentence := _verdict(card, variable)) is not None]
    calibration = _calibration(card)
    return verdicts + ([calibration] if calibration else [])


def _verdict(card: Card, variable: str) -> Name | None:
    gains = {system: gain for system, gain in card["gains"].get(variable, {}).items() if system != CEILING}
    if not gains:
        return None
    name = VARIABLES[variable][0]
    zh, en = [], []
    for verdict, word_zh, word_en in (("better", "勝過", "better than"), ("worse", "不如", "worse than")):
        where = {system: _leads(card["leads"], gain["verdict"], verdict) for system, gain in gains.items()}
        listed = {system: leads for system, leads in where.items() if leads}
        if listed:
            zh.append(f"{word_zh}{_list(listed, 'zh')}")
            en.append(f"{word_en} {_list(listed, 'en')}")
    if all(verdict == "unsure" for gain in gains.values() for verdict in gain["verdict"] if verdict):
        return Name(f"{name.zh}：個案太少，無法判定。", f"{name.en}: too few cycles for a verdict.")
    if not zh:
        return Name(f"{name.zh}：與各基準皆無確定差異。", f"{name.en}: no real difference from any baseline.")
    rest = _undecided(gains)
    zh += [f"與{'、'.join(system_name(system).zh for system in rest)}無確定差異"] if rest else []
    en += [f"no real difference from {', '.join(system_name(system).en for system in rest)}"] if rest else []
    return Name(f"{name.zh}：{'；'.join(zh)}。", f"{name.en}: {'; '.join(en)}.")


def _leads(leads: Sequence[int], verdicts: Sequence[str], verdict: str) -> list[int]:
    return [lead for lead, actual in zip(leads, verdicts, strict=True) if actual == verdict]


def _undecided(gains: Mapping[str, Any]) -> list[str]:
    """Return the baselines that were compared but do not differ at any lead."""
    undecided = []
    for system, gain in gains.items():
        verdicts = set(gain["verdict"])
        if "equal" in verdicts and not verdicts & {"better", "worse"}:
            undecided.append(system)
    return undecided


def _list(listed: Mapping[str, Sequence[int]], language: str) -> str:
    """Return the systems with their leads, grouping those with the same leads."""
    groups: dict[str, list[str]] = {}
    for system, leads in listed.items():
        groups.setdefault(spans(leads), []).append(getattr(system_name(system), language))
    if language == "zh":
        return "；".join(f"{'、'.join(names)}（{leads} 小時）" for leads, names in groups.items())
    return "; ".join(f"{', '.join(names)} at leads {leads} h" for leads, names in groups.items())


def _calibration(card: Card) -> Name | None:
    """Return a sentence on spread over error, all leads together."""
    zh, en = [], []
    for variable in JUDGED:
        ratio = card["pooled"]["spread_error"].get(variable, {}).get(card["forecast"])
        if ratio is not None:
            tail = (
                ("離散不足", "too narrow")
                if ratio < 0.9
                else ("離散過大", "too wide")
                if ratio > 1.1
                else ("適當", "fits")
            )
            name = VARIABLES[variable][0]
            zh.append(f"{name.zh} {ratio:.2f}（{tail[0]}）")
            en.append(f"{name.en} {ratio:.2f} ({tail[1]})")
    if not zh:
        return None
    return Name(f"系集離散／誤差（1 為理想）：{'、'.join(zh)}。", f"Spread over error (1 is right): {', '.join(en)}.")
