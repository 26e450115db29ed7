"""The scorecard: its numbers are those of the statistics, its page needs nothing from outside, its words are true."""

import base64
import json
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.verification.scorecard.charts import Frame, Line, bar_chart, line_chart, ticks
from stormcast_tw.verification.scorecard.maps import PALETTES, CycleMaps, Panel, coast, data_uri
from stormcast_tw.verification.scorecard.page import best_and_worst, scorecard, scorecard_html, scorecard_json
from stormcast_tw.verification.scorecard.words import event_name, headline, sentences, spans, system_name
from stormcast_tw.verification.scores.statistics import scores, stratify, total
from tests.verification.small_world import cycles

FACTS = {"package": "demo <0.1>", "truth": "simulated, seed 7", "simulated": True, "trained": False}


@pytest.fixture(scope="module")
def scored() -> list[xr.Dataset]:
    return [cycle.assign_coords(system=["forecast", "persistence"]) for cycle in cycles(12)]


@pytest.fixture(scope="module")
def card(scored):
    return scorecard(scored, **FACTS, resamples=200)


@pytest.fixture(scope="module")
def page(card) -> str:
    rng = np.random.default_rng(0)
    rain = rng.gamma(0.3, 20, (24, 20))
    panels = [Panel("雨 rain", "rain", rain), Panel("氣溫 temperature", "temperature", 290 + rain),
              Panel("風 wind", "wind", rain)]  # fmt: skip
    return scorecard_html(card, [CycleMaps("best", "20260611T06Z", "note", panels)])


