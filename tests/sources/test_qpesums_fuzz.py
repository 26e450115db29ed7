"""A few hundred cases of every loop of soak/fuzz_qpesums.py, and that the loop would notice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from stormcast_tw.sources import numbers_in_text

SCRIPT = Path(__file__).resolve().parents[2] / "soak" / "fuzz_qpesums.py"


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_qpesums", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["binary-loop", "text", "json", "xml"])
def test_damaged_input_is_read_or_refused_in_one_line(kind: str, fuzz: ModuleType, tmp_path: Path):
    outcome = fuzz.run(kind, 400, 3, tmp_path)
    assert outcome.found == []
    assert outcome.results["BadInput"] > 200
    assert outcome.results["read"] > 5


def test_the_loop_finds_what_is_not_bad_input(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(numbers_in_text, "_first_bad", lambda plain: plain.index("never"))
    outcome = fuzz.run("json", 400, 3, tmp_path)
    assert any("ValueError('substring not found')" in line for line in outcome.found)
    assert list(tmp_path.iterdir())
