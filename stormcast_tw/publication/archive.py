"""The archive: every published forecast of an experiment in one growing dataset, which Icechunk keeps.

Its first dimension is init_time: every cycle from the first of January of its first year on, in order. A cycle that is
not archived has an empty `run`; all else of it is missing and takes no space. So each cycle has its place before it
comes: they come in any order, the axis is always sorted, and a year is a slice. An append is one commit: a reader sees
all of a run or nothing, and a killed writer leaves the last commit. A run that is replaced stays readable under the tag
`<cycle>-<run>`.

Commits are conditional on S3. Two writers of different months do not touch the same chunk, so that Icechunk joins their
commits; of one month the later one looks again and writes again. On a local disk Icechunk cannot commit conditionally:
there a lock lets one writer append at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stormcast_tw.cycle import HOURS_BETWEEN_CYCLES, Cycle, datetime64
from stormcast_tw.errors import BadInput
from stormcast_tw.lazy import lazy_import
from stormcast_tw.publication.catalogue import MEMBERS, PRODUCTS
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store

if TYPE_CHECKING:
    import icechunk
    import xarray as xr
    import zarr
else:
    icechunk = lazy_import("icechunk")
    xr = lazy_import("xarray")
    zarr = lazy_import("zarr")

FIRST_YEAR = 2020
"""The first year of an archive, unless it is made with another."""
_BRANCH = "main"
_TILE = (56, 64)
"""Points of a chunk along y and x: on the grid of Taiwan eight chunks a product, each with all leads of a cycle."""
_MONTH = 124
"""Cycles of the longest month. Icechunk lists chunks in manifests of so many cycles, so that a commit rewrites one."""
_STEP = np.timedelta64(HOURS_BETWEEN_CYCLES, "h")
_HOUR = np.timedelta64(1, "h")
_EPOCH = np.datetime64("1970-01-01T00", "h")
_OF_A_CYCLE: dict[str, tuple[Any, Any, dict[str, str]]] = {
    # name: type, fill value, attributes
    "init_time": ("int64", 0, {"standard_name": "forecast_reference_time", "long_name": "start of the forecast",
                               "units": "hours since 1970-01-01"}),
    "run": (str, "", {"long_name": "run that is archived; empty where none is"}),
    "members": ("int16", 0, {"long_name": "number of members", "units": "1"}),
    "simulated": ("int8", -1, {"long_name": "1 where the inputs were simulated, 0 where real", "units": "1"}),
}  # fmt: skip
_KEPT = ("Conventions", "institution", "license", "creator_name", "acknowledgement", "references")
"""Global attributes that are the same for every run."""


def archive_run(archive: Archive, store: Store, run: Artifact, *, members: bool) -> bool:
    """Archive the products of a published run, and its members if they are wanted; False where they are there already.

    Raises BadInput where the run is damaged, or does not fit into the archive.
    """
    fields = store.open(run, PRODUCTS)
    if members:
        fields = fields.merge(store.open(run, MEMBERS), combine_attrs="override", compat="override")
    return archive.append(fields, Cycle.parse(run.address.cycle), run.address.run)


@dataclass(frozen=True)
class Archive:
    """The archive of an experiment below a root, a local path or s3://; it is made by the first append."""

    root: str
    experiment: str
    first_year: int = FIRST_YEAR

    def append(self, fields: xr.Dataset, cycle: Cycle, run: str) -> bool:
        """Archive what a run published, in one commit; False where it is there already.

        `fields` holds products, or products and members: variables of (..., y, x) and their coordinates. Variables that
        the archive has not had before are added to it, and those that this run lacks are missing in it. A run in place
        of another of the same cycle is a new version. Raises BadInput for a cycle before the first year, or coordinates
        (grid, leads, quantiles, thresholds) that are not those of the archive.
        """
        with self._alone():
            while True:
                session = self._repository.writable_session(_BRANCH)
                layout = _Layout(session.store, self._where)
                place = layout.place(fields, cycle, self.first_year)
                before = str(layout.group["run"][place])
                if before == run:
                    return False
                if before:
                    self._keep(session.snapshot_id, f"{cycle}-{before}")
                layout.write(fields, place, run)
                about = {"cycle": str(cycle), "run": run, "replaced": before}
                try:
                    session.commit(f"{cycle} {run}", metadata=about, rebase_with=icechunk.ConflictDetector())
                except (icechunk.ConflictError, icechunk.RebaseFailedError):
                    continue  # somebody else has archived something of this month, or made room: look again
                return True

    def open(self, version: str | None = None) -> xr.Dataset:
        """Return the cycles that are archived, in order and lazily; of an older version by its tag or snapshot.

        Raises BadInput where there is no archive, or no such version.
        """
        whole: xr.Dataset = xr.open_zarr(self.session(version).store, chunks=None, consolidated=False)
        fixed = [name for name, variable in whole.data_vars.items() if "init_time" not in variable.dims]
        return whole.set_coords([*fixed, *_OF_A_CYCLE]).isel(init_time=np.flatnonzero(whole["run"].values != ""))

    def session(self, version: str | None = None) -> icechunk.Session:
        """Return a session for `xr.open_zarr(session.store, consolidated=False)`, which sees every cycle of its years.

        Raises BadInput where there is no archive, or no such version.
        """
        if not icechunk.Repository.exists(self._storage):
            raise BadInput(f"{self._where}: there is no archive")
        if version is None:
            return self._repository.readonly_session(_BRANCH)
        try:
            if version in self._repository.list_tags():
                return self._repository.readonly_session(tag=version)
            return self._repository.readonly_session(snapshot_id=version)
        except (icechunk.IcechunkError, ValueError) as error:
            tags = ", ".join(sorted(self._repository.list_tags())) or "none"
            raise BadInput(f"{self._where}: no version {version}; replaced runs: {tags}") from error

    def versions(self) -> Iterator[Mapping[str, str]]:
        """Yield what each commit archived, newest first: its snapshot, cycle, run and the run that it replaced."""
        for commit in self._repository.ancestry(branch=_BRANCH):
            if "run" in commit.metadata:
                yield {"snapshot": commit.id, **{k: str(v) for k, v in commit.metadata.items()}}

    @property
    def _where(self) -> str:
        return f"{self.root.rstrip('/')}/{self.experiment}"

    @cached_property
    def _repository(self) -> icechunk.Repository:
        icechunk.set_logs_filter("error")  # it warns that local commits are not safe without a lock, which we hold
        months: dict[Any, int] = {icechunk.ManifestSplitDimCondition.DimensionName("init_time"): _MONTH}
        splitting = icechunk.ManifestSplittingConfig.from_dict({icechunk.ManifestSplitCondition.AnyArray(): months})
        config = icechunk.RepositoryConfig(manifest=icechunk.ManifestConfig(splitting=splitting))
        return icechunk.Repository.open_or_create(self._storage, config)

    @cached_property
    def _storage(self) -> icechunk.Storage:
        if not self._where.startswith("s3://"):
            return icechunk.local_filesystem_storage(str(Path(self._where).absolute()))
        bucket, _, prefix = self._where.removeprefix("s3://").partition("/")
        return icechunk.s3_storage(bucket=bucket, prefix=prefix, **_s3_options())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of a local archive; on S3 the commit itself is conditional."""
        if self._where.startswith("s3://"):
            yield
            return
        path = Path(self.root, f".{self.experiment}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _keep(self, snapshot: str, tag: str) -> None:
        try:
            self._repository.create_tag(tag, snapshot)
        except icechunk.IcechunkError:
            if tag not in self._repository.list_tags():
                raise


def _s3_options() -> dict[str, Any]:
    """Return Icechunk's options for our own object store."""
    ours = settings()
    given = ours.s3_key is not None and ours.s3_secret is not None
    return {
        "region": "us-east-1" if ours.s3_endpoint else None,
        "endpoint_url": ours.s3_endpoint,
        "allow_http": (ours.s3_endpoint or "").startswith("http://"),
        "force_path_style": ours.s3_endpoint is not None,
        "network_stream_timeout_seconds": int(ours.s3_timeout_seconds),
        "access_key_id": ours.s3_key,
        "secret_access_key": ours.s3_secret.get_secret_value() if ours.s3_secret else None,
        **({"anonymous": True} if ours.s3_anonymous else {} if given else {"from_env": True}),
    }


