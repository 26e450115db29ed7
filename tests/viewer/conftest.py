"""The page as it is served: built once, beside a published folder made of the simulated world, in real Chromium."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.servers import require

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
CYCLE = "20260812T06Z"
MEMBERS = 4
NOW = "2026-08-12T09:20Z"
"""Three hours after the cycle: an hour at which its run is current."""


def script(path: str) -> ModuleType:
    """Import a script of the repository that is in no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published folder with one run, and the page in `site`."""
    require(CHROMIUM, "Chromium", "apt-get install chromium")
    require(importlib.util.find_spec("playwright"), "playwright", "pip install playwright")
    build = script("infra/build_page.py")
    try:
        build.build()
    except build.NotBuilt as error:
        require(False, f"the page ({error})", build.HOW)
    folder = tmp_path_factory.mktemp("published")
    build.put(folder / "site")
    made = script("viewer/tests/make_published.py")
    cycle = made.Cycle.parse(CYCLE)
    made.pointers(folder, [made.publish(folder, cycle, MEMBERS, "degraded")])
    return folder


@pytest.fixture(scope="session")
def address(published: Path) -> Iterator[str]:
    """The address of the page, on loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(published))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/site/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@dataclass
class Visit:
    """A page that is looked at, and what it asked for and complained of."""

    page: Any
    address: str
    requests: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, query: str = "") -> Visit:
        """Open the page at an hour at which its run is current, and wait for its first map."""
        self.page.goto(f"{self.address}?now={NOW}{query}")
        self.page.wait_for_selector(".map h2 b")
        return self

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))


@pytest.fixture
def visit(published: Path, address: str, browser: Any, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A fresh page; the test fails if it complains, or asks anything of anybody else.

    A test that breaks something on purpose is marked by the fixture's parameter "broken".
    """
    size = getattr(request, "param", (1600, 900))
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, accept_downloads=True)
    made = Visit(context.new_page(), address)
    origin = address.removesuffix("site/")

    def pass_on(route: Any) -> None:
        url = route.request.url
        if url.startswith((origin, "blob:", "data:")):
            made.requests.append(url)
            route.continue_()
        else:
            made.elsewhere.append(url)
            route.abort()

    context.route("**/*", pass_on)
    made.page.on("console", lambda said: made.complaints.append(said.text) if said.type == "error" else None)
    made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
    yield made
    context.close()
    assert made.elsewhere == []
    assert made.complaints == []
