"""What all sources share: addresses, digests, request checks and the dataset they return."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import fsspec
import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import TAIWAN_2KM, Grid
from stormcast_tw.sources.base import (
    SourceFile,
    exists,
    local_path,
    on_grid,
    read_file,
    require_times,
    require_variables,
    source_file,
)
from stormcast_tw.variables import VARIABLES, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)


@pytest.mark.parametrize("root", ["", "file://"], ids=["path", "file URL"])
def test_a_file_is_known_by_the_digest_of_its_bytes(tmp_path: Path, root: str):
    path = tmp_path / "wrfout_d02_2026-06-11_06:00:00"
    address = f"{root}{path}"
    assert not exists(address)
    with pytest.raises(NotReady, match="not there yet"):
        source_file(address)
    path.write_bytes(b"rain")
    found = source_file(address)
    assert exists(address)
    assert found.digest == "sha256:" + hashlib.sha256(b"rain").hexdigest()
    assert read_file(found) == b"rain"
    assert local_path(found) == str(path)
    path.write_bytes(b"more rain")
    for look in (read_file, local_path):
        with pytest.raises(NotReady, match=r"06:00:00: changed since it was found \(now sha256:\w+, then sha256:"):
            look(found)
    path.unlink()
    for look in (read_file, local_path):
        with pytest.raises(NotReady, match=r"06:00:00: not there"):
            look(found)


def test_other_stores_have_no_path():
    fsspec.filesystem("memory").pipe_file("/bucket/x", b"rain")
    assert local_path(source_file("memory://bucket/x")) is None
    with pytest.raises(NotReady, match="not there yet"):
        read_file(SourceFile("memory://bucket/absent", "sha256:0"))


def test_times_are_aware_ascending_and_some():
    taipei = T.astimezone(timezone(timedelta(hours=8)))
    assert require_times("s", (taipei,)) == (T,)
    assert require_times("s", (taipei,))[0].tzinfo is UTC
    for times in ((), (T, T), (T, T - timedelta(hours=1))):
        with pytest.raises(ValueError, match="must be ascending and not empty"):
            require_times("s", times)
    with pytest.raises(ValueError, match="no time zone"):
        require_times("s", (T.replace(tzinfo=None),))


def test_variables_a_source_does_not_have_are_named():
    require_variables("s", ("t2m", "sp"), variable_set("asked", "sp"))
    with pytest.raises(BadInput, match="s: does not provide tp01, refc; it provides t2m, sp"):
        require_variables("s", ("t2m", "sp"), variable_set("asked", "tp01", "sp", "refc"))


def test_the_dataset_is_cf_and_gives_its_grid_back():
    dataset = on_grid(TAIWAN_2KM, (T,), {VARIABLES["t2m"]: np.full((1, 224, 128), 290.0)}, {"source": "s"})
    assert dataset["t2m"].dims == ("valid_time", "latitude", "longitude")
    assert dataset["t2m"].dtype == np.float32
    assert dataset["t2m"].attrs["grid_mapping"] == "crs"
    assert dataset["valid_time"].dtype == "datetime64[ns]"
    assert dataset["valid_time"].attrs["standard_name"] == "time"
    assert dataset.attrs["source"] == "s"
    assert Grid.of(dataset) == TAIWAN_2KM
