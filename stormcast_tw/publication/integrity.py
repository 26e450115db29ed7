"""Is what was sealed still what it was; and what is damaged, made again from its plan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stormcast_tw.errors import Refused, StormcastError
from stormcast_tw.plan import ProductsPlan
from stormcast_tw.publication.beside import beside_of
from stormcast_tw.publication.catalogue import MEMBERS, Published, make_products, round_members
from stormcast_tw.publication.pointers import PUBLISHED, pointer_damage, restore_pointer
from stormcast_tw.storage.artifact import MANIFEST, Address, Artifact
from stormcast_tw.storage.checksums import CHECKSUMS, require, restore_checksums
from stormcast_tw.storage.pruned import KEPT_NAMES, PRUNED
from stormcast_tw.storage.store import Store

KINDS = {
    PUBLISHED: "",
    "forecast": "",
    "products": "",
    "prepared": "remove the folder of its run and forecast the cycle again",
    "inputs": "remove the folder of its run and forecast the cycle again",
    "exports": "remove the folder of its run and export again: stormcast-tw export",
    "verification": "remove the folder of its run and verify the cycle again",
    "errors": "remove the folder of its run and verify the cycle again",
}
"""Every kind of artifact of a cycle, and what a person does where its files cannot be made again here."""
_NO_MANIFEST = "remove that manifest and forecast the cycle again: files that are sound are taken up"
_NO_RECORD = "remove it and repair again: what it says was pruned is made again, or pruned anew"

RollOut = Callable[[Artifact, Path], Artifact]
"""Carries the plan of a forecast out again, below a folder; see `forecast.reproduce`."""


@dataclass(frozen=True)
class Damage:
    """A damaged artifact, or pointers: where, what is wrong with each file, and what became of it."""

    where: str
    files: dict[str, str]
    repaired: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Report:
    """What a check found, and how many artifacts were made before 0.2: without checksums nobody can tell."""

    damaged: list[Damage]
    old: int


def check(store: Store, experiment: str) -> Report:
    """Return all that is damaged of an experiment in a store; reads every byte of it."""
    examined = list(_examined(store, experiment))
    damaged = [Damage(where, files) for where, _, files in examined if files]
    artifacts = [artifact for _, artifact, _ in examined if artifact is not None]
    if wrong := pointer_damage(store, experiment, _published(artifacts)):
        damaged.append(Damage(_folder(store, experiment), wrong))
    return Report(damaged, sum(artifact.checksums is None for artifact in artifacts))


def repair(published: Store, work: Store, experiment: str, roll_out: RollOut, scratch: Path) -> list[Damage]:
    """Make what is damaged of an experiment again, file by file, and say what became of each.

    A file of a published run, a forecast or products is taken from another of the three where it is sound there, else
    made by the plan carried out again; a list of checksums is made from the files; a pointer is set to the newest sound
    run. Only bytes with the sealed sha256 are written, so that a repair changes nothing that was published.
    """
    mender = _Mender(published, work, roll_out, scratch)
    mended, artifacts = [], []
    for store in (published, work):
        for where, artifact, files in _examined(store, experiment):
            if artifact is None:
                mended.append(Damage(where, files, remark=_NO_MANIFEST))
                continue
            artifacts.append(artifact)
            if files:
                mended.append(mender.mend(store, artifact, files))
    return mended + _pointers_mended(published, experiment, _published(artifacts))


def _published(artifacts: Sequence[Artifact]) -> list[Artifact]:
    return [artifact for artifact in artifacts if artifact.address.kind == PUBLISHED]


def _folder(store: Store, experiment: str) -> str:
    return f"{store.root}/{PUBLISHED}/{experiment}"


def _examined(store: Store, experiment: str) -> Iterator[tuple[str, Artifact | None, dict[str, str]]]:
    """Yield where each artifact is, itself unless its manifest is damaged, and what is wrong with its files."""
    for kind in KINDS:
        unreadable: list[str] = []
        for artifact in store.list(kind, experiment, unreadable):
            yield artifact.uri, artifact, store.damage(artifact)
        for text in unreadable:
            where, _, reason = text.partition(f"/{MANIFEST}: ")
            yield where, None, {MANIFEST: reason}


def _pointers_mended(published: Store, experiment: str, runs: Sequence[Artifact]) -> list[Damage]:
    mended = []
    for name, wrong in pointer_damage(published, experiment, runs).items():
        where, files = _folder(published, experiment), {name: wrong}
        try:
            restore_pointer(published, experiment, name, runs)
            mended.append(Damage(where, files, repaired=True))
        except StormcastError as error:
            mended.append(Damage(where, files, remark=str(error)))
    return mended


@dataclass(frozen=True)
class _Mender:
    """Mends published runs, forecasts and products; what has to be made again is made below a folder."""

    published: Store
    work: Store
    roll_out: RollOut
    scratch: Path

    def mend(self, store: Store, artifact: Artifact, files: dict[str, str]) -> Damage:
        """Mend the damaged files of an artifact and say what became of it."""
        try:
            if CHECKSUMS in files:
                listed = [path for path in store.below(artifact.address) if path not in KEPT_NAMES]
                restore_checksums(store.objects, str(artifact.address), listed, artifact.checksums or "")
            else:
                self._mend(store, artifact, files)
        except StormcastError as error:
            return Damage(artifact.uri, files, remark=str(error))
        return Damage(artifact.uri, files, repaired=True)

    def _mend(self, store: Store, artifact: Artifact, files: dict[str, str]) -> None:
        if remedy := _NO_RECORD if PRUNED in files else KINDS[artifact.address.kind]:
            raise Refused(remedy)
        sealed, holders = store.files(artifact) or {}, self._holders(artifact)
        for name in files:
            data = _copy(holders, name, sealed[name])
            if data is None:
                data = self._again(store, artifact, name)
                require(data, sealed[name], f"{artifact.uri}/{name}, made again")
            store.objects.replace(f"{artifact.address}/{name}", data)

    def _holders(self, artifact: Artifact) -> list[tuple[Store, Address]]:
        """Return the published run, the forecast and the products that this artifact is one of, all that there are."""
        of = artifact.address
        for run in self.published.list(PUBLISHED, f"{of.experiment}/{of.cycle}"):
            addresses = run.address, _forecast(run), run.address.model_copy(update={"kind": "products"})
            if of in addresses:
                return list(zip((self.published, self.work, self.work), addresses, strict=True))
        return [(self.work, of)]

    def _again(self, store: Store, artifact: Artifact, name: str) -> bytes:
        scratch, forecast = Store(str(self.scratch)), _forecast(artifact)
        if name.startswith(f"{MEMBERS}."):
            return self._members_again(artifact, name)
        holder = artifact if artifact.address.kind == PUBLISHED else store.get(forecast)
        again = make_products(store, holder, artifact.written_at, beside_of(store, artifact), into=scratch)
        return scratch.read(again, name)

    def _members_again(self, artifact: Artifact, name: str) -> bytes:
        """Return a file of a forecast, or of the rounded members of a published run."""
        scratch, forecast = Store(str(self.scratch)), _forecast(artifact)
        is_published, kept = artifact.address.kind == PUBLISHED, self.work.find(forecast)
        if is_published and kept is not None and not self.work.damage(kept):
            source, whole = self.work, kept
        else:
            source, whole = scratch, scratch.find(forecast) or self.roll_out(artifact, self.scratch)
        if is_published and Published.of(artifact).rounded:
            return scratch.read(round_members(source, whole, scratch), name)
        return source.read(whole, name)


def _forecast(artifact: Artifact) -> Address:
    """Return where the forecast of a published run, of products or of itself is kept."""
    run = ProductsPlan.read(artifact.plan).forecast.run
    return artifact.address.model_copy(update={"kind": "forecast", "run": run})


def _copy(holders: Sequence[tuple[Store, Address]], name: str, sha256: str) -> bytes | None:
    """Return a sound copy of a file, None where no holder has one."""
    for store, address in holders:
        found = store.objects.read(f"{address}/{name}")
        if found is not None and hashlib.sha256(found.data).hexdigest() == sha256:
            return found.data
    return None
