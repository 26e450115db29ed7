"""What is sealed stays what it was: every kind of file flipped, cut and removed, on disk and in S3."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.packed import pack, unpack
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW

ADDRESS = Address(kind="prepared", experiment="demo", cycle=str(CYCLE), run="0123456789ab")


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, work: Store) -> Store:
    return work if request.param == "disk" else Store(request.getfixturevalue("s3").bucket())


def field(value: float = 1.5) -> xr.Dataset:
    return xr.Dataset({"t2m": (("y", "x"), np.full((4, 6), value, np.float32))})


@pytest.fixture
def sealed(store: Store) -> Artifact:
    draft = store.begin(ADDRESS, {"what": "this"})
    draft.write("state", field())
    draft.put("sums.nc", pack(field()))
    return draft.seal(grid={}, variables=("t2m",), parents=(), simulated=True, now=NOW)


def flip(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": flip,
    "cut": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "removed": lambda data: None,
}
FILES = {
    "a chunk": "state.zarr/t2m/c/0/0",
    "an array's document": "state.zarr/t2m/zarr.json",
    "the group's document": "state.zarr/zarr.json",
    "a packed file": "sums.nc",
    "the list of checksums": "checksums.json",
}


def spoil(store: Store, file: str, how: str) -> None:
    path = f"{ADDRESS}/{file}"
    stored = store.objects.read(path)
    assert stored is not None
    damaged = DAMAGES[how](stored.data)
    if damaged is None:
        store.objects.remove(path)
    else:
        store.objects.replace(path, damaged)


def test_what_is_sound_is_read(store: Store, sealed: Artifact):
    assert store.damage(sealed) == {}
    xr.testing.assert_equal(store.open(sealed, "state").load(), field())
    xr.testing.assert_equal(unpack(store, sealed, "sums.nc"), field())
    listed = json.loads(store.read(Store.get(store, ADDRESS).model_copy(update={"checksums": None}), "checksums.json"))
    assert set(FILES.values()) - {"checksums.json"} <= set(listed)


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("what", FILES)
def test_damage_is_named_and_nothing_wrong_is_read(store: Store, sealed: Artifact, what: str, how: str):
    spoil(store, FILES[what], how)
    assert list(store.damage(sealed)) == [FILES[what]]
    readers = {
        "a packed file": [lambda: unpack(store, sealed, "sums.nc")],
        "the list of checksums": [lambda: store.open(sealed, "state"), lambda: unpack(store, sealed, "sums.nc")],
    }
    for read in readers.get(what, [lambda: _all_of(store, sealed)]):
        with pytest.raises(BadInput, match=rf"{FILES[what]}: (damaged: its sha256 is|sealed, but not there)"):
            read()


def _all_of(store: Store, artifact: Artifact) -> None:
    """Read the dataset, and its array's own document, which a consolidated group does not need."""
    store.open(artifact, "state").load()
    store.read(artifact, FILES["an array's document"])


@pytest.mark.parametrize("how", ["cut", "emptied"])
def test_one_truncated_manifest_hides_no_other_run(store: Store, sealed: Artifact, how: str):
    other = ADDRESS.model_copy(update={"run": "ba9876543210"})
    draft = store.begin(other, {"what": "that"})
    kept = draft.seal(grid={}, variables=(), parents=(), simulated=True, now=NOW)
    spoil(store, "manifest.json", how)
    unreadable: list[str] = []
    assert store.list("prepared", "demo", unreadable) == [kept]
    assert len(unreadable) == 1
    assert f"{ADDRESS}/manifest.json: is no whole manifest" in unreadable[0]
    with pytest.raises(BadInput, match="is no whole manifest"):
        store.get(ADDRESS)


def test_damage_does_not_travel(store: Store, sealed: Artifact, tmp_path):
    """A copy is made of sound files or not at all."""
    for what in ("a chunk", "a packed file"):
        before = store.objects.read(f"{ADDRESS}/{FILES[what]}")
        for how in DAMAGES:
            spoil(store, FILES[what], how)
            target = Store(str(tmp_path / what / how))
            with pytest.raises(BadInput, match=FILES[what]):
                target.begin(ADDRESS, {"copy": [what, how]}).copy_in(store, sealed)
            assert before is not None
            store.objects.replace(f"{ADDRESS}/{FILES[what]}", before.data)


def test_an_artifact_without_checksums_is_read_as_before(store: Store, sealed: Artifact):
    manifest = json.loads(store.objects.read(f"{ADDRESS}/manifest.json").data)
    del manifest["checksums"]
    store.objects.replace(f"{ADDRESS}/manifest.json", json.dumps(manifest).encode())
    old = store.get(ADDRESS)
    assert (old.checksums, store.damage(old)) == (None, {})
    xr.testing.assert_equal(store.open(old, "state").load(), field())
