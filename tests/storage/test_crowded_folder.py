"""A provider's folder of 10,000 files: QPESUMS in every form is found by its name, never by a list."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stormcast_tw.sources.opendata import RAIN_KEY, OpenData, archived_path
from stormcast_tw.sources.qpepre import Qpepre
from stormcast_tw.sources.qpepre import path as qpepre_path
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)


def test_ten_thousand_files_do_not_slow_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    crowd = tmp_path / "20260611"
    crowd.mkdir()
    for number in range(10_000):
        os.mknod(crowd / f"CB_GC_PCP_1H_RAD.{number:08d}.0000.gz")
    (tmp_path / "O-B0045-001").mkdir()
    (tmp_path / "O-B0045-001" / "20260611").symlink_to(crowd)
    name = qpepre_path(T, "utc", "end")
    for path in (tmp_path / qpesums_path(T), crowd / name, tmp_path / archived_path(RAIN_KEY, T)):
        path.touch()
    listed = []
    monkeypatch.setattr(os, "scandir", lambda *_: listed.append(1))
    monkeypatch.setattr(os, "listdir", lambda *_: listed.append(1))
    here = Folder(str(tmp_path))
    for source in (Qpesums(here), Qpepre(Folder(str(crowd)), "utc", "end"), OpenData(here, kept=here)):
        for _ in range(100):
            (file,) = source.find((T,), variable_set("rain", "tp01")).files
        assert "20260611" in file.address
    assert not listed
