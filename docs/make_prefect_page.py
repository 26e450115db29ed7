"""Run one demo cycle against a real Prefect server on loopback and photograph its page.

    .venv/bin/python docs/make_prefect_page.py docs/prefect

Writes run.png, inputs.png and products.png. Needs Chromium (`CHROMIUM`, by default /usr/bin/chromium).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CYCLE = "20260611T06Z"
BIN = Path(sys.executable).parent


@contextlib.contextmanager
def prefect_server(environment: dict[str, str]) -> Iterator[str]:
    """Run a server of our own on a free port, stopped by process id; yields the address of its API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = environment | {"PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api"}
    command = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2)
                break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def ask(api: str, what: str, **filters: object) -> dict[str, str]:
    """Return the newest of what the server knows."""
    data = json.dumps({"limit": 1, **filters}).encode()
    request = urllib.request.Request(f"{api}/{what}/filter", data, {"Content-Type": "application/json"})
    answer: list[dict[str, str]] = json.load(urllib.request.urlopen(request, timeout=10))
    return answer[0]


def photograph(page: Page, api: str, folder: Path) -> None:
    """Save the newest run's page, and its tables of inputs and products."""
    root, run = api.removesuffix("/api"), ask(api, "flow_runs", sort="START_TIME_DESC")["id"]
    pages = {"run": f"runs/flow-run/{run}"}
    for name in ("inputs", "products"):
        key = f"{name}-{CYCLE.lower()}"
        pages[name] = f"artifacts/artifact/{ask(api, 'artifacts', artifacts={'key': {'any_': [key]}})['id']}"
    for name, path in pages.items():
        page.goto(f"{root}/{path}", wait_until="networkidle")
        page.wait_for_timeout(4000)
        page.screenshot(path=folder / f"{name}.png")


def main(folder: Path) -> None:
    """Simulate, forecast, photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        roots = {f"STORMCAST_TW_{n}_ROOT": f"{home}/{n.lower()}" for n in ("INPUTS", "WORK", "PUBLISHED")}
        environment = os.environ | roots | {
            "PREFECT_HOME": f"{home}/prefect", "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }  # fmt: skip
        with prefect_server(environment) as api:
            environment["PREFECT_API_URL"] = api
            for verb in ("simulate", "forecast"):
                subprocess.run([BIN / "stormcast-tw", verb, "--cycle", CYCLE], env=environment, check=True)
            time.sleep(5)
            with sync_playwright() as driver:
                browser = driver.chromium.launch(
                    executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
                    args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
                )
                page = browser.new_page(viewport={"width": 1500, "height": 1000})
                photograph(page, api, folder)
                browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