class _Layout:
    """The arrays of an archive, as one session sees them; `where` is for messages."""

    def __init__(self, store: Any, where: str) -> None:
        self.group: Any = zarr.open_group(store, mode="a")
        self._store, self._where = store, where

    def place(self, fields: xr.Dataset, cycle: Cycle, first_year: int) -> int:
        """Return the index of a cycle, after making room for it and all that its run holds."""
        if "run" not in self.group:
            self._begin(first_year, fields.attrs)
        first = _EPOCH + int(self.group["init_time"][0]) * _HOUR
        if (start := datetime64(cycle.init_time)) < first:
            raise BadInput(f"{self._where}: cycle {cycle} is before the archive's first, {first}Z; allowed later ones")
        self._require_axes(fields)
        self._grow(int((np.datetime64(f"{cycle.init_time.year + 1}-01-01T00", "h") - first) // _STEP))
        for name, field in fields.data_vars.items():
            self._require_array(str(name), field)
        return int((start - first) // _STEP)

    def write(self, fields: xr.Dataset, place: int, run: str) -> None:
        """Write the fields of a run at its place; what else the archive has is missing there."""
        for name, array in self.group.arrays():
            if name in fields.data_vars:
                array[place] = fields[name].values
            elif array.ndim > 1 and _is_by_cycle(array):
                array[place] = array.fill_value
        self.group["run"][place] = run
        self.group["members"][place] = int(fields.attrs.get("members", 0))
        self.group["simulated"][place] = int(fields.attrs["simulated"])

    def _begin(self, first_year: int, attributes: Mapping[str, Any]) -> None:
        """Lay out the axis of cycles, of the first alone, and what is known of each cycle."""
        self.group.attrs["title"] = f"Archive of published forecasts, experiment {attributes.get('experiment', '')}"
        self.group.attrs.update({name: attributes[name] for name in _KEPT if name in attributes})
        for name, (dtype, fill, described) in _OF_A_CYCLE.items():
            self.group.create_array(
                name, shape=(1,), chunks=(_MONTH,), dtype=dtype, fill_value=fill, attributes=described,
                dimension_names=("init_time",),
            )  # fmt: skip
        self.group["init_time"][0] = int((np.datetime64(f"{first_year}-01-01T00", "h") - _EPOCH) // _HOUR)

    def _grow(self, cycles: int) -> None:
        """Lengthen the axis to so many cycles, unless it is as long already."""
        had, first = self.group["run"].shape[0], int(self.group["init_time"][0])
        if had >= cycles:
            return
        for _, array in self.group.arrays():
            if _is_by_cycle(array):
                array.resize((cycles, *array.shape[1:]))
        self.group["init_time"][had:] = first + HOURS_BETWEEN_CYCLES * np.arange(had, cycles)

    def _require_axes(self, fields: xr.Dataset) -> None:
        """Add coordinates that the archive has not yet; raises BadInput where it has others."""
        known = xr.open_zarr(self._store, chunks=None, consolidated=False)
        loose = [name for name in fields.variables if name == "init_time" or str(name).startswith("valid_time")]
        axes = fields.drop_vars([*fields.data_vars, *loose])
        for name in set(axes.variables) & set(known.variables):
            if not np.array_equal(axes[name].values, known[name].values):
                given, there = (_brief(dataset[name].values) for dataset in (axes, known))
                raise BadInput(f"{self._where}: {name} is {given}, the archive's is {there}; begin another archive")
        new = axes.drop_vars(set(axes.variables) & set(known.variables)).drop_encoding()
        new.attrs = known.attrs
        if new.variables:  # to write nothing would be an update of the group, which two writers cannot both do
            new.to_zarr(self._store, mode="a", consolidated=False, encoding=_encoding(new))

    def _require_array(self, name: str, field: xr.DataArray) -> None:
        """Add the array of a variable that is new; raises BadInput where the archive has one of other dimensions."""
        known, dims = self.group.get(name), ("init_time", *map(str, field.dims))
        if known is None:
            tile = tuple(min(side, points) for side, points in zip(_TILE, field.shape[-2:], strict=True))
            self.group.create_array(
                name,
                shape=(self.group["run"].shape[0], *field.shape),
                chunks=(1, *field.shape[:-2], *tile),
                dtype=field.dtype,
                compressors=(
                    zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
                    zarr.codecs.Crc32cCodec(),
                ),
                fill_value=np.nan if field.dtype.kind == "f" else -1,
                attributes=field.attrs,
                dimension_names=dims,
            )
        elif known.metadata.dimension_names != dims:
            raise BadInput(f"{self._where}: {name} is of {dims}, the archive's of {known.metadata.dimension_names}")


def _is_by_cycle(array: Any) -> bool:
    names = array.metadata.dimension_names
    return bool(names) and names[0] == "init_time"


def _encoding(axes: xr.Dataset) -> dict[str, dict[str, Any]]:
    leads = {"units": "hours", "dtype": "int64"}
    return {str(name): leads for name, axis in axes.variables.items() if axis.dtype.kind == "m"}


def _brief(values: Any) -> str:
    flat = np.ravel(values)
    return f"{flat[0]}" if flat.size == 1 else f"{flat.size} from {flat[0]} to {flat[-1]}"
