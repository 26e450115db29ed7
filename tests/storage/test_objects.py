"""The operations that publication rests on, on a disk and on real S3 servers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from stormcast_tw.operations.doctor import examine
from stormcast_tw.settings import settings
from stormcast_tw.storage.objects import Objects, objects
from stormcast_tw.storage.s3 import Prefix
from stormcast_tw.storage.store import Store
from tests.conftest import write_prepared
from tests.faults import fault_server
from tests.servers import S3Server


@pytest.fixture(params=["disk", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        return str(tmp_path / "root")
    server: S3Server = request.getfixturevalue("s3")
    return server.bucket()


@pytest.fixture
def store(root: str) -> Objects:
    return objects(root)


def test_create_makes_once(store: Objects):
    assert store.create("a/b", b"1")
    assert not store.create("a/b", b"2")
    found = store.read("a/b")
    assert found is not None
    assert found.data == b"1"
    assert store.read("a/c") is None


def test_swap_replaces_only_what_was_seen(store: Objects):
    assert not store.swap("p", "something", b"0")
    assert store.swap("p", None, b"1")
    assert not store.swap("p", None, b"2")
    seen = store.read("p")
    assert seen is not None
    assert store.swap("p", seen.version, b"3")
    assert not store.swap("p", seen.version, b"4")
    now = store.read("p")
    assert now is not None
    assert now.data == b"3"


def test_files_and_removal(store: Objects):
    for path in ("d/z", "d/e/x", "other"):
        store.replace(path, path.encode())
    assert store.files("d") == ["d/e/x", "d/z"]
    assert store.files("nothing") == []
    assert store.exists("d")
    assert store.exists("d/z")
    store.remove("d")
    assert store.files("") == ["other"]
    assert not store.exists("d")
    store.remove("d")


def test_only_one_of_many_creates(store: Objects):
    made: list[bool] = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(store.create("once", str(n).encode()))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert sorted(made) == [False] * 7 + [True]


def test_artifacts_live_on_either(root: str, small_package):
    store = Store(root)
    artifact = write_prepared(store, small_package, lead_hours=2)
    assert Store(root).get(artifact.address) == artifact
    assert store.list("prepared", "demo") == [artifact]
    background, scale = store.open(artifact, "background").load(), small_package.description.background["t2m"]
    assert float(background["t2m"].isel(lead_time=2).mean()) == pytest.approx(scale.mean + 0.02 * scale.std)
    below = {p.removeprefix(f"{artifact.address}/").split("/")[0] for p in store.objects.files(str(artifact.address))}
    assert below == {"checksums.json", "manifest.json", "state.zarr", "background.zarr"}


def test_copies_between_disk_and_s3_are_identical(s3: S3Server, work: Store, small_package):
    artifact, there = write_prepared(work, small_package, lead_hours=1), Store(s3.bucket())
    draft = there.begin(artifact.address, artifact.plan)
    draft.copy_in(work, artifact)
    copied = draft.seal(grid={}, variables=(), parents=(artifact,), simulated=True, now=artifact.written_at)
    xr.testing.assert_identical(there.open(copied, "state").load(), work.open(artifact, "state").load())


def test_a_store_is_asked_again_after_an_error_of_its_own(s3: S3Server, monkeypatch, small_package):
    """Two requests fail; each that an artifact needs, conditional or by zarr, is asked a third time."""
    with fault_server(s3.endpoint) as server:
        monkeypatch.setenv("STORMCAST_TW_S3_ENDPOINT", server.endpoint)
        settings.cache_clear()
        settings()
        store = Store(s3.bucket())
        artifact = write_prepared(store, small_package, lead_hours=1)
        asked: list[Callable[[], object]] = [
            lambda: store.objects.create("new", b"1"),
            lambda: store.objects.swap("pointer", None, b"1"),
            lambda: store.objects.files("new") == ["new"],
            lambda: store.open(artifact, "state").load()["t2m"].size,
        ]
        for ask in asked:
            server.fault, server.times = "500", 2
            assert ask()
            assert server.times <= 0


def test_a_list_says_sizes_and_times(store: Objects):
    before = datetime.now(UTC) - timedelta(seconds=2)  # S3 counts whole seconds
    for path in ("d/z", "d/e/x", "other"):
        store.replace(path, path.encode())
    assert [(entry.path, entry.size) for entry in store.listed("d")] == [("d/e/x", 5), ("d/z", 3)]
    assert all(before < entry.modified < datetime.now(UTC) + timedelta(seconds=2) for entry in store.listed("d"))
    assert store.listed("nothing") == []


def test_an_object_that_a_store_keeps_is_named():
    class Keeps:
        def call_s3(self, *_: object, **asked: Any) -> dict[str, Any]:
            return {"Errors": [{"Key": asked["Delete"]["Objects"][1]["Key"], "Code": "AccessDenied"}]}

    with pytest.raises(OSError, match=r"s3://bucket/root/b: not deleted: AccessDenied"):
        Prefix(Keeps(), "bucket/root").delete(["a", "b"])


def test_other_protocols_are_refused():
    with pytest.raises(ValueError, match=r"memory://x: only local paths and s3:// are supported"):
        objects("memory://x")


def test_doctor_accepts_a_store_that_honours_conditions(s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STORMCAST_TW_PUBLISHED_ROOT", s3.bucket())
    settings.cache_clear()
    finding = next(f for f in examine(settings()) if f.check == "published root")
    assert finding.fine, finding


def test_doctor_finds_a_store_that_ignores_conditions(careless_s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STORMCAST_TW_PUBLISHED_ROOT", careless_s3.bucket())
    settings.cache_clear()
    finding = next(f for f in examine(settings()) if f.check == "published root")
    assert not finding.fine
    assert "conditional create DOES NOT WORK" in finding.found
    assert "If-None-Match" in finding.cure
