"""What an archive gives for an hour: the weather at km scale, and the large scale that drove it.

Two archives behind one Protocol: the simulated world itself (`simulated_archive`), and the files of providers, here.
An hour that an archive cannot give, or cannot vouch for, comes as the error that says why; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.cycle import as_utc, hours
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.prepare import RAIN_MADE, RAIN_QPESUMS, RAIN_RWRP, observed_weights
from stormcast_tw.regrid import bilinear, cell_mean
from stormcast_tw.sources.base import Reading, Source
from stormcast_tw.sources.files import Used
from stormcast_tw.variables import VARIABLES, VariableSet, variable_set

Array = npt.NDArray[np.float32]

VALUES_TOGETHER = 60
"""Maps of a regional grid that are read in one call: twelve hours of five variables, 240 MB on 450 x 450 points while
they are read, which takes five times their bytes."""

GROUND = ("orog", "lsm")
_RAIN = variable_set("rain", "tp01")


@dataclass(frozen=True)
class KmScale:
    """The state of an hour on the model's grid.

    `values` (variable, y, x) in the order of the state set, SI units; `rain_source` (y, x) has prepare's flags: where
    it is not RAIN_QPESUMS the rain was not observed: RWRP's, or NaN where there is none. `terrain` (y, x), m, is the
    hour's own: what tells a file of a wrong grid.
    """

    values: Array
    rain_source: npt.NDArray[np.int8]
    terrain: Array
    used: tuple[Used, ...] = ()
    simulated: bool = False
    address: str = ""
    rain_address: str = ""
    """Where it was read, for messages."""


@dataclass(frozen=True)
class LargeScale:
    """The background of an hour on its provider's own `grid`: `values` (variable, y, x), order of the set, SI units."""

    values: Array
    grid: Grid
    used: tuple[Used, ...] = ()
    simulated: bool = False
    address: str = ""


Refusal = NotReady | BadInput
"""Why an hour is not there (NotReady) or not to be believed (BadInput). Anything else stops the building."""


class Archive(Protocol):
    """Past hours, each by itself: what a training dataset is made of. Sent to workers, so it can be pickled."""

    def describe(self) -> str:
        """Return what tells this archive from any other, in one line; where it lies is no part of it."""

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | Refusal]:
        """Return the state of every hour, or why there is none."""

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | Refusal]:
        """Return the background of every hour, or why there is none; others too that were read with them."""

    def ground(self, time: datetime) -> Mapping[str, Array]:
        """Return `orog` (m) and `lsm` (1), (y, x), as the state of an hour has them; raises NotReady or BadInput."""


@dataclass(frozen=True)
class Feed:
    """A source, and which of its runs says what the weather was.

    Without `run_age_hours` it has no runs. With it, the run of a time is the newest, begun every `run_every_hours`,
    that is at least so old: 0 and 1 are the analyses of an hourly run, 6 and 6 what operations see of a global one.
    """

    source: Source
    run_age_hours: int | None = None
    run_every_hours: int = 1
    how: str = ""
    """What else tells this source's hours from another's: a clock, a datum."""

    def run_of(self, time: datetime) -> datetime | None:
        """Return the init_time of the run that serves a time."""
        if self.run_age_hours is None:
            return None
        newest = as_utc(time) - hours(self.run_age_hours)
        day = newest.replace(hour=0, minute=0, second=0, microsecond=0)
        return newest - (newest - day) % timedelta(hours=self.run_every_hours)

    def describe(self) -> str:
        """Return the source's name, which runs of it, and how it is read."""
        runs = "" if self.run_age_hours is None else f"runs {self.run_age_hours} h old or more"
        return ", ".join(part for part in (self.source.name, runs, self.how) if part)

    def read(
        self, times: Sequence[datetime], variables: VariableSet, together: int
    ) -> dict[datetime, Reading | Refusal]:
        """Return a reading of every hour, or why there is none; at most so many hours in one call of the source."""
        found: dict[datetime, Reading | Refusal] = {}
        for run, group in groupby(times, key=self.run_of):
            same_run = tuple(group)
            for first in range(0, len(same_run), together):
                found |= self._read(same_run[first : first + together], variables, run)
        return found

    def _read(
        self, times: tuple[datetime, ...], variables: VariableSet, run: datetime | None
    ) -> dict[datetime, Reading | Refusal]:
        """Read some hours in one call; where one of them is wrong, each by itself."""
        try:
            reading = self.source.read(self.source.find(times, variables, run))
        except (NotReady, BadInput) as error:
            if len(times) == 1:
                return {times[0]: error}
            return {t: found for time in times for t, found in self._read((time,), variables, run).items()}
        one_each = len(reading.used) == len(times)
        return {
            time: Reading(
                reading.dataset.isel(valid_time=[place]), reading.used[place : place + 1] if one_each else reading.used
            )
            for place, time in enumerate(times)
        }


