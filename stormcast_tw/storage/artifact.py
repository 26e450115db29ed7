"""What an artifact is: its address, its manifest, and the details that each kind of artifact has of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from stormcast_tw.errors import BadInput
from stormcast_tw.names import ExperimentName, KindName, RunId
from stormcast_tw.plan import CycleText, Frozen, digest_of

MANIFEST = "manifest.json"


class Address(Frozen):
    """Where an artifact is, below the root of its store: kind/experiment/cycle/run."""

    kind: KindName
    experiment: ExperimentName
    cycle: CycleText
    run: RunId

    def __str__(self) -> str:
        return f"{self.kind}/{self.experiment}/{self.cycle}/{self.run}"


class Artifact(Frozen):
    """The manifest of one sealed artifact. About a kilobyte; tasks pass it on instead of arrays."""

    format: int = 1
    address: Address
    root: str = ""
    """Where it was found. Not in the manifest, which holds for any root; before 0.2 it said that of the seal."""
    plan: dict[str, Any]
    """What determined it; a different plan has a different address."""
    grid: dict[str, Any]
    variables: tuple[str, ...]
    parents: tuple[str, ...]
    """Addresses of the artifacts it was made of, below their roots (before 0.2 with them), or of providers' files."""
    simulated: bool
    trained: bool | None
    """None where no model was involved."""
    written_at: AwareDatetime
    details: dict[str, Any] = Field(default_factory=dict)
    checksums: str | None = None
    """sha256 of `checksums.json`, which lists that of every file. None before 0.2."""
    sha256: str | None = None
    """That of the manifest's other lines, as canonical JSON: what a manifest says is checked too. None before 0.2."""

    @classmethod
    def read(cls, manifest: bytes, folder: str) -> Self:
        """Return what the manifest in a folder says; its root is the folder's.

        Raises BadInput for one that is not whole, not what was sealed, or of another folder.
        """
        where = f"{folder}/{MANIFEST}"
        try:
            artifact = cls.model_validate_json(manifest)
        except ValidationError as error:
            raise BadInput(f"{where}: is no whole manifest: {error.errors()[0]['msg']}") from error
        if artifact.sha256 is not None and (digest := _digest(manifest)) != artifact.sha256:
            raise BadInput(f"{where}: damaged: its sha256 is {digest[:12]}, sealed was {artifact.sha256[:12]}")
        if not folder.endswith(suffix := f"/{artifact.address}"):
            raise BadInput(f"{where}: belongs to {artifact.address}; keep that path below any root")
        return artifact.model_copy(update={"root": folder.removesuffix(suffix)})

    def with_sha256(self) -> Self:
        """Return the same with its own sha256, as it is written."""
        return self.model_copy(update={"sha256": _digest(self.manifest)})

    @property
    def manifest(self) -> bytes:
        """What is written as its manifest: all but the root."""
        return self.model_dump_json(indent=1, exclude={"root"}).encode()

    @property
    def uri(self) -> str:
        """The folder that holds it."""
        return f"{self.root}/{self.address}"


def _digest(manifest: bytes) -> str:
    return digest_of({name: value for name, value in json.loads(manifest).items() if name != "sha256"})


class Details(Frozen):
    """What the manifest of one kind of artifact holds beyond the fields of `Artifact`; each kind has its own subclass.

    A field added later has a default, so that older manifests are still read, and an unknown one is ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def of(cls, artifact: Artifact) -> Self:
        """Return the details of an artifact of this kind; raises BadInput if they belong to another kind."""
        try:
            return cls.model_validate(artifact.details)
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(map(str, wrong["loc"]))
            raise BadInput(f"{artifact.uri}/{MANIFEST}: details.{where}: {wrong['msg']}") from error


@dataclass(frozen=True)
class Pointer:
    """The current content of a small JSON file; `version` is None if there is none yet."""

    value: dict[str, Any] | None
    version: str | None
