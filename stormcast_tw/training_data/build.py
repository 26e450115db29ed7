"""Build a training dataset: begin, make its days in any order and in any number of processes, then finish.

Every object is created whole and only once, the account of a day after its data, the manifest last. The same recipe
continues a killed build, with a result that is the same bit for bit.
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
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.training_data.archive import Archive, Remembering
from stormcast_tw.training_data.day import Day, Reference, Status, find_reference, make_day, status_of
from stormcast_tw.training_data.layout import NAME, objects_of_day
from stormcast_tw.training_data.recipe import DataRecipe, hours_of
from stormcast_tw.version import Step, code_version

KIND = "training"
_REFERENCE = "parts/reference.npz"
"""Part of the draft only: the reference that every day is checked against."""

LONGEST_RUN, RUNS_A_WORKER = 8, 4
"""At most LONGEST_RUN consecutive days are made by one worker as a run, because the first day of a run reads two half
days more than the others; fewer if that leaves less than RUNS_A_WORKER runs for each worker, so that nobody waits long
for the last one."""


class Account(Frozen):
    """The outcome of a day: its hours, the inputs they were made from, and the objects that hold them."""

    day: date
    status: tuple[Status, ...]
    reasons: dict[str, str]
    """Why hours are not usable, by hour, e.g. `2021-07-01T05Z`."""
    inputs: tuple[tuple[str, str], ...]
    """(address, digest) of everything that was read, sorted."""
    objects: dict[str, str]
    """sha256 by path below the dataset."""
    simulated: bool


@dataclass(frozen=True)
class DatasetJob:
    """Everything a worker needs to make a day. Small and picklable."""

    root: str
    address: Address
    plan: dict[str, Any]
    recipe: DataRecipe
    archive: Archive

    def draft(self) -> Draft:
        """Return the draft that the days are written into."""
        return Draft(Store(self.root), self.address, self.plan)


def plan(root: str, recipe: DataRecipe, archive: Archive) -> DatasetJob:
    """Return the job of a recipe; the same recipe, archive and code give the same address."""
    step: Step = "simulated training data" if recipe.archive.kind == "simulated" else "training data"
    determined = {
        "recipe": recipe.model_dump(mode="json"),
        "archive": archive.describe(),
        "code_version": code_version(step),
    }
    first = Cycle(hours_of(recipe.days[0])[0])
    address = Address(kind=KIND, experiment=recipe.name, cycle=str(first), run=digest_of(determined)[:12])
    return DatasetJob(Store(root).root, address, determined, recipe, archive)


def begin(job: DatasetJob) -> Artifact | None:
    """Begin or resume the draft; return the dataset if it is already sealed, else None.

    Raises NotReady if the archive has no hour that can serve as reference for the others.
    """
    store = Store(job.root)
    if (sealed := store.find(job.address)) is not None:
        return sealed
    draft = store.begin(job.address, job.plan)
    if not store.objects.exists(f"{job.address}/{_REFERENCE}"):
        draft.put(_REFERENCE, _packed(find_reference(job.archive, job.recipe)))
    return None


def days_to_make(job: DatasetJob) -> tuple[date, ...]:
    """Return the days that have no account yet, ascending."""
    made = {path.rsplit("/", 1)[-1] for path in Store(job.root).objects.files(f"{job.address}/days")}
    return tuple(day for day in job.recipe.days if f"{day}.json" not in made)


def runs_of_days(days: Sequence[date], workers: int) -> tuple[tuple[date, ...], ...]:
    """Split the days into runs of consecutive days, one worker each, because consecutive days share reading."""
    longest = max(1, min(LONGEST_RUN, len(days) // (RUNS_A_WORKER * workers)))
    return tuple(tuple(days[first : first + longest]) for first in range(0, len(days), longest))


def make_run(job: DatasetJob, days: Sequence[date]) -> tuple[Account, ...]:
    """Make the given days, ascending, each as `make_part` does."""
    remembering = replace(job, archive=Remembering(job.archive))
    return tuple(make_part(remembering, day) for day in days)


def make_part(job: DatasetJob, day: date) -> Account:
    """Make a day, unless it has been made, and return its account.

    Raises Conflict if two workers make the same day while the archive changes.
    """
    settings()  # configures this process's fsspec for S3
    objects, path = Store(job.root).objects, _account_path(day)
    if (known := objects.read(f"{job.address}/{path}")) is not None:
        return Account.model_validate_json(known.data)
    reference = reference_of(job.root, job.address)
    made = make_day(job.archive, job.recipe, reference, day)
    shards = _shards(job.recipe, reference.background_grid, day, made)
    for name, data in shards.items():
        where = f"{job.address}/{NAME}.zarr/{name}"
        if not objects.create(where, data) and (existing := objects.read(where)) is not None and existing.data != data:
            objects.replace(where, data)  # from a killed attempt; the archive has changed since
    account = _account(day, made, shards)
    text = account.model_dump_json(indent=1).encode()
    if not objects.create(f"{job.address}/{path}", text):
        known = objects.read(f"{job.address}/{path}")
        if known is None or known.data != text:
            raise Conflict(f"{job.root}/{job.address}/{path}: another worker made this day of other inputs meanwhile")
    return account


def accounts(job: DatasetJob) -> tuple[Account, ...]:
    """Return the accounts of all days, ascending; raises NotReady while one is missing."""
    if missing := days_to_make(job):
        raise NotReady(f"{job.root}/{job.address}: {len(missing)} of {len(job.recipe.days)} days are still to be made")
    objects, all_accounts = Store(job.root).objects, []
    for day in job.recipe.days:
        account = objects.read(f"{job.address}/{_account_path(day)}")
        if account is None:
            raise NotReady(f"{job.root}/{job.address}: the account of {day} vanished")
        all_accounts.append(Account.model_validate_json(account.data))
    return tuple(all_accounts)


@lru_cache(maxsize=2)
def reference_of(root: str, address: Address) -> Reference:
    """Return the reference that the days of a draft are checked against; raises NotReady before `begin`."""
    stored = Store(root).objects.read(f"{address}/{_REFERENCE}")
    if stored is None:
        raise NotReady(f"{root}/{address}: is not begun")
    with np.load(io.BytesIO(stored.data)) as packed:
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
