"""The whole table of bad inputs, S3 faults and a full disk: `make soak`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.bad_inputs import ROWS
from tests.flows.conftest import *  # noqa: F403  one server and the simulated inputs
from tests.flows.test_bad_inputs import require


@pytest.mark.parametrize("name", ROWS)
def test_every_row(
    name: str,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
):
    record_property("said", require(name, inputs, tmp_path, monkeypatch, capsys))
