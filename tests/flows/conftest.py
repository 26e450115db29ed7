"""One temporary Prefect server for all flow tests, and the simulated inputs of one cycle."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from stormcast_tw.settings import settings
from stormcast_tw.simulation.cycle import simulate_cycle
from tests.conftest import CYCLE


@pytest.fixture(scope="session", autouse=True)
def prefect_server():
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def simulated_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inputs")
    simulate_cycle(CYCLE, str(root), lead_hours=12)
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
