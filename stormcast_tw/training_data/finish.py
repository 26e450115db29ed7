"""Finish a training dataset: statistics, pairs, coverage and report, from the accounts and sums of its days."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr

from stormcast_tw.cycle import datetime64
from stormcast_tw.errors import Refused
from stormcast_tw.inputs.onto_grid import RAIN_QPESUMS
from stormcast_tw.plan import Frozen, digest_of
from stormcast_tw.schema import array_attributes, encoding
from stormcast_tw.storage.artifact import Artifact, Details
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.storage.zarr_arrays import array_of
from stormcast_tw.training_data.build import Account, DatasetJob, accounts, reference_of
from stormcast_tw.training_data.day import Status
from stormcast_tw.training_data.layout import NAME, coordinates, empty_group
from stormcast_tw.training_data.moments import Spread, spreads
from stormcast_tw.training_data.recipe import HOURS_A_DAY, DataRecipe
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS, VARIABLES

REPORT = "report.json"
SPLITS = ("training", "held_out")
"""Names of the values of `split`, by index."""

Indices = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


class Unusable(Frozen):
    """An hour that is not in the dataset, and why."""

    time: str
    status: str
    reason: str


class Brief(Details):
    """What a training dataset holds and lacks."""

    hours: int
    usable: int
    missing: int
    refused: int
    pairs: dict[str, int]
    """Number of hours t that make a sample with t+1, by split."""
    inputs: int
    inputs_sha256: str
    data_sha256: str


class Report(Brief):
    """The whole report of a training dataset, in a file of its own."""

    unusable: tuple[Unusable, ...]
    statistics: dict[str, dict[str, dict[str, float]]]
    """Of state, tendency and background: mean, std and count of every transformed variable, training hours only."""

    @property
    def brief(self) -> Brief:
        """What of it the manifest says."""
        return Brief.model_validate(self.model_dump())


def finish(job: DatasetJob, now: datetime) -> Artifact:
    """Seal the dataset of a job whose days have all been made; return it unchanged if it is already sealed.

    Raises NotReady while a day is missing, Refused if there is nothing to train on.
    """
    store = Store(job.root)
    if (sealed := store.find(job.address)) is not None:
        return sealed
    days, recipe, draft = accounts(job), job.recipe, job.draft()
    status = np.array([hour for account in days for hour in account.status], np.int8)
    pair = pairs(recipe, status)
    if not (split_of_hours(recipe)[pair] == SPLITS.index("training")).any():
        raise Refused(f"{job.root}/{job.address}: no two training hours follow each other; {_first_reason(days)}")
    _put(draft, _layout(job, days))
    filled = draft.arrays(NAME)
    statistics = _statistics(filled, recipe, status, pair)
    report = _report(days, recipe, status, pair, statistics)
    draft.put("report.json", report.model_dump_json(indent=1).encode())
    _put(draft, _finished(job, days, status, pair, statistics, _coverage(filled, recipe, status)))
    return draft.seal(
        grid=recipe.grid.describe(),
        variables=(*STATE_SETS[recipe.state_set].ids, *BACKGROUND_SETS[recipe.background_set].ids),
        parents=(job.archive.describe(),),
        simulated=any(account.simulated for account in days),
        now=now,
        details=report.brief,
    )


def read_report(artifact: Artifact) -> Report:
    """Return the report of a sealed dataset."""
    stored = Store(artifact.root).objects.read(f"{artifact.address}/{REPORT}")
    if stored is None:
        raise Refused(f"{artifact.uri}/{REPORT}: vanished from a sealed dataset")
    return Report.model_validate_json(stored.data)


def split_of_hours(recipe: DataRecipe) -> npt.NDArray[np.int8]:
    """Return the index in SPLITS of every hour."""
    return np.repeat(np.array([SPLITS.index(split) for split in recipe.splits.values()], np.int8), HOURS_A_DAY)


def pairs(recipe: DataRecipe, status: npt.NDArray[np.int8]) -> Indices:
    """Return the indices t along time such that t and t+1 are usable, an hour apart, in one split and in one run.

    The run is that of the background: no forecast continues from one run into another.
    """
    times = np.array([datetime64(time) for time in recipe.times])
    usable, split = status == Status.USABLE, split_of_hours(recipe)
    runs = [recipe.background_run(time) for time in recipe.times]
    same_run = np.array([before == after for before, after in itertools.pairwise(runs)])
    follows = (np.diff(times) == np.timedelta64(1, "h")) & (split[:-1] == split[1:]) & same_run
    return np.flatnonzero(usable[:-1] & usable[1:] & follows).astype(np.int32)


def _statistics(
    filled: zarr.Group, recipe: DataRecipe, status: npt.NDArray[np.int8], pair: Indices
) -> dict[str, dict[str, Spread]]:
    training = split_of_hours(recipe) == SPLITS.index("training")
    hours = np.flatnonzero(training & (status == Status.USABLE))
    ends = pair[training[pair]] + 1
    state, background = STATE_SETS[recipe.state_set].ids, BACKGROUND_SETS[recipe.background_set].ids
    return {
        what: spreads(np.asarray(array_of(filled, f"{what}_moments")[:])[chosen], ids, f"{what} of {recipe.name}")
        for what, ids, chosen in (
            ("state", state, hours),
            ("tendency", state, ends),
            ("background", background, hours),
        )
    }


def _coverage(filled: zarr.Group, recipe: DataRecipe, status: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
    """Return the share (y, x) of usable training hours with observed rain, computed a day at a time."""
    used = (split_of_hours(recipe) == SPLITS.index("training")) & (status == Status.USABLE)
    array, total = array_of(filled, "rain_source"), np.zeros(recipe.grid.shape, np.int64)
    for first in range(0, used.size, HOURS_A_DAY):
        chosen = used[first : first + HOURS_A_DAY]
        if chosen.any():
            sources = np.asarray(array[first : first + HOURS_A_DAY])[chosen]
            total += np.count_nonzero(sources == RAIN_QPESUMS, axis=0)
    return (total / np.count_nonzero(used)).astype(np.float32)


def _layout(job: DatasetJob, days: tuple[Account, ...]) -> dict[str, Any]:
    """Return, as objects by path, the coordinates and the metadata of all arrays that days fill."""
    background_grid = reference_of(job.root, job.address).background_grid
    simulated = any(account.simulated for account in days)
    whole = coordinates(job.recipe, background_grid, simulated=simulated, archive=job.archive.describe())
    contents = _as_objects(whole.assign_attrs(inputs_sha256=_inputs_digest(days)))
    empty_group(zarr.storage.MemoryStore(contents), job.recipe, background_grid)
    return contents


def _finished(
    job: DatasetJob,
    days: tuple[Account, ...],
    status: npt.NDArray[np.int8],
    pair: Indices,
    statistics: dict[str, dict[str, Spread]],
    coverage: npt.NDArray[np.float32],
) -> dict[str, Any]:
    """Return, as objects by path, the arrays that exist only for the whole dataset."""
    grid, reference = job.recipe.grid, reference_of(job.root, job.address)
    reasons = [reason for account in days for reason in _hourly_reasons(account)]
    flags = {"flag_values": [int(s) for s in Status], "flag_meanings": " ".join(s.name.lower() for s in Status)}
    splits = {"flag_values": [0, 1], "flag_meanings": " ".join(SPLITS)}
    arrays: dict[str, Any] = {
        "status": ("time", status, {"long_name": "what became of the hour", **flags}),
        "reason": ("time", np.array(reasons, dtype=object), {"long_name": "why the hour is not usable"}),
        "split": ("time", split_of_hours(job.recipe), {"long_name": "what the hour is for", **splits}),
        "pair": ("pair", pair, {"long_name": "place t along time such that t and t+1 make a sample"}),
    }
    for what, by_variable in statistics.items():
        dimension = "background_variable" if what == "background" else "state_variable"
        for name in ("mean", "std"):
            values = np.array([getattr(spread, name) for spread in by_variable.values()])
            told = f"{name} of {what} after its transform, training hours"
            arrays[f"{what}_{name}"] = (dimension, values, {"long_name": told})
    for name, field in ({**reference.ground, "coverage": coverage}).items():
        attributes = array_attributes(VARIABLES[name].attributes, grid.dims)
        plain = {key: value for key, value in attributes.items() if key not in ("coordinates", "cell_methods")}
        arrays[name] = (grid.dims, field, plain)
    arrays["coverage"][2]["long_name"] = "share of usable training hours with observed rain"
    return _as_objects(xr.Dataset(arrays))


def _as_objects(dataset: xr.Dataset) -> dict[str, Any]:
    contents: dict[str, Any] = {}
    store = zarr.storage.MemoryStore(contents)
    dataset.to_zarr(store, zarr_format=3, consolidated=False, encoding=encoding(dataset), write_empty_chunks=True)
    return contents


def _put(draft: Draft, contents: dict[str, Any]) -> None:
    for path, data in contents.items():
        draft.put(f"{NAME}.zarr/{path}", data.to_bytes())


def _hourly_reasons(account: Account) -> list[str]:
    return [account.reasons.get(f"{account.day}T{hour:02}Z", "") for hour in range(HOURS_A_DAY)]


def _report(
    days: tuple[Account, ...],
    recipe: DataRecipe,
    status: npt.NDArray[np.int8],
    pair: Indices,
    statistics: dict[str, dict[str, Spread]],
) -> Report:
    split = split_of_hours(recipe)[pair]
    unusable = [
        Unusable(time=time, status=account.status[int(time[-3:-1])].name.lower(), reason=reason)
        for account in days
        for time, reason in account.reasons.items()
    ]
    return Report(
        hours=status.size,
        usable=int(np.count_nonzero(status == Status.USABLE)),
        missing=int(np.count_nonzero(status == Status.MISSING)),
        refused=int(np.count_nonzero(status == Status.REFUSED)),
        pairs={name: int(np.count_nonzero(split == place)) for place, name in enumerate(SPLITS)},
        unusable=tuple(unusable),
        statistics={
            what: {variable: asdict(spread) for variable, spread in by_variable.items()}
            for what, by_variable in statistics.items()
        },
        inputs=len({file for account in days for file in account.inputs}),
        inputs_sha256=_inputs_digest(days),
        data_sha256=digest_of({str(account.day): account.objects for account in days}),
    )


def _inputs_digest(days: tuple[Account, ...]) -> str:
    """Return the digest of the digests of all inputs, by day; their addresses are no part of it."""
    return digest_of({str(account.day): sorted(digest for _, digest in account.inputs) for account in days})


def _first_reason(days: tuple[Account, ...]) -> str:
    reasons = [reason for account in days for reason in account.reasons.values()]
    return f"{len(reasons)} hours are not usable, the first: {reasons[0]}" if reasons else "all hours are usable"
