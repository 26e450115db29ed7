"""What really happened, according to one of two truths that are never mixed.

*Simulated* (simulated.py): the world that the simulated inputs were made from, known everywhere and without error.
*Operational*: what a weather service would see, RWRP's analyses and QPESUMS rain, with their errors and gaps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw import quality
from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.errors import NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import observed_weights
from stormcast_tw.regrid import bilinear, cell_mean
from stormcast_tw.schema import array_attributes, global_attributes, time_coordinates
from stormcast_tw.sources.base import Reading, Source
from stormcast_tw.variables import VARIABLES, VariableSet, variable_set
from stormcast_tw.verification import TruthKind
from stormcast_tw.verification.systems.dressing import TrainingSpan
from stormcast_tw.verification.systems.start import Invariants, Start

Array = npt.NDArray[np.float32]

WEATHER = variable_set("weather", "t2m", "u10m", "v10m")
RAIN = variable_set("rain", "tp01")

SETTLED = timedelta(hours=3)
"""Operational truth is taken no earlier than this after its last hour: RWRP's analysis of an hour arrives within two;
before that, the one-hour forecast would take its place for good."""

ANALYSIS_LEADS = (0, 1)
"""RWRP states at these leads, newest run first, count as analyses; an older forecast is no truth."""

HOURS_OF_PAST_RAIN = 3
"""Three maps give two displacements, and are what a second-order autoregression needs."""


class Truth(Protocol):
    """What really happened, and what was known of it at init_time, from which baselines are made."""

    @property
    def kind(self) -> TruthKind: ...  # noqa: D102

    @property
    def name(self) -> str:
        """Name that distinguishes this truth from any other."""

    def surface(self, cycle: Cycle, lead_hours: int, grid: Grid, now: datetime) -> xr.Dataset:
        """Return t2m, u10m, v10m and tp01 (lead_time, y, x) at leads 1 to `lead_hours`; raises NotReady, BadInput."""

    def past_rain(self, cycle: Cycle, grid: Grid) -> Array:
        """Return the observed rain of the hours ending at init_time (3, y, x), NaN where nothing was observed."""

    def rwrp(self, run: datetime, cycle: Cycle, lead_hours: int, grid: Grid) -> dict[str, Array]:
        """Return the fields of the RWRP run of `run` at leads 1 to `lead_hours`: (lead_time, y, x)."""

    def regime(self, valid_time: datetime) -> str:
        """Return the name of the weather regime, `all` if it has none."""

    def require_start(self, start: Start) -> None:
        """Raise BadInput if a forecast cannot have started from this truth's own world."""

    def systems_of(self, start: Start) -> dict[str, xr.Dataset]:
        """Return the systems of a cycle that only this truth can make, by name."""

    def starts(self, span: TrainingSpan, like: Start, invariants: Invariants) -> Mapping[Cycle, Callable[[], Start]]:
        """Return functions that make the start of each training cycle; empty if only published runs have one."""


