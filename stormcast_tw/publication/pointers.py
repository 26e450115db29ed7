"""Pointers to the run to read: `chosen.json` of each cycle and `latest.json` of the experiment.

Publishing moves them forward only. A person may move `latest.json` anywhere, and each such move is recorded beside it,
below `moves/`: who, when, why, from where and to where.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, Conflict, NotReady, StormcastError
from stormcast_tw.plan import Frozen
from stormcast_tw.publication.recent import add_recent
from stormcast_tw.storage.artifact import MANIFEST, Address, Artifact, Pointer
from stormcast_tw.storage.pruned import require_kept
from stormcast_tw.storage.store import Store

PUBLISHED = "published"
EXPORTED = "exports"
"""Kinds of artifacts below the published root: a run, and the same in other formats."""
LATEST = "latest.json"
CHOSEN = "chosen.json"
Status = Literal["complete", "degraded"]
_ATTEMPTS = 20


class Promise(Frozen):
    """When the run after a published one is expected, and until when this one may be used unless that comes."""

    next_expected: AwareDatetime
    valid_until: AwareDatetime


class Entry(Frozen):
    """The content of a pointer: the run to read. It says cycle and run twice, so that a damaged one is found out."""

    init_time: AwareDatetime
    run: str
    manifest: str
    """Relative to the folder of the experiment."""
    status: Status
    next_expected: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    """As in `Promise`; only `latest.json` has them, and not that of before 0.3."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.manifest != (expected := f"{Cycle(self.init_time)}/{self.run}/{MANIFEST}"):
            raise ValueError(f"manifest is {self.manifest}, its init_time and run say {expected}")
        return self

    def names(self, run: Artifact) -> bool:
        """True if this is the run."""
        return self.without_promise() == self.of(run)

    def without_promise(self) -> Self:
        """Return what this says of the run itself."""
        return self.model_copy(update={"next_expected": None, "valid_until": None})

    @classmethod
    def of(cls, run: Artifact, promise: Promise | None = None) -> Self:
        """Return the entry that names a published run."""
        return cls(
            **(promise.model_dump() if promise else {}),
            init_time=Cycle.parse(run.address.cycle).init_time,
            run=run.address.run,
            manifest=f"{run.address.cycle}/{run.address.run}/{MANIFEST}",
            status=run.details.get("status", "complete"),
        )


class Move(Frozen):
    """One move of `latest.json` by a person."""

    at: AwareDatetime
    who: str = Field(min_length=1)
    why: str = Field(min_length=1)
    before: Entry | str | None
    """What it said before: the text itself where that was no entry, None where there was none."""
    after: Entry

    def __str__(self) -> str:
        before = self.before.manifest if isinstance(self.before, Entry) else repr(self.before or "nothing")
        return f"{self.at:%Y-%m-%d %H:%M} UTC, {self.who}: from {before} to {self.after.manifest}: {self.why}"


def point_at(store: Store, run: Artifact, promise: Promise | None = None) -> None:
    """Choose this run for its cycle, add it to `recent.json`, and move `latest.json` to it.

    Not if that would go back in time, nor to a run that a person moved it away from.
    """
    entry, folder = Entry.of(run), _folder(run.address.experiment)
    _move(store, f"{folder}/{run.address.cycle}/{CHOSEN}", entry)
    add_recent(store, folder, run)
    if entry.manifest not in _moved_away_from(store, run.address.experiment):
        _move(store, f"{folder}/{LATEST}", Entry.of(run, promise))


def latest(store: Store, experiment: str) -> Artifact | None:
    """Return the published run that `latest.json` points at, or None; raises BadInput where the pointer is damaged."""
    return _named(store, experiment, f"{_folder(experiment)}/{LATEST}")


def chosen(store: Store, experiment: str, cycle: Cycle) -> Artifact | None:
    """Return the published run that is chosen for a cycle, or None; raises BadInput where the pointer is damaged."""
    return _named(store, experiment, f"{_folder(experiment)}/{cycle}/{CHOSEN}")


def is_published(store: Store, experiment: str, cycle: Cycle) -> bool:
    """Return whether a run of a cycle is published; False where that cannot be read."""
    try:
        return chosen(store, experiment, cycle) is not None
    except (StormcastError, OSError):
        return False


def move_latest(store: Store, experiment: str, cycle: str, who: str, why: str, now: datetime) -> Move | None:
    """Move `latest.json` to the chosen run of a cycle, back or forward, and record it; None if it is there already.

    The record is written first. Raises NotReady where no run of the cycle is published, or its products were pruned,
    BadInput where that run is damaged, Conflict if somebody else moved the pointer meanwhile: then nothing is moved or
    recorded.
    """
    folder = _folder(experiment)
    run = _named(store, experiment, of_cycle := f"{folder}/{cycle}/{CHOSEN}")
    if run is None:
        raise NotReady(f"{store.root}/{of_cycle}: not there: no run of that cycle is published")
    store.sound(run.address)
    require_kept(store.objects, str(run.address), "products.zarr")
    seen = store.objects.read(f"{folder}/{LATEST}")
    before = None if seen is None else _entry_or_text(seen.data)
    move = Move(at=now, who=who, why=why, before=before, after=Entry.of(run))
    if isinstance(before, Entry) and before.names(run):
        return None
    record = f"{folder}/moves/{now:%Y%m%dT%H%M%S.%fZ}.json"
    if not store.objects.create(record, move.model_dump_json(indent=1).encode()):
        raise Conflict(f"{store.root}/{record}: is there already")
    try:
        store.move_pointer(
            f"{folder}/{LATEST}",
            Pointer(None, seen.version if seen else None),
            move.after.model_dump(mode="json", exclude_none=True),
        )
    except Conflict:
        store.objects.remove(record)
        raise
    return move


