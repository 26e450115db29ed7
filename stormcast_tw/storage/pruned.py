"""What was removed of an artifact, told beside its manifest in `pruned.json`, and the removal itself.

It is told before anything is removed: a reader knows why something is missing, and whoever is killed in between is
followed by one who ends it. A whole artifact, or a draft, loses `pruned.json` last of all: until then `Store.begin`
refuses its address, so that no new file is taken for an old one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, ValidationError

from stormcast_tw.errors import BadInput, Conflict, NotReady
from stormcast_tw.plan import Frozen
from stormcast_tw.storage.artifact import MANIFEST
from stormcast_tw.storage.checksums import CHECKSUMS
from stormcast_tw.storage.objects import Objects

PRUNED = "pruned.json"
DRAFT = "draft.json"
KEPT_NAMES = (MANIFEST, CHECKSUMS, PRUNED)
"""What stays of an artifact whose content went."""


class Gone(Frozen):
    """One removal: the files and folders that went, directly below the artifact, when, how much, and why."""

    names: tuple[str, ...]
    at: AwareDatetime
    files: int
    bytes: int
    why: str


class Pruned(Frozen):
    """The content of `pruned.json`: what is or was removed of an artifact, oldest first.

    It says `draft` or `artifact` only while the whole of it is being removed.
    """

    format: int = 1
    what: Literal["part", "draft", "artifact"] = "part"
    gone: tuple[Gone, ...] = ()

    @property
    def whole(self) -> bool:
        """True while nothing is to be left."""
        return self.what != "part"

    @classmethod
    def read(cls, objects: Objects, folder: str) -> Self:
        """Return what was removed in a folder; raises BadInput where the record is damaged."""
        if (record := objects.read(f"{folder}/{PRUNED}")) is None:
            return cls()
        try:
            return cls.model_validate_json(record.data)
        except ValidationError as error:
            where = f"{objects.root}/{folder}/{PRUNED}"
            raise BadInput(f"{where}: is no whole record: {error.errors()[0]['msg']}") from error

    def of(self, path: str) -> Gone | None:
        """Return the removal that a path below the artifact went with, or None."""
        return next((gone for gone in self.gone if path.split("/")[0] in gone.names), None)


def require_kept(objects: Objects, folder: str, name: str) -> None:
    """Raise NotReady, saying when and why, where a file or folder of an artifact was removed."""
    if (gone := Pruned.read(objects, folder).of(name)) is not None:
        raise NotReady(f"{objects.root}/{folder}/{name}: was pruned on {gone.at:%Y-%m-%d}: {gone.why}")


def require_staying(objects: Objects, folder: str) -> None:
    """Raise Conflict where the removal of a whole artifact or draft was begun and not ended."""
    if Pruned.read(objects, folder).whole:
        raise Conflict(f"{objects.root}/{folder}: is being removed; `stormcast-tw prune` ends that")


def require_draft(objects: Objects, folder: str) -> None:
    """Raise Conflict unless a draft that is to be sealed is still there, or was sealed by others; none is removed."""
    # in this order: whoever seals writes the manifest first, then removes the draft
    there = any(objects.exists(f"{folder}/{name}") for name in (DRAFT, MANIFEST))
    if not there or objects.exists(f"{folder}/{PRUNED}"):
        raise Conflict(f"{objects.root}/{folder}: its draft was removed meanwhile; begin again")


def remove_part(objects: Objects, folder: str, gone: Gone) -> None:
    """Remove datasets or files of a sealed artifact for good; what was told before goes too, and is not told again."""
    told = Pruned.read(objects, folder)
    if any(told.of(name) is None for name in gone.names):
        _tell(objects, folder, told.model_copy(update={"gone": (*told.gone, gone)}))
    for name in gone.names:
        objects.remove(f"{folder}/{name}")


def remove_artifact(objects: Objects, folder: str, gone: Gone) -> None:
    """Remove a sealed artifact: its content, `gone.names`, then its manifest, which keeps others from beginning."""
    _tell(objects, folder, Pruned(what="artifact", gone=(gone,)))
    _remove(objects, folder, *gone.names, CHECKSUMS, MANIFEST, PRUNED)


def remove_draft(objects: Objects, folder: str, gone: Gone, quiet_since: datetime) -> bool:
    """Remove a draft unless it was sealed, or something was written to it since; True if it is gone.

    Its plan goes first: whoever took the draft up a moment ago, and wrote nothing yet, is then refused at the seal.
    """
    _tell(objects, folder, Pruned(what="draft", gone=(gone,)))
    listed = [entry for entry in objects.listed(folder) if entry.path != f"{folder}/{PRUNED}"]
    sealed = objects.exists(f"{folder}/{MANIFEST}")
    if sealed or any(entry.modified > quiet_since for entry in listed):
        objects.remove(f"{folder}/{PRUNED}")
        return False
    names = sorted({entry.path.removeprefix(f"{folder}/").split("/")[0] for entry in listed})
    _remove(objects, folder, DRAFT, *names, PRUNED)
    return True


def _remove(objects: Objects, folder: str, *names: str) -> None:
    """Remove all there is of an artifact or draft, in this order."""
    for path in objects.leftovers(folder):
        objects.remove(path)
    for name in names:
        objects.remove(f"{folder}/{name}")


def _tell(objects: Objects, folder: str, record: Pruned) -> None:
    path, data = f"{folder}/{PRUNED}", record.model_dump_json(indent=1).encode()
    if objects.create(path, data) or record.whole:
        return
    seen = objects.read(path)
    if seen is None or not objects.swap(path, seen.version, data):
        raise Conflict(f"{objects.root}/{path}: was written by somebody else meanwhile")
