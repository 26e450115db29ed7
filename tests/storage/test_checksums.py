"""What is sealed stays what it was: every kind of file flipped, cut and removed, on disk and in S3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from stormcast_tw.errors import BadInput
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.packed import pack, unpack
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.storage.zarr_arrays import consolidate
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
    del manifest["checksums"], manifest["sha256"]
    store.objects.replace(f"{ADDRESS}/manifest.json", json.dumps(manifest).encode())
    old = store.get(ADDRESS)
    assert (old.checksums, store.damage(old)) == (None, {})
    xr.testing.assert_equal(store.open(old, "state").load(), field())


def test_a_manifest_that_was_changed_is_not_believed(store: Store, sealed: Artifact):
    path = f"{ADDRESS}/manifest.json"
    whole = store.objects.read(path)
    assert whole is not None
    for before, after in ((b'"simulated": true', b'"simulated":false'), (b'"what": "this"', b'"what": "that"')):
        assert before in whole.data
        store.objects.replace(path, whole.data.replace(before, after))
        with pytest.raises(BadInput, match=r"manifest\.json: damaged: its sha256 is"):
            store.get(ADDRESS)
    other = ADDRESS.model_copy(update={"run": "ba9876543210"})
    store.objects.replace(f"{other}/manifest.json", whole.data)
    with pytest.raises(BadInput, match=f"{other}/manifest.json: belongs to {ADDRESS}; keep that path"):
        store.get(other)


def test_a_lost_manifest_is_named_and_an_unfinished_seal_is_none(store: Store, sealed: Artifact):
    unfinished = ADDRESS.model_copy(update={"run": "ba9876543210"})
    store.begin(unfinished, {"what": "that"}).put("checksums.json", b"{}")
    store.objects.remove(f"{ADDRESS}/manifest.json")
    unreadable: list[str] = []
    assert store.list("prepared", "demo", unreadable) == []
    assert unreadable == [f"{store.root}/{ADDRESS}/manifest.json: sealed, but not there"]


def refill(draft: Draft) -> Artifact:
    draft.write("state", field())
    draft.put("sums.nc", pack(field()))
    return draft.seal(grid={}, variables=("t2m",), parents=(), simulated=True, now=NOW + timedelta(hours=1))


def test_a_lost_manifest_comes_back_when_the_same_is_made_again(store: Store, sealed: Artifact):
    store.objects.remove(f"{ADDRESS}/manifest.json")
    again = store.make(ADDRESS, {"what": "this"}, refill)
    assert (again.checksums, store.damage(again)) == (sealed.checksums, {})


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("what", FILES)
def test_who_asks_for_what_is_sealed_and_damaged_is_told_so(store: Store, sealed: Artifact, what: str, how: str):
    spoil(store, FILES[what], how)
    with pytest.raises(BadInput, match=rf"{ADDRESS}/{FILES[what]}: .*; see `stormcast-tw catalogue check --repair`"):
        store.make(ADDRESS, {"what": "this"}, lambda _: pytest.fail("made again over what is there"))


def test_what_zarr_reads_in_parts_or_in_bulk_is_checked_too(store: Store, sealed: Artifact):
    chunk, prototype = FILES["a chunk"].removeprefix("state.zarr/"), default_buffer_prototype()

    async def parts() -> list[bytes]:
        opened = store.zarr(store.get(ADDRESS), "state")
        ranges = [RangeByteRequest(0, 4), OffsetByteRequest(4), SuffixByteRequest(3), None]
        some = await opened.get_partial_values(prototype, [(chunk, part) for part in ranges])
        bulk = [buffer async for _, buffer in opened._get_many([(chunk, prototype, None)])]
        assert await opened.get("never/sealed", prototype) is None
        return [buffer.to_bytes() for buffer in (*some, *bulk) if buffer is not None]

    whole = store.read(sealed, FILES["a chunk"])
    assert sync(parts()) == [whole[:4], whole[4:], whole[-3:], whole, whole]
    spoil(store, FILES["a chunk"], "flipped")
    with pytest.raises(BadInput, match=FILES["a chunk"]):
        sync(parts())


class TestConsolidatedMetadata:
    """One document describes all arrays of a dataset. It is written before the seal, and never after it."""

    def test_is_listed_and_written_before_the_manifest(self, work: Store, monkeypatch: pytest.MonkeyPatch):
        draft = work.begin(ADDRESS, {"what": "this"})
        draft.write("state", field())
        before: dict[str, bytes] = {}
        create = work.objects.create

        def watched(path: str, data: bytes) -> bool:
            if path == f"{ADDRESS}/manifest.json":
                before.update({name: work.objects.read(name).data for name in work.objects.files(str(ADDRESS))})
            return create(path, data)

        monkeypatch.setattr(work.objects, "create", watched)
        artifact = draft.seal(grid={}, variables=("t2m",), parents=(), simulated=True, now=NOW)
        after = {name: work.objects.read(name).data for name in work.objects.files(str(ADDRESS))}
        document = f"{ADDRESS}/state.zarr/zarr.json"
        assert set(json.loads(before[document])["consolidated_metadata"]["metadata"]) == {"t2m"}
        assert work.files(artifact)["state.zarr/zarr.json"] == hashlib.sha256(before[document]).hexdigest()
        del after[f"{ADDRESS}/manifest.json"], before[f"{ADDRESS}/draft.json"]
        assert after == before, "a seal writes nothing after its manifest"

    def test_made_again_it_is_the_same_and_changed_it_is_damage(self, work: Store):
        artifact = refill(work.begin(ADDRESS, {"what": "this"}))
        consolidate(f"{artifact.uri}/state.zarr")
        assert work.damage(artifact) == {}
        zarr.open_group(f"{artifact.uri}/state.zarr", use_consolidated=False)["t2m"].attrs["units"] = "degC"
        assert set(work.damage(artifact)) == {FILES["an array's document"]}
        consolidate(f"{artifact.uri}/state.zarr")
        assert set(work.damage(artifact)) == {FILES["an array's document"], FILES["the group's document"]}
        with pytest.raises(BadInput, match=r"state\.zarr/zarr\.json: damaged"):
            work.open(artifact, "state")


def test_a_chunk_says_so_itself_where_it_is_damaged_and_read_past_the_checksums(work: Store):
    """Whoever opens what is published with another tool has zstd's checksum of each chunk."""
    values = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    draft = work.begin(ADDRESS, {"what": "this"})
    draft.write("state", xr.Dataset({"t2m": (("y", "x"), values)}))
    draft.seal(grid={}, variables=("t2m",), parents=(), simulated=True, now=NOW)
    path = Path(draft.uri, FILES["a chunk"])
    whole = path.read_bytes()
    refused = 0
    for place in range(20, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            read = xr.open_zarr(f"{draft.uri}/state.zarr", chunks=None).load()["t2m"].values
        except RuntimeError:
            refused += 1
        else:
            np.testing.assert_array_equal(read, values)  # a bit that zstd does not use
    assert refused > 150
