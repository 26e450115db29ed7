"""Regrids inputs from the providers' grids to the model's own: xarray in, xarray out, no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw import quality
from stormcast_tw.cycle import datetime64
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.quality import Verdict
from stormcast_tw.regrid import bilinear, cell_mean, conservative
from stormcast_tw.schema import array_attributes, of_forecast
from stormcast_tw.variables import INVARIANTS, VARIABLES, VariableSet

OROGRAPHY_TOLERANCE = 100.0
"""m RMS: terrain shifted by a few kilometres or smoothed to 10 km differs by more over Taiwan."""

RAIN_QPESUMS, RAIN_RWRP, RAIN_MADE = 1, 2, 3
"""Values of `rain_source`."""


class NoRain(BadInput):
    """Cells that no radar sees, and no model rain for them."""


def prepare_state(
    state: xr.Dataset,
    observed_rain: xr.Dataset | None,
    model_rain: xr.Dataset | None,
    grid: Grid,
    orography: npt.ArrayLike,
    *,
    gaps_allowed: bool = False,
) -> xr.Dataset:
    """Return the initial state on `grid`: the variables of `state`, `tp01` and `rain_source`.

    `state` (valid_time = 1, y, x) is RWRP's, with its orography `orog` (m); both rains hold tp01 (mm) of the same
    valid time on their own grids. `orography` (ny, nx), m, is the package's. Variables come out as float32, the
    dimensions those of `grid`; rain is observed where QPESUMS covers a cell, else RWRP's.
    Raises BadInput when the terrain differs by more than 100 m RMS, when times differ, when a source does not cover
    the grid, or when a cell has neither rain; with `gaps_allowed` such a cell stays NaN instead.
    """
    fields = {str(name): _on_target(state, str(name), grid) for name in state.data_vars}
    if "orog" not in fields:
        raise BadInput(f"state: lacks orog, which is needed to detect a wrong grid; found {', '.join(fields)}")
    require_terrain(fields["orog"], orography)
    fields = {name: values for name, values in fields.items() if name not in INVARIANTS.ids}
    prepared = _dataset(fields, grid.dims, grid).assign_coords(valid_time=state["valid_time"].variable[0])
    return _with_rain(prepared, observed_rain, model_rain, grid, gaps_allowed)


def prepare_without_state(
    variables: VariableSet, valid_time: datetime, observed_rain: xr.Dataset | None, grid: Grid
) -> xr.Dataset:
    """Return a state that is known (not NaN) only where rain was observed: the package makes the rest."""
    prepared = grid.coordinates().assign_coords(valid_time=((), datetime64(valid_time)))
    for variable in variables:
        nothing = np.full(grid.shape, np.nan, np.float32)
        prepared[variable.id] = (grid.dims, nothing, array_attributes(variable.attributes, grid.dims))
    return _with_rain(prepared, observed_rain, None, grid, gaps_allowed=True)


def _with_rain(
    prepared: xr.Dataset, observed: xr.Dataset | None, model: xr.Dataset | None, grid: Grid, gaps_allowed: bool
) -> xr.Dataset:
    """Return the prepared state with `tp01` and with `rain_source`, which says where the rain came from."""
    rain, rain_source = _merge_rain(_same_time(observed, prepared), _same_time(model, prepared), grid)
    if (without := np.count_nonzero(np.isnan(rain))) and not gaps_allowed:
        raise NoRain(f"tp01: {without} of {rain.size} cells have neither observed nor model rain; allowed 0")
    variable = VARIABLES["tp01"]
    quality.check(rain, variable, f"prepared on {grid.name}", missing_allowed=gaps_allowed)
    prepared["tp01"] = (grid.dims, rain, array_attributes(variable.attributes, grid.dims))
    prepared["rain_source"] = (grid.dims, rain_source, array_attributes(_RAIN_SOURCE_ATTRIBUTES, grid.dims))
    prepared["rain_source"].attrs["observed_share"] = float(np.mean(rain_source == RAIN_QPESUMS))
    return prepared


_RAIN_SOURCE_ATTRIBUTES: dict[str, Any] = {
    "long_name": "where the rain of the past hour came from",
    "units": "1",
    "flag_values": np.array([RAIN_QPESUMS, RAIN_RWRP, RAIN_MADE], np.int8),
    "flag_meanings": "qpesums rwrp background_alone",
}


def prepare_background(background: xr.Dataset, grid: Grid, variables: VariableSet) -> xr.Dataset:
    """Return the large scale on `grid`: `variables`, float32 (valid_time, latitude, longitude), bilinear.

    Raises BadInput for a variable that is absent or implausible, or a background that does not cover the grid.
    """
    if absent := [variable_id for variable_id in variables.ids if variable_id not in background]:
        raise BadInput(f"background: lacks {', '.join(absent)}; found {', '.join(map(str, background.data_vars))}")
    weights = bilinear(Grid.of(background), grid)
    fields = {variable_id: weights(background[variable_id].values) for variable_id in variables.ids}
    prepared = _dataset(fields, ("valid_time", *grid.dims), grid)
    return prepared.assign_coords(valid_time=background["valid_time"].variable).assign_attrs(background.attrs)


def _on_target(dataset: xr.Dataset, name: str, grid: Grid) -> npt.NDArray[np.float32]:
    """Return the only valid time of a variable on `grid`, bilinear."""
    if dataset.sizes["valid_time"] != 1:
        raise BadInput(f"state: {name} has {dataset.sizes['valid_time']} valid times; allowed 1")
    values: npt.NDArray[np.float32] = dataset[name].values[0]
    return bilinear(Grid.of(dataset), grid)(values)


def require_terrain(terrain: npt.ArrayLike, orography: npt.ArrayLike) -> Verdict:
    """Compare a source's orography on the package's grid (ny, nx), m, with the package's own.

    Raises BadInput when they differ by more than 100 m RMS: the file is then not on the grid that it states.
    """
    difference = np.asarray(terrain, dtype=np.float64) - np.asarray(orography, dtype=np.float64)
    rms = float(np.sqrt(np.mean(difference**2)))
    if not rms <= OROGRAPHY_TOLERANCE:
        raise BadInput(
            f"orog differs from the package's orography by {rms:.1f} m RMS;"
            f" allowed {OROGRAPHY_TOLERANCE:g}: a file of the wrong grid"
        )
    return Verdict("difference from the package's", "orog", f"{rms:.1f} m RMS", f"{OROGRAPHY_TOLERANCE:g}")


def _same_time(rain: xr.Dataset | None, prepared: xr.Dataset) -> xr.Dataset | None:
    """Return `rain`; raises BadInput unless its valid time is the state's."""
    if rain is None:
        return None
    valid_time, allowed = rain["valid_time"].values, prepared["valid_time"].values[None]
    if valid_time.shape != allowed.shape or (valid_time != allowed).any():
        raise BadInput(f"{rain.attrs.get('source', 'rain')}: tp01 is valid at {valid_time}; allowed {allowed}")
    return rain


