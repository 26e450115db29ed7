"""Drafts of Common Alerting Protocol messages (OASIS CAP 1.2) from the rows of the hazard board, for exercises.

They let an agency rehearse its own path from a forecast to a message. They are no warnings, and say so: their status is
Exercise, their scope Restricted, and they say which criterion is reached. Severity is Unknown: to rate it is for those
who warn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from stormcast_tw.cycle import as_utc
from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.regions import HOME
from stormcast_tw.settings import settings

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
GEOCODE = "MOI administrative code"
"""What the zone codes are: those of the Ministry of the Interior."""
_LIKELY = 0.5
"""CAP: Likely is a chance of more than about half, Possible one of at most that."""
_LANGUAGES = {"zh-TW": "zh", "en": "en"}
_WORDS = {
    "zh": {
        "simulated": "【模擬資料，非真實天氣】",
        "headline": "{mark}演練：{zone}可能{criterion}",
        "description": "{mark}本訊息為演練草稿，不是警報。{members} 個系集成員中有 {hits} 個於 {zone} {criterion}"
        "（機率 {chance:.0%}）；半數達到之時間約為 {onset:%m 月 %d 日 %H} 時（臺灣時間）。"
        "預報起始時間 {init:%Y-%m-%d %H:%M}（臺灣時間）。",
        "instruction": "僅供演練，請勿轉發。",
        "restriction": "演練草稿，不得發布 Draft for exercises, not for distribution",
    },
    "en": {
        "simulated": "[SIMULATED, not real weather] ",
        "headline": "{mark}Exercise: {zone} may see: {criterion}",
        "description": "{mark}This is a draft for an exercise, not a warning. In {zone}, {hits} of {members} ensemble "
        "members: {criterion} (chance {chance:.0%}); half of them by about {onset:%Y-%m-%d %H:%M} Taiwan time. "
        "Forecast started {init:%Y-%m-%d %H:%M} Taiwan time.",
        "instruction": "For exercise only. Do not pass on.",
    },
}


def drafts(*, board: Mapping[str, Any], sent: datetime) -> Iterator[tuple[str, bytes]]:
    """Yield `<zone>_<hazard>.xml` for each row of the board that some member hits, in Traditional Chinese and English.

    `board` is the content of `zones.json`: `rows` with `zone`, `hazard`, `hits`, `p` and `onset` ([10 %, half] of the
    members that hit, in hours of lead), whose zones and hazards it describes. A zone's `polygon`, (latitude, longitude)
    pairs, is given where the board has it, its code always. `sent` is when the run was published.

    Raises Refused for the experiment `oper` unless `STORMCAST_TW_CAP_FOR_OPER` is set, and BadInput for a row whose
    zone or hazard the board does not describe.
    """
    if board["experiment"] == "oper" and not settings().cap_for_oper:
        raise Refused("CAP drafts of experiment oper: allowed only with STORMCAST_TW_CAP_FOR_OPER=true")
    zones = {zone["code"]: zone for zone in board["zones"]}
    hazards = {hazard["id"]: hazard for hazard in board["hazards"]}
    for row in board["rows"]:
        for what, known in (("zone", zones), ("hazard", hazards)):
            if row[what] not in known:
                raise BadInput(f"board: row of {what} {row[what]!r}, which is not among its {len(known)} {what}s")
        if row["hits"]:
            zone, hazard = zones[row["zone"]], hazards[row["hazard"]]
            yield f"{row['zone']}_{row['hazard']}.xml", _alert(board, row, zone, hazard, sent)


def _alert(
    board: Mapping[str, Any], row: Mapping[str, Any], zone: Mapping[str, Any], hazard: Mapping[str, Any], sent: datetime
) -> bytes:
    identifier = ".".join((str(board["experiment"]), str(board["run"]), str(row["zone"]), str(row["hazard"])))
    alert = ElementTree.Element("alert", xmlns=NAMESPACE)
    _add(alert, "identifier", identifier)
    _add(alert, "sender", settings().attribution.creator_email or settings().attribution.naming_authority)
    _add(alert, "sent", _time(sent))
    _add(alert, "status", "Exercise")
    _add(alert, "msgType", "Alert")
    _add(alert, "scope", "Restricted")
    _add(alert, "restriction", _WORDS["zh"]["restriction"])
    for language, key in _LANGUAGES.items():
        alert.append(_info(board, row, zone, hazard, language, key))
    ElementTree.indent(alert)
    document: bytes = ElementTree.tostring(alert, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _info(
    board: Mapping[str, Any],
    row: Mapping[str, Any],
    zone: Mapping[str, Any],
    hazard: Mapping[str, Any],
    language: str,
    key: str,
) -> ElementTree.Element:
    init = datetime.fromisoformat(str(board["init_time"]).replace("Z", "+00:00"))
    first, half = (init + timedelta(hours=float(hours)) for hours in row["onset"])
    words = _WORDS[key]
    said = {
        "mark": words["simulated"] if board["simulated"] else "",
        "zone": zone[key], "criterion": hazard["criterion"][key], "members": board["members"], "hits": row["hits"],
        "chance": row["p"], "onset": half.astimezone(HOME.clock), "init": init.astimezone(HOME.clock),
    }  # fmt: skip
    info = ElementTree.Element("info")
    _add(info, "language", language)
    _add(info, "category", "Met")
    _add(info, "event", hazard["class"][key])
    _add(info, "urgency", "Future" if float(row["onset"][0]) > 1 else "Expected")
    _add(info, "severity", "Unknown")
    _add(info, "certainty", "Likely" if row["p"] > _LIKELY else "Possible")
    _add(info, "onset", _time(first))
    _add(info, "expires", _time(init + timedelta(hours=int(board["lead_hours"]))))
    _add(info, "senderName", settings().attribution.institution)
    for element in ("headline", "description"):
        _add(info, element, words[element].format(**said))
    _add(info, "instruction", words["instruction"])
    for name, value in (("members", board["members"]), ("hits", row["hits"]), ("run", board["run"])):
        _pair(info, "parameter", name, value)
    area = ElementTree.SubElement(info, "area")
    _add(area, "areaDesc", zone[key])
    if polygon := zone.get("polygon"):
        _add(area, "polygon", " ".join(f"{latitude:.4f},{longitude:.4f}" for latitude, longitude in polygon))
    _pair(area, "geocode", GEOCODE, zone["code"])
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
