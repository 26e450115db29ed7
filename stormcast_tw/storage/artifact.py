"""What an artifact is: its address, its manifest, and the details that each kind of artifact has of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from stormcast_tw.errors import BadInput
from stormcast_tw.names import ExperimentName, KindName, RunId
from stormcast_tw.plan import CycleText, Frozen

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
    root: str
    plan: dict[str, Any]
    """What determined it; a different plan has a different address."""
    grid: dict[str, Any]
    variables: tuple[str, ...]
    parents: tuple[str, ...]
    simulated: bool
    trained: bool | None
    """None where no model was involved."""
    written_at: AwareDatetime
    details: dict[str, Any] = Field(default_factory=dict)
    checksums: str | None = None
    """sha256 of `checksums.json`, which lists that of every file. None before 0.2."""

    @property
    def uri(self) -> str:
        """The folder that holds it."""
        return f"{self.root}/{self.address}"


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
