"""What the guide says of training, run as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = "## Every step in a few minutes"
HANGING_SECONDS = 1800.0
"""What has not ended after so long hangs, even on a busy machine."""


def commands() -> list[str]:
    text = (ROOT / "docs" / "guide" / "train.md").read_text()
    block = re.search(r"```sh\n(.*?)```", text[text.index(SECTION) :], re.DOTALL)
    assert block
    return block[1].splitlines()


@pytest.mark.timeout(4 * HANGING_SECONDS)
def test_an_archive_becomes_a_package_that_forecasts(tmp_path: Path, prefect_server: str):
    roots = {f"STORMCAST_TW_{name}_ROOT": str(tmp_path / name.lower()) for name in ("INPUTS", "WORK", "PUBLISHED")}
    environment = os.environ | roots | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STORMCAST_TW_PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": prefect_server,
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    written = commands()
    assert [words.split()[-1 if "=" in words else 1] for words in written[:3]] == ["simulate", "prepare", "train"]
    for command in written:
        how = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True, "timeout": HANGING_SECONDS}
        done = subprocess.run(command, shell=True, check=False, **how)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "distributed." not in done.stderr + done.stdout, "Dask's own log"
    package = tmp_path / "runs/rehearsal/package"
    described = json.loads((package / "package.json").read_text())
    assert (described["name"], described["trained"], described["simulated"]) == ("rehearsal", True, True)
    assert "SIMULATED weather" in (package / "README.md").read_text()
    manifest = json.loads(
        next((tmp_path / "published").glob("published/demo/20260611T06Z/*/manifest.json")).read_text()
    )
    assert manifest["details"]["package"]["name"] == "rehearsal"
    assert manifest["trained"]
    assert manifest["details"]["seconds_per_member_hour"] > 0