@dataclass(frozen=True)
class ProviderArchive:
    """Hours read from providers' files: RWRP's atmosphere, observed rain, and a global analysis or forecast.

    `model_rain`, RWRP's own, is what a forecast is started from where no radar looks; without it that rain is NaN.
    Raises ValueError for a state set of which `atmosphere` and `rain` do not make every variable.
    """

    grid: Grid
    state_set: VariableSet
    background_set: VariableSet
    atmosphere: Feed
    rain: Feed
    background: Feed
    model_rain: Feed | None = None
    background_hours: tuple[int, ...] = (0, 6, 12, 18)
    """Of a day: read together, whichever is asked for, since files often hold a day; so what was read of a file is the
    same in whatever order days are made."""

    def __post_init__(self) -> None:
        if "tp01" not in self.state_set.ids or "refc" in self.state_set.ids:
            raise ValueError(f"state set {self.state_set.name}: rain is needed and refc has no archive")

    def describe(self) -> str:  # noqa: D102
        feeds = {"atmosphere": self.atmosphere, "rain": self.rain, "background": self.background}
        feeds |= {"model rain": self.model_rain} if self.model_rain else {}
        return "; ".join(f"{name} {feed.describe()}" for name, feed in feeds.items())

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | Refusal]:  # noqa: D102
        wanted = VariableSet("atmosphere", tuple(VARIABLES[v] for v in (*self._aloft, "orog")))
        found: dict[datetime, KmScale | Refusal] = {}
        chunk = max(1, VALUES_TOGETHER // len(wanted))
        for first in range(0, len(times), chunk):
            some = times[first : first + chunk]
            air, rain = self.atmosphere.read(some, wanted, chunk), self.rain.read(some, _RAIN, chunk)
            model = self.model_rain.read(some, _RAIN, chunk) if self.model_rain else {}
            found |= {time: self._believed(air[time], rain[time], model.get(time)) for time in some}
        return found

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | Refusal]:  # noqa: D102
        found: dict[datetime, LargeScale | Refusal] = {}
        for day in dict.fromkeys(time.replace(hour=0) for time in times):
            together = [day + hours(hour) for hour in self.background_hours]
            readings = self.background.read(together, self.background_set, len(together))
            found |= {time: self._large_scale(reading) for time, reading in readings.items()}
        return found

    def ground(self, time: datetime) -> dict[str, Array]:  # noqa: D102
        reading = self.atmosphere.read([time], variable_set("ground", *GROUND), 1)[time]
        if isinstance(reading, NotReady | BadInput):
            raise reading
        to_grid = bilinear(Grid.of(reading.dataset), self.grid)
        return {name: to_grid(reading.dataset[name].values[0]) for name in GROUND}

    @property
    def _aloft(self) -> tuple[str, ...]:
        return tuple(v for v in self.state_set.ids if v != "tp01")

    def _believed(
        self, air: Reading | Refusal, rain: Reading | Refusal, model: Reading | Refusal | None
    ) -> KmScale | Refusal:
        readings = []
        for reading in (air, rain, model):
            if isinstance(reading, NotReady | BadInput):
                return reading
            readings += [reading] if reading is not None else []
        try:
            return self._on_grid(readings[0], readings[1], readings[2] if model is not None else None)
        except BadInput as error:
            address = readings[0].used[0].address
            return error if str(error).startswith(address) else BadInput(f"{address}: {error}")

    def _on_grid(self, air: Reading, observed: Reading, model: Reading | None) -> KmScale:
        """Return what prepare.prepare_state does, as arrays: bilinear; rain conservative, RWRP's where none looks."""
        to_grid = bilinear(Grid.of(air.dataset), self.grid)
        fields = {v: to_grid(air.dataset[v].values[0]) for v in (*self._aloft, "orog")}
        rain = observed_weights(Grid.of(observed.dataset), self.grid)(observed.dataset["tp01"].values[0])
        unobserved = np.isnan(rain)
        if model is not None:
            everywhere = cell_mean(Grid.of(model.dataset), self.grid)(model.dataset["tp01"].values[0])
            rain = np.where(unobserved, everywhere, rain)
        fields["tp01"] = rain
        for v in self.state_set:
            quality.check(fields[v.id], v, air.used[0].address, missing_allowed=v.id == "tp01")
        stand_in = np.where(np.isnan(rain), RAIN_MADE, RAIN_RWRP)
        readings = [reading for reading in (air, observed, model) if reading is not None]
        return KmScale(
            values=np.stack([fields[v] for v in self.state_set.ids]).astype(np.float32, copy=False),
            rain_source=np.where(unobserved, stand_in, RAIN_QPESUMS).astype(np.int8),
            terrain=fields["orog"],
            used=tuple(used for reading in readings for used in reading.used),
            simulated=any(bool(reading.dataset.attrs.get("simulated", 0)) for reading in readings),
            address=air.used[0].address,
            rain_address=observed.used[0].address,
        )

    def _large_scale(self, reading: Reading | Refusal) -> LargeScale | Refusal:
        if isinstance(reading, NotReady | BadInput):
            return reading
        dataset = reading.dataset
        grid = replace(Grid.of(dataset), name="BACKGROUND")
        values = np.stack([dataset[v].values[0] for v in self.background_set.ids])
        return LargeScale(values, grid, reading.used, bool(dataset.attrs.get("simulated", 0)), reading.used[0].address)


