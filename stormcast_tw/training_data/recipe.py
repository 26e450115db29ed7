"""Recipes of training datasets: which hours, on which grid, which variables, from which archive.

A recipe is a frozen object returned by a function; `RECIPES` lists them by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stormcast_tw.cycle import as_utc, hours
from stormcast_tw.grid import DescribedGrid
from stormcast_tw.names import ExperimentName
from stormcast_tw.plan import Frozen
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.settings import WORLD_SEED
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS

HOURS_A_DAY = 24
Split = Literal["training", "held_out"]


class Span(Frozen):
    """Whole days, UTC, from `first` to `last` inclusive."""

    first: date
    last: date

    @property
    def days(self) -> tuple[date, ...]:
        """Every day of the span, ascending."""
        return tuple(self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))


AgesHours = Annotated[tuple[Annotated[int, Field(ge=0, le=240)], ...], Field(min_length=1)]
"""Ages of the runs that in turn serve a background of forecasts: see `run_serving`."""

AS_OPERATIONS_SEE: AgesHours = (6, 12, 18)
"""A forecast of T is driven by the run of T-6, at leads 6 to 18."""

HOURS_BETWEEN_RUNS = 6
"""Interval between the runs of a global model."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def run_serving(time: datetime, ages_hours: Sequence[int], every_hours: int = HOURS_BETWEEN_RUNS) -> datetime:
    """Return the init_time of the run, among runs every `every_hours` hours, that describes the weather of `time`.

    The ages are used in turn, a new one every `every_hours`: with (6, 12, 18) and 6, a run serves 18 consecutive hours,
    as it serves a forecast that begins six hours after it, and every age occurs at every hour of the day.
    """
    turn = (as_utc(time) - _EPOCH) // hours(every_hours)
    return _EPOCH + turn * hours(every_hours) - hours(ages_hours[turn % len(ages_hours)])


class Simulated(Frozen):
    """The simulated world of a seed, without files; its background is the truth or, with ages, forecasts."""

    kind: Literal["simulated"] = "simulated"
    seed: int = WORLD_SEED
    background_ages_hours: AgesHours | None = None


class Providers(Frozen):
    """Providers' files, named as in the tables of `archives`. Their locations are settings."""

    kind: Literal["providers"] = "providers"
    atmosphere: str = "rwrp_training"
    rain: str = "qpepre"
    background: str = "era5"
    model_rain: bool = False
    """Also use RWRP's own rain, from its raw runs, where no radar sees."""
    background_ages_hours: AgesHours | None = None
    """Ages of a background of forecasts; None for analyses."""


