"""Where artifacts live: drafts that become sealed in one step, and pointers that move by compare-and-swap.

Data is written first, its `manifest.json` last and conditionally, so that *sealed* and *exists* are one question.
A draft that a killed process left behind is continued by the same plan and discarded by any other.
"""

from __future__ import annotations

import fcntl
import json
import os
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import numpy as np
import xarray as xr
import zarr
from pydantic import AwareDatetime, Field

from stormcast_tw.errors import BadInput, Conflict, NotReady
from stormcast_tw.plan import CycleText, ExperimentName, Frozen
from stormcast_tw.schema import DatasetSpec, encoding

MANIFEST = "manifest.json"
DRAFT = "draft.json"


class Address(Frozen):
    """Where an artifact is, below the root of its store: kind/experiment/cycle/run."""

    kind: str
    experiment: ExperimentName
    cycle: CycleText
    run: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.experiment}/{self.cycle}/{self.run}"


class Artifact(Frozen):
    """The manifest of one sealed artifact. About a kilobyte; what tasks hand each other instead of arrays."""

    format: int = 1
    address: Address
    root: str
    plan: dict[str, Any]
    """What determined it; another plan is another address."""
    grid: dict[str, Any]
    variables: tuple[str, ...]
    parents: tuple[str, ...]
    simulated: bool
    trained: bool | None
    """None where no model was involved."""
    written_at: AwareDatetime
    details: dict[str, Any] = Field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The folder that holds it."""
        return f"{self.root}/{self.address}"


@dataclass(frozen=True)
class Pointer:
    """What a small JSON file says now; `version` is None where there is none yet."""

    value: dict[str, Any] | None
    version: str | None


class Store:
    """A root folder (a local path or any fsspec URL) of sealed artifacts, drafts and pointers."""

    def __init__(self, root: str) -> None:
        self._filesystem, path = fsspec.core.url_to_fs(root)
        self.root = self._filesystem.unstrip_protocol(path).removeprefix("file://").rstrip("/")

    def find(self, address: Address) -> Artifact | None:
        """Return the sealed artifact at `address`, or None."""
        manifest = self._read(f"{self.root}/{address}/{MANIFEST}")
        return None if manifest is None else self._artifact(manifest)

    def get(self, address: Address) -> Artifact:
        """Return the sealed artifact at `address`; raises NotReady where it is not sealed."""
        artifact = self.find(address)
        if artifact is None:
            raise NotReady(f"{self.root}/{address}: not sealed")
        return artifact

    def begin(self, address: Address, plan: dict[str, Any]) -> Draft:
        """Return the draft of `plan` at `address`, continuing what the same plan left there.

        What another plan left is discarded. Raises Conflict if the address is sealed.
        """
        uri = f"{self.root}/{address}"
        if self._exists(f"{uri}/{MANIFEST}"):
            raise Conflict(f"{uri}: is sealed already")
        wanted = json.dumps(plan, sort_keys=True, indent=1)
        if self._read(f"{uri}/{DRAFT}") != wanted:
            if self._filesystem.exists(uri):
                self._filesystem.rm(uri, recursive=True)
            self._replace(f"{uri}/{DRAFT}", wanted)
        return Draft(self, address, plan)

    def open(self, artifact: Artifact, name: str) -> xr.Dataset:
        """Open dataset `name` of a sealed artifact lazily; raises BadInput where it is missing."""
        uri = f"{artifact.uri}/{name}.zarr"
        try:
            dataset: xr.Dataset = xr.open_zarr(zarr_store(uri), chunks=None, consolidated=True)
        except (FileNotFoundError, ValueError) as error:
            raise BadInput(f"{uri}: sealed, but cannot be opened: {error}") from error
        return dataset

    def list(self, kind: str, experiment: str) -> list[Artifact]:
        """Return every sealed artifact of a kind, ordered by cycle."""
        manifests = self._filesystem.glob(f"{self.root}/{kind}/{experiment}/*/*/{MANIFEST}")
        return [self._artifact(self._filesystem.cat_file(path).decode()) for path in sorted(manifests)]

    def copy_in(self, source: Artifact, name: str, draft: Draft) -> None:
        """Copy dataset `name` of a sealed artifact, byte for byte, into a draft of this store."""
        filesystem, path = fsspec.core.url_to_fs(f"{source.uri}/{name}.zarr")
        for found in filesystem.find(path):
            target = f"{draft.uri}/{name}.zarr/{found.removeprefix(path).lstrip('/')}"
            self._filesystem.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH120
            self._filesystem.pipe_file(target, filesystem.cat_file(found))

    def read_pointer(self, path: str) -> Pointer:
        """Return what the pointer at `path` below the root says."""
        text = self._read(f"{self.root}/{path}")
        return Pointer(None, None) if text is None else Pointer(json.loads(text), text)

    def move_pointer(self, path: str, seen: Pointer, value: dict[str, Any]) -> None:
        """Make the pointer say `value` if it still says what was `seen`; raises Conflict otherwise."""
        target = f"{self.root}/{path}"
        text = json.dumps(value, indent=1)
        self._filesystem.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH120
        with Path(f"{target}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._read(target) != seen.version:
                raise Conflict(f"{target}: was moved by somebody else meanwhile")
            self._replace(target, text)

    def create(self, path: str, text: str) -> bool:
        """Create a file below the root with `text` unless it exists; True if this call created it. Atomic."""
        target = f"{self.root}/{path}"
        self._filesystem.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH120
        temporary = Path(f"{target}.{uuid4().hex}")
        temporary.write_text(text)
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        return True

    def remove(self, path: str) -> None:
        """Remove a file or folder below the root."""
        self._filesystem.rm(f"{self.root}/{path}", recursive=True)

    def _artifact(self, manifest: str) -> Artifact:
        return Artifact.model_validate_json(manifest).model_copy(update={"root": self.root})

    def _read(self, path: str) -> str | None:
        try:
            data: bytes = self._filesystem.cat_file(path)
        except FileNotFoundError:
            return None
        return data.decode()

    def _exists(self, path: str) -> bool:
        return bool(self._filesystem.exists(path))

    def _replace(self, path: str, text: str) -> None:
        self._filesystem.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH120
        temporary = Path(f"{path}.{uuid4().hex}")
        temporary.write_text(text)
        temporary.replace(path)


class Draft:
    """An artifact being written: datasets, markers of finished parts, and at the end the seal."""

    def __init__(self, store: Store, address: Address, plan: dict[str, Any]) -> None:
        self.store, self.address, self.plan = store, address, plan
        self.uri = f"{store.root}/{address}"

    def write(self, name: str, dataset: xr.Dataset) -> None:
        """Write a whole dataset, replacing what an interrupted call left."""
        target = zarr_store(f"{self.uri}/{name}.zarr")
        dataset.to_zarr(
            target, mode="w", zarr_format=3, consolidated=False, encoding=encoding(dataset), write_empty_chunks=True
        )

    def create(self, name: str, spec: DatasetSpec) -> None:
        """Lay out a dataset to be filled piece by piece; does nothing where that was done before."""
        marker = f"{self.address}/laid-out-{name}"
        if self.store._exists(f"{self.store.root}/{marker}"):
            return
        self.write(name, spec.coordinates)
        group = zarr.open_group(zarr_store(f"{self.uri}/{name}.zarr"), mode="r+")
        for variable, array in spec.arrays.items():
            group.create_array(
                variable,
                shape=array.shape,
                chunks=array.chunks,
                dtype="float32",
                fill_value=np.nan,
                dimension_names=array.dims,
                attributes=dict(array.attributes),
                config={"write_empty_chunks": True},
            )
        self.store.create(marker, "")

    def arrays(self, name: str) -> zarr.Group:
        """Return the arrays of dataset `name` for reading and writing regions."""
        return zarr.open_group(zarr_store(f"{self.uri}/{name}.zarr"), mode="r+")

    def mark(self, part: str) -> None:
        """Say that everything of `part` has been written."""
        self.store.create(f"{self.address}/parts/{part}", "")

    def parts(self) -> set[str]:
        """Return the parts marked so far, by this process or an earlier one."""
        filesystem = self.store._filesystem
        folder = f"{self.uri}/parts"
        if not filesystem.exists(folder):
            return set()
        return {str(path).rsplit("/", 1)[-1] for path in filesystem.ls(folder, detail=False)}

    def seal(
        self,
        *,
        grid: dict[str, Any],
        variables: tuple[str, ...],
        parents: tuple[Artifact | str, ...],
        simulated: bool,
        now: datetime,
        trained: bool | None = None,
        details: dict[str, Any] | None = None,
    ) -> Artifact:
        """Consolidate the datasets and write the manifest: from here on the artifact exists and never changes.

        If another process sealed the same plan first, its manifest is returned; another plan's raises Conflict.
        """
        filesystem = self.store._filesystem
        for dataset in filesystem.glob(f"{self.uri}/*.zarr"):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
                zarr.consolidate_metadata(zarr_store(dataset))
        artifact = Artifact(
            address=self.address,
            root=self.store.root,
            plan=self.plan,
            grid=grid,
            variables=variables,
            parents=tuple(parent if isinstance(parent, str) else parent.uri for parent in parents),
            simulated=simulated,
            trained=trained,
            written_at=now,
            details=details or {},
        )
        if not self.store.create(f"{self.address}/{MANIFEST}", artifact.model_dump_json(indent=1)):
            artifact = self.store.get(self.address)
            if artifact.plan != self.plan:
                raise Conflict(f"{self.uri}: was sealed by another plan")
        for leftover in (DRAFT, "parts", *(Path(p).name for p in filesystem.glob(f"{self.uri}/laid-out-*"))):
            if filesystem.exists(f"{self.uri}/{leftover}"):
                filesystem.rm(f"{self.uri}/{leftover}", recursive=True)
        return artifact


def zarr_store(uri: str) -> zarr.storage.StoreLike:
    """Return the zarr store of a local path or an fsspec URL."""
    if "://" in uri and not uri.startswith("file://"):
        return zarr.storage.FsspecStore.from_url(uri)
    return zarr.storage.LocalStore(uri.removeprefix("file://"))


def array_of(group: zarr.Group, variable: str) -> zarr.Array[Any]:
    """Return the array of `variable`; raises BadInput where the group has none."""
    array = group.get(variable)
    if not isinstance(array, zarr.Array):
        raise BadInput(f"{group.store_path}: has no array {variable}")
    return array
