"""The page and the published tree on one address: what browsers keep, what they ask for each time, what is hidden."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from stormcast_tw.errors import NotReady
from stormcast_tw.operations.page_server import install_page, page_server


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    run = tmp_path / "demo/20260611T06Z/0123456789ab"
    for path in (run / "zones.json", tmp_path / "demo/latest.json", tmp_path / "site/index.html"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    server = page_server(tmp_path, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_runs_are_kept_for_ever_and_pointers_are_asked_for_each_time(address: str):
    for path, cached in (
        ("/demo/20260611T06Z/0123456789ab/zones.json", "public, max-age=31536000, immutable"),
        ("/demo/latest.json", "no-cache"),
        ("/site/", "no-cache"),
        ("/", "no-cache"),
    ):
        with urllib.request.urlopen(address + path, timeout=30) as answer:
            assert answer.headers["Cache-Control"] == cached, path
            assert "unsafe-eval" not in answer.headers["Content-Security-Policy"]
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.url.endswith("/site/")
    for path in ("/demo/", "/../etc/passwd", "/demo/nothing.json"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address + path, timeout=30)


def test_without_a_page_one_line_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stormcast_tw.operations.page_server.BUILT", tmp_path / "site")
    with pytest.raises(NotReady, match="the page is not built: `make page` does that"):
        install_page(tmp_path / "published")
