"""`recent.json`: the runs of the last cycles, for readers that cannot list a folder, such as a page on the web."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, ValidationError

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, Conflict
from stormcast_tw.plan import Frozen, ProductsPlan
from stormcast_tw.storage.artifact import MANIFEST, Artifact, Pointer
from stormcast_tw.storage.store import Store

RECENT = "recent.json"
CYCLES = 12
"""Three days."""
_ATTEMPTS = 20


class RecentRun(Frozen):
    """The chosen run of a cycle."""

    init_time: AwareDatetime
    run: str
    manifest: str
    """Relative to the folder of the experiment."""
    status: str
    written_at: AwareDatetime
    members: int

    @classmethod
    def of(cls, run: Artifact) -> RecentRun:
        """Return the entry of a published run."""
        return cls(
            init_time=Cycle.parse(run.address.cycle).init_time,
            run=run.address.run,
            manifest=f"{run.address.cycle}/{run.address.run}/{MANIFEST}",
            status=run.details.get("status", "complete"),
            written_at=run.written_at,
            members=ProductsPlan.read(run.plan).forecast.members,
        )


class Recent(Frozen):
    """The content of `recent.json`: the chosen runs of the last cycles, newest first."""

    version: Literal[1] = 1
    runs: tuple[RecentRun, ...] = ()

    def with_run(self, run: RecentRun) -> Recent:
        """Return this with one run more, in the place of another of its cycle."""
        by_time = {known.init_time: known for known in self.runs} | {run.init_time: run}
        return Recent(runs=tuple(by_time[time] for time in sorted(by_time, reverse=True)[:CYCLES]))


def add_recent(store: Store, folder: str, run: Artifact) -> None:
    """Add a run to the `recent.json` of an experiment's folder; one that cannot be read is begun anew."""
    path = f"{folder}/{RECENT}"
    for _ in range(_ATTEMPTS):
        seen, known = _read(store, path)
        wanted = known.with_run(RecentRun.of(run))
        if wanted == known:
            return
        try:
            store.move_pointer(path, seen, wanted.model_dump(mode="json"))
        except Conflict:
            continue
        return
    raise Conflict(f"{store.root}/{path}: was changed by others {_ATTEMPTS} times in a row")


def _read(store: Store, path: str) -> tuple[Pointer, Recent]:
    try:
        seen = store.read_pointer(path)
        return seen, Recent() if seen.value is None else Recent.model_validate(seen.value)
    except (BadInput, ValidationError):
        damaged = store.objects.read(path)
        return Pointer(None, None if damaged is None else damaged.version), Recent()
