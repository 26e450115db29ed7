"""Real servers on loopback, each a process that ends with its test session."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

KEY, SECRET = "LONGTESTKEY0001", "LONGTESTSECRET0000001"
_BUCKETS = count(1)


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
    command = [rclone, "serve", "s3", "--auth-key", f"{KEY},{SECRET}", "--addr", f"127.0.0.1:{port}", str(folder)]
    with running(command, port) as process:
        yield S3Server(f"http://127.0.0.1:{port}", process, folder)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(
    command: list[str], port: int | None, environment: Mapping[str, str] | None = None, seconds: float = 60
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
