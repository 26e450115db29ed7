"""The tools that check files of infra/, and compose's settings as compose itself reads them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers import require

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
SECRETS = {
    "SITE": "localhost",
    "POSTGRES_PASSWORD": "planted1database",
    "PREFECT_AUTH": "operator:planted2page",
    "OWNER_SECRET": "planted3owner",
    "STORE_SECRET": "planted4publisher",
    "READER_SECRET": "planted5reader",
}
"""What a site fills in in env.example."""


def tool(name: str) -> str:
    """Return the path of a tool beside this Python or on the PATH; without it the test is skipped."""
    found = shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    require(found, name, "make test")
    assert found
    return found


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what it says, standard error included."""
    return subprocess.run(
        [tool(str(command[0])), *map(str, command[1:])],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )


def compose(folder: Path, *files: str, **values: str) -> dict[str, Any]:
    """Return compose's settings with every profile, after its own reading, checking and filling in."""
    env = folder / "env"
    env.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    named = [word for file in files or ("compose.yaml",) for word in ("--file", INFRA / file)]
    done = run("docker-compose", "--env-file", env, *named, "--profile", "*", "config", "--format", "json")
    assert done.returncode == 0, done.stdout
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def image_environment() -> dict[str, str]:
    """Return the variables that the Dockerfile sets in its last stage, PATH aside."""
    last = (INFRA / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    stated = re.search(r"^ENV (.*?[^\\])$", last, re.MULTILINE | re.DOTALL)
    assert stated
    pairs = (word.split("=", 1) for word in stated[1].replace("\\\n", " ").split())
    return {name: value for name, value in pairs if name != "PATH"}
