"""The days on real engines: processes of this machine, a Dask scheduler, and a SLURM; each gives the same bytes."""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from stormcast_tw.errors import Refused
from stormcast_tw.settings import settings
from stormcast_tw.training_data import build
from stormcast_tw.training_data.archives import archive_of
from stormcast_tw.training_data.build import Account, DatasetJob
from stormcast_tw.training_data.finish import finish
from stormcast_tw.training_data.recipe import DataRecipe, Simulated, Span
from stormcast_tw.training_data.workers import Local, Scheduler, Slurm, run_parts
from tests.conftest import NOW
from tests.servers import free_port, running
from tests.training.slurm import slurm_cluster
from tests.training_data.archives import FIRST, TINY, contents

RECIPE = DataRecipe(
    name="engines",
    archive=Simulated(seed=4),
    grid=TINY,
    training=(Span(first=FIRST, last=FIRST + timedelta(days=1)),),
)


def begun(root: Path) -> DatasetJob:
    job = build.plan(str(root), RECIPE, archive_of(RECIPE, settings()))
    assert build.begin(job) is None
    return job


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The dataset made here, day after day."""
    job = begun(tmp_path_factory.mktemp("by_hand"))
    for day in RECIPE.days:
        build.make_part(job, day)
    return contents(finish(job, NOW))


def made_on(engine: Local | Scheduler | Slurm, root: Path) -> dict[str, bytes]:
    job, done = begun(root), list[Account]()
    run_parts(engine, functools.partial(build.make_part, job), build.days_to_make(job), done.append)
    assert sorted(account.day for account in done) == list(RECIPE.days)
    return contents(finish(job, NOW))


def test_two_processes_of_this_machine(tmp_path, by_hand):
    assert made_on(Local(workers=2, memory_gib=1.5), tmp_path) == by_hand


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A Dask scheduler and one worker, each a process of its own."""
    port, dask = free_port(), str(Path(sys.executable).parent / "dask")
    address = f"tcp://127.0.0.1:{port}"
    places = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = [dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--memory-limit", "2GiB"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    with running([dask, "scheduler", *places], port, environment), running(worker, None, environment):
        yield address


def test_a_scheduler_by_its_address(tmp_path, by_hand, scheduler):
    assert made_on(Scheduler(address=scheduler), tmp_path) == by_hand


def test_slurm_on_loopback(tmp_path, by_hand, monkeypatch):
    with slurm_cluster(tmp_path / "slurm") as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        engine = Slurm(jobs=1, host="127.0.0.1", log_directory=str(tmp_path / "logs"), walltime="00:05:00")
        assert made_on(engine, tmp_path / "work") == by_hand
    assert list((tmp_path / "logs").glob("*.out"))


def _dies_once(folder: str, part: int) -> int:
    """Kill its own worker at the first try of part 2."""
    mark = Path(folder, f"{part}")
    if part == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return part * part


def test_a_worker_that_is_killed_costs_a_try_and_no_part(tmp_path, scheduler):
    done: list[int] = []
    run_parts(Scheduler(address=scheduler), functools.partial(_dies_once, str(tmp_path)), [1, 2, 3], done.append)
    assert sorted(done) == [1, 4, 9]


def _swells(part: int) -> int:
    """Take a gibibyte more every tenth of a second."""
    held = []
    for _ in range(100):
        held.append(bytearray(os.urandom(1)) * 2**28)
        time.sleep(0.05)
    return len(held)


def test_a_part_that_takes_more_memory_than_allowed_is_refused(tmp_path):
    with pytest.raises(Refused, match="its workers ended 2 times: out of memory"):
        run_parts(Local(workers=1, memory_gib=0.8), _swells, [1], lambda answer: None)


def _raises(part: int) -> int:
    raise Refused(f"part {part} is refused")


def test_what_a_part_raises_comes_back(scheduler):
    with pytest.raises(Refused, match="part 1 is refused"):
        run_parts(Scheduler(address=scheduler), _raises, [1], lambda answer: None)


def test_without_parts_nothing_is_started():
    run_parts(Scheduler(address="tcp://127.0.0.1:1"), _raises, [], lambda answer: None)
