"""What products are made of beside the members: the rain before init_time, and the orography. It is published too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stormcast_tw.grid import Grid
from stormcast_tw.lazy import lazy_import
from stormcast_tw.plan import ProductsPlan
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.variables import VARIABLES

if TYPE_CHECKING:
    import xarray as xr
else:
    xr = lazy_import("xarray")

RAIN = "observed"
"""The dataset of the rain that was observed before init_time."""
GROUND = "ground"
"""The dataset of the orography that says where the lowland is."""


@dataclass(frozen=True)
class Beside:
    """What products are made of beside the members, on their grid.

    `observed` is the rain before init_time, `tp01` (valid_time, y, x), in tenths of a mm: see `in_tenths`. `rain_files`
    are the digests of the files that it is of; `orography` (ny, nx) in m is the package's.
    """

    observed: xr.Dataset | None = None
    rain_files: tuple[str, ...] = ()
    orography: npt.NDArray[np.float32] | None = None

    def datasets(self, grid: Grid) -> Iterator[tuple[str, xr.Dataset]]:
        """Yield the name and content of every dataset in which it is published."""
        if self.observed is not None:
            yield RAIN, _packed(self.observed)
        if self.orography is not None:
            attributes = {**VARIABLES["orog"].attributes, "grid_mapping": "crs"}
            yield GROUND, grid.with_cells().assign(orog=(grid.dims, self.orography, attributes))


def beside_of(store: Store, run: Artifact) -> Beside:
    """Return what the products of a published run, or products, were made of beside the members: it lies in there."""
    plan = ProductsPlan.read(run.plan)
    observed = None if plan.observed is None else store.open(run, RAIN).load()
    orography = None if plan.orography is None else store.open(run, GROUND)["orog"].values
    return Beside(observed, plan.observed or (), orography)


def in_tenths(observed: xr.Dataset) -> xr.Dataset:
    """Return observed rain in tenths of a mm, the same to the bit as what is published and opened again."""
    return xr.decode_cf(_packed(observed))


def _packed(observed: xr.Dataset) -> xr.Dataset:
    from stormcast_tw.exports.fields import kind_of

    rain = observed["tp01"]
    kind = kind_of("tp01", rain)
    packed = kind.packed(rain.values, "tp01")
    return observed.assign(tp01=(rain.dims, packed, {**rain.attrs, **kind.attributes}))
