"""The archive: cycles in any order, each whole or not there, old versions readable, on disk and on S3."""

import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import icechunk
import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import Cycle, datetime64
from stormcast_tw.errors import BadInput
from stormcast_tw.products import make_products
from stormcast_tw.products.rounding import rounded
from stormcast_tw.publication.archive import Archive, archive_run
from stormcast_tw.storage.artifact import Address
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW
from tests.products.by_hand import random_forecast
from tests.servers import S3Server

CYCLES = tuple(CYCLE.until(Cycle.parse("20260612T12Z")))
CHOSEN = ["tp01_mean", "tp01_quantile", "beaufort_mean"]
KILLED = """
import os, signal, sys, icechunk, xarray as xr
from stormcast_tw.cycle import Cycle
from stormcast_tw.publication.archive import Archive
icechunk.Session.commit = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
fields = xr.open_zarr(sys.argv[2], chunks=None, consolidated=False)
Archive(sys.argv[1], "demo").append(fields, Cycle.parse(sys.argv[3]), "c" * 12)
"""


@cache
def _made() -> xr.Dataset:
    return make_products(random_forecast(members=3, leads=2))[CHOSEN]


def products(value: float = 0.0) -> xr.Dataset:
    """Products of two hours at 2 x 2 points, made different by a number."""
    return _made().assign(tp01_mean=_made()["tp01_mean"] + np.float32(value))


def mean_at(dataset: xr.Dataset) -> list[float]:
    first = float(products()["tp01_mean"][0, 0, 0])
    return [round(float(value) - first, 3) for value in dataset["tp01_mean"][:, 0, 0, 0]]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"), "demo", first_year=2026)


def test_any_order_is_the_order_of_time_and_values_are_the_products(archive: Archive):
    for n in (3, 0, 2, 1):
        assert archive.append(products(n), CYCLES[n], f"{n:012x}")
    there = archive.open()
    assert there["init_time"].values.tolist() == [datetime64(c.init_time).astype(int) for c in CYCLES[:4]]
    assert there["run"].values.tolist() == [f"{n:012x}" for n in range(4)]
    assert mean_at(there) == [0, 1, 2, 3]
    whole = products(2).load()
    for name in CHOSEN:
        assert there[name].dims == ("init_time", *whole[name].dims)
        np.testing.assert_array_equal(there[name][2].values, whole[name].values, err_msg=name)
        assert there[name].attrs["long_name"] == whole[name].attrs["long_name"]
    for name in ("lead_time", "quantile", "latitude", "longitude"):
        np.testing.assert_array_equal(there[name].values, whole[name].values)
    assert there["members"].values.tolist() == [3] * 4


def test_a_year_is_a_slice_of_what_xarray_opens(archive: Archive):
    for cycle in ("20261231T18Z", "20270101T00Z", "20260301T00Z"):
        archive.append(products(), Cycle.parse(cycle), "a" * 12)
    whole = xr.open_zarr(archive.session().store, chunks=None, consolidated=False)
    assert whole.sizes["init_time"] == 2 * 365 * 4
    assert whole["init_time"].to_index().is_monotonic_increasing
    year = whole.sel(init_time="2027")
    assert year.sizes["init_time"] == 365 * 4
    assert (year["run"] != "").sum() == 1
    assert int(year["tp01_mean"].notnull().any(("lead_time", "latitude", "longitude")).sum()) == 1


def test_the_same_run_twice_is_nothing(archive: Archive):
    assert archive.append(products(), CYCLE, "a" * 12)
    before = list(archive.versions())
    assert not archive.append(products(), CYCLE, "a" * 12)
    assert list(archive.versions()) == before


def test_a_run_in_place_of_another_is_a_new_version_and_the_old_one_stays(archive: Archive):
    archive.append(products(1), CYCLE, "a" * 12)
    archive.append(products(5), CYCLES[1], "d" * 12)
    assert archive.append(products(2)[["tp01_mean"]], CYCLE, "b" * 12)
    now, before = archive.open(), archive.open(f"{CYCLE}-{'a' * 12}")
    assert (mean_at(now), mean_at(before)) == ([2, 5], [1, 5])
    assert now["run"].values[0] == "b" * 12
    assert now["tp01_quantile"][0].isnull().all(), "what the new run lacks is missing, not the old run's"
    assert (now["beaufort_mean"][0] == -1).all()
    assert before["tp01_quantile"].notnull().all()
    assert [(v["run"][0], v["replaced"][:1]) for v in archive.versions()] == [("b", "a"), ("d", ""), ("a", "")]
    first = list(archive.versions())[-1]["snapshot"]
    assert mean_at(archive.open(first)) == [1]


