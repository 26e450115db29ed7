"""Two gloo processes, a sample at a time, are one process of the same global batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stormcast_tw.model import package as packages
from stormcast_tw.training import log
from stormcast_tw.training.processes import Team
from stormcast_tw.training.run import RESIDUAL, Result, carry_out
from stormcast_tw.training_data.reader import TrainingData
from tests.training.small_training import EVERY, NOW, small

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.training.run import carry_out
from tests.training.small_training import EVERY, NOW, UNHURRIED, small
one = EVERY.model_copy(update={"at_once": 1})
carry_out(small(), TrainingData.open(sys.argv[1]), Path(sys.argv[2]), one, NOW, limits=UNHURRIED)
"""


def run_two(data: TrainingData, folder: Path) -> None:
    program = folder.parent / "two.py"
    program.write_text(PROGRAM)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(program)]
    command = [sys.executable, *launcher, data.artifact.uri, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.timeout(1200)
def test_two_processes_equal_one_of_the_same_batch(data: TrainingData, tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    carry_out(small(), data, one, EVERY, NOW)
    run_two(data, two)
    alone, together = ([line for line in log.read(folder / log.LOG) if "loss" in line] for folder in (one, two))
    assert [(a["stage"], a["update"]) for a in together] == [(a["stage"], a["update"]) for a in alone]
    for a, b in zip(alone, together, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-5)
        assert b["by_variable"] == pytest.approx(a["by_variable"], rel=1e-5)
        assert list(b["by_sigma"]) == list(a["by_sigma"])
    results = [Result.model_validate_json((folder / "result.json").read_text()) for folder in (one, two)]
    assert results[1].residual_std == pytest.approx(results[0].residual_std, rel=1e-5)
    assert (two / RESIDUAL).exists()
    assert results[0].scores is not None
    assert results[1].scores is not None
    assert results[1].scores.skill == pytest.approx(results[0].scores.skill, rel=1e-4)
    ours, theirs = (packages.load(folder / "package").networks for folder in (one, two))
    for role, network in ours.items():
        for name, value in network.state_dict().items():
            torch.testing.assert_close(
                theirs[role].state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=f"{role} {name}"
            )


def test_one_process_is_a_team():
    team = Team(0, 1, torch.device("cpu"))
    assert team.is_main
    assert team.total(torch.tensor([1.5, 2.0])).tolist() == [1.5, 2.0]
    assert team.any(True)
    assert not team.any(False)
