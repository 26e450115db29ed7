"""The whole cycle with every root in an object store: run, killed, run twice at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import tasks.rollout
from flows.operations import operations
from stormcast_tw.forecast.job import FORECAST, RolloutJob, address
from stormcast_tw.forecast.rollout import carry_out
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.publication import catalogue, pointers
from stormcast_tw.settings import settings
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW, rollout_job
from tests.servers import S3Server

LEADS = 4
"""With two batches of members the third line is said when two of eight steps are stored: most is left to do."""


def test_every_root_on_s3_gives_the_forecast_of_the_disk(
    inputs: Path, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
):
    request = {"cycle": str(CYCLE), "lead_hours": 1, "members": 2, "now": NOW}
    with monkeypatch.context() as patch:
        patch.setattr(tasks.rollout, "run_in_child", lambda job, deadline, report: carry_out(job, report))
        on_disk = operations(**request)
    bucket = s3.bucket()
    for path in objects(str(inputs)).files(""):
        objects(f"{bucket}/inputs").replace(path, (inputs / path).read_bytes())
    for name in ("inputs", "work", "published"):
        monkeypatch.setenv(f"STORMCAST_TW_{name.upper()}_ROOT", f"{bucket}/{name}")
    settings.cache_clear()
    settings()
    there = operations(**request)
    assert there.uri == f"{bucket}/published/{there.address}"
    assert there.address == on_disk.address, "same inputs, same plan, same run, wherever it is"
    store = Store(f"{bucket}/published")
    assert pointers.latest(store, "demo") == there
    local = Store(str(tmp_path / "published"))
    for name in ("forecast", "products"):
        found, expected = store.open(there, name).load(), local.open(on_disk, name).load()
        xr.testing.assert_identical(found, expected)
    opened = xr.open_zarr(f"{there.uri}/products.zarr", chunks=None)
    xr.testing.assert_identical(opened.load(), local.open(on_disk, "products").load())


@pytest.fixture
def job(s3: S3Server, small_package: ModelPackage, small_package_folder: Path) -> RolloutJob:
    return rollout_job(small_package, small_package_folder, s3.bucket(), lead_hours=LEADS)


def spawn(job: RolloutJob) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "stormcast_tw.forecast.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert child.stdin is not None
    child.stdin.write(job.model_dump_json() + "\n")
    child.stdin.flush()
    return child


def test_killed_on_s3_and_continued(job: RolloutJob, tmp_path: Path, small_package: ModelPackage):
    child = spawn(job)
    assert child.stdout is not None
    for _ in range(3):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait(120)
    store = Store(job.work_root)
    assert store.find(address(job.plan)) is None
    continued = store.open(carry_out(job, lambda _: None), FORECAST).load()
    local = Store(str(tmp_path / "local"))
    here = rollout_job(small_package, job.package, local.root, lead_hours=LEADS)
    xr.testing.assert_identical(continued, local.open(carry_out(here, lambda _: None), FORECAST).load())


def test_two_at_once_publish_once(s3: S3Server, small_package: ModelPackage, small_package_folder: Path):
    """Two processes roll the same plan out at the same time; both succeed, one artifact is there."""
    job = rollout_job(small_package, small_package_folder, s3.bucket(), lead_hours=2)
    children = [spawn(job) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        child.stdout.read()  # closing its standard input would end it
    assert [child.wait(600) for child in children] == [0, 0]
    store = Store(job.work_root)
    artifact = store.get(address(job.plan))
    below = {p.removeprefix(f"{artifact.address}/").split("/")[0] for p in store.objects.files(str(artifact.address))}
    assert below == {"checksums.json", "manifest.json", "forecast.zarr"}
    products = catalogue.make_products(store, artifact, NOW)
    published = [catalogue.publish(store, store, artifact, products, NOW) for _ in range(2)]
    assert published[0] == published[1]
    assert store.list("published", "demo") == [published[0]]
