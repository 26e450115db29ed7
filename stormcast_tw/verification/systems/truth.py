"""What really happened, by one of two truths that are never mixed.

*Simulated*: the world that the simulated inputs were made from, known everywhere and without error. *Operational*: what
a weather service would see, RWRP's analyses and QPESUMS' rain, with their errors and their gaps. Each also says what
its own past hours and its own RWRP forecasts were, of which baselines are made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw import quality
from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import TAIWAN_2KM, Grid
from stormcast_tw.inputs.onto_grid import observed_weights
from stormcast_tw.regrid import bilinear, cell_mean
from stormcast_tw.schema import array_attributes, global_attributes, time_coordinates
from stormcast_tw.simulation.files import qpesums, rwrp
from stormcast_tw.simulation.world.box import BOX, INNER
from stormcast_tw.simulation.world.weather import SURFACE_IDS, World
from stormcast_tw.sources.base import Reading, Source
from stormcast_tw.variables import VARIABLES, VariableSet, variable_set

TruthKind = Literal["simulated", "operational"]
Array = npt.NDArray[np.float32]

WEATHER = variable_set("weather", "t2m", "u10m", "v10m")
RAIN = variable_set("rain", "tp01")

SETTLED = timedelta(hours=3)
"""Operational truth is taken no earlier than this after its last hour: RWRP's analysis of an hour is there within two,
and before it is, the forecast of an hour ago would stand in for it for ever."""

ANALYSIS_LEADS = (0, 1)
"""RWRP states of these leads, the newest first, are analyses; an older forecast is no truth."""

SAME_WORLD_LIMIT = 1.0
"""m s-1 RMS of the wind vector: regridding twice costs 0.2, another seed at least 2 (40 hours of 2026)."""

HOURS_OF_PAST_RAIN = 3
"""Three maps make two displacements, and are what a second-order autoregression takes."""


@dataclass(frozen=True)
class SimulatedTruth:
    """The simulated world itself."""

    world: World
    kind: ClassVar[TruthKind] = "simulated"

    @property
    def name(self) -> str:
        """What tells this truth from any other."""
        return f"simulated, seed {self.world.seed}"

    def surface(self, cycle: Cycle, lead_hours: int, grid: Grid, now: datetime) -> xr.Dataset:
        """Return t2m, u10m, v10m and tp01 (lead_time, y, x) at leads 1 to `lead_hours`, without gaps."""
        fields = [on_target(self.world.box(cycle.valid_time(lead)), grid) for lead in _leads(lead_hours)]
        stacked = {name: np.stack([field[name] for field in fields]) for name in SURFACE_IDS}
        return _dataset(stacked, cycle, grid, self.name, simulated=True, files={})

    def past_rain(self, cycle: Cycle, grid: Grid) -> Array:
        """Return what the simulated QPESUMS saw in the hours ending at init_time (3, y, x), NaN where nothing."""
        raw = np.stack([qpesums.observed_rain(self.world, time) for time in _past(cycle)])
        rain = np.where(raw == qpesums.MISSING * qpesums.SCALE, np.nan, raw / np.float32(qpesums.SCALE))
        return observed_weights(qpesums.GRID, grid)(rain.astype(np.float32))

    def rwrp(self, run: datetime, cycle: Cycle, lead_hours: int, grid: Grid) -> dict[str, Array]:
        """Return what the simulated RWRP run of `run` says at leads 1 to `lead_hours`: (lead_time, y, x)."""
        ahead = [_whole_hours(cycle.valid_time(lead) - run) for lead in _leads(lead_hours)]
        fields = [on_target(rwrp.run_on_box(self.world, run, hour), grid) for hour in ahead]
        return {name: np.stack([field[name] for field in fields]) for name in SURFACE_IDS}

    def regime(self, valid_time: datetime) -> str:
        """Return the weather regime: one of simulation.regimes.REGIMES."""
        return self.world.regime(valid_time)

    def require_same_world(self, state: xr.Dataset, run: datetime, cycle: Cycle, grid: Grid) -> None:
        """Raise BadInput unless `state` at init_time is what this world's RWRP run of `run` says: the seed's proof."""
        lead = _whole_hours(cycle.init_time - run)
        here = on_target(rwrp.run_on_box(self.world, run, lead), grid)
        squares = sum(np.mean((state[name].values - here[name]) ** 2, dtype=np.float64) for name in ("u10m", "v10m"))
        if not (rms := float(np.sqrt(squares))) <= SAME_WORLD_LIMIT:
            raise BadInput(
                f"{cycle}: the wind at init_time differs by {rms:.2f} m s-1 RMS from the world of seed"
                f" {self.world.seed}; allowed {SAME_WORLD_LIMIT:g}: its inputs were simulated from another seed"
            )


@dataclass(frozen=True)
class OperationalTruth:
    """What providers' files say: RWRP's analyses and QPESUMS' rain."""

    providers: Mapping[str, Source]
    """rwrp, rwrp_rain and qpesums, as `stormcast_tw.sources.table` makes them."""
    kind: ClassVar[TruthKind] = "operational"

    @property
    def name(self) -> str:
        """What tells this truth from any other."""
        return "operational, RWRP analyses and QPESUMS"

    def surface(self, cycle: Cycle, lead_hours: int, grid: Grid, now: datetime) -> xr.Dataset:
        """Return t2m, u10m, v10m and tp01 (lead_time, y, x); tp01 is NaN where QPESUMS saw nothing.

        Raises NotReady while an hour is absent or `now` is too early for all to have settled, BadInput for a file that
        cannot be vouched for: all hours or none.
        """
        from_then = cycle.valid_time(lead_hours) + SETTLED
        if now < from_then:
            raise NotReady(f"{cycle}: truth is taken from {from_then:%Y-%m-%dT%H:%MZ} on; it is {now:%Y-%m-%dT%H:%MZ}")
        times = [cycle.valid_time(lead) for lead in _leads(lead_hours)]
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
        return _dataset(fields, cycle, grid, self.name, simulated=simulated, files=files)

    def past_rain(self, cycle: Cycle, grid: Grid) -> Array:
        """Return QPESUMS' rain of the hours ending at init_time (3, y, x), NaN where not observed; raises NotReady."""
        return _conserved(self._observed(_past(cycle)), grid)

    def rwrp(self, run: datetime, cycle: Cycle, lead_hours: int, grid: Grid) -> dict[str, Array]:
        """Return what the RWRP run of `run` says at leads 1 to `lead_hours`: (lead_time, y, x); raises NotReady."""
        times = [cycle.valid_time(lead) for lead in _leads(lead_hours)]
        rain = read(self.providers["rwrp_rain"], times, RAIN, run).dataset
        return {
            **_bilinear(read(self.providers["rwrp"], times, WEATHER, run), grid),
            "tp01": cell_mean(Grid.of(rain), grid)(rain["tp01"].values),
        }

    def regime(self, valid_time: datetime) -> str:
        """Return `all`: nobody has named the weather of this hour."""
        return "all"

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