def moves(store: Store, experiment: str, unreadable: list[str] | None = None) -> list[Move]:
    """Return every move of `latest.json` by a person, oldest first.

    A record that cannot be read is passed over, and added to `unreadable`, with the reason.
    """
    found = []
    for path in store.objects.files(f"{_folder(experiment)}/moves"):
        if (record := store.objects.read(path)) is None:
            continue
        try:
            found.append(Move.model_validate_json(record.data))
        except ValidationError as error:
            if unreadable is not None:
                unreadable.append(f"{store.root}/{path}: is no record of a move: {error.errors()[0]['msg']}")
    return found


def pointer_damage(store: Store, experiment: str, runs: Sequence[Artifact]) -> dict[str, str]:
    """Return what is wrong with each pointer and record, by path below the experiment; `runs` are those published."""
    wrong, records = {}, list[str]()
    moves(store, experiment, records)
    root = f"{store.root}/{_folder(experiment)}/"
    for text in records:
        name, _, reason = text.removeprefix(root).partition(": ")
        wrong[name] = reason
    for name, allowed in _allowed(runs).items():
        try:
            run = _named(store, experiment, f"{_folder(experiment)}/{name}")
        except BadInput as error:
            wrong[name] = str(error).removeprefix(f"{root}{name}: ")
            continue
        if run is None and allowed:
            wrong[name] = "is missing, though runs are published"
    return wrong


def restore_pointer(store: Store, experiment: str, name: str, runs: Sequence[Artifact]) -> None:
    """Point a damaged pointer at the newest sound run that it may name; raises BadInput where there is none."""
    away = _moved_away_from(store, experiment) if name == LATEST else set()
    path = f"{_folder(experiment)}/{name}"
    for run in reversed(_allowed(runs)[name]):
        if Entry.of(run).manifest not in away and not store.damage(run):
            seen = store.objects.read(path)
            version = None if seen is None else seen.version
            store.move_pointer(path, Pointer(None, version), Entry.of(run).model_dump(mode="json", exclude_none=True))
            return
    raise BadInput(f"{store.root}/{path}: no sound run is published that it could name")


def _allowed(runs: Sequence[Artifact]) -> dict[str, list[Artifact]]:
    """Return the runs that each pointer may name, oldest first."""
    cycles = {run.address.cycle for run in runs}
    chosen = {f"{cycle}/{CHOSEN}": [run for run in runs if run.address.cycle == cycle] for cycle in sorted(cycles)}
    return {**chosen, LATEST: list(runs)}


def _folder(experiment: str) -> str:
    return f"{PUBLISHED}/{experiment}"


def _read(store: Store, path: str) -> Entry | None:
    value = store.read_pointer(path).value
    try:
        return None if value is None else Entry.model_validate(value)
    except ValidationError as error:
        raise BadInput(f"{store.root}/{path}: is no whole pointer: {error.errors()[0]['msg']}") from error


def _named(store: Store, experiment: str, path: str) -> Artifact | None:
    """Return the run that a pointer names; raises BadInput where it is damaged, or names no published run."""
    if (entry := _read(store, path)) is None:
        return None
    try:
        address = Address(kind=PUBLISHED, experiment=experiment, cycle=str(Cycle(entry.init_time)), run=entry.run)
    except ValidationError as error:
        raise BadInput(f"{store.root}/{path}: names run {entry.run}: {error.errors()[0]['msg']}") from error
    if (run := store.find(address)) is None:
        raise BadInput(f"{store.root}/{path}: names {entry.manifest}, which is not published")
    if not entry.names(run):
        raise BadInput(f"{store.root}/{path}: says {entry.status}, the run is {Entry.of(run).status}")
    return run


def _entry_or_text(data: bytes) -> Entry | str:
    try:
        return Entry.model_validate(json.loads(data))
    except ValueError:
        return data.decode(errors="replace")


def _moved_away_from(store: Store, experiment: str) -> set[str]:
    """Return the manifests of the runs that a person moved `latest.json` away from, and not back to since."""
    away: set[str] = set()
    for move in moves(store, experiment):
        if isinstance(move.before, Entry):
            away.add(move.before.manifest)
        away.discard(move.after.manifest)
    return away


def _move(store: Store, path: str, entry: Entry) -> None:
    for _ in range(_ATTEMPTS):
        seen = store.read_pointer(path)
        if seen.value is not None:
            before = _read(store, path)
            if before is not None and (before == entry or before.init_time > entry.init_time):
                return
        try:
            store.move_pointer(path, seen, entry.model_dump(mode="json", exclude_none=True))
        except Conflict:
            continue
        return
    raise Conflict(f"{store.root}/{path}: was moved by others {_ATTEMPTS} times in a row")
