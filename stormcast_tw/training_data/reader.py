"""Read a training dataset: samples for training, statistics for packages. Numpy only; a sample is a few chunks.

`TrainingData` has a length and is indexed by number, so torch's DataLoader can use it directly; it can be pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import zarr

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import RAIN_QPESUMS
from stormcast_tw.model.description import Scale, StateScale
from stormcast_tw.regrid import bilinear
from stormcast_tw.storage.artifact import MANIFEST, Address, Artifact
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.store import Store
from stormcast_tw.storage.zarr_arrays import array_of, zarr_store
from stormcast_tw.training_data.build import KIND, Account
from stormcast_tw.training_data.finish import SPLITS, Brief
from stormcast_tw.training_data.layout import NAME
from stormcast_tw.training_data.recipe import DataRecipe, Split
from stormcast_tw.variables import BACKGROUND_SETS, INVARIANTS, STATE_SETS, VariableSet

Array = npt.NDArray[np.float32]


class Pair(NamedTuple):
    """One sample, physical units, on the model's grid: an hour and the next.

    State and background are (variable, y, x). Rain is NaN where it is unknown; `observed` (y, x) is where the rain of
    the next hour was observed, the only points that a loss may count for rain.
    """

    state: Array
    state_next: Array
    background: Array
    background_next: Array
    observed: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingData:
    """A sealed training dataset, open for reading; `split` selects the samples that its length and index count."""

    artifact: Artifact
    split: Split = "training"

    @classmethod
    def open(cls, uri: str, split: Split = "training") -> TrainingData:
        """Open the dataset in a folder, local or s3://. Raises NotReady if none is sealed there."""
        root, kind, experiment, cycle, run = uri.rstrip("/").removesuffix(f"/{MANIFEST}").rsplit("/", 4)
        if kind != KIND:
            raise BadInput(f"{uri}: is of kind {kind}; allowed {KIND}")
        return cls(Store(root).get(Address(kind=kind, experiment=experiment, cycle=cycle, run=run)), split)

    @classmethod
    def newest(cls, work_root: str, recipe: str) -> TrainingData:
        """Open a recipe's most recently sealed dataset below a work root. Raises NotReady if there is none."""
        made = Store(work_root).list(KIND, recipe)
        if not made:
            raise NotReady(f"{work_root}/{KIND}/{recipe}: no training data yet; make it: stormcast-tw prepare {recipe}")
        return cls(max(made, key=lambda artifact: artifact.written_at))

    def of(self, split: Split) -> TrainingData:
        """Return the same data with the samples of another split."""
        return TrainingData(self.artifact, split)

    @cached_property
    def recipe(self) -> DataRecipe:
        """The recipe it was made from."""
        return DataRecipe.model_validate(self.artifact.plan["recipe"])

    @property
    def digest(self) -> str:
        """sha256 of all its days: two datasets with the same digest hold the same bytes."""
        return Brief.of(self.artifact).data_sha256

    @property
    def grid(self) -> Grid:
        """The grid of the state and of samples."""
        return self.recipe.grid

    @property
    def state_set(self) -> VariableSet:
        """The variables that are predicted."""
        return STATE_SETS[self.recipe.state_set]

    @property
    def background_set(self) -> VariableSet:
        """The variables that drive the prediction."""
        return BACKGROUND_SETS[self.recipe.background_set]

    @cached_property
    def background_grid(self) -> Grid:
        """The grid on which the background is stored."""
        return Grid.parse(json.loads(cast("str", self._group.attrs["background_grid"])))

    @cached_property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Valid time of every hour, datetime64[s]."""
        return self._read("time").astype("datetime64[s]")

    def starts(self, hours: int = 1) -> npt.NDArray[np.int32]:
        """Return the indices t of this split such that t to t + hours are all usable and an hour apart, ascending."""
        pair = self._pairs
        start: npt.NDArray[np.int32] = pair[self._splits[pair] == SPLITS.index(self.split)]
        for ahead in range(1, hours):
            start = start[np.isin(start + ahead, pair)]
        return start

    def state(self, place: int, hours: int = 1) -> Array:
        """Return the state (hour, variable, y, x) of `hours` hours from `place` on, in physical units."""
        return self._slab("state", place, hours)

    def background(self, place: int, hours: int = 1) -> Array:
        """Return the background (hour, variable, y, x) likewise, bilinear on the model's grid as in operations."""
        return bilinear(self.background_grid, self.grid)(self._slab("background", place, hours))

    def observed(self, place: int, hours: int = 1) -> npt.NDArray[np.bool_]:
        """Return where the rain of `hours` hours from `place` on was observed (hour, y, x)."""
        observed: npt.NDArray[np.bool_] = self._slab("rain_source", place, hours) == RAIN_QPESUMS
        return observed

    def pair(self, place: int) -> Pair:
        """Return the sample of the hour at index `place` along time, one of `starts()`."""
        states, backgrounds = self.state(place, 2), self.background(place, 2)
        return Pair(states[0], states[1], backgrounds[0], backgrounds[1], self.observed(place + 1)[0])

    def __len__(self) -> int:
        """Return the number of samples of this split."""
        return int(self._starts.size)

    def __getitem__(self, number: int) -> Pair:
        """Return a sample by its number in this split; raises IndexError past the last."""
        return self.pair(int(self._starts[number]))

    @cached_property
    def invariants(self) -> dict[str, Array]:
        """lsm, orog and coverage, (y, x): coverage is the share of training hours with observed rain."""
        return {name: self._read(name).astype(np.float32) for name in INVARIANTS.ids}

    def background_scales(self) -> dict[str, Scale]:
        """Return the mean and standard deviation of every background variable, for a package."""
        columns = zip(self.background_set.ids, self._read("background_mean"), self._read("background_std"), strict=True)
        return {variable: Scale(mean=float(mean), std=float(std)) for variable, mean, std in columns}

    def state_scales(self, residual_std: Mapping[str, float]) -> dict[str, StateScale]:
        """Return the scales of every state variable for a package, given the regression's residual by variable."""
        mean, std, tendency = (self._read(name) for name in ("state_mean", "state_std", "tendency_std"))
        return {
            v: StateScale(
                mean=float(mean[n]),
                std=float(std[n]),
                tendency_std=float(tendency[n]),
                residual_std=residual_std[v],
            )
            for n, v in enumerate(self.state_set.ids)
        }

    def verify(self) -> None:
        """Compare the sha256 of every object of every day with the day's account; raises BadInput if one differs."""
        store = objects(self.artifact.root)
        for path in store.files(f"{self.artifact.address}/days"):
            stored = store.read(path)
            account = Account.model_validate_json(stored.data if stored else b"")
            for name, sha256 in account.objects.items():
                data = store.read(f"{self.artifact.address}/{NAME}.zarr/{name}")
                digest = "nothing" if data is None else hashlib.sha256(data.data).hexdigest()
                if digest != sha256:
                    raise BadInput(f"{self.artifact.uri}/{NAME}.zarr/{name}: sha256 is {digest}; allowed {sha256}")

    @cached_property
    def _group(self) -> zarr.Group:
        return zarr.open_group(zarr_store(f"{self.artifact.uri}/{NAME}.zarr"), mode="r")

    @cached_property
    def _pairs(self) -> npt.NDArray[np.int32]:
        return self._read("pair")

    @cached_property
    def _splits(self) -> npt.NDArray[np.int8]:
        return self._read("split")

    @cached_property
    def _starts(self) -> npt.NDArray[np.int32]:
        return self.starts()

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        return {name: array_of(self._group, name) for name in ("state", "background", "rain_source")}

    def _slab(self, name: str, place: int, hours: int) -> npt.NDArray[Any]:
        if not 0 <= place <= self._arrays[name].shape[0] - hours:
            raise IndexError(
                f"{self.artifact.uri}: hours {place} to {place + hours}; has {self._arrays[name].shape[0]}"
            )
        return np.asarray(self._arrays[name][place : place + hours])

    def _read(self, name: str) -> npt.NDArray[Any]:
        return np.asarray(array_of(self._group, name)[:])

    def __getstate__(self) -> dict[str, Any]:
        return {"artifact": self.artifact, "split": self.split}
