"""Building a training dataset: begin, then its days in any order and in any number of processes, then finish.

Every object is created whole and only once, the account of a day after its data, the manifest last. A killed build is
continued by the same recipe, and what comes out is the same, bit for bit.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Conflict, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.plan import Frozen, digest_of
from stormcast_tw.settings import code_version, settings
from stormcast_tw.storage.store import Address, Artifact, Draft, Store
from stormcast_tw.training_data.archive import Archive, Remembering
from stormcast_tw.training_data.day import Day, Reference, Status, find_reference, make_day, status_of
from stormcast_tw.training_data.layout import NAME, objects_of_day
from stormcast_tw.training_data.recipe import DataRecipe, hours_of

KIND = "training"
_REFERENCE = "parts/reference.npz"
"""Scaffolding of the draft: what every day is held to."""

LONGEST_RUN, RUNS_A_WORKER = 8, 4
"""Days that one worker makes in a row, at most: the first of a run reads two half days more than the others. Fewer
where every worker would not have so many runs, that none waits long for the last one."""


class Account(Frozen):
    """What became of a day: its hours, the inputs they were made of, and the objects that hold them."""

    day: date
    status: tuple[Status, ...]
    reasons: dict[str, str]
    """By hour, e.g. `2021-07-01T05Z`."""
    inputs: tuple[tuple[str, str], ...]
    """(address, digest) of everything read, sorted."""
    objects: dict[str, str]
    """sha256 by path below the dataset."""
    simulated: bool


@dataclass(frozen=True)
class Job:
    """Everything a worker needs to make a day. Small, and can be pickled."""

    root: str
    address: Address
    plan: dict[str, Any]
    recipe: DataRecipe
    archive: Archive

    def draft(self) -> Draft:
        """Return the draft that the days are written into."""
        return Draft(Store(self.root), self.address, self.plan)


def plan(root: str, recipe: DataRecipe, archive: Archive) -> Job:
    """Return the job of a recipe: same recipe, archive and code, same address."""
    determined = {
        "recipe": recipe.model_dump(mode="json"),
        "archive": archive.describe(),
        "code_version": code_version(),
    }
    first = Cycle(hours_of(recipe.days[0])[0])
    address = Address(kind=KIND, experiment=recipe.name, cycle=str(first), run=digest_of(determined)[:12])
    return Job(Store(root).root, address, determined, recipe, archive)


def begin(job: Job) -> Artifact | None:
    """Begin the draft, or go on with it; return the dataset if it is sealed already.

    Raises NotReady if the archive gives no hour to hold the others to.
    """
    store = Store(job.root)
    if (sealed := store.find(job.address)) is not None:
        return sealed
    draft = store.begin(job.address, job.plan)
    if not store.objects.exists(f"{job.address}/{_REFERENCE}"):
        draft.put(_REFERENCE, _packed(find_reference(job.archive, job.recipe)))
    return None


def days_to_make(job: Job) -> tuple[date, ...]:
    """Return the days that have no account yet, ascending."""
    made = {path.rsplit("/", 1)[-1] for path in Store(job.root).objects.files(f"{job.address}/days")}
    return tuple(day for day in job.recipe.days if f"{day}.json" not in made)


def runs_of_days(days: Sequence[date], workers: int) -> tuple[tuple[date, ...], ...]:
    """Return the days in runs for one worker each: days that follow each other share reading."""
    longest = max(1, min(LONGEST_RUN, len(days) // (RUNS_A_WORKER * workers)))
    return tuple(tuple(days[first : first + longest]) for first in range(0, len(days), longest))


def make_run(job: Job, days: Sequence[date]) -> tuple[Account, ...]:
    """Make some days, ascending, as `make_part` does each."""
    remembering = replace(job, archive=Remembering(job.archive))
    return tuple(make_part(remembering, day) for day in days)


def make_part(job: Job, day: date) -> Account:
    """Make a day, unless it is made, and return its account.

    Raises Conflict when the archive changes under two workers that make the same day.
    """
    settings()  # tells fsspec of this process how to reach S3
    objects, path = Store(job.root).objects, _account_path(day)
    if (known := objects.read(f"{job.address}/{path}")) is not None:
        return Account.model_validate_json(known.data)
    reference = reference_of(job.root, job.address)
    made = make_day(job.archive, job.recipe, reference, day)
    shards = _shards(job.recipe, reference.background_grid, day, made)
    for name, data in shards.items():
        where = f"{job.address}/{NAME}.zarr/{name}"
        if not objects.create(where, data) and (there := objects.read(where)) is not None and there.data != data:
            objects.replace(where, data)  # an attempt that was killed, of an archive that has changed since
    account = _account(day, made, shards)
    text = account.model_dump_json(indent=1).encode()
    if not objects.create(f"{job.address}/{path}", text):
        known = objects.read(f"{job.address}/{path}")
        if known is None or known.data != text:
            raise Conflict(f"{job.root}/{job.address}/{path}: another worker made this day of other inputs meanwhile")
    return account


def accounts(job: Job) -> tuple[Account, ...]:
    """Return the accounts of all days, ascending; raises NotReady while one is to be made."""
    if missing := days_to_make(job):
        raise NotReady(f"{job.root}/{job.address}: {len(missing)} of {len(job.recipe.days)} days are still to be made")
    objects, found = Store(job.root).objects, []
    for day in job.recipe.days:
        account = objects.read(f"{job.address}/{_account_path(day)}")
        if account is None:
            raise NotReady(f"{job.root}/{job.address}: the account of {day} vanished")
        found.append(Account.model_validate_json(account.data))
    return tuple(found)


@lru_cache(maxsize=2)
def reference_of(root: str, address: Address) -> Reference:
    """Return what the days of a draft are held to; raises NotReady before `begin`."""
    found = Store(root).objects.read(f"{address}/{_REFERENCE}")
    if found is None:
        raise NotReady(f"{root}/{address}: is not begun")
    with np.load(io.BytesIO(found.data)) as packed:
        grid = Grid("BACKGROUND", *_grid_numbers(packed["background_grid"]))
        return Reference({name: packed[name] for name in ("orog", "lsm")}, grid)


def hour_text(time: datetime) -> str:
    """Return an hour as it is written in accounts and reports."""
    return f"{time:%Y-%m-%dT%HZ}"


def _grid_numbers(ends: Any) -> tuple[float, float, int, float, float, int]:
    y_first, y_last, ny, x_first, x_last, nx = (float(end) for end in ends)
    return y_first, y_last, int(ny), x_first, x_last, int(nx)


def _packed(reference: Reference) -> bytes:
    grid, buffer = reference.background_grid, io.BytesIO()
    ends = np.array([grid.y_first, grid.y_last, grid.ny, grid.x_first, grid.x_last, grid.nx])
    np.savez(buffer, background_grid=ends, orog=reference.ground["orog"], lsm=reference.ground["lsm"])
    return buffer.getvalue()


def _account_path(day: date) -> str:
    return f"days/{day}.json"


def _shards(recipe: DataRecipe, background_grid: Grid, day: date, made: Day) -> dict[str, bytes]:
    names = ("state", "rain_source", "background", "state_moments", "tendency_moments", "background_moments")
    values = {name: getattr(made, name) for name in names}
    return objects_of_day(recipe, background_grid, recipe.days.index(day), values)


def _account(day: date, made: Day, shards: Mapping[str, bytes]) -> Account:
    return Account(
        day=day,
        status=tuple(status_of(made.reasons.get(time)) for time in hours_of(day)),
        reasons={hour_text(time): str(why) for time, why in sorted(made.reasons.items())},
        inputs=tuple(sorted({(used.address, used.digest) for used in made.used})),
        objects={path: hashlib.sha256(data).hexdigest() for path, data in sorted(shards.items())},
        simulated=made.simulated,
    )
