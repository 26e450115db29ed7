"""The page in real Chromium: what it shows is what is published, by pointer, keyboard and phone."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.viewer.conftest import CYCLE, MEMBERS, ROOT, Visit

AXE = ROOT / "viewer/node_modules/axe-core/axe.min.js"
MOST_REQUESTS = 12
PHONE = (390, 844)


@pytest.fixture(scope="session")
def run(published: Path) -> Path:
    entry = json.loads((published / "demo/latest.json").read_text())
    return (published / "demo" / entry["manifest"]).parent


@pytest.fixture(scope="session")
def maps(run: Path) -> xr.Dataset:
    return xr.open_zarr(run / "maps", chunks=None, consolidated=True)


def test_the_first_map_is_there_in_a_few_requests(visit: Visit):
    visit.go()
    field = next(n for n, url in enumerate(visit.requests, 1) if "/tp01_lpmm/c/" in url)
    assert field <= MOST_REQUESTS, visit.requests
    assert sum("tp01_lpmm" in url for url in visit.requests) == 1, "all hours of it are one request"
    assert visit.text(".map h2 b") == "08-12 18:00 (10Z)"
    drawn = visit.page.evaluate(
        "() => { const c = document.querySelector('.raster'); "
        "const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height); "
        "return data.filter((x, n) => n % 4 == 3 && x).length }"
    )
    assert drawn > 1000, "rain is on the map"
    for word in ("現行", "08-12 14:00 (06Z)", "輸入降級", "GFS", "SIMULATED", "UNTRAINED", "3 小時前", "23:00"):
        assert word in visit.text(".state")


def test_the_value_under_the_pointer_is_that_of_the_zarr(visit: Visit, maps: xr.Dataset):
    for query, name, at in (
        ("&f=tp01&s=lpmm&t=2026-08-12T16", "tp01_lpmm", 1),
        ("&f=t2m&s=mean&t=2026-08-12T20", "t2m_mean", 5),
        ("&f=wind&s=p90&t=2026-08-12T15", "wind_speed_quantile_p90", 0),
    ):
        visit.go(query)
        box = visit.page.locator(".canvases").bounding_box()
        for across, down in ((0.5, 0.5), (0.45, 0.7), (0.55, 0.3), (0.4, 0.85)):
            visit.page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
            latitude, longitude = map(float, re.findall(r"([\d.]+)°", visit.text(".readout small")))
            true = float(maps[name].isel(lead_time=at).sel(latitude=latitude, longitude=longitude, method="nearest"))
            shown = float(visit.text(".readout b").split()[0])
            assert abs(shown - (true - 273.15 if name == "t2m_mean" else true)) <= 0.05 + 1e-6


def test_the_board_is_that_of_zones_json(visit: Visit, run: Path):
    board = json.loads((run / "zones.json").read_text())
    columns, zones, hazards = board["rows"], board["zones"], board["hazards"]
    wanted = [
        (zones[z]["zh"], hazards[h]["id"], f"{hits}/{MEMBERS}")
        for z, h, hits in zip(columns["zone"], columns["hazard"], columns["hits"], strict=True)
        if zones[z]["parent"] is None
    ]
    visit.go()
    rows = visit.page.eval_on_selector_all(
        "tr.county",
        "rows => rows.map(row => [row.querySelector('.name').innerText, row.dataset.hazard, "
        "row.querySelector('.count').innerText.replace(/\\s.*/s, '')])",
    )
    assert [tuple(row) for row in rows] == wanted
    for name in ("連江縣", "金門縣", "澎湖縣"):
        assert name in visit.text(".footnotes")


def test_a_row_opens_its_townships_and_pins_its_zone(visit: Visit, run: Path):
    visit.go()
    visit.page.click(".toggle >> nth=0")
    assert visit.page.locator("tr.township").count() > 0
    visit.page.click("tr.township .name >> nth=0")
    visit.page.wait_for_selector(f"#place-title:has-text('{visit.text('tr.township .name >> nth=0')}')")
    visit.page.wait_for_selector(".plume.rain")
    code = re.search(r"zone=(\d+)", visit.page.url)
    assert code is not None
    place = json.loads((run / f"places/{code[1]}.json").read_text())
    assert place["zone"]["zh"] in visit.text("#place-title")
    peak = max(max(hours) for hours in place["series"]["tp01"]["highest"])
    assert f"最大 {peak:.1f} mm" in visit.page.text_content(".plume.rain .note")


def test_a_click_gives_every_member_of_the_point_as_csv(visit: Visit, run: Path):
    visit.go()
    visit.page.locator(".canvases").click()
    visit.page.wait_for_selector("#place-title:has-text('°N')")
    visit.page.wait_for_selector(".plume.rain")
    place = re.search(r"pt=([\d.]+),([\d.]+)", visit.page.url)
    assert place is not None
    with visit.page.expect_download() as download:
        visit.page.click("#place-csv")
    heading, *lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert heading.startswith("# SIMULATED")
    rows = list(csv.DictReader(lines))
    points = xr.open_zarr(run / "points", chunks=None, consolidated=True).sel(
        latitude=float(place[1]), longitude=float(place[2]), method="nearest"
    )
    rain = points["tp01"].transpose("lead_time", "member").values.ravel()
    np.testing.assert_allclose([float(row["rain_mm"]) for row in rows], rain, atol=0.05 + 1e-6)
    speed = np.hypot(points["u10m"], points["v10m"]).transpose("lead_time", "member").values.ravel()
    np.testing.assert_allclose([float(row["wind_speed_m_s"]) for row in rows], speed, atol=0.05 + 1e-5)
    assert rows[0]["valid_time_utc"] == "2026-08-12T07:00Z"
    assert rows[0]["valid_time_taiwan"] == "2026-08-12 15:00"


def test_the_whole_walk_by_keyboard(visit: Visit):
    visit.go()
    press = visit.page.keyboard.press
    press("ArrowRight")
    assert "08-12 19:00" in visit.text(".map h2 b")
    assert "19:00" in visit.page.get_attribute("#hour", "aria-valuetext")
    press("3")
    visit.page.wait_for_selector(".legend.probability")
    assert "鄉鎮機率" in visit.text(".map h2")
    press("/")
    visit.page.keyboard.type("xiulin")
    press("Enter")
    visit.page.wait_for_selector("#place-title:has-text('秀林鄉')")
    visit.page.wait_for_selector(".plume.rain")
    press("m")
    assert visit.page.locator(".plume.rain .traced").count() == 1
    press("l")
    assert visit.text("#place-title") == "Xiulin Township, Hualien County"
    assert "zone=10015110" in visit.page.url
    assert "lang=en" in visit.page.url
    press("?")
    assert visit.page.locator("dialog[open]").count() == 1
    press("Escape")
    press("Escape")
    assert "zone=" not in visit.page.url
    visit.page.wait_for_selector("#place-title:not(:text('Xiulin'))")


def test_without_a_pinned_place_the_first_of_the_board_is_shown(visit: Visit):
    visit.go()
    visit.page.wait_for_selector(".plume.rain")
    assert visit.text("#place-title") == visit.text("tr.county .name >> nth=0")
    assert "zone=" not in visit.page.url


def test_the_same_url_shows_the_same_map(visit: Visit):
    query = "&f=wind&s=mean&t=2026-08-12T17&z=121.0,23.0,3.00"
    pictures = []
    for _ in range(2):
        visit.go(query)
        visit.page.wait_for_timeout(300)
        pictures.append(visit.page.locator(".canvases").screenshot())
    assert pictures[0] == pictures[1]


def test_what_a_url_says_that_nobody_knows_is_named(visit: Visit):
    visit.go("&f=snow")
    assert "f=snow" in visit.text(".notices")


@pytest.mark.parametrize(
    ("now", "level", "word"), [("2026-08-12T16:30Z", "warning", "遲到"), ("2026-08-12T21:30Z", "error", "過期")]
)
def test_late_and_stale_say_so(visit: Visit, now: str, level: str, word: str):
    visit.page.goto(f"{visit.address}?now={now}")
    visit.page.wait_for_selector(".map h2 b")
    assert word in visit.text(".freshness")
    assert word in visit.text(f".notices .{level}")
    assert (visit.page.locator(".map.stale").count() == 1) == (level == "error")


def answer(visit: Visit, pattern: str, status: int = 200, body: str | None = None) -> None:
    """Let requests be answered otherwise from now on, or fail where no body is given."""

    def otherwise(route: Any) -> None:
        if body is None:
            route.abort()
        else:
            route.fulfill(status=status, body=body)

    visit.page.route(pattern, otherwise)


def test_a_lost_network_keeps_the_last_map_and_says_since_when(visit: Visit):
    visit.page.clock.install()
    visit.go()
    answer(visit, "**/latest.json")
    visit.page.clock.fast_forward(61_000)
    visit.page.wait_for_selector(".notices .error")
    assert "連線中斷" in visit.text(".notices")
    assert visit.text(".map h2 b") == "08-12 18:00 (10Z)"
    visit.page.unroute("**/latest.json")
    visit.page.clock.fast_forward(61_000)
    visit.page.wait_for_selector(".notices .error", state="detached")
    visit.complaints.clear()


@pytest.mark.parametrize(
    ("pattern", "body", "status", "sentence"),
    [
        ("**/latest.json", "{", 200, "latest.json"),
        ("**/maps/fields.json", "not here", 404, "HTTP 404"),
        ("**/tp01_lpmm/c/0/0/0", "short", 200, "tp01_lpmm"),
    ],
)
def test_a_broken_file_is_a_sentence_and_no_map(visit: Visit, pattern: str, body: str, status: int, sentence: str):
    answer(visit, pattern, status, body)
    visit.page.goto(f"{visit.address}?now=2026-08-12T09:20Z")
    visit.page.wait_for_selector(".notices .error")
    assert sentence in visit.text(".notices")
    assert visit.page.locator(".map h2 b").count() == 0
    visit.complaints.clear()


def test_a_new_run_is_offered_while_somebody_works_and_a_broken_one_never_shown(visit: Visit, published: Path):
    visit.page.clock.install()
    visit.go()
    entry = json.loads((published / "demo/latest.json").read_text())
    later = entry | {"init_time": "2026-08-12T12:00:00Z", "manifest": f"20260812T12Z/{entry['run']}/manifest.json"}
    answer(visit, "**/latest.json", body=json.dumps(later))
    visit.page.keyboard.press("ArrowRight")
    visit.page.clock.fast_forward(59_000)
    visit.page.keyboard.press("ArrowRight")
    visit.page.clock.fast_forward(2_000)
    visit.page.wait_for_selector(".notices .info")
    assert "2026-08-12T12" in visit.text(".notices")
    assert CYCLE[6:8] in visit.text(".map h2 b")
    before = visit.text(".map h2")
    visit.page.click(".notices button")
    visit.page.wait_for_selector(".notices .error")
    assert "仍顯示前一份" in visit.text(".notices")
    assert visit.text(".map h2") == before
    visit.complaints.clear()


@pytest.mark.parametrize("visit", [(1600, 900), PHONE], indirect=True)
@pytest.mark.parametrize("query", ["&zone=10015110", "&lang=en&theme=light&f=tp01&s=nprob&thr=40"])
def test_axe_finds_nothing(visit: Visit, query: str):
    visit.go(query)
    if "zone" in query:
        visit.page.wait_for_selector(".plume.rain")
    visit.page.evaluate(AXE.read_text())
    found = visit.page.evaluate("async () => (await axe.run()).violations.map(v => [v.id, v.nodes[0].html])")
    assert found == []


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
def test_a_phone_shows_map_and_sheet_without_sideways_scrolling(visit: Visit):
    visit.go()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    height = visit.page.locator(".map").bounding_box()["height"]
    assert height >= 0.35 * PHONE[1]
    assert visit.page.locator("tr.county").first.is_visible()
    visit.page.click(".tabs button >> nth=1")
    assert visit.page.locator("#search").is_visible()
    assert not visit.page.locator("tr.county").first.is_visible()
    visit.page.click(".tabs button >> nth=2")
    assert not visit.page.locator(".map").is_visible()
