"""Where artifacts live: drafts that become sealed in one step, and pointers that move by compare-and-swap.

Data is written first, its `manifest.json` last and conditionally, so that *sealed* and *exists* are one question.
A draft that a killed process left behind is continued by the same plan. Nothing that another process has begun is
deleted; what is kept no longer is removed by `storage.pruned`, which says so beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stormcast_tw.errors import BadInput, Conflict, NotReady
from stormcast_tw.lazy import lazy_import
from stormcast_tw.schema import DatasetSpec
from stormcast_tw.storage.artifact import MANIFEST, Address, Artifact, Details, Pointer
from stormcast_tw.storage.checksums import CHECKSUMS, damaged, read_checksums, read_sealed, write_checksums
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.pruned import DRAFT, KEPT_NAMES, PRUNED, Pruned, require_draft, require_kept, require_staying

if TYPE_CHECKING:
    import xarray as xr
    import zarr
    from zarr.abc.store import Store as ZarrStore

    from stormcast_tw.storage import zarr_arrays
else:
    xr = lazy_import("xarray")
    zarr = lazy_import("zarr")
    zarr_arrays = lazy_import("stormcast_tw.storage.zarr_arrays")

_MANIFEST_DEPTH = "kind/experiment/cycle/run/manifest.json".count("/")
_SCAFFOLDING = (DRAFT, "parts/")


class Store:
    """A root folder, local or s3://, of sealed artifacts, drafts and pointers."""

    def __init__(self, root: str) -> None:
        self.objects = objects(root)
        self.root = self.objects.root

    def find(self, address: Address) -> Artifact | None:
        """Return the sealed artifact at `address`, or None."""
        manifest = self.objects.read(f"{address}/{MANIFEST}")
        return None if manifest is None else Artifact.read(manifest.data, f"{self.root}/{address}")

    def sound(self, address: Address) -> Artifact | None:
        """Return the sealed artifact at `address`, every byte of it checked, or None.

        Raises BadInput naming damage, Conflict where it is being removed.
        """
        require_staying(self.objects, str(address))
        artifact = self.find(address)
        if artifact is not None and (damage := self.damage(artifact)):
            name, wrong = next(iter(damage.items()))
            raise BadInput(f"{artifact.uri}/{name}: {wrong}; see `stormcast-tw catalogue check --repair`")
        return artifact

    def get(self, address: Address) -> Artifact:
        """Return the sealed artifact at `address`; raises NotReady where it is not sealed."""
        artifact = self.find(address)
        if artifact is None:
            raise NotReady(f"{self.root}/{address}: not sealed")
        return artifact

    def make(self, address: Address, plan: dict[str, Any], fill: Callable[[Draft], Artifact]) -> Artifact:
        """Return the sealed artifact at `address`, made by `fill` unless it exists: every artifact is made this way.

        When another process seals the same plan first, its artifact is returned. One that was sealed before is checked,
        every byte of it; raises BadInput if it is damaged.
        """
        sealed = self.sound(address)
        if sealed is not None:
            self.tidy(address)
            return sealed
        try:
            draft = self.begin(address, plan)
        except Conflict:
            if (sealed := self.find(address)) is None:
                raise
            return sealed
        return fill(draft)

    def begin(self, address: Address, plan: dict[str, Any]) -> Draft:
        """Return the draft of `plan` at `address`, continuing what the same plan left there. Nothing is deleted.

        Raises Conflict if the address is sealed, is being pruned, or holds the draft of another plan.
        """
        wanted, path = json.dumps(plan, sort_keys=True, indent=1).encode(), f"{address}/{DRAFT}"
        ours = self.objects.create(path, wanted)
        draft = None if ours else self.objects.read(path)
        # after the draft: a seal writes the manifest first, then removes the draft
        sealed = self.objects.exists(f"{address}/{MANIFEST}")
        if sealed or self.objects.exists(f"{address}/{PRUNED}"):
            if ours:
                self.objects.remove(path)
            why = "is sealed already" if sealed else "is being removed; `stormcast-tw prune` ends that"
            raise Conflict(f"{self.root}/{address}: {why}")
        if draft is not None and draft.data != wanted:
            raise Conflict(f"{self.root}/{path}: is the draft of another plan; remove that folder if nobody writes it")
        return Draft(self, address, plan)

    def open(self, artifact: Artifact, name: str) -> xr.Dataset:
        """Open dataset `name` of a sealed artifact lazily; raises BadInput where it is missing, NotReady if pruned."""
        uri = f"{artifact.uri}/{name}.zarr"
        try:
            dataset: xr.Dataset = xr.open_zarr(self.zarr(artifact, name), chunks=None, consolidated=True)
        except (FileNotFoundError, ValueError) as error:
            raise BadInput(f"{uri}: sealed, but cannot be opened: {error}") from error
        return dataset

    def zarr(self, artifact: Artifact, name: str) -> ZarrStore:
        """Return the zarr store of dataset `name` of a sealed artifact, which gives only the bytes that were sealed."""
        uri = f"{artifact.uri}/{name}.zarr"
        require_kept(self.objects, str(artifact.address), f"{name}.zarr")
        files = self.files(artifact)
        if files is None:
            return zarr_arrays.zarr_store(uri)
        below = {path.removeprefix(f"{name}.zarr/"): sha256 for path, sha256 in files.items()
                 if path.startswith(f"{name}.zarr/")}  # fmt: skip
        if not below:
            raise BadInput(f"{uri}: there is no such dataset in {artifact.address}")
        return zarr_arrays.VerifiedStore(zarr_arrays.zarr_store(uri), below, uri)

    def files(self, artifact: Artifact) -> Mapping[str, str] | None:
        """Return the sha256 of every file of a sealed artifact, by its path below it; None for one made before 0.2."""
        if artifact.checksums is None:
            return None
        return read_checksums(self.objects, str(artifact.address), artifact.checksums)

    def read(self, artifact: Artifact, name: str) -> bytes:
        """Return a file of a sealed artifact; raises BadInput where it is missing or damaged, NotReady if pruned."""
        files = self.files(artifact)
        sha256 = None if files is None else files.get(name, "nothing")
        try:
            return read_sealed(self.objects, f"{artifact.address}/{name}", sha256)
        except BadInput:
            require_kept(self.objects, str(artifact.address), name)
            raise

    def below(self, address: Address) -> list[str]:
        """Return the paths of all files of an artifact or draft, below its folder."""
        return [path.removeprefix(f"{address}/") for path in self.objects.files(str(address))]

    def tidy(self, address: Address) -> None:
        """Remove what is left of the draft of a sealed artifact, by this seal or by one that was killed after it."""
        for path in filter(_is_scaffolding, self.below(address)):
            self.objects.remove(f"{address}/{path}")
        for path in self.objects.leftovers(str(address)):
            self.objects.remove(path)

    def damage(self, artifact: Artifact) -> dict[str, str]:
        """Return what is wrong with each damaged file of a sealed artifact; reads all of them. Pruned is no damage."""
        try:
            pruned = Pruned.read(self.objects, str(artifact.address))
            files = None if pruned.whole else self.files(artifact)
        except BadInput as error:
            name, _, wrong = str(error).removeprefix(f"{artifact.uri}/").partition(": ")
            return {name: wrong}
        kept = {name: sha256 for name, sha256 in (files or {}).items() if pruned.of(name) is None}
        return damaged(self.objects, str(artifact.address), kept)

    def list(self, kind: str, below: str, unreadable: list[str] | None = None) -> list[Artifact]:
        """Return every sealed artifact of a kind, `below` an experiment or experiment/cycle, oldest cycle first.

        One whose manifest cannot be read, or was lost, is passed over, and added to `unreadable`, with the reason.
        """
        artifacts: list[Artifact] = []
        reasons = [] if unreadable is None else unreadable
        paths = [path for path in self.objects.files(f"{kind}/{below}") if path.count("/") == _MANIFEST_DEPTH]
        for folder in (path.removesuffix(f"/{MANIFEST}") for path in paths if path.endswith(f"/{MANIFEST}")):
            if (manifest := self.objects.read(f"{folder}/{MANIFEST}")) is None:
                continue
            try:
                artifacts.append(Artifact.read(manifest.data, f"{self.root}/{folder}"))
            except BadInput as error:
                reasons.append(str(error))
        for folder in (path.removesuffix(f"/{CHECKSUMS}") for path in paths if path.endswith(f"/{CHECKSUMS}")):
            # after its checksums a seal writes the manifest, and only then removes the draft
            if not any(self.objects.exists(f"{folder}/{name}") for name in (DRAFT, MANIFEST)):
                reasons.append(f"{self.root}/{folder}/{MANIFEST}: sealed, but not there")
        return sorted(artifacts, key=lambda artifact: (artifact.address.cycle, artifact.written_at))

    def read_pointer(self, path: str) -> Pointer:
        """Return what the pointer at `path` below the root says; raises BadInput where that is not JSON."""
        pointer = self.objects.read(path)
        try:
            return Pointer(None, None) if pointer is None else Pointer(json.loads(pointer.data), pointer.version)
        except ValueError as error:
            raise BadInput(f"{self.root}/{path}: is no whole pointer: {error}") from error

    def move_pointer(self, path: str, seen: Pointer, value: dict[str, Any]) -> None:
        """Set the pointer to `value` if it is still as `seen`; raises Conflict otherwise."""
        if not self.objects.swap(path, seen.version, json.dumps(value, indent=1).encode()):
            raise Conflict(f"{self.root}/{path}: was moved by somebody else meanwhile")


