"""The rollout: the counting world, and kill -9 anywhere."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from stormcast_tw.errors import BadPackage, Conflict, Refused, StormcastError, Unreachable
from stormcast_tw.forecast.job import FORECAST, Progress, RolloutJob, address
from stormcast_tw.forecast.process import Patience, run_in_child
from stormcast_tw.forecast.rollout import carry_out, rollout
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.state import State
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.storage.store import Store
from stormcast_tw.variables import variable_set
from tests.conftest import CYCLE, rollout_job

ONE = variable_set("one", "t2m")


class Counting:
    """A model whose state is the number of hours run."""

    def step(self, state: State, before: State, after: State, noise: np.ndarray) -> State:
        assert before.valid_time == state.valid_time
        assert after.valid_time == state.valid_time + timedelta(hours=1)
        return State(state.values + 1, state.variables, after.valid_time)


def counted(lead: int) -> State:
    return State(torch.full((1, 1, 2, 2), float(lead)), ONE, CYCLE.valid_time(lead))


def test_counting_world():
    background = [counted(lead) for lead in range(13)]
    steps = list(rollout(Counting(), counted(0), background, lambda lead: np.zeros(0), range(1, 13)))
    assert [lead for lead, _ in steps] == list(range(1, 13))
    for lead, state in steps:
        assert float(state.values.mean()) == lead
        assert state.valid_time == CYCLE.valid_time(lead)


@pytest.fixture
def job(work: Store, small_package: ModelPackage, small_package_folder: Path) -> RolloutJob:
    return rollout_job(small_package, small_package_folder, work.root)


@pytest.fixture(scope="module")
def uninterrupted(
    small_package: ModelPackage, small_package_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> xr.Dataset:
    """The forecast of an uninterrupted run, in a store of its own."""
    store = Store(str(tmp_path_factory.mktemp("uninterrupted")))
    job = rollout_job(small_package, small_package_folder, store.root)
    return store.open(carry_out(job, lambda _: None), FORECAST).load()


def test_every_value_is_stored_and_described(uninterrupted: xr.Dataset):
    assert dict(uninterrupted.sizes) == {"member": 4, "lead_time": 6, "latitude": 32, "longitude": 32, "bounds": 2}
    assert list(uninterrupted["lead_time"].values / np.timedelta64(1, "h")) == list(range(1, 7))
    assert uninterrupted.attrs["simulated"] == 1
    assert uninterrupted.attrs["trained"] == 0
    assert uninterrupted.attrs["title"].startswith("SIMULATED UNTRAINED")
    for name in ("t2m", "u10m", "v10m", "tp01"):
        assert np.isfinite(uninterrupted[name]).all()
        assert uninterrupted[name].dtype == np.float32
    assert float(uninterrupted["t2m"].std("member").mean()) > 0


@pytest.mark.parametrize("progress_lines", [2, 5, 9], ids=["first hours", "first batch", "second batch"])
def test_killed_rollout_continues_to_the_same_values(job: RolloutJob, uninterrupted: xr.Dataset, progress_lines: int):
    child = subprocess.Popen(
        [sys.executable, "-m", "stormcast_tw.forecast.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        child.stdin.write(job.model_dump_json() + "\n")
        child.stdin.flush()
        said = [json.loads(child.stdout.readline()) for _ in range(progress_lines)]
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(120)
    assert 0 < said[-1]["done"] < said[-1]["total"] == 24
    store = Store(job.work_root)
    assert store.find(address(job.plan)) is None, "nothing is sealed by a killed rollout"
    reports: list[Progress] = []
    artifact = carry_out(job, reports.append)
    assert reports[0].done >= said[-1]["done"], "what was stored is not computed again"
    xr.testing.assert_identical(store.open(artifact, FORECAST).load(), uninterrupted)


def test_half_written_hour_is_computed_again(job: RolloutJob, uninterrupted: xr.Dataset):
    """A marker names an hour only when all its variables are stored; an unmarked hour may hold anything."""

    class PowerCut(Exception):
        pass

    def cut(progress: Progress) -> None:
        if progress.done == 6:
            raise PowerCut

    with pytest.raises(PowerCut):
        carry_out(job, cut)
    store = Store(job.work_root)
    folder = Path(store.root, str(address(job.plan)))
    torn = folder / "forecast.zarr/t2m/c/0/3/0/0"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"half a chunk")
    xr.testing.assert_identical(store.open(carry_out(job, lambda _: None), FORECAST).load(), uninterrupted)


def test_second_time_nothing_is_computed(job: RolloutJob):
    first = carry_out(job, lambda _: None)
    assert carry_out(job, lambda _: pytest.fail("the model ran again")) == first
    assert run_in_child(job, Patience(1.0, 1.0), lambda _: pytest.fail("the model ran again")) == first


def test_draft_of_another_plan_is_named_and_left_alone(job: RolloutJob):
    stranger = Store(job.work_root).begin(address(job.plan), {"what": "another plan"})
    stranger.mark("m0000-l01")
    with pytest.raises(Conflict, match=r"draft\.json: is the draft of another plan"):
        carry_out(job, lambda _: None)
    assert stranger.parts() == {"m0000-l01"}


def test_other_package_is_refused(job: RolloutJob):
    inputs = job.plan.inputs.model_copy(update={"package": "0" * 64})
    with pytest.raises(BadPackage, match=f"the plan asks for {'0' * 64}"):
        carry_out(job.model_copy(update={"plan": job.plan.model_copy(update={"inputs": inputs})}), lambda _: None)


@pytest.mark.parametrize(
    ("patience", "error", "why"),
    [
        (Patience(0.5, 600), Refused, r"stopped after 0\.5 s"),
        (Patience(600, 0.5), Unreachable, r"stopped because nothing was stored for 0\.5 s"),
    ],
)
def test_a_child_that_takes_or_is_silent_too_long_is_stopped(
    job: RolloutJob, patience: Patience, error: type[StormcastError], why: str
):
    with pytest.raises(error, match=f"{why}; nothing is stored, the same plan continues from there"):
        run_in_child(job, patience, lambda _: None)


def test_error_of_the_child_arrives_as_itself(job: RolloutJob, tmp_path: Path):
    with pytest.raises(BadPackage, match="there is no model package here"):
        run_in_child(job.model_copy(update={"package": tmp_path / "nowhere"}), Patience(600, 600), lambda _: None)


def test_child_ends_when_its_parent_is_gone(job: RolloutJob):
    script = (
        "import sys, subprocess\n"
        "child = subprocess.Popen([sys.executable, '-m', 'stormcast_tw.forecast.process'], stdin=subprocess.PIPE)\n"
        "child.stdin.write(sys.stdin.readline().encode()); child.stdin.flush()\n"
        "print(child.pid, flush=True); child.wait()\n"
    )
    slow = job.model_copy(update={"plan": job.plan.model_copy(update={"members": 1000, "members_per_batch": 1})})
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    parent.stdin.write(slow.model_dump_json() + "\n")
    parent.stdin.flush()
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait(120)
    for _ in range(1200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the rollout went on without its parent")


def test_grid_of_the_demo_can_be_folded_twice():
    assert TAIWAN_2KM.shape == (224, 128)
    assert all(n % 32 == 0 for n in TAIWAN_2KM.shape)