def test_what_does_not_fit_is_refused_and_nothing_changes(archive: Archive):
    archive.append(products(), CYCLE, "a" * 12)
    before = list(archive.versions())
    moved = products().assign_coords(quantile=[0.1, 0.5, 0.95])
    with pytest.raises(BadInput, match=r"quantile is 3 from 0.1 to 0.95, the archive's is 3 from 0.1 to 0.9; begin"):
        archive.append(moved, CYCLES[1], "b" * 12)
    with pytest.raises(BadInput, match=r"cycle 20251231T18Z is before the archive's first, 2026-01-01T00Z"):
        archive.append(products(), Cycle.parse("20251231T18Z"), "b" * 12)
    with pytest.raises(BadInput, match=r"no version 20260611T06Z-bbbbbbbbbbbb; replaced runs: none"):
        archive.open(f"{CYCLE}-{'b' * 12}")
    with pytest.raises(BadInput, match="there is no archive"):
        Archive(archive.root, "other").open()
    assert list(archive.versions()) == before


def test_killed_in_the_middle_the_last_commit_is_there_and_the_next_one_goes_on(archive: Archive, tmp_path: Path):
    archive.append(products(1), CYCLE, "a" * 12)
    products(2).drop_encoding().to_zarr(tmp_path / "p.zarr", zarr_format=3, consolidated=False)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, archive.root, str(tmp_path / "p.zarr"), str(CYCLES[1])],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=120, capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert mean_at(archive.open()) == [1]
    assert archive.append(products(3), CYCLES[1], "d" * 12)
    assert mean_at(archive.open()) == [1, 3]


@pytest.mark.parametrize(
    ("between", "expected", "attempts"),
    [(CYCLES[1], "al", 2), (Cycle.parse("20260101T00Z"), "bal", 1), (Cycle.parse("20270101T00Z"), "alb", 2)],
    ids=["of one cycle", "of another month", "a year later"],
)  # fmt: skip
def test_two_writers_at_once_on_s3(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, between: Cycle, expected: str, attempts: int
):
    """One begins, the other archives something, then the first commits: nothing is lost, and months are joined."""
    root = s3.bucket()
    one, two = Archive(root, "demo", first_year=2026), Archive(root, "demo", first_year=2026)
    one.append(products(), CYCLE, "a" * 12)
    begin, others, begun = icechunk.Repository.writable_session, [between], []

    def interrupted(repository: icechunk.Repository, branch: str) -> icechunk.Session:
        session = begin(repository, branch)
        begun.append(repository)
        if others:
            one.append(products(7), others.pop(), "b" * 12)
        return session

    monkeypatch.setattr(icechunk.Repository, "writable_session", interrupted)
    assert two.append(products(9), CYCLES[1], "l" * 12)
    assert begun.count(two._repository) == attempts
    there = one.open()
    assert there["run"].values.tolist() == [letter * 12 for letter in expected]
    assert sorted(mean_at(there)) == sorted({"a": 0, "b": 7, "l": 9}[letter] for letter in expected)


def test_a_published_run_with_its_members(work: Store, archive: Archive):
    members = rounded(random_forecast(members=3, leads=2))
    draft = work.begin(Address(kind="published", experiment="demo", cycle=str(CYCLE), run="a" * 12), {})
    draft.write_sharded("products", products())
    draft.write_sharded("forecast", members, each="member")
    run = draft.seal(grid={}, variables=(), parents=(), simulated=True, now=NOW)
    assert archive_run(archive, work, run, members=True)
    assert not archive_run(archive, work, run, members=False)
    there = archive.open()
    for name, values in {**products().data_vars, **members.data_vars}.items():
        np.testing.assert_array_equal(there[name][0].values, values.values, err_msg=str(name))
    assert there["member"].values.tolist() == [0, 1, 2]
    assert (there["run"].item(), there["members"].item(), there["simulated"].item()) == ("a" * 12, 3, 1)