Truth = SimulatedTruth | OperationalTruth


def on_target(fields: Mapping[str, Array], grid: Grid) -> dict[str, Array]:
    """Return arrays of the simulation's box on `grid`: cut out where its points are the grid's own, else bilinear."""
    if grid.fingerprint == TAIWAN_2KM.fingerprint:
        return {name: fields[name][INNER] for name in SURFACE_IDS}
    return {name: bilinear(BOX, grid)(fields[name]) for name in SURFACE_IDS}


def read(
    source: Source, times: Sequence[datetime], variables: VariableSet, init_time: datetime | None = None
) -> Reading:
    """Return what a source's run of `init_time` (None: observations) says at these times; raises NotReady, BadInput."""
    return source.read(source.find(tuple(times), variables, init_time))


def _bilinear(reading: Reading, grid: Grid) -> dict[str, Array]:
    weights = bilinear(Grid.of(reading.dataset), grid)
    return {name: weights(reading.dataset[name].values) for name in WEATHER.ids}


def _conserved(reading: Reading, grid: Grid) -> Array:
    return observed_weights(Grid.of(reading.dataset), grid)(reading.dataset["tp01"].values)


def _leads(lead_hours: int) -> range:
    return range(1, lead_hours + 1)


def _past(cycle: Cycle) -> list[datetime]:
    return [cycle.init_time - hours(before) for before in reversed(range(HOURS_OF_PAST_RAIN))]


def _whole_hours(duration: timedelta) -> int:
    return int(duration / timedelta(hours=1))


def _dataset(
    fields: Mapping[str, Array], cycle: Cycle, grid: Grid, name: str, *, simulated: bool, files: Mapping[str, str]
) -> xr.Dataset:
    dims = ("lead_time", *grid.dims)
    arrays = {
        v: (dims, values.astype(np.float32, copy=False), array_attributes(VARIABLES[v].attributes, grid.dims))
        for v, values in fields.items()
    }
    coordinates = xr.merge([grid.coordinates(), time_coordinates(cycle, _leads(len(fields["tp01"])))])
    attributes = global_attributes("truth", simulated=simulated, truth=name, files=json.dumps(files))
    return coordinates.assign(arrays).assign_attrs(attributes)
