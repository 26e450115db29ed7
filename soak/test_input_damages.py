"""The whole table of damages that no format shows: `make soak`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stormcast_tw.settings import settings
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


CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"


def test_the_damages_beside_the_repository(
    simulated_inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
):
    if not CASES.is_dir():
        pytest.skip("no cases beside the repository")
    monkeypatch.syspath_prepend(str(CASES))
    import damages

    wrong = []
    for number, (name, damage) in enumerate(damages.DAMAGES.items()):
        root = tmp_path / str(number)
        shutil.copytree(simulated_inputs, root)
        damage.do(root)
        monkeypatch.setenv("STORMCAST_TW_INPUTS_ROOT", str(root))
        settings.cache_clear()
        verdict, said = outcome(gathered())
        if verdict != damage.verdict and (verdict, damage.verdict) != ("refused", "noticed"):
            wrong.append(f"{name}: {verdict} instead of {damage.verdict}: {said}")
    record_property("said", f"{len(damages.DAMAGES) - len(wrong)} of {len(damages.DAMAGES)} as they should")
    assert not wrong
