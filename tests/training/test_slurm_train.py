"""The batch file on a real SLURM: submitted, signalled as before its time limit, queued again, finished."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import torch

from stormcast_tw.model import package as packages
from stormcast_tw.training import log as training_log
from stormcast_tw.training.run import RUN, carry_out
from tests.servers import free_port
from tests.training.slurm import slurm_cluster
from tests.training.small_training import EVERY, NET, NOW, STAGE, make_data, small

ROOT = Path(__file__).parents[2]
UPDATES = 40
HANGING_SECONDS = 600.0
"""What is not there after so long never comes, even on a busy machine."""
HOLD_SECONDS = 3
PROGRAM = """
import sys, time
from pathlib import Path
import torch
from stormcast_tw.errors import StormcastError
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.training.run import carry_out
from tests.training.small_training import EVERY, NOW, UNHURRIED
from tests.training.test_slurm_train import recipe

class Slow(TrainingData):
    def of(self, split):
        return Slow(self.artifact, split)
    def state(self, place, hours=1):
        time.sleep(0.05)
        return super().state(place, hours)

torch.set_num_threads(1)
try:
    slow = Slow(TrainingData.open(sys.argv[1]).artifact)
    carry_out(recipe(), slow, Path(sys.argv[2]), EVERY, NOW, limits=UNHURRIED)
except StormcastError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(error.exit_code)
"""


def recipe():
    stage = STAGE.model_copy(update={"updates": UPDATES})
    return small(networks={"regression": NET}, stages={"regression": stage})


def ask(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANGING_SECONDS, check=True)
    return done.stdout


def wait_for(what, log: Path):
    deadline = time.monotonic() + HANGING_SECONDS
    while not what():
        assert time.monotonic() < deadline, log.read_text()[-3000:] if log.exists() else "the job has not begun"
        time.sleep(0.3)


def begun_again(environment: dict[str, str], job: str) -> bool:
    """SLURM holds a job that was queued again for two minutes, from when its last process has gone: ask until it runs.

    A job whose processes are still going counts the restart already. In the second in which a job was queued again a
    node refuses to start it (its credential counts as the revoked one) and SLURM drops the job: three seconds later is
    soon enough. Where it has begun, or has ended, the update is refused.
    """
    shown = ask(environment, "scontrol", "show", "job", job)
    held = re.search(r"EligibleTime=(\d\S+)", shown)
    if "JobState=PENDING" in shown and held and _seconds_to(held[1]) > HOLD_SECONDS:
        hurry = ["scontrol", "update", f"jobid={job}", f"starttime=now+{HOLD_SECONDS}seconds"]
        subprocess.run(hurry, env=environment, capture_output=True, timeout=HANGING_SECONDS, check=False)
    return "Restarts=1" in shown and any(f"JobState={state}" in shown for state in ("RUNNING", "COMPLETED"))


def _seconds_to(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime.now()).total_seconds()


@pytest.mark.timeout(6 * HANGING_SECONDS)
def test_a_job_that_is_signalled_queues_itself_again_and_ends_as_if_it_was_not(tmp_path: Path):
    torch.set_num_threads(1)
    data = make_data(tmp_path / "data")
    program, run, log = tmp_path / "program.py", tmp_path / "run", tmp_path / "job.log"
    program.write_text(PROGRAM)
    with slurm_cluster(tmp_path / "slurm") as environment:
        chosen = {"BIN": str(Path(sys.executable).parent), "PROGRAM": str(program), "PORT": str(free_port())}
        mine = environment | chosen | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PROCESSES": "1"}
        submit = ["sbatch", "--parsable", f"--output={log}", str(ROOT / "infra/slurm/train.sbatch"), data.artifact.uri]
        job = ask(mine, *submit, str(run)).strip()
        wait_for(lambda: len(training_log.read(run / training_log.LOG)) >= 5, log)
        ask(environment, "scancel", "--batch", "--signal=USR1", job)
        wait_for(lambda: "queued again" in log.read_text(), log)
        wait_for(lambda: begun_again(environment, job), log)
        wait_for(lambda: (run / "package" / "package.json").exists(), log)
        wait_for(lambda: not ask(environment, "squeue", "--noheader", "--states=RUNNING,PENDING"), log)
    assert "Interrupted" in log.read_text()
    assert len(json.loads((run / RUN).read_text())["attempts"]) == 2
    whole = tmp_path / "whole"
    carry_out(recipe(), data, whole, EVERY, NOW)
    found, expected = ([line["loss"] for line in training_log.read(f / training_log.LOG)] for f in (run, whole))
    assert len(found) == UPDATES
    assert found == expected
    assert packages.describe(run / "package").files == packages.describe(whole / "package").files