class Page(HTMLParser):
    """Tags with their attributes; every element must be closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_is_whole_and_well_formed(page):
    parsed = Page(page)
    assert parsed.open == []
    assert sum(tag == "svg" for tag, _ in parsed.tags) > 20
    assert [tag for tag, _ in parsed.tags].count("img") == 3
    for heading in ("Better or worse", "Scores against lead time", "Thresholds", "Rain in neighbourhoods",
                    "Calibration", "Texture", "Where and when", "Cycles", "Method"):  # fmt: skip
        assert heading in page


def test_the_page_asks_nobody_for_anything(page):
    for tag, attributes in Page(page).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "xlink:href", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
        if tag == "script":
            assert attributes.get("type") == "application/json"
    assert "url(" not in page
    assert "@import" not in page
    assert "http:" not in page
    assert "https:" not in page


def test_page_and_json_hold_the_same_numbers(page, card):
    inside = re.search(r'<script type="application/json" id="numbers">(.*?)</script>', page, re.S)
    assert json.loads(inside.group(1)) == json.loads(scorecard_json(card)) == json.loads(json.dumps(card))


def test_text_from_outside_is_escaped(page):
    assert "demo &lt;0.1&gt;" in page
    assert "demo <0.1>" not in page


def test_simulated_and_untrained_are_said(page, card, scored):
    assert card["title"].startswith("SIMULATED UNTRAINED ")
    assert 'class="flag">模擬資料 SIMULATED' in page
    assert 'class="flag">未經訓練 UNTRAINED' in page
    real = scorecard_html({**card, "simulated": False, "trained": True, "title": "t"})
    assert "SIMULATED" not in real
    assert "UNTRAINED" not in real


def test_light_dark_and_print(page):
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert '<html lang="zh-Hant">' in page


def test_facts_are_stated(page, card):
    assert card["cycles"] == 12
    assert card["period"] == ["20260611T06Z", "20260614T00Z"]
    assert card["members"] == {"forecast": 8, "persistence": 1}
    assert card["leads"] == [1, 2, 3]
    assert "20260611T06Z – 20260614T00Z" in page
    assert "simulated, seed 7" in page


def test_numbers_are_those_of_the_statistics(card, scored):
    whole = total(scored)
    by_lead, pooled = scores(whole), scores(whole.sum("lead_time"))
    here = {"system": "persistence", "region": "all"}
    for score in ("crps", "rmse", "bias"):
        expected = by_lead[score].sel(here, drop=True).sel(variable="t2m")
        assert card["curves"][score]["t2m"]["persistence"]["value"] == pytest.approx(expected.values.tolist(), rel=1e-4)
    expected = pooled["csi"].sel(here).sel(event="tp01>=5")
    assert card["events"]["csi"]["tp01>=5"]["persistence"] == pytest.approx(float(expected), rel=1e-4)
    expected = pooled["fss"].sel(system="forecast", product="point", rain_event="tp01>=5", window=5)
    assert card["fss"]["point"]["tp01>=5"]["5"]["forecast"] == pytest.approx(float(expected), rel=1e-4)
    expected = pooled["rank_share"].sel(system="forecast", region="all", variable="t2m")
    assert card["ranks"]["t2m"]["forecast"] == pytest.approx(expected.values.tolist(), abs=1e-5)
    expected = pooled["crps"].sel(system="forecast", region="sea", variable="wind")
    assert card["regions"]["crps"]["sea"]["wind"]["forecast"] == pytest.approx(float(expected), rel=1e-4)
    typhoon = scores(stratify(scored, "regime")["typhoon"].sum("lead_time"))["crps"]
    expected = typhoon.sel(system="forecast", region="all", variable="tp01")
    assert card["strata"]["regime"]["typhoon"]["crps"]["tp01"]["forecast"] == pytest.approx(float(expected), rel=1e-4)
    assert card["strata"]["regime"]["typhoon"]["cycles"] == 6


def test_verdicts_follow_the_intervals(card):
    """The baseline has twice the errors: the forecast is really better at every lead."""
    for variable in ("t2m", "wind", "tp01"):
        gain = card["gains"][variable]["persistence"]
        assert gain["verdict"] == ["better"] * 3
        assert min(gain["low"]) > 0
    assert headline(card).en.startswith("Of 12 comparisons (variable × baseline × lead) 12 are really better, 0")


def test_a_loss_and_a_draw_are_told(card, scored):
    swapped = scorecard([cycle.assign_coords(system=["persistence", "forecast"]) for cycle in scored], **FACTS,
                        resamples=200)  # fmt: skip
    assert swapped["gains"]["wind"]["persistence"]["verdict"] == ["worse"] * 3
    told = sentences(swapped)
    assert "10 m wind (vector): worse than persistence at leads 1–3 h." in [one.en for one in told]
    assert "10 公尺風（向量）：不如持續法（1–3 小時）。" in [one.zh for one in told]
    drawn = {**card, "gains": {"tp01": {"rwrp": {"verdict": ["equal", "equal", ""]}}}}
    assert sentences(drawn)[0].en == "1 h rain: no real difference from any baseline."
    mixed = {**card, "gains": {"tp01": {
        "rwrp": {"verdict": ["equal", "equal", "equal"]}, "persistence": {"verdict": ["better", "equal", "better"]},
        "perfect": {"verdict": ["worse"] * 3}}}}  # fmt: skip
    assert sentences(mixed)[0].en == "1 h rain: better than persistence at leads 1, 3 h; no real difference from " \
        "RWRP forecast."  # fmt: skip
    assert headline(mixed).en.startswith("Of 6 comparisons (variable × baseline × lead) 2 are really better, 0 really")


def test_too_few_cycles_have_no_verdict(scored):
    few = scorecard(scored[:3], **FACTS, resamples=50)
    assert few["gains"]["t2m"]["persistence"]["verdict"] == ["unsure"] * 3
    assert "2 m temperature: too few cycles for a verdict." in [one.en for one in sentences(few)]
    assert "better" not in json.dumps(few["gains"])
    assert Page(scorecard_html(few)).open == []


def test_calibration_is_told_in_words(card):
    told = sentences(card)[-1].en
    ratio = card["pooled"]["spread_error"]["t2m"]["forecast"]
    assert f"2 m temperature {ratio:.2f} (fits)" in told
    narrow = {**card, "pooled": {"spread_error": {"t2m": {"forecast": 0.5}, "wind": {"forecast": 1.5}}}}
    assert sentences(narrow)[-1].en == (
        "Spread over error (1 is right): 2 m temperature 0.50 (too narrow), 10 m wind (vector) 1.50 (too wide)."
    )


def test_a_forecast_without_cycles_is_refused(scored):
    with pytest.raises(BadInput, match="system stormcast: in none of 12 cycles"):
        scorecard(scored, forecast="stormcast", **FACTS)


def test_best_and_worst_cycle(scored):
    changed = [cycle.copy(deep=True) for cycle in scored]
    changed[4]["crps"].loc[{"system": "forecast"}] *= 0.1
    changed[7]["crps"].loc[{"system": "forecast"}] *= 3
    assert best_and_worst(changed) == ("20260612T06Z", "20260613T00Z")
    with pytest.raises(BadInput, match="together in none"):
        best_and_worst(changed, baseline="rwrp")


def test_names():
    assert spans([1, 2, 3, 6, 8, 9]) == "1–3, 6, 8–9"
    assert event_name("t2m<=283.15") == "氣溫 temperature ≤ 10 °C"
    assert event_name("tp03>=100") == "3 小時雨量 3 h rain ≥ 100 mm/3h"
    assert system_name("rwrp_dressed").en == "dressed RWRP forecast"
    assert system_name("unknown").zh == "unknown"


def decoded(uri: str) -> tuple[np.ndarray, bytes]:
    """Rows of colour indices, and the palette, of an indexed PNG without filters."""
    data, chunks, at = base64.b64decode(uri.removeprefix("data:image/png;base64,")), {}, 8
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert (rows[:, 0] == 0).all()
    return rows[:, 1:], chunks[b"PLTE"]


def test_a_map_has_north_on_top_and_the_right_classes():
    values = np.array([[0.0, 0.1, 5.0], [100.0, np.nan, 1.9]])
    index, palette = decoded(data_uri(Panel("r", "rain", values), np.zeros((0, 0), bool)))
    colours = [palette[3 * i : 3 * i + 3].hex().upper() for i in index.ravel()]
    assert colours == ["CC0003", "BBBBBB", "9BFFFF", "FFFFFF", "C6C5C3", "00CFFF"]
    for one in PALETTES.values():
        assert len(one.colours) == len(one.edges) + 1
        assert list(one.edges) == sorted(one.edges)


def test_the_coast_is_land_beside_sea():
    land = np.zeros((5, 5), bool)
    land[1:4, 1:4] = True
    expected = land.copy()
    expected[2, 2] = False
    np.testing.assert_array_equal(coast(land), expected)
    index, _ = decoded(data_uri(Panel("t", "temperature", np.full((5, 5), 290.0)), land))
    assert (index == index.max()).sum() == 8


def coordinates(svg: str, style: str) -> list[tuple[float, float]]:
    path = re.search(rf'class="line {style}" d="([^"]*)"', svg).group(1)
    return [tuple(map(float, one.split())) for one in re.split("[ML]", path) if one]


def test_a_line_is_drawn_to_scale_and_broken_where_nothing_is():
    frame = Frame("t", "x", "y", y_limits=(0.0, 10.0))
    points = coordinates(line_chart(frame, [Line("a", [0, 1, 2], [0.0, 5.0, 10.0], "s1")]), "s1")
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.11)
    assert points[0][1] - points[1][1] == pytest.approx(points[1][1] - points[2][1], abs=0.11)
    assert points[0][1] > points[2][1]
    broken = line_chart(frame, [Line("a", [0, 1, 2], [1.0, None, 2.0], "s1")])
    assert re.search(r'class="line s1" d="(M[^L]*M[^L]*)"', broken)
    ratio = line_chart(Frame("t", "", "", y_limits=(-1.0, 1.0), logarithmic=True),
                       [Line("a", [0, 1, 2], [0.1, 1.0, 10.0], "s1")])  # fmt: skip
    logarithmic = coordinates(ratio, "s1")
    assert logarithmic[0][1] - logarithmic[1][1] == pytest.approx(logarithmic[1][1] - logarithmic[2][1], abs=0.11)


def test_bars_stand_on_zero():
    svg = bar_chart(Frame("t", "", "", level=0.5), [0.5, 1.0], "s0")
    heights = [float(one) for one in re.findall(r'<rect[^>]* height="([\d.]+)"', svg)]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.11)


@pytest.mark.parametrize(("first", "last"), [(0.0, 1.0), (-0.31, 0.44), (3.0, 1200.0), (0.0013, 0.0019)])
def test_ticks_are_round_and_inside(first: float, last: float):
    made = ticks(first, last)
    assert 3 <= len(made) <= 8
    assert all(first <= tick <= last for tick in made)
    assert len({f"{tick:g}" for tick in made}) == len(made)
