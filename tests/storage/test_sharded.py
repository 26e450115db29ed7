"""A dataset in few objects: the same values, each object made only if it is absent, damage found by any reader."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.storage.zarr_arrays import sharded
from tests.conftest import CYCLE, NOW
from tests.products.by_hand import random_forecast

MEMBERS = random_forecast(members=3, leads=4)
WHERE = Address(kind="forecast", experiment="demo", cycle=str(CYCLE), run="a" * 12)


def seal(store: Store, each: str | None) -> Artifact:
    def fill(draft: Draft) -> Artifact:
        draft.write_sharded("forecast", MEMBERS, each)
        return draft.seal(grid={}, variables=("t2m",), parents=(), simulated=True, now=NOW)

    return store.make(WHERE, {"what": each}, fill)


@pytest.mark.parametrize(("each", "objects"), [("member", 3), (None, 1)])
def test_values_are_the_same_in_few_objects(tmp_path: Path, each: str | None, objects: int):
    store = Store(str(tmp_path))
    artifact = seal(store, each)
    opened = store.open(artifact, "forecast")
    xr.testing.assert_equal(opened.load(), MEMBERS)
    assert dict(sharded(opened, each)) == dict(sharded(MEMBERS, each)), "what was read is written the same again"
    assert len([path for path in Path(artifact.uri, "forecast.zarr/t2m/c").rglob("*") if path.is_file()]) == objects
    array = zarr.open_group(f"{artifact.uri}/forecast.zarr", mode="r")["t2m"]
    assert isinstance(array, zarr.Array)
    assert array.chunks == (1, 1, 2, 2), "a map can be read alone"


def test_the_same_bytes_every_time_and_none_is_written_twice(tmp_path: Path):
    first, second = dict(sharded(MEMBERS, "member")), dict(sharded(MEMBERS, "member"))
    assert first == second
    draft = Store(str(tmp_path)).begin(WHERE, {})
    draft.put("forecast.zarr/t2m/c/1/0/0/0", b"of another process")
    draft.write_sharded("forecast", MEMBERS, "member")
    assert Path(draft.uri, "forecast.zarr/t2m/c/1/0/0/0").read_bytes() == b"of another process"


def test_damage_is_found_by_zarr_alone(tmp_path: Path):
    artifact = seal(Store(str(tmp_path)), "member")
    path = Path(artifact.uri, "forecast.zarr/t2m/c/1/0/0/0")
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    array = zarr.open_group(f"{artifact.uri}/forecast.zarr", mode="r")["t2m"]
    assert isinstance(array, zarr.Array)
    assert np.isfinite(np.asarray(array[0])).all()
    with pytest.raises(ValueError, match="checksum"):
        array[1, 0]