class DataRecipe(Frozen):
    """Everything that determines a training dataset except the archive's bytes and the code.

    Statistics come from the `training` days alone; `held_out` days are for validation. Raises ValueError for days that
    occur twice or in both, for unknown variable sets, or without training days.
    """

    name: ExperimentName
    version: int = 1
    """Increase it to build again from a changed archive."""
    archive: Annotated[Simulated | Providers, Field(discriminator="kind")]
    training: tuple[Span, ...]
    held_out: tuple[Span, ...] = ()
    grid: DescribedGrid = TAIWAN_2KM
    state_set: str = "surface"
    background_set: str = "background24"
    background_step_hours: Literal[1, 6] = 6
    """6: analyses every six hours, interpolated linearly in time, as operations see a global forecast. 1: every hour of
    the archive, which a forecast will not have. Forecasts need 1: their source interpolates within a run, and hours of
    two runs make no pair."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for kind, sets, chosen in (
            ("state", STATE_SETS, self.state_set),
            ("background", BACKGROUND_SETS, self.background_set),
        ):
            if chosen not in sets:
                raise ValueError(f"{kind} set {chosen!r} is not one of {', '.join(sets)}")
        days = [day for span in (*self.training, *self.held_out) for day in span.days]
        if not any(span.days for span in self.training):
            raise ValueError(f"recipe {self.name}: has no training days")
        if len(days) != len(set(days)):
            twice = sorted({day for day in days if days.count(day) > 1})
            raise ValueError(f"recipe {self.name}: {twice[0]} and {len(twice) - 1} more days are there twice")
        if self.archive.background_ages_hours is not None and self.background_step_hours != 1:
            raise ValueError(
                f"recipe {self.name}: background_step_hours is {self.background_step_hours}; allowed 1 for forecasts,"
                " which are not interpolated from run to run"
            )
        return self

    @property
    def splits(self) -> dict[date, Split]:
        """Every day and its split, ascending."""
        training: dict[date, Split] = {day: "training" for span in self.training for day in span.days}
        held_out: dict[date, Split] = {day: "held_out" for span in self.held_out for day in span.days}
        return dict(sorted((training | held_out).items()))

    @property
    def days(self) -> tuple[date, ...]:
        """Every day, ascending: the parts of the dataset."""
        return tuple(self.splits)

    @property
    def times(self) -> tuple[datetime, ...]:
        """Every hour, UTC, ascending: the time axis of the dataset."""
        return tuple(itertools.chain.from_iterable(hours_of(day) for day in self.days))

    def background_run(self, time: datetime) -> datetime | None:
        """Return the init_time of the forecast that is the background of an hour, None if that is an analysis."""
        ages = self.archive.background_ages_hours
        return None if ages is None else run_serving(time, ages)


def hours_of(day: date) -> tuple[datetime, ...]:
    """Return the 24 hours of a day, 00 to 23 UTC."""
    midnight = datetime.combine(day, time(), UTC)
    return tuple(midnight + hours(hour) for hour in range(HOURS_A_DAY))


def _years(first: date, last: date) -> tuple[Span, ...]:
    return (Span(first=first, last=last),)


def rehearsal() -> DataRecipe:
    """Two simulated days and one held out: for tests and for a first try of every command."""
    return DataRecipe(
        name="rehearsal",
        archive=Simulated(),
        training=(Span(first=date(2023, 6, 1), last=date(2023, 6, 2)),),
        held_out=(Span(first=date(2024, 6, 1), last=date(2024, 6, 1)),),
    )


def demo() -> DataRecipe:
    """4,032 simulated hours: the 1st to 7th of every month of two years; held out: two days a month of another year."""
    weeks = [Span(first=date(y, m, 1), last=date(y, m, 7)) for y in (2022, 2023) for m in range(1, 13)]
    pairs = [Span(first=date(2024, m, 15), last=date(2024, m, 16)) for m in range(1, 13)]
    return DataRecipe(name="demo", archive=Simulated(), training=tuple(weeks), held_out=tuple(pairs))


def demo_tuned() -> DataRecipe:
    """The hours of `demo` with the simulated global model's forecasts as background: the demo is tuned on these."""
    forecasts = Simulated(background_ages_hours=AS_OPERATIONS_SEE)
    return demo().model_copy(update={"name": "demo_tuned", "archive": forecasts, "background_step_hours": 1})


def acceptance() -> DataRecipe:
    """Three consecutive held-out days, in all seasons of a year that the demo has not seen: for runs of 48 hours.

    They are driven by analyses, so that errors of rain are the model's own.
    """
    threes = [Span(first=date(2025, m, 10), last=date(2025, m, 12)) for m in (1, 3, 4, 5, 6, 8, 9, 11)]
    none = Span(first=date(2024, 12, 31), last=date(2024, 12, 31))
    return DataRecipe(name="acceptance", archive=Simulated(), training=(none,), held_out=tuple(threes))


def surface_1y() -> DataRecipe:
    """A year of RWRP, QPEPRE and ERA5 at the surface, with the following year held out."""
    return DataRecipe(
        name="surface_1y",
        archive=Providers(),
        training=_years(date(2021, 1, 1), date(2021, 12, 31)),
        held_out=_years(date(2022, 1, 1), date(2022, 12, 31)),
    )


def surface_2y5() -> DataRecipe:
    """The whole archive before 2022 at the surface, with 2022 held out."""
    training = _years(date(2019, 8, 1), date(2021, 12, 31))
    return surface_1y().model_copy(update={"name": "surface_2y5", "training": training})


def upper_2y5() -> DataRecipe:
    """Like surface_2y5, with RWRP's upper air."""
    more = {"name": "upper_2y5", "state_set": "upper", "background_set": "background26"}
    return surface_2y5().model_copy(update=more)


RECIPES: Mapping[str, Callable[[], DataRecipe]] = {
    recipe.__name__: recipe for recipe in (rehearsal, demo, demo_tuned, acceptance, surface_1y, surface_2y5, upper_2y5)
}
"""Every recipe, by name."""


def named(recipe: str) -> DataRecipe:
    """Return the recipe of this name. Raises ValueError for an unknown name."""
    if recipe not in RECIPES:
        raise ValueError(f"recipe {recipe!r} is not one of {', '.join(RECIPES)}")
    return RECIPES[recipe]()
