"""Drafts of Common Alerting Protocol messages (OASIS CAP 1.2) from the rows of the hazard board, for exercises.

They let an agency rehearse its own path from a forecast to a message. They are no warnings, and say so: their status is
Exercise, their scope Restricted, and they say which criterion is reached. Severity is Unknown: to rate it is for those
who warn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from stormcast_tw.cycle import as_utc, hours
from stormcast_tw.errors import Refused
from stormcast_tw.products.board import Row, unpacked
from stormcast_tw.regions import HOME
from stormcast_tw.settings import settings

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
GEOCODE = "MOI administrative code"
"""What the zone codes are: those of the Ministry of the Interior."""
_LIKELY = 0.5
"""CAP: Likely is a chance of more than about half, Possible one of at most that."""
_RESTRICTION = "演練草稿，不得發布 Draft for exercises, not for distribution"
_LANGUAGES = {"zh-TW": "zh", "en": "en"}
_WORDS = {
    "zh": {
        "simulated": "【模擬資料，非真實天氣】",
        "headline": "{mark}演練：{zone}可能{criterion}",
        "description": "{mark}本訊息為演練草稿，不是警報。{members} 個系集成員中有 {hits} 個於 {zone} {criterion}"
        "（機率 {chance:.0%}），其中半數約在 {onset:%m 月 %d 日 %H} 時（臺灣時間）前達到。"
        "預報起始時間 {init:%Y-%m-%d %H:%M}（臺灣時間）。{not_judged}",
        "instruction": "僅供演練，請勿轉發。",
    },
    "en": {
        "simulated": "[SIMULATED, not real weather] ",
        "headline": "{mark}Exercise: {zone}, possibly: {criterion}",
        "description": "{mark}This is a draft for an exercise, not a warning. In {zone}, {hits} of {members} ensemble "
        "members say: {criterion} (chance {chance:.0%}), half of those by about {onset:%Y-%m-%d %H:%M} Taiwan time. "
        "Forecast started {init:%Y-%m-%d %H:%M} Taiwan time. {not_judged}",
        "instruction": "For exercise only. Do not pass on.",
    },
}


def drafts(*, board: Mapping[str, Any], sent: datetime) -> Iterator[tuple[str, bytes]]:
    """Yield `<zone>_<hazard>.xml` for each row of the board that some member hits, in Traditional Chinese and English.

    `board` is the content of `zones.json` (`products.board`), `sent` when the run was published. Raises Refused for the
    experiment `oper` unless `STORMCAST_TW_CAP_FOR_OPER` is set.
    """
    if board["experiment"] == "oper" and not settings().cap_for_oper:
        raise Refused("CAP drafts of experiment oper: allowed only with STORMCAST_TW_CAP_FOR_OPER=true")
    zones = {zone["code"]: zone for zone in board["zones"]}
    hazards = {hazard["id"]: hazard for hazard in board["hazards"]}
    for row in unpacked(board):
        if row.onset is not None:
            draft = _Draft(board, row, row.onset, zones[row.zone], hazards[row.hazard])
            yield f"{row.zone}_{row.hazard}.xml", _alert(draft, sent)


@dataclass(frozen=True)
class _Draft:
    """One row of the board with its zone and hazard; `onset` is the lead by which 10 % and half of the hits are."""

    board: Mapping[str, Any]
    row: Row
    onset: Sequence[int]
    zone: Mapping[str, Any]
    hazard: Mapping[str, Any]

    @property
    def chance(self) -> float:
        """The probability that the criterion is reached anywhere in the zone."""
        return float(self.row.hits / self.board["members"])

    @property
    def init_time(self) -> datetime:
        """The start of the forecast."""
        return datetime.fromisoformat(str(self.board["init_time"]))

    def at(self, lead_hours: int) -> datetime:
        """Return the valid time of a lead."""
        return self.init_time + hours(lead_hours)

    def said(self, key: str, element: str) -> str:
        """Return a sentence in a language."""
        words, not_judged = _WORDS[key], self.hazard["not_judged"]
        return (
            words[element]
            .format(
                mark=words["simulated"] if self.board["simulated"] else "",
                zone=self.zone[key],
                criterion=self.hazard["criterion"][key],
                members=self.board["members"],
                hits=self.row.hits,
                chance=self.chance,
                onset=self.at(self.onset[1]).astimezone(HOME.clock),
                init=self.init_time.astimezone(HOME.clock),
                not_judged=not_judged[key] if not_judged else "",
            )
            .strip()
        )


def _alert(draft: _Draft, sent: datetime) -> bytes:
    about, row = draft.board, draft.row
    attribution = settings().attribution
    alert = ElementTree.Element("alert", xmlns=NAMESPACE)
    _add(alert, "identifier", ".".join((about["experiment"], about["run"], row.zone, row.hazard)))
    _add(alert, "sender", attribution.creator_email or attribution.naming_authority)
    _add(alert, "sent", _time(sent))
    _add(alert, "status", "Exercise")
    _add(alert, "msgType", "Alert")
    _add(alert, "scope", "Restricted")
    _add(alert, "restriction", _RESTRICTION)
    for language, key in _LANGUAGES.items():
        alert.append(_info(draft, language, key))
    ElementTree.indent(alert)
    document: bytes = ElementTree.tostring(alert, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _info(draft: _Draft, language: str, key: str) -> ElementTree.Element:
    first = draft.onset[0]
    info = ElementTree.Element("info")
    _add(info, "language", language)
    _add(info, "category", "Met")
    _add(info, "event", draft.hazard["class"][key])
    _add(info, "urgency", "Future" if first > 1 else "Expected")
    _add(info, "severity", "Unknown")
    _add(info, "certainty", "Likely" if draft.chance > _LIKELY else "Possible")
    _add(info, "onset", _time(draft.at(first)))
    _add(info, "expires", _time(draft.at(draft.board["lead_hours"])))
    _add(info, "senderName", settings().attribution.institution)
    for element in ("headline", "description", "instruction"):
        _add(info, element, draft.said(key, element))
    for name, value in (("members", draft.board["members"]), ("hits", draft.row.hits), ("run", draft.board["run"])):
        _pair(info, "parameter", name, value)
    area = ElementTree.SubElement(info, "area")
    _add(area, "areaDesc", draft.zone[key])
    _pair(area, "geocode", GEOCODE, draft.zone["code"])
    return info


def _add(parent: ElementTree.Element, name: str, text: object) -> None:
    ElementTree.SubElement(parent, name).text = str(text)


def _pair(parent: ElementTree.Element, element: str, name: str, value: object) -> None:
    pair = ElementTree.SubElement(parent, element)
    _add(pair, "valueName", name)
    _add(pair, "value", value)


def _time(time: datetime) -> str:
    """Return a time as CAP wants it: Taiwan's, with its offset, without fractions of seconds."""
    return as_utc(time).astimezone(HOME.clock).replace(microsecond=0).isoformat()