def _merge_rain(
    observed: xr.Dataset | None, model: xr.Dataset | None, grid: Grid
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Return rain (ny, nx), mm, and where it came from."""
    rain = np.full(grid.shape, np.nan, np.float32)
    if observed is not None:
        rain = observed_weights(Grid.of(observed), grid)(observed["tp01"].values[0])
    unobserved = np.isnan(rain)
    if model is not None and unobserved.any():
        rain = np.where(unobserved, cell_mean(Grid.of(model), grid)(model["tp01"].values[0]), rain)
    from_model = np.where(np.isnan(rain), RAIN_MADE, RAIN_RWRP)
    return rain, np.where(unobserved, from_model, RAIN_QPESUMS).astype(np.int8)


def observed_weights(source: Grid, grid: Grid) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Return the function that regrids observed rain, NaN where it is not observed.

    Conservative if cell edges run along parallels; else the mean of 4 x 4 points per cell, all of them observed.
    """
    return conservative(source, grid) if grid.is_geographic else cell_mean(source, grid)


def prepare_observed(rains: Sequence[xr.Dataset], grid: Grid) -> xr.Dataset:
    """Return hourly observed rain on `grid`: `tp01` (valid_time, y, x), mm, float32, the hours ascending.

    `rains` hold tp01 (valid_time, y, x) of observed hours, each on its provider's grid: those of the day before, and
    the hour at init_time. A cell is NaN in an hour in which it was not observed, and an hour that no dataset holds is
    not there. Values are within the range of `VARIABLES["tp01"]`, so tenths of a mm fit into int16.
    Raises BadInput for no hour, an hour that is there twice, rain on a model's grid, and rain that is implausible.
    """
    hourly = _observed_hours(rains, grid)
    times = np.array(sorted(hourly), "datetime64[ns]")
    bounds = np.stack([times - np.timedelta64(1, "h"), times], axis=-1)
    time = {"standard_name": "time", "long_name": "valid time, UTC", "axis": "T", "bounds": "valid_time_bounds"}
    attributes = {
        **of_forecast(VARIABLES["tp01"].attributes | {"coverage_content_type": "physicalMeasurement"}),
        "grid_mapping": "crs",
        "comment": "missing where it was not observed",
    }
    values = np.stack([hourly[hour] for hour in sorted(hourly)])
    made = grid.with_cells().assign_coords(
        {"valid_time": ("valid_time", times, time), "valid_time_bounds": (("valid_time", "bounds"), bounds)}
    )
    sources = dict.fromkeys(str(rain.attrs["source"]) for rain in rains)
    return made.assign(tp01=(("valid_time", *grid.dims), values, attributes)).assign_attrs(source=", ".join(sources))


def _observed_hours(rains: Sequence[xr.Dataset], grid: Grid) -> dict[np.datetime64, npt.NDArray[np.float32]]:
    """Return the rain (ny, nx) of every observed hour; raises BadInput."""
    hourly: dict[np.datetime64, npt.NDArray[np.float32]] = {}
    for rain in rains:
        source, address = Grid.of(rain), str(rain.attrs["source"])
        if not source.is_geographic:
            raise BadInput(f"{address}: tp01 is on the projected grid {source.name} of a model; allowed observed rain")
        values = observed_weights(source, grid)(rain["tp01"].values)
        quality.check(values, VARIABLES["tp01"], f"{address} on {grid.name}", missing_allowed=True)
        for time, field in zip(rain["valid_time"].values, values, strict=True):
            if time in hourly:
                raise BadInput(f"{address}: tp01 of {np.datetime_as_string(time, 'h')} is there twice; allowed once")
            hourly[time] = field
    if not hourly:
        raise BadInput("observed rain: there is no hour; allowed are one or more")
    return hourly


def _dataset(fields: dict[str, npt.NDArray[np.float32]], dims: tuple[str, ...], grid: Grid) -> xr.Dataset:
    """Return the fields, checked, with CF attributes on `grid`."""
    dataset = grid.coordinates()
    for name, values in fields.items():
        variable = VARIABLES[name]
        quality.check(values, variable, f"prepared on {grid.name}")
        dataset[name] = (dims, values.astype(np.float32), array_attributes(variable.attributes, grid.dims))
    return dataset
