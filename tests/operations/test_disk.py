"""Room for a cycle: bytes worked out by hand, found and allowed in the refusal, object stores not asked."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from stormcast_tw.errors import Refused
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.operations import disk
from stormcast_tw.settings import settings

GIB = 2**30
Usage = namedtuple("Usage", "total used free")


def test_what_a_cycle_leaves(small_package: ModelPackage):
    """A map of 32 x 32 has 4096 bytes; 4 state variables, 24 of the background, 60 maps of products an hour."""
    members_and_products = 2 * (3 * 4 + 60)
    inputs = 2 * (4 + 3 * 24)
    found = disk.needed(small_package.description, members=3, lead_hours=2)
    assert found == disk.Needed(work=4096 * (members_and_products + inputs), published=4096 * members_and_products)


def test_the_estimate_is_above_what_was_measured():
    """Of the demo package, 16 members and 12 h: 147 MB were left in work, 61 MB published (124 MB before 0.2)."""
    from stormcast_tw.model.description import describe

    found = disk.needed(describe(settings().package), members=16, lead_hours=12)
    assert 147e6 < found.work < 2 * 147e6
    assert 124e6 < found.published < 3 * 61e6


def test_a_cycle_that_does_not_fit_is_refused(
    small_package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = small_package.description
    of = disk.needed(package, 1024, 48)
    free = of.work + of.published + disk.SPARE_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    disk.require_space(settings(), package, 1024, 48)
    (space,) = disk.spaces(settings(), of)
    assert (space.folder, space.free, space.needed) == (str(tmp_path), free, of.work + of.published), (
        "one disk, one sum"
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, GIB))
    with pytest.raises(Refused) as refused:
        disk.require_space(settings(), package, 1024, 48)
    assert str(refused.value) == (
        f"{tmp_path}: 1.00 GiB are free for a cycle of 1024 members x 48 h; allowed at least {free / GIB:.2f} GiB;"
        " see `stormcast-tw prune --dry-run`"
    )


def test_an_object_store_is_not_asked(small_package: ModelPackage, monkeypatch: pytest.MonkeyPatch):
    for root in ("WORK_ROOT", "PUBLISHED_ROOT"):
        monkeypatch.setenv(f"STORMCAST_TW_{root}", "s3://bucket/root")
    settings.cache_clear()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    assert disk.spaces(settings(), disk.Needed(1, 1)) == []
    disk.require_space(settings(), small_package.description, 1024, 48)
