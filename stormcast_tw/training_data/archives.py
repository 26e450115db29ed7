"""Make the archive that a recipe names: its providers by name, at the places that the settings give."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from stormcast_tw.settings import Settings
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.table import source
from stormcast_tw.training_data.archive import Archive
from stormcast_tw.training_data.provider_archive import ProviderArchive
from stormcast_tw.training_data.provider_hours import Feed
from stormcast_tw.training_data.recipe import HOURS_A_DAY, HOURS_BETWEEN_RUNS, DataRecipe, Providers, Simulated
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS

ATMOSPHERES: Mapping[str, tuple[tuple[int, ...] | None, int]] = {
    # which run serves an hour (recipe.run_serving): ages, and hours from run to run
    "rwrp_training": (None, 1),
    "rwrp": ((0,), 1),
}
RAINS = ("qpepre", "qpesums")
ANALYSES = ("era5", "era5_cds")
FORECASTS = ("global_ai", "aifs", "gfs")


def archive_of(recipe: DataRecipe, settings: Settings) -> Archive:
    """Return the archive of a recipe; raises ValueError for an unknown name or a missing setting."""
    grid = recipe.grid
    state_set, background_set = STATE_SETS[recipe.state_set], BACKGROUND_SETS[recipe.background_set]
    chosen = recipe.archive
    if isinstance(chosen, Simulated):
        from stormcast_tw.training_data.simulated_archive import SimulatedArchive

        return SimulatedArchive(chosen.seed, grid, state_set, background_set, chosen.background_ages_hours)

    def named(name: str, allowed: Collection[str]) -> Source:
        if name not in allowed:
            raise ValueError(f"recipe {recipe.name}: {name!r} is not one of {', '.join(allowed)}")
        return source(name, settings, grid)

    ages, every = ATMOSPHERES.get(chosen.atmosphere, (None, 1))
    return ProviderArchive(
        grid,
        state_set,
        background_set,
        atmosphere=Feed(named(chosen.atmosphere, ATMOSPHERES), ages, every),
        rain=Feed(named(chosen.rain, RAINS), how=_how(settings, chosen.rain)),
        background=_background(chosen, named),
        # an hour of rain is a difference of two leads of one run
        model_rain=Feed(source("rwrp_rain", settings, grid), (1,), 1) if chosen.model_rain else None,
        background_hours=tuple(range(0, HOURS_A_DAY, recipe.background_step_hours)),
    )


def _how(settings: Settings, rain: str) -> str:
    """Return which interpretation of an undocumented observation was chosen: clock, stamp, datum."""
    clock = f"clock {settings.qpepre_clock}, stamp {settings.qpepre_stamp}, " if rain == "qpepre" else ""
    return f"{clock}datum {settings.qpesums_datum}"


def _background(chosen: Providers, named: Callable[[str, Collection[str]], Source]) -> Feed:
    """Return the feed of analyses or of forecasts; raises ValueError if the recipe's ages do not suit its kind."""
    ages, forecasts = chosen.background_ages_hours, chosen.background in FORECASTS
    if forecasts != (ages is not None):
        kind, allowed = ("forecasts", "how old they are") if forecasts else ("analyses", "None")
        raise ValueError(
            f"background {chosen.background}: background_ages_hours is {ages}; allowed for {kind}: {allowed}"
        )
    if ages is None:
        return Feed(named(chosen.background, ANALYSES))
    return Feed(named(chosen.background, FORECASTS), ages, HOURS_BETWEEN_RUNS)
