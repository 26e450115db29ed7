"""What is kept, and for how long; what goes is planned first, then removed. `settings.Retention` has the numbers.

Nothing sealed goes of the newest cycles of an experiment, of the cycle that `latest.json` names, of one whose manifest
is damaged, or of one in which a draft is being written. Of a published run its manifest stays for good. What belongs to
no cycle, and records of verification, are not touched. Readers may go on reading meanwhile, and cycles may run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from pydantic import ValidationError

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.plan import first_problem
from stormcast_tw.publication.catalogue import MEMBERS, plan_of
from stormcast_tw.publication.pointers import EXPORTED, PUBLISHED, latest
from stormcast_tw.settings import Retention
from stormcast_tw.storage.artifact import MANIFEST, Address, Artifact
from stormcast_tw.storage.objects import Listed
from stormcast_tw.storage.pruned import (
    DRAFT,
    KEPT_NAMES,
    PRUNED,
    Gone,
    Pruned,
    remove_artifact,
    remove_draft,
    remove_part,
)
from stormcast_tw.storage.store import Store

What = Literal["part", "draft", "artifact"]

PUBLISHED_KINDS = (PUBLISHED, "verification", "errors", EXPORTED)
WORK_KINDS = ("inputs", "prepared", "forecast", "products")
_MEMBERS = f"{MEMBERS}.zarr"
_DEPTH = "kind/experiment/cycle/run/".count("/")


@dataclass(frozen=True)
class Removal:
    """Something that goes: a draft, an artifact, or a part of one; the names are directly below its folder."""

    store: Store
    address: Address
    what: What
    names: tuple[str, ...]
    files: int
    bytes: int
    why: str
    begun: bool = False
    """An earlier removal was interrupted, and is ended in any case."""

    def __str__(self) -> str:
        part = f"/{{{','.join(self.names)}}}" if self.what == "part" else ""
        return f"{self.store.root}/{self.address}{part}: {self.files} files, {self.bytes / 1e6:.1f} MB: {self.why}"


@dataclass(frozen=True)
class PrunePlan:
    """What goes, and the damaged manifests, of whose cycles nothing does."""

    removals: tuple[Removal, ...]
    damaged: tuple[str, ...]


@dataclass(eq=False)
class _Folder:
    """What a list says of the folder of an artifact or draft: files and bytes by name, and its newest time."""

    store: Store
    address: Address
    sizes: dict[str, tuple[int, int]] = field(default_factory=lambda: defaultdict(lambda: (0, 0)))
    newest: datetime | None = None

    def add(self, name: str, entry: Listed) -> None:
        files, size = self.sizes[name]
        self.sizes[name] = files + 1, size + entry.size
        if name != PRUNED:
            self.newest = entry.modified if self.newest is None else max(self.newest, entry.modified)

    @property
    def sealed(self) -> bool:
        return MANIFEST in self.sizes

    @property
    def content(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.sizes) - set(KEPT_NAMES)))

    @cached_property
    def artifact(self) -> Artifact:
        """Its manifest; raises BadInput where that is damaged, NotReady where it has gone meanwhile."""
        return self.store.get(self.address)

    @cached_property
    def pruned(self) -> Pruned:
        return Pruned.read(self.store.objects, str(self.address)) if PRUNED in self.sizes else Pruned()

    def is_written_since(self, time: datetime) -> bool:
        """True for a draft, if something was written to it since."""
        return not self.sealed and DRAFT in self.sizes and self.newest is not None and self.newest > time

    def removal(self, what: What, names: Iterable[str], why: str, begun: bool = False) -> Removal:
        there = tuple(names)
        files, size = (sum(self.sizes[name][column] for name in there) for column in (0, 1))
        return Removal(self.store, self.address, what, there, files, size, why, begun)


def plan(published: Store, work: Store, keep: Retention, now: datetime) -> PrunePlan:
    """Return what is kept no longer at `now`, of all experiments; removes nothing.

    What an earlier removal that was interrupted has begun goes in any case. Raises BadInput where a pointer is damaged:
    nobody can say then what it names.
    """
    folders = [*_folders(published, PUBLISHED_KINDS), *_folders(work, WORK_KINDS)]
    removals, damaged = list[Removal](), list[str]()
    for experiment in sorted({folder.address.experiment for folder in folders}):
        mine = [folder for folder in folders if folder.address.experiment == experiment]
        keeper = _Keeper(mine, keep, now, _named_by_latest(published, experiment))
        removals += keeper.removals()
        damaged += keeper.damaged
    return PrunePlan(tuple(removals), tuple(damaged))


def prune(planned: PrunePlan, keep: Retention, now: datetime, report: Callable[[Removal], None]) -> list[Removal]:
    """Remove what was planned and return what went; each removal is looked at once more, then told, then done.

    It may be killed anywhere, and be repeated: what is gone is no error, and the next plan ends what was begun.
    """
    quiet_since, went = now - timedelta(days=keep.work_days), []
    for removal in planned.removals:
        if _carry_out(removal, quiet_since, now):
            went.append(removal)
            report(removal)
    return went


def _carry_out(removal: Removal, quiet_since: datetime, now: datetime) -> bool:
    store, where = removal.store, removal.address
    objects, folder = store.objects, str(where)
    gone = Gone(names=removal.names, at=now, files=removal.files, bytes=removal.bytes, why=removal.why)
    if removal.what == "draft":
        return remove_draft(objects, folder, gone, quiet_since)
    if removal.what == "part":
        if not removal.begun and where.cycle in _named_by_latest(store, where.experiment):
            return False
        remove_part(objects, folder, gone)
        return True
    folders = [] if removal.begun else _folders(store, WORK_KINDS, f"{where.experiment}/{where.cycle}")
    if any(found.is_written_since(quiet_since) for found in folders):
        return False
    remove_artifact(objects, folder, gone)
    return True


def _named_by_latest(published: Store, experiment: str) -> set[str]:
    run = latest(published, experiment)
    return set() if run is None else {run.address.cycle}


def _folders(store: Store, kinds: Iterable[str], below: str = "") -> list[_Folder]:
    """Return every folder of an artifact or draft of these kinds, by address."""
    found: dict[str, _Folder] = {}
    for kind in kinds:
        for entry in store.objects.listed(f"{kind}/{below}".rstrip("/")):
            *parts, rest = entry.path.split("/", _DEPTH)
            if len(parts) == _DEPTH and (folder := "/".join(parts)) not in found:
                if (address := _address(parts)) is None:
                    continue
                found[folder] = _Folder(store, address)
            if len(parts) == _DEPTH:
                found[folder].add(rest.split("/")[0], entry)
    return [found[folder] for folder in sorted(found)]


def _address(parts: list[str]) -> Address | None:
    kind, experiment, cycle, run = parts
    try:
        return Address(kind=kind, experiment=experiment, cycle=cycle, run=run)
    except ValidationError:
        return None  # a scorecard, a record of a move: no artifact


class _Keeper:
    """Decides what goes of one experiment."""

    def __init__(self, folders: list[_Folder], keep: Retention, now: datetime, named: set[str]) -> None:
        self._folders, self._keep, self._now = folders, keep, now
        self._quiet_since = now - timedelta(days=keep.work_days)
        self.damaged: list[str] = []
        self._staying = named | set(self._newest(PUBLISHED_KINDS)) | set(self._newest(WORK_KINDS))
        self._staying |= {folder.address.cycle for folder in folders if folder.is_written_since(self._quiet_since)}
        self._sealed = [folder for folder in folders if self._is_open(folder)]
        self._needed: set[tuple[str, str]] = set()
        """Cycle and run of the prepared inputs of members that stay."""

    def removals(self) -> Iterator[Removal]:
        """Yield what goes: published runs first, because prepared inputs stay as long as their members."""
        for folder in self._folders:
            yield from self._of_draft(folder)
        sealed = [folder for folder in self._sealed if folder.pruned.what != "draft"]
        for folder in sealed:
            if folder.address.kind == PUBLISHED:
                yield from self._of_published(folder)
        for folder in sealed:
            if folder.address.kind in (*WORK_KINDS, EXPORTED):
                yield from self._of_whole(folder)

    def _newest(self, kinds: Iterable[str]) -> list[str]:
        cycles = {folder.address.cycle for folder in self._folders if folder.sealed and folder.address.kind in kinds}
        return sorted(cycles)[-self._keep.cycles :]

    def _is_open(self, folder: _Folder) -> bool:
        """True where there is something to decide on; where a manifest or record is damaged, its cycle stays."""
        try:
            if not (folder.sealed and (folder.pruned.whole or folder.content)):
                return False  # all that could go is gone
            if folder.address.kind == PUBLISHED:
                plan_of(folder.artifact)
            return folder.artifact is not None
        except NotReady:
            return False  # somebody else removed it meanwhile
        except (BadInput, ValidationError) as error:
            where = f"{folder.store.root}/{folder.address}/{MANIFEST}"
            self.damaged.append(str(error) if isinstance(error, BadInput) else f"{where}: {first_problem(error)}")
            self._staying.add(folder.address.cycle)
            return False

    def _is_over(self, folder: _Folder, days: int) -> bool:
        return self._now - folder.artifact.written_at > timedelta(days=days)

    def _of_draft(self, folder: _Folder) -> Iterator[Removal]:
        """Yield a draft that is left, and the rest of a removal after which there is no manifest."""
        if folder.is_written_since(self._quiet_since):
            return
        if not folder.sealed and PRUNED in folder.sizes:
            yield folder.removal("draft", folder.content, "its removal was interrupted", begun=True)
        elif not folder.sealed and DRAFT in folder.sizes:
            why = f"a draft that nobody has written to for {self._keep.work_days} days"
            yield folder.removal("draft", folder.content, why)
        elif folder in self._sealed and folder.pruned.what == "draft":
            yield folder.removal("draft", (), "a removal was begun before it was sealed", begun=True)

    def _of_published(self, folder: _Folder) -> Iterator[Removal]:
        keep, told = self._keep, folder.pruned
        members = [name for name in folder.content if name == _MEMBERS]
        others = [name for name in folder.content if name != _MEMBERS]
        stays = folder.address.cycle in self._staying
        for what, names, days in (("members", members, keep.members_days), ("products", others, keep.products_days)):
            begun = any(told.of(name) for name in names)
            if names and (begun or (not stays and self._is_over(folder, days))):
                yield folder.removal("part", names, f"{what} are kept {days} days", begun)
            elif names == [_MEMBERS]:
                inputs = plan_of(folder.artifact).inputs
                self._needed.add((inputs.cycle, inputs.run))

    def _of_whole(self, folder: _Folder) -> Iterator[Removal]:
        where = folder.address
        by_kind = {"inputs": self._keep.inputs_days, EXPORTED: self._keep.members_days}
        days = by_kind.get(where.kind, self._keep.work_days)
        needed = where.kind == "prepared" and (where.cycle, where.run) in self._needed
        over = where.cycle not in self._staying and not needed and self._is_over(folder, days)
        if over or folder.pruned.whole:
            yield folder.removal("artifact", folder.content, f"kept {days} days", begun=folder.pruned.whole)
