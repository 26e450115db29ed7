"""A store that fails, through the command line: one clear line, the exit code, what is published untouched."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stormcast_tw.settings import settings
from stormcast_tw.storage.objects import objects
from tests.faults import Fault, FaultServer, fault_server
from tests.flows.conftest import *  # noqa: F403  one server and the simulated inputs
from tests.flows.test_bad_inputs import contents, forecast, publish_something
from tests.servers import KEY, SECRET, S3Server

BACKGROUND, RAIN = "EC-pangu", "CB_GC_PCP_1H_RAD.20260611.0600"


@pytest.fixture
def store(inputs: Path, moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """The inputs of the cycle in a bucket behind a server that fails on request."""
    with fault_server(moto.endpoint) as server:
        names = {"ENDPOINT": server.endpoint, "KEY": KEY, "SECRET": SECRET, "TIMEOUT_SECONDS": "1"}
        for name, value in names.items():
            monkeypatch.setenv(f"STORMCAST_TW_S3_{name}", value)
        bucket = moto.bucket()
        monkeypatch.setenv("STORMCAST_TW_INPUTS_ROOT", bucket)
        settings.cache_clear()
        objects.cache_clear()
        settings()
        for path in objects(str(inputs)).files(""):
            objects(bucket).replace(path, (inputs / path).read_bytes())
        yield server


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("where", "code"), [(BACKGROUND, 1), (RAIN, 3)], ids=["background", "rain"])
@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("403", r"access denied"),
        ("404", r"not there yet"),
        ("503", r"no whole answer \(OSError: .*"),
        ("reset", r"no whole answer"),
        ("stall", r"no whole answer"),
        ("stall in body", r"no whole answer"),
        ("half", r"no whole answer|gave \d+ of the \d+ bytes"),
        ("etag", r"changed while it was read \(now .*, found as"),
    ],
)
def test_a_store_that_fails(
    fault: Fault,
    line: str,
    where: str,
    code: int,
    store: FaultServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
):
    before = publish_something(tmp_path / "published")
    store.fault, store.methods, store.path = fault, ("GET",), where
    found = forecast(monkeypatch)
    printed = capsys.readouterr()
    assert found == code, printed.err[-3000:]
    if code == 1:
        said = printed.err.splitlines()[-1]
        assert contents(tmp_path / "published") == before
    else:
        said = next(text for text in printed.out.splitlines() if "DEGRADED: rain" in text)
    assert where in said
    assert re.search(line, said), said
    record_property("said", f"exit {code}: {said.strip()}")


@pytest.mark.timeout(900)
def test_ten_thousand_keys_under_a_prefix(store: FaultServer, monkeypatch: pytest.MonkeyPatch):
    bucket = objects(settings().inputs_root)
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda number: bucket.create(f"qpesums/20260611/OTHER.{number:05d}", b""), range(10_000))
        assert all(made)
    store.requests.clear()
    assert forecast(monkeypatch) == 0
    listings = [path for method, path in store.requests if method == "GET" and "list-type" in path]
    assert len(listings) < 100


def test_a_full_disk(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    before = publish_something(tmp_path / "published")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], check=True, timeout=10)
    try:
        monkeypatch.setenv("STORMCAST_TW_WORK_ROOT", str(small))
        settings.cache_clear()
        assert forecast(monkeypatch) == 1
    finally:
        subprocess.run(["umount", str(small)], check=True, timeout=10)
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"OSError: .*No space left on device", said), said
    assert contents(tmp_path / "published") == before
