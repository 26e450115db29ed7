"""compose's services as processes: addresses and folders are this machine's, all else is compose's and the image's."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.infra.tools import INFRA, ROOT, SECRETS, image_environment, tool
from tests.servers import running

SECONDS = 300.0
"""What has not come after so long never comes, even on a busy machine."""
ENTRY_POINTS = {"store": ["weed"]}
PORTS = ("server", "store", "page", "public_store", "health")


@dataclass
class System:
    """compose's settings with this machine's addresses and a folder for each volume."""

    folder: Path
    settings: dict[str, Any]
    ports: dict[str, int]

    def environment(self, service: str) -> dict[str, str]:
        """What compose and the image set for a service, and nothing of the caller's."""
        of_image = {name: self.here(value) for name, value in image_environment().items()}
        stated = self.settings["services"][service].get("environment", {})
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        ours = {"PATH": path, "HOME": str(self.folder), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        port = {"PREFECT_WORKER_WEBSERVER_PORT": str(self.ports["health"])}
        return of_image | {name: str(value) for name, value in stated.items()} | ours | port

    def here(self, text: str) -> str:
        """Replace what lies elsewhere on this machine."""
        for there, here in (
            ("server:4200", f"127.0.0.1:{self.ports['server']}"),
            ("127.0.0.1:4200", f"127.0.0.1:{self.ports['server']}"),
            ('"4200"', f'"{self.ports["server"]}"'),
            ("127.0.0.1:8080", f"127.0.0.1:{self.ports['health']}"),
            ("127.0.0.1:8333", f"127.0.0.1:{self.ports['store']}"),
            ("store:8333", f"127.0.0.1:{self.ports['store']}"),
            ("0.0.0.0", "127.0.0.1"),
            ("-dir=/data", f"-dir={self.folder}/store"),
            ("/etc/identities.json", f"{self.folder}/identities.json"),
            ("/var/lib/stormcast-tw", f"{self.folder}/home"),
            ("/data/", f"{self.folder}/data/"),
        ):
            text = text.replace(there, here)
        return text

    def command(self, service: str) -> list[str]:
        """What the service's image would start: the store's adds the program."""
        first, *rest = [*ENTRY_POINTS.get(service, ()), *self.settings["services"][service]["command"]]
        return [tool(first), *rest]

    @contextlib.contextmanager
    def up(self, service: str, port: str | None, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a service until the block ends; with a port, wait until it answers there."""
        number = None if port is None else self.ports[port]
        with running([*self.command(service), *more], number, self.environment(service), seconds=SECONDS) as process:
            yield process

    def once(self, service: str) -> None:
        """Run a service to its end."""
        environment, folder = self.environment(service), self.folder / "home"
        done = subprocess.run(
            self.command(service),
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr

    def healthy(self, service: str) -> bool:
        """Ask as the image's own health check asks."""
        asked = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])$", (INFRA / "Dockerfile").read_text(), re.DOTALL | re.MULTILINE)
        assert asked
        command = [sys.executable, *json.loads(asked[1])[1:]]
        done = subprocess.run(
            command, env=self.environment(service), stderr=subprocess.DEVNULL, check=False, timeout=60
        )
        return done.returncode == 0

    @property
    def authority(self) -> Path:
        """The certificate of the proxy's own authority."""
        return self.folder / "caddy/pki/authorities/local/root.crt"

    def trust(self) -> ssl.SSLContext:
        """Trust the proxy's own authority, and no other."""
        return ssl.create_default_context(cafile=str(self.authority))

    def ask(self, path: str, body: dict[str, Any] | None = None, auth: str | None = None) -> tuple[int, bytes]:
        """Ask the server through the proxy; return status and answer."""
        headers = {"Content-Type": "application/json"}
        if auth:
            headers["Authorization"] = f"Basic {base64.b64encode(auth.encode()).decode()}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://localhost:{self.ports['page']}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60, context=self.trust()) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def answer(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask with the password of compose."""
        status, answer = self.ask(path, body, SECRETS["PREFECT_AUTH"])
        assert status in (200, 201), (path, status, answer)
        return json.loads(answer)


def wait_for(what: str, found: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS:g} s"
        time.sleep(0.5)
