"""A Prefect server for all flow tests, the simulated inputs of one cycle, and rollouts without a child process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import stormcast_tw.tasks.rollout
from stormcast_tw.forecast.job import Progress, RolloutJob
from stormcast_tw.forecast.rollout import carry_out
from stormcast_tw.settings import settings
from stormcast_tw.simulation.cycle import simulate_cycle
from stormcast_tw.storage.artifact import Artifact
from tests.conftest import CYCLE


@pytest.fixture(scope="session", autouse=True)
def on_one_server(prefect_server: str) -> None:
    """Every flow here says what it does to the server of this test process."""


@pytest.fixture
def rollout_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rollouts in this process, for tests whose subject is not the child; test_operations keeps the child."""

    def run_here(job: RolloutJob, deadline_seconds: float, report: Callable[[Progress], None]) -> Artifact:
        return carry_out(job, report)

    monkeypatch.setattr(stormcast_tw.tasks.rollout, "run_in_child", run_here)


@pytest.fixture(scope="session")
def simulated_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inputs")
    simulate_cycle(CYCLE, str(root), lead_hours=6)
    return root


@pytest.fixture
def inputs(tmp_path: Path, simulated_inputs: Path) -> Path:
    """The simulated inputs as hard links, for a test to damage."""
    root = tmp_path / "inputs"
    for source in simulated_inputs.rglob("*"):
        if source.is_file():
            target = root / source.relative_to(simulated_inputs)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(source)
    return root


@pytest.fixture(autouse=True)
def small_package_is_configured(small_package_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(small_package_folder))
    monkeypatch.setenv("STORMCAST_TW_THREADS", "1")
    settings.cache_clear()
