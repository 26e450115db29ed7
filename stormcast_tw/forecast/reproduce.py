"""Run a published plan again, from the prepared inputs it started from, and compare all that was published of it.

The forecast is compared with its plan carried out again, both rounded as published; products and their NetCDF file with
those formed again of the forecast that was published, so that rounding of another machine does not reach them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import h5py
import xarray as xr
from pydantic import ValidationError

from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.forecast.comparison import (
    VERDICTS,
    Comparison,
    Difference,
    Verdict,
    compare_datasets,
    compare_fields,
)
from stormcast_tw.forecast.job import FORECAST, Progress, Rolled, RolloutJob
from stormcast_tw.forecast.process import Patience, run_in_child
from stormcast_tw.plan import Frozen, Plan, ProductsPlan
from stormcast_tw.products.rounding import rounded
from stormcast_tw.publication import views
from stormcast_tw.publication.beside import beside_of
from stormcast_tw.publication.catalogue import NETCDF, PRODUCTS, Published, make_products
from stormcast_tw.settings import Settings
from stormcast_tw.storage.artifact import MANIFEST, Address, Artifact
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.pruned import require_kept
from stormcast_tw.storage.store import Store
from stormcast_tw.version import code_version


class Reproduction(Frozen):
    """The result: how forecast, products and NetCDF file compare, and what has changed in code and machine."""

    parts: tuple[Comparison, ...]
    around: dict[str, tuple[str, str]]
    """Code, machine, threads, versions: then and now, where they differ."""

    @property
    def verdict(self) -> Verdict:
        """The worst of the parts."""
        return max((part.verdict for part in self.parts), key=VERDICTS.index)

    @property
    def text(self) -> str:
        """The verdict, then a line a part, then what has changed around them."""
        changed = (f"  {name}: then {a}, now {b}" for name, (a, b) in self.around.items())
        return "\n".join([self.verdict, *(f"  {part.text}" for part in self.parts), *changed])


def read_manifest(address: str) -> Artifact:
    """Return the artifact of a manifest file or of its folder; raises BadInput if it is none, or was moved."""
    folder = address.removesuffix(MANIFEST).rstrip("/") or "."
    manifest = objects(folder).read(MANIFEST)
    if manifest is None:
        raise BadInput(f"{folder}/{MANIFEST}: there is no manifest here")
    return Artifact.read(manifest.data, objects(folder).root)


def reproduce(
    published: Artifact, where: Settings, scratch: Path, now: datetime, report: Callable[[Progress], None]
) -> Reproduction:
    """Run the plan of `published` again into `scratch` and compare every value.

    Raises NotReady if its members were pruned, Refused naming the parent that was, BadPackage if the package is not the
    plan's, BadInput if what was published is damaged.
    """
    for name in (f"{FORECAST}.zarr", f"{PRODUCTS}.zarr"):
        require_kept(Store(published.root).objects, str(published.address), name)
    forecast = carry_out_again(published, where, scratch, report)
    store = Store(published.root)
    products = make_products(store, published, now, beside_of(store, published), into=Store(str(scratch)))
    return compare(published, forecast, products)


def carry_out_again(artifact: Artifact, where: Settings, scratch: Path, report: Callable[[Progress], None]) -> Artifact:
    """Carry the plan of a published run, of products or of a forecast out again, below `scratch`, with its time.

    Raises as `reproduce` does.
    """
    plan = _plan(artifact)
    prepared = Address(kind="prepared", experiment=plan.experiment, cycle=plan.inputs.cycle, run=plan.inputs.run)
    if Store(where.work_root).find(prepared) is None:
        raise Refused(
            f"{artifact.address}: its parent {where.work_root}/{prepared} was pruned; it cannot be reproduced"
        )
    job = RolloutJob(
        plan=plan,
        prepared=prepared,
        prepared_root=where.work_root,
        work_root=str(scratch),
        package=where.package.absolute(),
        device=where.device,
        threads=where.threads,
        attribution=_attribution(artifact, where),
        now=artifact.written_at,
    )
    return run_in_child(job, Patience(where.rollout_deadline_seconds, where.rollout_silent_seconds), report)


def _attribution(artifact: Artifact, where: Settings) -> dict[str, str]:
    said = Rolled.of(artifact).attribution
    return where.attribution.stated if said is None else said


def compare(published: Artifact, forecast: Artifact, products: Artifact) -> Reproduction:
    """Compare what was published with a forecast and products made again.

    A NetCDF file is compared by what is in it: the same content has other bytes where netCDF, HDF5 or zlib is of
    another version. Where they differ, that is said. Of what was published before 0.2, with other attributes and in
    another order of dimensions, the values of forecast and products are compared.
    """
    then, around = Store(published.root), _around(published, _plan(published), forecast)
    pairs = {
        name: (then.open(published, name), Store(again.root).open(again, name))
        for name, again in ((FORECAST, forecast), (PRODUCTS, products))
    }
    pairs[FORECAST] = rounded(pairs[FORECAST][0]), rounded(pairs[FORECAST][1])
    if not Published.of(published).rounded:
        around["layout"] = ("before 0.2", "values are compared")
        return Reproduction(parts=tuple(compare_fields(name, *pair) for name, pair in pairs.items()), around=around)
    parts = [compare_datasets(name, *pair) for name, pair in pairs.items()]
    files = then.read(published, NETCDF), Store(products.root).read(products, NETCDF)
    parts.append(compare_datasets(NETCDF, *(_unpacked(file) for file in files)))
    if files[0] != files[1]:
        around[f"{NETCDF}, packed by"] = (_packed_by(files[0]), _packed_by(files[1]))
    if _views_in(then, published):
        parts.append(_compare_views(then, published, products))
    return Reproduction(parts=tuple(parts), around=around)


def _views_in(store: Store, run: Artifact) -> set[str]:
    """Return the paths of maps, points, board, places and typhoon of a run; empty for one published before 0.3."""
    return {path for path in store.below(run.address) if path.split("/")[0] in views.NAMES}


def _compare_views(then: Store, published: Artifact, products: Artifact) -> Comparison:
    """Compare the files of the views byte by byte, but for the id of the run, which they name."""
    now = Store(products.root)
    names = _views_in(then, published), _views_in(now, products)
    differences = [
        Difference(variable=name, text=f"{name} is only {'then' if name in names[0] else 'now'} there")
        for name in sorted(names[0] ^ names[1])
    ]
    for name in sorted(names[0] & names[1]):
        files = (
            store.read(run, name).replace(run.address.run.encode(), b"")
            for store, run in ((then, published), (now, products))
        )
        if next(files) != next(files):
            differences.append(Difference(variable=name, text=f"{name} has other bytes"))
    return Comparison(what="views", differences=tuple(differences))


def _unpacked(file: bytes) -> xr.Dataset:
    """Return a NetCDF file's numbers as they are stored: not scaled, masked or made times."""
    return xr.load_dataset(io.BytesIO(file), engine="h5netcdf", decode_cf=False)


def _packed_by(file: bytes) -> str:
    with h5py.File(io.BytesIO(file), "r") as netcdf:
        said = netcdf.attrs.get("_NCProperties", b"an unknown library")
    return f"{said.decode() if isinstance(said, bytes) else said}, {len(file)} bytes"


def _plan(artifact: Artifact) -> Plan:
    try:
        return ProductsPlan.read(artifact.plan).forecast
    except ValidationError as error:
        raise BadInput(f"{artifact.address}: holds no forecast plan: {error.errors()[0]['msg']}") from error


def _around(published: Artifact, plan: Plan, again: Artifact) -> dict[str, tuple[str, str]]:
    then = {"code": plan.code_version or plan.inputs.code_version, **Rolled.of(published).machine}
    now = {"code": code_version("forecast"), **Rolled.of(again).machine}
    return {name: (str(then.get(name)), str(now[name])) for name in now if then.get(name) != now[name]}
