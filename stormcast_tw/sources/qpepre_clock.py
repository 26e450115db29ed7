"""Which clock and stamp QPEPRE's file names use: the four possible readings tested against a model's rain.

The text carries no time, so only the rain can tell: hour by hour, the model's rain is compared with the file that each
reading assigns to that hour. A wrong clock is eight hours off, a wrong stamp one.
"""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.cycle import as_utc, hours, to_datetime
from stormcast_tw.errors import NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.sources.base import Located, Source
from stormcast_tw.sources.isolated import Isolated
from stormcast_tw.sources.qpepre import CLOCKS, GRID, STAMPS, Clock, Qpepre, Stamp
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

FEWEST_HOURS = 6
"""Hours that every reading must have before one is accepted."""

LEAST_LEAD = 0.05
"""By how much the best correlation must exceed the next to be accepted."""

_NAME = re.compile(r"qpepre_(\d{12})-(\d{12})_1_h\.txt")
_RAIN = variable_set("rain", "tp01")
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """One reading of the names: its correlation of log(1 + mm) with the model's rain, and over how many hours.

    The correlation is over all points of all these hours; NaN if either has no rain at all.
    """

    clock: Clock
    stamp: Stamp
    correlation: float
    hours: int


def first_hours(model: Source, folder: Folder, most: int) -> xr.Dataset:
    """Return a model's rain in the first hour of its runs, (valid_time, y, x).

    For the newest `most` hours that the file names may mean. Raises NotReady if there is no such hour.
    """
    datasets = []
    for time in sorted(_possible_hours(folder))[-most:]:
        with contextlib.suppress(NotReady):
            located = model.find((time,), _RAIN, time - hours(1))
            datasets.append(model.read(located).dataset)
    if not datasets:
        raise NotReady(f"{folder.root}: no run of {model.name} begins an hour before any of these files")
    return xr.concat(datasets, "valid_time", data_vars="minimal", coords="minimal", compat="override", join="override")


def _possible_hours(folder: Folder) -> set[datetime]:
    """Return the ends of the hour, UTC, of every file under each of the four readings."""
    ends: set[datetime] = set()
    for match in filter(None, map(_NAME.fullmatch, folder.names(""))):
        times = [datetime.strptime(text, "%Y%m%d%H%M") for text in match.groups()]
        ends |= {as_utc(time.replace(tzinfo=zone)) for time in times for zone in CLOCKS.values()}
    return ends


def agreements(model_rain: xr.Dataset, folder: Folder) -> tuple[Agreement, ...]:
    """Return the four readings, best first, for the `tp01` (valid_time, y, x), mm, of a model such as RWRP.

    Works best with the first hour of six or more runs, at hours with rain: later on, the model's showers are out of
    place. Every QPEPRE point is compared with the nearest point of the model's grid. An hour counts for a reading if
    the file that it names exists. Raises BadInput for a file that cannot be read.
    """
    model = _at_points(model_rain)
    times = [to_datetime(time) for time in model_rain["valid_time"].values]
    readings = [_agreement(model, times, folder, clock, stamp) for clock in CLOCKS for stamp in STAMPS]
    return tuple(sorted(readings, key=lambda a: -2.0 if math.isnan(a.correlation) else a.correlation, reverse=True))


def verdict(readings: tuple[Agreement, ...]) -> Agreement | None:
    """Return the reading to use; None if there are too few hours or the best does not clearly lead the next."""
    best, *others = readings
    if min(a.hours for a in readings) < FEWEST_HOURS or math.isnan(best.correlation):
        return None
    rivals = [a.correlation for a in others if not math.isnan(a.correlation)]
    return best if best.correlation > 0 and all(best.correlation - r >= LEAST_LEAD for r in rivals) else None


def _agreement(model: FloatArray, times: list[datetime], folder: Folder, clock: Clock, stamp: Stamp) -> Agreement:
    source = Isolated(Qpepre(folder, clock, stamp))
    pairs = []
    for rain, time in zip(model, times, strict=True):
        try:
            located: Located = source.find((time,), _RAIN)
        except NotReady:
            continue
        observed = source.read(located).dataset["tp01"].values[0].astype(np.float64)
        both = np.isfinite(rain) & np.isfinite(observed)
        pairs.append(np.stack([np.log1p(rain[both]), np.log1p(observed[both])]))
    return Agreement(clock, stamp, _correlation(pairs), len(pairs))


def _correlation(pairs: list[FloatArray]) -> float:
    """Return Pearson's correlation of the two rows of all pairs together."""
    if not pairs:
        return math.nan
    x, y = np.concatenate(pairs, axis=1)
    if x.size == 0 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _at_points(model_rain: xr.Dataset) -> FloatArray:
    """Return the model's rain at the nearest point (valid_time, 275, 162), NaN outside its grid."""
    grid = Grid.of(model_rain)
    j, i = (np.rint(index).astype(np.intp) for index in grid.index_of(*GRID.latlon()))
    inside = (j >= 0) & (j < grid.ny) & (i >= 0) & (i < grid.nx)
    values = model_rain["tp01"].values[:, j.clip(0, grid.ny - 1), i.clip(0, grid.nx - 1)].astype(np.float64)
    return np.where(inside, values, np.nan)
