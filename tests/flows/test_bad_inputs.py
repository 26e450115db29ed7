"""Bad inputs through the command line: one clear line, the exit code, and what is published left as it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from stormcast_tw.cli.__main__ import run as main
from tests.conftest import CYCLE
from tests.flows.bad_inputs import KINDS, ROWS

pytestmark = pytest.mark.usefixtures("rollout_here")


def forecast(monkeypatch: pytest.MonkeyPatch, cycle: str = str(CYCLE)) -> int:
    arguments = ["forecast", "--cycle", cycle, "--lead-hours", "1", "--members", "1", "--no-wait"]
    monkeypatch.setattr(sys, "argv", ["stormcast-tw", *arguments])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", KINDS)
def test_one_of_each_kind(
    name: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    require(name, inputs, tmp_path, monkeypatch, capsys)


def require(
    name: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Damage the inputs as the row says, forecast, hold the outcome to the row, and return what was said."""
    row = ROWS[name]
    before = publish_something(tmp_path / "published")
    row.damage(inputs)
    code = forecast(monkeypatch)
    printed = capsys.readouterr()
    assert code == row.code, printed.err[-3000:]
    if code == 3:
        said = next(line for line in printed.out.splitlines() if "DEGRADED: rain" in line)
    else:
        said = printed.err.splitlines()[-1]
        assert re.match(r"(BadInput|NotReady|UnusableInput|Refused|Unreachable): ", said)
    assert re.search(row.line, said), said
    after = contents(tmp_path / "published")
    assert {path: after[path] for path in before} == before, "what was published stays"
    if code != 3:
        assert after == before
    return f"exit {code}: {said.strip()}"


def publish_something(folder: Path) -> dict[Path, bytes]:
    """Stand-in for an earlier cycle's files, and the pointer to it."""
    earlier = folder / "published/demo/20260611T00Z/0123456789ab/manifest.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("{}")
    return contents(folder)


def test_the_base_of_the_table_is_sound(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    publish_something(tmp_path / "published")
    assert forecast(monkeypatch) == 0
    assert set(KINDS) <= set(ROWS)
