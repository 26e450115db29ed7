"""Is what was sealed still what it was; and what is damaged, made again from its plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stormcast_tw.errors import BadInput, NotReady, StormcastError
from stormcast_tw.plan import ProductsPlan
from stormcast_tw.publication.catalogue import PUBLISHED, make_products
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.checksums import CHECKSUMS, require
from stormcast_tw.storage.store import Store

KINDS = ("inputs", "prepared", "forecast", "products", PUBLISHED, "verification", "errors")
"""Every kind of artifact of a cycle."""

RollOut = Callable[[Artifact, Path], Artifact]
"""Carries the plan of a forecast out again, below a folder; see `forecast.reproduce`."""


@dataclass(frozen=True)
class Damage:
    """A damaged artifact: where it is, what is wrong with each file, and what became of it."""

    where: str
    files: dict[str, str]
    repaired: bool = False
    remark: str = ""


def check(store: Store, experiment: str) -> Iterator[Damage]:
    """Yield every damaged artifact of an experiment in a store; reads every byte of it."""
    for kind in KINDS:
        unreadable: list[str] = []
        for artifact in store.list(kind, experiment, unreadable):
            if files := store.damage(artifact):
                yield Damage(artifact.uri, files)
        for text in unreadable:
            where, _, reason = text.partition("/manifest.json: ")
            yield Damage(where, {"manifest.json": reason})


def unverifiable(store: Store, experiment: str) -> int:
    """Return how many artifacts of an experiment were made before 0.2 and have no checksums."""
    return sum(artifact.checksums is None for kind in KINDS for artifact in store.list(kind, experiment))


def repair(
    published: Store, work: Store, experiment: str, roll_out: RollOut, scratch: Path, now: datetime
) -> list[Damage]:
    """Make what is damaged of the published runs of an experiment again, file by file, and say what became of each.

    A file is taken from the work root where its forecast and products are sound, else from the plan carried out again.
    Only bytes with the sealed sha256 are written, so that a repair changes nothing that was published.
    """
    again = _Again(roll_out, scratch, now)
    return [
        _repaired(published, work, artifact, files, again)
        for artifact in published.list(PUBLISHED, experiment)
        if (files := published.damage(artifact))
    ]


def _repaired(published: Store, work: Store, artifact: Artifact, files: dict[str, str], again: _Again) -> Damage:
    if CHECKSUMS in files:
        return Damage(artifact.uri, files, remark="the list of checksums is damaged: nothing says what is right")
    sealed = published.files(artifact) or {}
    try:
        for name in files:
            data = _from_work(work, artifact, name) or again.file(artifact, name)
            require(data, sealed[name], f"{artifact.uri}/{name}, made again")
            published.objects.replace(f"{artifact.address}/{name}", data)
    except StormcastError as error:
        return Damage(artifact.uri, files, remark=str(error))
    return Damage(artifact.uri, files, repaired=True)


def _parents(artifact: Artifact) -> tuple[Address, Address]:
    """Return where the forecast and the products of a published run are kept."""
    plan = ProductsPlan.read(artifact.plan)
    forecast = artifact.address.model_copy(update={"kind": "forecast", "run": plan.forecast.run})
    return forecast, artifact.address.model_copy(update={"kind": "products"})


def _from_work(work: Store, artifact: Artifact, name: str) -> bytes | None:
    """Return a sound copy of a file from the work root, None where there is none."""
    for address in _parents(artifact):
        try:
            return work.read(work.get(address), name)
        except (NotReady, BadInput):
            continue
    return None


@dataclass(frozen=True)
class _Again:
    """Makes forecasts and products again, below a folder."""

    roll_out: RollOut
    scratch: Path
    now: datetime

    def file(self, artifact: Artifact, name: str) -> bytes:
        store = Store(str(self.scratch))
        forecast = store.find(_parents(artifact)[0]) or self.roll_out(artifact, self.scratch)
        return store.read(forecast if name.startswith("forecast.") else make_products(store, forecast, self.now), name)
