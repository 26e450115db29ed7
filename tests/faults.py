"""An S3 store that fails on request: a proxy on loopback before a real server, with one fault at a time."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["403", "404", "500", "503", "reset", "stall", "stall in body", "half", "etag"]
"""What the store does instead of answering.

403, 404, 500, 503: S3's error documents. reset: the connection, before any answer. stall: nothing is sent, before the
answer or after half of the body. half: the connection is closed after half of the body. etag: the answer is whole, its
ETag is another, as of an object overwritten meanwhile in a store that ignores If-Match.
"""

_CODES = {"403": "AccessDenied", "404": "NoSuchKey", "500": "InternalError", "503": "SlowDown"}
_HOP_BY_HOP = ("connection", "transfer-encoding", "keep-alive", "content-length", "server", "date")


@dataclass
class FaultServer:
    """The proxy: its endpoint, the fault it has now, and what it was asked and gave.

    `fault` is for requests of the methods in `methods` whose path contains `path`, after the next `spared` of them, and
    for no more than `times` of them.
    """

    endpoint: str
    fault: Fault | None = None
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    path: str = ""
    spared: int = 0
    times: int | None = None
    requests: list[tuple[str, str]] = field(default_factory=list)
    bytes_served: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, method: str, path: str) -> Fault | None:
        """Note a request and return the fault that it meets."""
        with self._lock:
            self.requests.append((method, path))
            if self.fault is None or method not in self.methods or self.path not in path:
                return None
            if self.spared:
                self.spared -= 1
                return None
            if self.times is not None:
                self.times -= 1
                return self.fault if self.times >= 0 else None
            return self.fault

    def gave(self, count: int) -> None:
        """Note bytes of a body that was sent."""
        with self._lock:
            self.bytes_served += count

    def count(self, method: str) -> int:
        """Return how many requests of a method there were."""
        return sum(asked == method for asked, _ in self.requests)


@contextlib.contextmanager
def fault_server(upstream_endpoint: str) -> Iterator[FaultServer]:
    """Serve what the S3 server at `upstream_endpoint` serves, but for the faults that the test sets."""
    upstream = urlsplit(upstream_endpoint)
    assert upstream.hostname
    assert upstream.port
    there = (upstream.hostname, upstream.port)

    class Handler(_Handler):
        proxy = FaultServer("")
        upstream = there

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Handler.proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield Handler.proxy
        finally:
            Handler.proxy.closing.set()
            server.shutdown()
            thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultServer
    upstream: tuple[str, int]
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.asked(self.command, self.path)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            socket.close(self.connection.detach())  # with nothing lingering: RST, not FIN
        elif fault == "stall":
            self._wait()
        elif fault in _CODES:
            code = _CODES[fault]
            document = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a fault of the test</Message></Error>"
            self._send(int(fault), {"Content-Type": "application/xml"}, document.encode(), None)
        else:
            self._send(*self._ask_upstream(sent), fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

    def _ask_upstream(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.upstream, timeout=60)
        try:
            connection.request(self.command, self.path, sent, dict(self.headers.items()))
            answer = connection.getresponse()
            headers = dict(answer.getheaders())
            body = answer.read()
            if self.command == "HEAD":
                self._length = answer.getheader("Content-Length", "0")
            return answer.status, headers, body
        finally:
            connection.close()

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None) -> None:
        if fault == "etag" and "ETag" in headers:
            headers["ETag"] = '"0123456789abcdef0123456789abcdef"'
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        length = getattr(self, "_length", "0") if self.command == "HEAD" and status < 300 else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command == "HEAD":
            return
        part = body[: len(body) // 2] if fault in ("half", "stall in body") else body
        self.wfile.write(part)
        self.wfile.flush()
        self.proxy.gave(len(part))
        if fault == "half":
            self._end()
        elif fault == "stall in body":
            self._wait()

    def _wait(self) -> None:
        self.proxy.closing.wait(120)
        self._end()

    def _end(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the client went away, or we did
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        pass
