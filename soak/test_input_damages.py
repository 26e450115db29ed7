"""The whole table of damages that no format shows: `make soak`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stormcast_tw.settings import settings
from stormcast_tw.simulation.cycle import simulate_cycle
from tests.conftest import CYCLE
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


@pytest.mark.timeout(3600)
def test_the_damages_beside_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
):
    if not CASES.is_dir():
        pytest.skip("no cases beside the repository")
    monkeypatch.syspath_prepend(str(CASES))
    import damages

    sound, wrong = tmp_path / "sound", []
    simulate_cycle(CYCLE, str(sound))
    for number, (name, damage) in enumerate(damages.DAMAGES.items()):
        root = tmp_path / str(number)
        shutil.copytree(sound, root)
        damage.do(root)
        monkeypatch.setenv("STORMCAST_TW_INPUTS_ROOT", str(root))
        settings.cache_clear()
        verdict, said = outcome(gathered(lead_hours=12))
        if verdict != damage.verdict and (verdict, damage.verdict) != ("refused", "noticed"):
            wrong.append(f"{name}: {verdict} instead of {damage.verdict}: {said}")
    record_property("said", f"{len(damages.DAMAGES) - len(wrong)} of {len(damages.DAMAGES)} as they should")
    assert not wrong