@dataclass(frozen=True)
class OperationalTruth:
    """The truth in providers' files: RWRP's analyses and QPESUMS rain."""

    providers: Mapping[str, Source]
    """rwrp, rwrp_rain and qpesums, as `stormcast_tw.sources.table` makes them."""
    kind: ClassVar[TruthKind] = "operational"

    @property
    def name(self) -> str:
        """Name that distinguishes this truth from any other."""
        return "operational, RWRP analyses and QPESUMS"

    def surface(self, cycle: Cycle, lead_hours: int, grid: Grid, now: datetime) -> xr.Dataset:
        """Return t2m, u10m, v10m and tp01 (lead_time, y, x); tp01 is NaN where QPESUMS did not observe.

        All hours or none: raises NotReady while an hour is missing or `now` is too early for all of them to have
        settled, BadInput for a file that fails a check.
        """
        from_then = cycle.valid_time(lead_hours) + SETTLED
        if now < from_then:
            raise NotReady(f"{cycle}: truth is taken from {from_then:%Y-%m-%dT%H:%MZ} on; it is {now:%Y-%m-%dT%H:%MZ}")
        times = [cycle.valid_time(lead) for lead in leads(lead_hours)]
        analyses = [self._analysis(time) for time in times]
        rain = self._observed(times)
        fields: dict[str, Array] = {
            name: np.concatenate([_bilinear(analysis, grid)[name] for analysis in analyses]) for name in WEATHER.ids
        }
        fields["tp01"] = _conserved(rain, grid)
        for name, values in fields.items():
            quality.check(values, VARIABLES[name], f"truth of {cycle}", missing_allowed=name == "tp01")
        readings = (*analyses, rain)
        files = {used.address: used.digest for reading in readings for used in reading.used}
        simulated = any(reading.dataset.attrs["simulated"] for reading in readings)
        return truth_dataset(fields, cycle, grid, self.name, simulated=simulated, files=files)

    def past_rain(self, cycle: Cycle, grid: Grid) -> Array:
        """Return QPESUMS rain of the hours ending at init_time (3, y, x), NaN where not observed; raises NotReady."""
        return _conserved(self._observed(hours_until(cycle)), grid)

    def rwrp(self, run: datetime, cycle: Cycle, lead_hours: int, grid: Grid) -> dict[str, Array]:
        """Return the fields of the RWRP run of `run` at leads 1 to `lead_hours` (lead_time, y, x); raises NotReady."""
        times = [cycle.valid_time(lead) for lead in leads(lead_hours)]
        rain = read(self.providers["rwrp_rain"], times, RAIN, run).dataset
        return {
            **_bilinear(read(self.providers["rwrp"], times, WEATHER, run), grid),
            "tp01": cell_mean(Grid.of(rain), grid)(rain["tp01"].values),
        }

    def regime(self, valid_time: datetime) -> str:
        """Return `all`: real weather has not been classified."""
        return "all"

    def require_start(self, start: Start) -> None:
        """Accept any start: providers' files all describe the one real world."""

    def systems_of(self, start: Start) -> dict[str, xr.Dataset]:
        """Return nothing: everything that providers deliver is already scored."""
        return {}

    def starts(self, span: TrainingSpan, like: Start, invariants: Invariants) -> Mapping[Cycle, Callable[[], Start]]:
        """Return nothing: only published runs know what they started from."""
        return {}

    def _observed(self, times: Sequence[datetime]) -> Reading:
        return read(self.providers["qpesums"], times, RAIN)

    def _analysis(self, time: datetime) -> Reading:
        reasons = []
        for lead in ANALYSIS_LEADS:
            try:
                return read(self.providers["rwrp"], (time,), WEATHER, time - hours(lead))
            except NotReady as error:
                reasons.append(str(error))
        raise NotReady(f"no RWRP analysis of {time:%Y-%m-%dT%H:%MZ}: {'; '.join(reasons)}")


def read(
    source: Source, times: Sequence[datetime], variables: VariableSet, init_time: datetime | None = None
) -> Reading:
    """Return a source's fields at these times, of run `init_time` (None: observations); raises NotReady, BadInput."""
    return source.read(source.find(tuple(times), variables, init_time))


def _bilinear(reading: Reading, grid: Grid) -> dict[str, Array]:
    weights = bilinear(Grid.of(reading.dataset), grid)
    return {name: weights(reading.dataset[name].values) for name in WEATHER.ids}


def _conserved(reading: Reading, grid: Grid) -> Array:
    return observed_weights(Grid.of(reading.dataset), grid)(reading.dataset["tp01"].values)


def leads(lead_hours: int) -> range:
    """Return the leads that are scored: 1 to `lead_hours`."""
    return range(1, lead_hours + 1)


def hours_until(cycle: Cycle) -> list[datetime]:
    """Return the valid times of the past rain: the hours ending at init_time, ascending."""
    return [cycle.init_time - hours(before) for before in reversed(range(HOURS_OF_PAST_RAIN))]


def truth_dataset(
    fields: Mapping[str, Array], cycle: Cycle, grid: Grid, name: str, *, simulated: bool, files: Mapping[str, str]
) -> xr.Dataset:
    """Return fields (lead_time, y, x) at leads 1, 2, ... as a truth called `name`, made from `files` (digests)."""
    dims = ("lead_time", *grid.dims)
    arrays = {
        v: (dims, values.astype(np.float32, copy=False), array_attributes(VARIABLES[v].attributes, grid.dims))
        for v, values in fields.items()
    }
    coordinates = xr.merge([grid.coordinates(), time_coordinates(cycle, leads(len(fields["tp01"])))])
    attributes = global_attributes("truth", simulated=simulated, truth=name, files=json.dumps(files))
    return coordinates.assign(arrays).assign_attrs(attributes)
