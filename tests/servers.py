"""Real servers on loopback, each a process that ends with its test session."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

KEY, SECRET = "LONGTESTKEY0001", "LONGTESTSECRET0000001"
_BUCKETS = count(1)


def require(found: object, what: str, cure: str) -> None:
    """Skip the test where something that it needs is not installed, saying the cure; under CI that is a failure."""
    if not found:
        text = f"not tried: {what} is not installed ({cure})"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)


@dataclass
class S3Server:
    """An S3 server: its endpoint, and buckets made on request."""

    endpoint: str
    process: subprocess.Popen[bytes]
    folder: Path | None = None
    made: list[str] = field(default_factory=list)

    def bucket(self) -> str:
        """Make a new bucket and return its s3:// root."""
        import boto3

        name = f"bucket-{next(_BUCKETS)}"
        if self.folder is not None:
            (self.folder / name).mkdir()
        else:
            client = boto3.client(
                "s3",
                endpoint_url=self.endpoint,
                aws_access_key_id=KEY,
                aws_secret_access_key=SECRET,
                region_name="us-east-1",
            )
            client.create_bucket(Bucket=name)
        self.made.append(name)
        return f"s3://{name}/root"


@contextlib.contextmanager
def moto_server() -> Iterator[S3Server]:
    """An S3 server that honours conditional requests."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port) as process:
        yield S3Server(f"http://127.0.0.1:{port}", process)


@contextlib.contextmanager
def rclone_server(folder: Path) -> Iterator[S3Server]:
    """An S3 server over a folder that ignores conditional requests."""
    port = free_port()
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent))
    assert rclone, "rclone is not installed in the environment of the tests"
    command = [
        rclone,
        "serve",
        "s3",
        "--auth-key",
        f"{KEY},{SECRET}",
        "--addr",
        f"127.0.0.1:{port}",
        "--dir-cache-time",
        "100ms",
    ]
    command.append(str(folder))
    with running(command, port) as process:
        yield S3Server(f"http://127.0.0.1:{port}", process, folder)


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """A PostgreSQL server with an empty database; yields its address for Prefect. Never runs as root."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    require(programs, "PostgreSQL", "apt-get install postgresql")
    port, data = free_port(), folder / "data"
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        for above in folder.parents[:3]:
            above.chmod(above.stat().st_mode | 0o011)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    make = [*as_user, str(programs[-1] / "initdb"), "-D", str(data), "-U", "prefect", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, timeout=600, stdout=subprocess.DEVNULL, cwd="/")
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    command = [*as_user, str(programs[-1] / "postgres"), "-D", str(data), "-p", str(port), *options]
    with running(command, port):
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def webhook_receiver() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A webhook: its address, and the JSON bodies it has received so far."""
    received: list[dict[str, str]] = []

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/alarm", received
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(
    command: list[str], port: int | None, environment: Mapping[str, str] | None = None, seconds: float = 300
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in a group of its own until the block ends; with a port, wait until it answers there."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + seconds
        while port is not None:
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer within {seconds:g} s"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.1)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