@dataclass(frozen=True)
class Remembering:
    """An archive that is not asked again for the last state and for backgrounds of the call before.

    Days that follow each other share them. What comes is what the archive itself would give: the outcome of an hour
    depends on no other hour that is asked for with it.
    """

    archive: Archive
    states: dict[datetime, KmScale | Refusal] = field(default_factory=dict)
    backgrounds: dict[datetime, LargeScale | Refusal] = field(default_factory=dict)

    def describe(self) -> str:  # noqa: D102
        return self.archive.describe()

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | Refusal]:  # noqa: D102
        return _recalled(times, self.states, self.archive.km_scale, keep=1)

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | Refusal]:  # noqa: D102
        return _recalled(times, self.backgrounds, self.archive.large_scale, keep=_BACKGROUNDS_KEPT)

    def ground(self, time: datetime) -> Mapping[str, Array]:  # noqa: D102
        return self.archive.ground(time)


Outcome = TypeVar("Outcome")

_BACKGROUNDS_KEPT = 48
"""Two days of hourly ones: the day after may have been read for its midnight."""


def _recalled(
    times: Sequence[datetime],
    known: dict[datetime, Outcome],
    ask: Callable[[Sequence[datetime]], dict[datetime, Outcome]],
    keep: int,
) -> dict[datetime, Outcome]:
    unknown = [time for time in times if time not in known]
    found = known | (ask(unknown) if unknown else {})
    known.clear()
    known.update((time, found[time]) for time in sorted(found)[-keep:])
    return {time: found[time] for time in times}
