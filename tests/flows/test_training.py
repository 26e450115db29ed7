"""A training that Prefect watches: its package, and the event of one that is ill."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

from stormcast_tw.errors import Refused
from stormcast_tw.flows.training import training
from stormcast_tw.operations.events import Event
from stormcast_tw.tasks import training as training_tasks

TRAINER = """
import json, pathlib, sys, time
output = pathlib.Path(sys.argv[sys.argv.index("--output") + 1])
output.mkdir(parents=True)
(output / "log.jsonl").write_text(json.dumps({"stage": "diffusion", "update": 20, "loss": 0.5}) + "\\n")
time.sleep(1.5)
"""


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A program that writes what a training writes, in the place of torchrun."""
    program = tmp_path / "trainer.py"

    def behave(more: str) -> None:
        program.write_text(TRAINER + textwrap.dedent(more))
        popen = training_tasks.subprocess.Popen
        monkeypatch.setattr(training_tasks, "SECONDS_BETWEEN_LOOKS", 0.2)
        monkeypatch.setattr(
            training_tasks.subprocess,
            "Popen",
            lambda command, **how: popen([sys.executable, program, *command], **how),
        )

    return behave


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Event, str, dict]]:
    found: list[tuple[Event, str, dict]] = []
    monkeypatch.setattr(
        training_tasks,
        "emit_training_event",
        lambda event, run, **payload: found.append((event, run, payload)),
    )
    return found


def test_a_training_that_ends_gives_its_package(trainer, emitted, tmp_path: Path):
    trainer("")
    assert training("rehearsal", tmp_path / "run") == tmp_path / "run/package"
    assert emitted == []


def test_an_ill_training_is_an_event_and_a_failure(trainer, emitted, tmp_path: Path):
    record = json.dumps({"event": "training.ill", "what": "nan", "text": "update 20: 20 gradients were not finite"})
    trainer(f"(output / 'ill.json').write_text({record!r}); sys.exit(1)")
    with pytest.raises(Refused, match=r"run: training.ill, nan: update 20: 20 gradients were not finite"):
        training("rehearsal", tmp_path / "run")
    event, run, payload = emitted[0]
    assert (event, run, payload["what"]) == (Event.TRAINING_ILL, "run", "nan")
    assert payload["text"] == f"{tmp_path}/run: update 20: 20 gradients were not finite"


def test_a_training_that_ends_otherwise_says_what_it_said_last(trainer, emitted, tmp_path: Path):
    trainer("print('no data here'); sys.exit(4)")
    with pytest.raises(Refused, match=r"(?s)ended with status 4; run the same flow to resume.*no data here"):
        training("rehearsal", tmp_path / "run")
    with pytest.raises(Refused, match="recipe 'rehersal' is not one of rehearsal, demo"):
        training("rehersal", tmp_path / "run")
    assert emitted == []
