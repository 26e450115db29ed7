"""The shape of a training dataset: one Zarr v3 group, an hour a chunk, a day a shard, described by CF attributes.

The state is on the model's grid, the background on its provider's own grid: it takes a hundredth of the bytes and is
interpolated bilinearly when read. A chunk holds all variables of an hour, as training reads them; auxiliary
coordinates describe each entry of `state_variable` and `background_variable` (name, units, method).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from stormcast_tw.cycle import datetime64
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import RAIN_MADE, RAIN_QPESUMS, RAIN_RWRP
from stormcast_tw.schema import global_attributes
from stormcast_tw.storage.zarr_arrays import array_of
from stormcast_tw.training_data.moments import MOMENTS
from stormcast_tw.training_data.recipe import HOURS_A_DAY, DataRecipe
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS, VariableSet

NAME = "data"
"""The dataset's name within its artifact: data.zarr."""

_COMPRESSOR = BloscCodec(typesize=4, cname="zstd", clevel=1, shuffle="shuffle")
"""Takes 1.4 ms for an hour of four maps and leaves 57 % of their bytes; the next levels take half as long again for
2 % less."""


@dataclass(frozen=True)
class Array:
    """One array that days fill: its dimensions after time, type, fill value and attributes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    fill: float | int
    attributes: Mapping[str, Any]


def arrays(recipe: DataRecipe, background_grid: Grid) -> dict[str, Array]:
    """Return every array that days fill, by name."""
    grid, state, background = recipe.grid, STATE_SETS[recipe.state_set], BACKGROUND_SETS[recipe.background_set]
    mapping = {"grid_mapping": "crs"}
    sums = "sums over an hour's cells, after each variable's transform, "
    described = {"state": ("state_variable", state), "background": ("background_variable", background)}
    maps = {
        "state": Array(
            ("state_variable", *grid.dims),
            (len(state), *grid.shape),
            "float32",
            np.nan,
            {"long_name": "state, units by state_units", "coordinates": _description_names("state"), **mapping},
        ),
        "rain_source": Array(
            grid.dims,
            grid.shape,
            "int8",
            0,
            {
                "long_name": "where the rain of the past hour came from; only qpesums counts as observed",
                "flag_values": [0, RAIN_QPESUMS, RAIN_RWRP, RAIN_MADE],
                "flag_meanings": "no_sample qpesums rwrp none",
                **mapping,
            },
        ),
        "background": Array(
            ("background_variable", "background_latitude", "background_longitude"),
            (len(background), *background_grid.shape),
            "float32",
            np.nan,
            {"long_name": "background, units by background_units", "coordinates": _description_names("background")},
        ),
    }
    moments = {
        f"{what}_moments": Array(
            (described[of][0], "moment"),
            (len(described[of][1]), len(MOMENTS)),
            "float64",
            0.0,
            {"long_name": sums + text},
        )
        for what, of, text in (
            ("state", "state", "rain where it was observed"),
            ("tendency", "state", "of the change from the hour before"),
            ("background", "background", "of the background on the grid of the state"),
        )
    }
    return maps | moments


def _description_names(what: str) -> str:
    return " ".join(f"{what}_{name}" for name in ("standard_name", "units", "cell_methods", "long_name"))


def empty_group(store: zarr.storage.MemoryStore, recipe: DataRecipe, background_grid: Grid) -> zarr.Group:
    """Create the arrays that days fill, full-sized and empty, in a store."""
    group = zarr.open_group(store, mode="a")
    for name, array in arrays(recipe, background_grid).items():
        group.create_array(
            name,
            shape=(len(recipe.days) * HOURS_A_DAY, *array.shape),
            shards=(HOURS_A_DAY, *array.shape),
            chunks=(1, *array.shape) if array.dtype != "float64" else (HOURS_A_DAY, *array.shape),
            dtype=array.dtype,
            fill_value=array.fill,
            compressors=_COMPRESSOR,
            dimension_names=("time", *array.dims),
            attributes=dict(array.attributes),
        )
    return group


def objects_of_day(
    recipe: DataRecipe, background_grid: Grid, place: int, values: Mapping[str, npt.NDArray[Any]]
) -> dict[str, bytes]:
    """Return the objects, by path below the dataset, that hold the day at index `place` of the recipe's days.

    An hour of nothing but fill values has no chunk, and a day without chunks has no object.
    """
    contents: dict[str, Any] = {}
    group = empty_group(zarr.storage.MemoryStore(contents), recipe, background_grid)
    hours = slice(place * HOURS_A_DAY, (place + 1) * HOURS_A_DAY)
    for name, array in values.items():
        array_of(group, name).with_config({"write_empty_chunks": False})[hours] = array
    return {path: data.to_bytes() for path, data in contents.items() if "/c/" in path}


def coordinates(recipe: DataRecipe, background_grid: Grid, *, simulated: bool, archive: str) -> xr.Dataset:
    """Return the coordinates of the whole dataset, with its global attributes, among them the recipe."""
    grid = recipe.grid
    time = {"standard_name": "time", "long_name": "valid time, UTC", "axis": "T", "bounds": "time_bounds"}
    times = np.array([datetime64(t) for t in recipe.times], "datetime64[ns]")
    bounds = np.stack([times - np.timedelta64(1, "h"), times], axis=-1)
    axes = {
        f"background_{axis}": (
            f"background_{axis}",
            values,
            {"standard_name": axis, "long_name": f"{axis} of the background", "units": units},
        )
        for axis, values, units in (
            ("latitude", background_grid.y, "degrees_north"),
            ("longitude", background_grid.x, "degrees_east"),
        )
    }
    described = _described("state", STATE_SETS[recipe.state_set]) | _described(
        "background", BACKGROUND_SETS[recipe.background_set]
    )
    attributes = global_attributes(
        f"training data, recipe {recipe.name}",
        simulated=simulated,
        archive=archive,
        recipe=json.dumps(recipe.model_dump(mode="json"), sort_keys=True),
        background_grid=json.dumps(background_grid.describe(), sort_keys=True),
    )
    moment = ("moment", _texts(MOMENTS), {"long_name": "which sum"})
    whole = grid.coordinates().assign_coords(
        {"time": ("time", times, time), "time_bounds": (("time", "bounds"), bounds), "moment": moment, **axes}
        | described
    )
    return whole.assign_attrs(attributes)


def _described(what: str, variables: VariableSet) -> dict[str, tuple[str, npt.NDArray[Any], dict[str, str]]]:
    dimension = f"{what}_variable"
    columns: dict[str, tuple[str, list[str]]] = {
        dimension: ("Earth2Studio's variable ids", [v.id for v in variables]),
        f"{what}_standard_name": ("CF standard name", [v.standard_name for v in variables]),
        f"{what}_long_name": ("what it is", [v.long_name for v in variables]),
        f"{what}_units": ("units", [v.units for v in variables]),
        f"{what}_cell_methods": ("CF cell methods", [v.cell_methods for v in variables]),
        f"{what}_transform": ("how the model sees it before scaling", [v.transform for v in variables]),
    }
    return {name: (dimension, _texts(texts), {"long_name": told}) for name, (told, texts) in columns.items()}


def _texts(texts: Sequence[str]) -> npt.NDArray[np.object_]:
    return np.array(texts, dtype=object)
