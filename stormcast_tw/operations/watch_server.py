"""`/health` and `/metrics` for probes and Prometheus: two addresses, no files, nothing that a request could change.

At most MOST_AT_ONCE requests are served at a time, and the store is asked at most once in KEPT_SECONDS.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stormcast_tw.errors import StormcastError
from stormcast_tw.operations.logs import masked
from stormcast_tw.operations.watch import Watched, metrics

KEPT_SECONDS = 5.0
"""How long an answer is given again; Prometheus asks every 15 s or more."""
PATIENCE_SECONDS = 5.0
"""A client that sends or takes nothing for this long is left."""
MOST_AT_ONCE = 16
"""Connections beyond these are closed unanswered: a prober and a Prometheus need two."""
_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"

_Answer = tuple[HTTPStatus, str, str]
"""Status, content type, text."""


class WatchServer(ThreadingHTTPServer):
    """Answers what `look` sees; an error of it is the answer 503, in one line without secrets."""

    request_queue_size = 2 * MOST_AT_ONCE

    def __init__(self, address: str, port: int, look: Callable[[], Watched]) -> None:
        super().__init__((address, port), _Handler)
        self._look, self._looking = look, threading.Lock()
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._answers: dict[str, _Answer] = {}
        self._until = 0.0

    def answers(self) -> dict[str, _Answer]:
        """Return the answer at each path, looked up again where the last one is old."""
        with self._looking:
            if time.monotonic() >= self._until:
                self._answers = self._looked()
                self._until = time.monotonic() + KEPT_SECONDS
            return self._answers

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Serve a connection in a thread of its own, or close it where too many are being served."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Serve a connection, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Say nothing of a client that has gone."""

    def _looked(self) -> dict[str, _Answer]:
        try:
            seen = self._look()
        except (StormcastError, OSError) as error:
            line = masked(f"{type(error).__name__}: {error}\n")
            return dict.fromkeys(("/health", "/metrics"), (HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, line))
        health = HTTPStatus.OK if seen.fine else HTTPStatus.SERVICE_UNAVAILABLE
        return {"/health": (health, _TEXT, f"{seen.text}\n"), "/metrics": (HTTPStatus.OK, _METRICS, metrics(seen))}


class _Handler(BaseHTTPRequestHandler):
    server: WatchServer
    timeout = PATIENCE_SECONDS
    server_version, sys_version = "stormcast-tw", ""

    def do_GET(self) -> None:
        self._answer(with_text=True)

    def do_HEAD(self) -> None:
        self._answer(with_text=False)

    def _answer(self, with_text: bool) -> None:
        missing: _Answer = (HTTPStatus.NOT_FOUND, _TEXT, "allowed: /health, /metrics\n")
        status, content_type, text = self.server.answers().get(self.path.partition("?")[0], missing)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_text:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a probe every few seconds would fill the log."""


def serve(address: str, port: int, look: Callable[[], Watched], say: Callable[[str], None]) -> None:
    """Answer until the process ends; port 0 takes any that is free. Raises OSError where the port is taken."""
    with WatchServer(address, port, look) as server:
        say(f"http://{address}:{server.server_port}/health and /metrics answer until Ctrl-C")
        server.serve_forever()
