"""What is sealed stays what it was: the sha256 of every file, and a store that believes no other bytes.

`checksums.json` lists the files of an artifact; the manifest holds the sha256 of that list. A file that is listed but
missing is damage, never a fill value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from stormcast_tw.errors import BadInput
from stormcast_tw.storage.objects import Objects

CHECKSUMS = "checksums.json"
_AT_ONCE = 32
"""Files that are read at once, to be checked: an object store answers each in tens of milliseconds."""


def write_checksums(objects: Objects, folder: str, files: list[str]) -> str:
    """List the sha256 of files (paths below a folder) and return that of the list, which is canonical JSON.

    Raises BadInput where a file has vanished, or where an attempt that was interrupted listed other bytes.
    """
    digests = dict(_digests(objects, folder, files))
    if missing := [name for name, digest in digests.items() if digest is None]:
        raise BadInput(f"{objects.root}/{folder}/{missing[0]}: vanished before it was sealed")
    listed, path = _listed(digests), f"{folder}/{CHECKSUMS}"
    if not objects.create(path, listed):
        before = objects.read(path)
        if before is not None and before.data != listed:
            raise BadInput(f"{objects.root}/{path}: lists other bytes than are there; remove that folder and try again")
    return hashlib.sha256(listed).hexdigest()


def restore_checksums(objects: Objects, folder: str, files: list[str], sha256: str) -> None:
    """List the files of a sealed folder again, where its list is damaged; raises BadInput where one of them is too."""
    listed, path = _listed(dict(_digests(objects, folder, files))), f"{folder}/{CHECKSUMS}"
    if hashlib.sha256(listed).hexdigest() != sha256:
        raise BadInput(f"{objects.root}/{path}: damaged, and so is a file that it lists: nothing says what is right")
    objects.replace(path, listed)


def read_checksums(objects: Objects, folder: str, sha256: str) -> Mapping[str, str]:
    """Return the sha256 of every file of a sealed folder; raises BadInput where the list is not the sealed one."""
    digests: dict[str, str] = json.loads(read_sealed(objects, f"{folder}/{CHECKSUMS}", sha256))
    return digests


def read_sealed(objects: Objects, path: str, sha256: str | None) -> bytes:
    """Return a sealed file; raises BadInput where it is missing or, unless `sha256` is None, damaged."""
    stored = objects.read(path)
    if stored is None:
        raise BadInput(f"{objects.root}/{path}: sealed, but not there")
    if sha256 is not None:
        require(stored.data, sha256, f"{objects.root}/{path}")
    return stored.data


def damaged(objects: Objects, folder: str, checksums: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with each damaged file of a sealed folder; reads all of them."""
    digests = dict(_digests(objects, folder, list(checksums)))
    return {
        name: "is missing" if digests[name] is None else "has other bytes than were sealed"
        for name, sealed in checksums.items()
        if digests[name] != sealed
    }


def require(data: bytes, sha256: str, address: str) -> None:
    """Raise BadInput unless these are the sealed bytes."""
    if (digest := hashlib.sha256(data).hexdigest()) != sha256:
        raise BadInput(f"{address}: damaged: its sha256 is {digest[:12]}, sealed was {sha256[:12]}")


def _listed(digests: Mapping[str, str | None]) -> bytes:
    return json.dumps(digests, sort_keys=True, indent=0).encode()


def _digests(objects: Objects, folder: str, names: list[str]) -> Iterator[tuple[str, str | None]]:
    def digest(name: str) -> tuple[str, str | None]:
        found = objects.read(f"{folder}/{name}")
        return name, None if found is None else hashlib.sha256(found.data).hexdigest()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(digest, names)


class VerifiedStore(WrapperStore[Store]):
    """A zarr store that gives only sealed bytes. `checksums` are those of the keys of this store."""

    def __init__(self, store: Store, checksums: Mapping[str, str] | None = None, address: str = "") -> None:
        super().__init__(store)
        self._checksums, self._address = checksums or {}, address

    def _with_store(self, store: Store) -> VerifiedStore:
        return VerifiedStore(store, self._checksums, self._address)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return a sealed file, or a part of it; None for one that was never sealed. Raises BadInput if damaged."""
        sealed = self._checksums.get(key)
        if sealed is None:
            return None
        whole = await super().get(key, prototype)
        if whole is None:
            raise BadInput(f"{self._address}/{key}: sealed, but not there")
        require(whole.to_bytes(), sealed, f"{self._address}/{key}")
        return whole if byte_range is None else whole[_slice(byte_range)]

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of files; raises as `get` does, which zarr's own way round it would not."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)


def _slice(byte_range: ByteRequest) -> slice:
    if isinstance(byte_range, RangeByteRequest):
        return slice(byte_range.start, byte_range.end)
    if isinstance(byte_range, OffsetByteRequest):
        return slice(byte_range.offset, None)
    assert isinstance(byte_range, SuffixByteRequest)
    return slice(-byte_range.suffix, None)
