"""One provider of an archive: a source, which of its runs describes an hour, and the fields of that hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.sources.base import Source
from stormcast_tw.storage.provider_files import Used
from stormcast_tw.training_data.archive import Array, Refusal
from stormcast_tw.training_data.recipe import run_serving
from stormcast_tw.variables import VariableSet


@dataclass(frozen=True)
class Fields:
    """A source's fields of an hour: (y, x) by id, SI units, on its own grid."""

    values: Mapping[str, Array]
    grid: Grid
    used: tuple[Used, ...]
    simulated: bool

    @property
    def address(self) -> str:
        """Where it was read, for messages."""
        return self.used[0].address


@dataclass(frozen=True)
class Feed:
    """A source, and which of its runs describes the weather of an hour.

    Without `run_ages_hours` the source has no runs; with it `run_serving` chooses one: (0,) and 1 select the analyses
    of an hourly run.
    """

    source: Source
    run_ages_hours: tuple[int, ...] | None = None
    run_every_hours: int = 1
    how: str = ""
    """What else distinguishes this source's hours from another's: a clock, a datum."""

    def run_of(self, time: datetime) -> datetime | None:
        """Return the init_time of the run that serves a time."""
        if self.run_ages_hours is None:
            return None
        return run_serving(time, self.run_ages_hours, self.run_every_hours)

    def describe(self) -> str:
        """Return the source's name, which runs of it, and how it is read."""
        ages = self.run_ages_hours
        runs = "" if ages is None else f"runs {', '.join(map(str, ages))} h old"
        return ", ".join(part for part in (self.source.name, runs, self.how) if part)

    def read(
        self, times: Sequence[datetime], variables: VariableSet, together: int
    ) -> dict[datetime, Fields | Refusal]:
        """Return the fields of every hour, or why there are none; one call reads at most `together` hours."""
        outcomes: dict[datetime, Fields | Refusal] = {}
        for run, group in groupby(times, key=self.run_of):
            same_run = tuple(group)
            for first in range(0, len(same_run), together):
                outcomes |= self._read(same_run[first : first + together], variables, run)
        return outcomes

    def _read(
        self, times: tuple[datetime, ...], variables: VariableSet, run: datetime | None
    ) -> dict[datetime, Fields | Refusal]:
        """Read some hours in one call; if that fails, read each by itself."""
        try:
            reading = self.source.read(self.source.find(times, variables, run))
        except (NotReady, BadInput) as error:
            if len(times) == 1:
                return {times[0]: error}
            return {t: outcome for time in times for t, outcome in self._read((time,), variables, run).items()}
        grid, used = Grid.of(reading.dataset), reading.used
        maps = {v: reading.dataset[v].values for v in variables.ids}
        simulated, one_each = bool(reading.dataset.attrs.get("simulated", 0)), len(used) == len(times)
        return {
            time: Fields(
                {v: values[place] for v, values in maps.items()},
                grid,
                used[place : place + 1] if one_each else used,
                simulated,
            )
            for place, time in enumerate(times)
        }
