"""What tests share: an environment of their own, a small grid, its untrained package, its prepared inputs."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# Two test processes of two threads each would wait for each other; their children inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
# Children compile the package once, not each for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from stormcast_tw.cycle import Cycle
from stormcast_tw.forecast.job import RolloutJob
from stormcast_tw.forecast.rollout import carry_out
from stormcast_tw.grid import Grid
from stormcast_tw.model import package as packages
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.untrained import untrained_package
from stormcast_tw.plan import InputsPlan, Plan, Sampler
from stormcast_tw.publication import catalogue
from stormcast_tw.publication.beside import Beside, in_tenths
from stormcast_tw.schema import of_forecast, time_coordinates
from stormcast_tw.settings import settings
from stormcast_tw.simulation.invariants import simulated_invariants
from stormcast_tw.simulation.world import weather
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.store import Store
from stormcast_tw.variables import BACKGROUND_SETS, VARIABLES
from tests.servers import KEY, SECRET, S3Server, moto_server, rclone_server, require

ROOT = Path(__file__).parents[1]
LONG_FIRST = (
    "tests/deployments/test_deployments.py",
    "tests/cli/test_readme_training.py",
    "tests/training/test_slurm_train.py",
    "tests/training_data/test_workers.py",
    "tests/training/test_ddp.py",
)
"""Files of minutes, begun first: at the end one process would do them alone while the other waits."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring LONG_FIRST to the front; all else keeps its order."""
    place = {str(ROOT / name): number for number, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: place.get(str(item.path), len(place)))


weather._surface = lru_cache(maxsize=200)(weather._surface.__wrapped__)
"""Tests ask for the same simulated hours again and again: 200 are kept (180 MB), not 24."""

NOW = datetime(2026, 6, 11, 9, tzinfo=UTC)
CYCLE = Cycle.parse("20260611T06Z")
SMALL = Grid("SMALL", 23.0, 23.6, 32, 120.5, 121.1, 32)


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Point every root at the test's own folder and forget the settings of the test before."""
    for name in ("INPUTS_ROOT", "WORK_ROOT", "PUBLISHED_ROOT"):
        monkeypatch.setenv(f"STORMCAST_TW_{name}", str(tmp_path / name.lower().removesuffix("_root")))
    monkeypatch.setenv("STORMCAST_TW_ARCHIVE_ROOT", str(tmp_path / "archive"))
    monkeypatch.setenv("STORMCAST_TW_EXPORTS", "[]")  # seconds a run: tests/publication/test_exporting.py makes them
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def small_package_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    packages.save(untrained_package(SMALL, simulated_invariants(SMALL)), folder)
    return folder


@pytest.fixture(scope="session")
def small_package(small_package_folder: Path) -> ModelPackage:
    return packages.load(small_package_folder)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """Start the one temporary Prefect server of this test process, and give its address to processes of tests."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=600):
        yield PREFECT_API_URL.value()


@pytest.fixture(scope="session")
def pysteps() -> None:
    """Rain extrapolation, which is built from source."""
    require(importlib.util.find_spec("pysteps"), "pysteps", "a C compiler, then make test")


@pytest.fixture
def work(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "work"))


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with rclone_server(tmp_path_factory.mktemp("rclone")) as server:
        yield server


def _reach(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in (("ENDPOINT", server.endpoint), ("KEY", KEY), ("SECRET", SECRET)):
        monkeypatch.setenv(f"STORMCAST_TW_S3_{name}", value)
    settings.cache_clear()
    objects.cache_clear()
    settings()
    return server


@pytest.fixture
def s3(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A real S3 server, and settings that reach it."""
    return _reach(moto, monkeypatch)