class Draft:
    """An artifact being written: datasets, markers of finished parts, and at the end the seal.

    Two processes may fill the draft of one plan at once: they write the same bytes, existing files are left alone, and
    nothing is deleted.
    """

    def __init__(self, store: Store, address: Address, plan: dict[str, Any]) -> None:
        self.store, self.address, self.plan = store, address, plan
        self.uri = f"{store.root}/{address}"

    def write(self, name: str, dataset: xr.Dataset) -> None:
        """Write a whole dataset; what the same plan wrote before is left as it is."""
        self._create_all(name, zarr_arrays.stored(dataset))

    def write_sharded(self, name: str, dataset: xr.Dataset, each: str | None = None) -> None:
        """Write a whole dataset with few objects, see `sharded`; what the same plan wrote before is left as it is."""
        for key, data in zarr_arrays.sharded(dataset, each):
            self.put(f"{name}.zarr/{key}", data)

    def create(self, name: str, spec: DatasetSpec) -> None:
        """Lay out a dataset to be filled piece by piece; what the same plan filled before is left as it is."""
        self._create_all(name, zarr_arrays.laid_out(spec))

    def arrays(self, name: str) -> zarr.Group:
        """Return the arrays of dataset `name` for reading and writing regions; empty chunks are written too."""
        return zarr.open_group(zarr_arrays.zarr_store(f"{self.uri}/{name}.zarr"), mode="r+")

    def _create_all(self, name: str, files: Mapping[str, bytes]) -> None:
        for key, data in files.items():
            self.put(f"{name}.zarr/{key}", data)

    def put(self, path: str, data: bytes) -> None:
        """Write one file; what the same plan wrote before is left as it is."""
        self.store.objects.create(f"{self.address}/{path}", data)

    def copy_in(self, source: Store, artifact: Artifact) -> None:
        """Copy every file of a sealed artifact; raises BadInput where one is missing or damaged."""
        sealed: Mapping[str, str | None] | None = source.files(artifact)
        if sealed is None:
            sealed = dict.fromkeys(source.below(artifact.address))
        for path in sorted(set(sealed) - set(KEPT_NAMES)):
            self.put(path, read_sealed(source.objects, f"{artifact.address}/{path}", sealed[path]))

    def mark(self, part: str) -> None:
        """Record that everything of `part` has been written."""
        self.store.objects.create(f"{self.address}/parts/{part}", b"")

    def parts(self) -> set[str]:
        """Return the parts marked so far, by this process or an earlier one."""
        return {path.rsplit("/", 1)[-1] for path in self.store.objects.files(f"{self.address}/parts")}

    def seal(
        self,
        *,
        grid: dict[str, Any],
        variables: tuple[str, ...],
        parents: tuple[Artifact | str, ...],
        simulated: bool,
        now: datetime,
        trained: bool | None = None,
        details: Details | None = None,
    ) -> Artifact:
        """Consolidate the datasets and write the manifest: from here on the artifact exists and never changes.

        If another process sealed the same plan first, its manifest is returned; another plan's raises Conflict, and so
        does a draft that was pruned meanwhile. Raises BadInput if an attempt that was interrupted listed other bytes.
        """
        files = [path for path in self.store.below(self.address) if path not in KEPT_NAMES]
        files = [path for path in files if not _is_scaffolding(path)]
        for name in sorted({path.split("/")[0] for path in files if ".zarr/" in path}):
            zarr_arrays.consolidate(f"{self.uri}/{name}")
        checksums = write_checksums(self.store.objects, str(self.address), files)
        artifact = Artifact(
            address=self.address,
            root=self.store.root,
            plan=self.plan,
            grid=grid,
            variables=variables,
            parents=tuple(parent if isinstance(parent, str) else str(parent.address) for parent in parents),
            simulated=simulated,
            trained=trained,
            written_at=now,
            details=details.model_dump(mode="json", exclude_none=True) if details else {},
            checksums=checksums,
        ).with_sha256()
        self.store.objects.settle()
        require_draft(self.store.objects, str(self.address))
        if not self.store.objects.create(f"{self.address}/{MANIFEST}", artifact.manifest):
            artifact = self.store.get(self.address)
            if artifact.plan != self.plan:
                raise Conflict(f"{self.uri}: was sealed by another plan")
        self.store.tidy(self.address)
        return artifact


def _is_scaffolding(path: str) -> bool:
    return path.startswith(_SCAFFOLDING) or path.endswith(".partial")
