"""The whole table of damages that no format shows: `make soak`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.conftest import *  # noqa: F403  one server and the simulated inputs
from tests.flows.test_input_damages import gathered, outcome, require
from tests.inputs.damages import DAMAGES, UNSEEN


@pytest.mark.parametrize("name", DAMAGES)
def test_every_row(name: str, inputs: Path, record_property: Callable[[str, object], None]):
    DAMAGES[name].do(inputs)
    record_property("said", require(name))


@pytest.mark.parametrize("name", UNSEEN)
def test_what_no_check_sees(name: str, inputs: Path):
    UNSEEN[name](inputs)
    assert outcome(gathered()) == ("right", "")