@pytest.fixture
def careless_s3(rclone: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A real S3 server that ignores the conditions of a request, and settings that reach it."""
    return _reach(rclone, monkeypatch)


def state_fields(grid: Grid) -> dict[str, np.ndarray]:
    """A state well inside every valid range, different at every point: variable -> (y, x)."""
    y, x = np.meshgrid(np.linspace(-1, 1, grid.ny), np.linspace(-1, 1, grid.nx), indexing="ij")
    fields = {"t2m": 290 + 3 * y, "u10m": 5 * x, "v10m": 4 * y - 2, "tp01": 20 + 5 * x * y}
    return {name: field.astype(np.float32) for name, field in fields.items()}


def write_prepared(store: Store, package: ModelPackage, lead_hours: int = 12) -> Artifact:
    """Seal prepared inputs on the package's grid, made by hand."""
    grid = package.grid
    plan = inputs_plan(package, lead_hours)
    address = Address(kind="prepared", experiment="demo", cycle=str(CYCLE), run=plan.run)
    draft = store.begin(address, plan.model_dump(mode="json"))
    state = xr.Dataset({name: (grid.dims, field) for name, field in state_fields(grid).items()})
    draft.write("state", state.assign_coords(grid.coordinates().coords))
    leads = np.arange(lead_hours + 1, dtype=np.float32)[:, None, None]
    ones = np.ones((1, *grid.shape), np.float32)
    background = xr.Dataset(
        {
            v.id: (("lead_time", *grid.dims), (scale.mean + 0.01 * scale.std * leads) * ones)
            for v in BACKGROUND_SETS["background24"]
            for scale in [package.description.background[v.id]]
        }
    ).assign_coords(time_coordinates(CYCLE, range(lead_hours + 1)).coords)
    draft.write("background", background)
    return draft.seal(
        grid=grid.describe(), variables=(), parents=(), simulated=True, now=NOW
    )  # fmt: skip


def inputs_plan(package: ModelPackage, lead_hours: int = 12) -> InputsPlan:
    return InputsPlan(
        experiment="demo",
        cycle=str(CYCLE),
        inputs={"state": ("sha256:0",)},
        package=package.digest,
        lead_hours=lead_hours,
        code_version="test",
    )


def forecast_plan(package: ModelPackage, *, members: int = 4, lead_hours: int = 12, per_batch: int = 2) -> Plan:
    sampler: Sampler = package.description.sampler
    return Plan(
        inputs=inputs_plan(package, lead_hours),
        members=members,
        base_seed=7,
        sampler=sampler,
        members_per_batch=per_batch,
    )


def rollout_job(package: ModelPackage, folder: Path, root: str, *, members: int = 4, lead_hours: int = 6) -> RolloutJob:
    """Seal prepared inputs below `root` and return the job that rolls a forecast out of them, there."""
    prepared = write_prepared(Store(root), package, lead_hours)
    return RolloutJob(
        plan=forecast_plan(package, members=members, lead_hours=lead_hours),
        prepared=prepared.address,
        prepared_root=root,
        work_root=root,
        package=folder,
        device="cpu",
        threads=1,
        now=NOW,
    )


@dataclass(frozen=True)
class Made:
    """A forecast of 2 members x 2 h as the chain leaves it: prepared inputs, forecast, products, the published run."""

    published: Store
    work: Store
    run: Artifact
    job: RolloutJob

    def roll_out(self, _: Artifact, folder: Path) -> Artifact:
        """Carry the plan out again below a folder, in this process."""
        return carry_out(self.job.model_copy(update={"work_root": str(folder)}), lambda _: None)


def beside_by_hand() -> Beside:
    """A day of rain before, with holes, and a mountain."""
    from tests.products.by_hand import hills, random_observed  # which imports this module

    rain = random_observed(SMALL)
    rain["tp01"].attrs = of_forecast(VARIABLES["tp01"].attributes)
    return Beside(in_tenths(rain), ("c" * 64,), hills(SMALL).astype(np.float32))


@pytest.fixture(scope="session")
def made_once(
    small_package: ModelPackage, small_package_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    root = tmp_path_factory.mktemp("made")
    published, work = Store(str(root / "published")), Store(str(root / "work"))
    job = rollout_job(small_package, small_package_folder, work.root, members=2, lead_hours=2)
    forecast = carry_out(job, lambda _: None)
    beside = beside_by_hand()
    run = catalogue.publish(published, work, forecast, catalogue.make_products(work, forecast, NOW, beside), NOW)
    return Made(published, work, run, job)


@pytest.fixture
def made(made_once: Made, tmp_path: Path) -> Made:
    """A copy of that for one test, below the roots of its settings."""
    for store in (made_once.published, made_once.work):
        shutil.copytree(store.root, tmp_path / Path(store.root).name)
    published, work = Store(str(tmp_path / "published")), Store(str(tmp_path / "work"))
    job = made_once.job.model_copy(update={"work_root": work.root, "prepared_root": work.root})
    return Made(published, work, published.get(made_once.run.address), job)
