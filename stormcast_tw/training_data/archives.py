"""From a recipe's archive to one that can be read: the providers by name, where the settings say they lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stormcast_tw.grid import Grid
from stormcast_tw.settings import Settings
from stormcast_tw.sources.aifs import Aifs
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.era5 import Era5
from stormcast_tw.sources.era5_cds import Era5Cds
from stormcast_tw.sources.gfs import Gfs
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.qpepre import Qpepre
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.rwrp_training import RwrpTraining
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.training_data.archive import Archive
from stormcast_tw.training_data.provider_archive import ProviderArchive
from stormcast_tw.training_data.provider_hours import Feed
from stormcast_tw.training_data.recipe import HOURS_A_DAY, HOURS_BETWEEN_RUNS, DataRecipe, Providers, Simulated
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS

MakeSource = Callable[[Settings, Folder, Grid], Source]

ATMOSPHERES: Mapping[str, tuple[MakeSource, tuple[int, ...] | None, int]] = {
    # name: how it is made, and which run serves an hour (training.data_recipe.run_serving)
    "rwrp_training": (lambda settings, folder, grid: RwrpTraining(folder, around=grid), None, 1),
    "rwrp": (lambda settings, folder, grid: RwrpState(folder), (0,), 1),
}
RAINS: Mapping[str, MakeSource] = {
    "qpepre": lambda settings, folder, grid: _qpepre(settings, folder),
    "qpesums": lambda settings, folder, grid: Qpesums(folder, datum=settings.qpesums_datum),
}
ANALYSES: Mapping[str, MakeSource] = {
    "era5": lambda settings, folder, grid: Era5(folder, grid=grid),
    "era5_cds": lambda settings, folder, grid: Era5Cds(folder, grid=grid),
}
FORECASTS: Mapping[str, MakeSource] = {
    "global_ai": lambda settings, folder, grid: GlobalAI(folder, grid),
    "aifs": lambda settings, folder, grid: Aifs(folder, grid),
    "gfs": lambda settings, folder, grid: Gfs(folder, grid),
}


def archive_of(recipe: DataRecipe, settings: Settings) -> Archive:
    """Return the archive of a recipe; raises ValueError for a name in no table, or a setting that is missing."""
    grid = recipe.on()
    state_set, background_set = STATE_SETS[recipe.state_set], BACKGROUND_SETS[recipe.background_set]
    chosen = recipe.archive
    if isinstance(chosen, Simulated):
        from stormcast_tw.training_data.simulated_archive import SimulatedArchive

        return SimulatedArchive(chosen.seed, grid, state_set, background_set, chosen.background_ages_hours)

    def source(table: Mapping[str, MakeSource], name: str) -> Source:
        if name not in table:
            raise ValueError(f"recipe {recipe.name}: {name!r} is not one of {', '.join(table)}")
        return table[name](settings, Folder(*settings.place(name)), grid)

    makers = {name: maker for name, (maker, _, _) in ATMOSPHERES.items()}
    atmosphere = source(makers, chosen.atmosphere)
    _, ages, every = ATMOSPHERES[chosen.atmosphere]
    return ProviderArchive(
        grid,
        state_set,
        background_set,
        atmosphere=Feed(atmosphere, ages, every),
        rain=Feed(source(RAINS, chosen.rain), how=_how(settings, chosen.rain)),
        background=_background(chosen, source),
        # the hour of rain needs both its ends in one run
        model_rain=Feed(RwrpRain(Folder(*settings.place("rwrp"))), (1,), 1) if chosen.model_rain else None,
        background_hours=tuple(range(0, HOURS_A_DAY, recipe.background_step_hours)),
    )


def _how(settings: Settings, rain: str) -> str:
    """Return which of the undocumented readings of an observation was chosen."""
    clock = f"clock {settings.qpepre_clock}, stamp {settings.qpepre_stamp}, " if rain == "qpepre" else ""
    return f"{clock}datum {settings.qpesums_datum}"


def _background(chosen: Providers, source: Callable[[Mapping[str, MakeSource], str], Source]) -> Feed:
    """Return the feed of analyses, or of forecasts; raises ValueError where the recipe's ages say the other."""
    ages, forecasts = chosen.background_ages_hours, chosen.background in FORECASTS
    if forecasts != (ages is not None):
        kind, allowed = ("forecasts", "how old they are") if forecasts else ("analyses", "None")
        raise ValueError(
            f"background {chosen.background}: background_ages_hours is {ages}; allowed for {kind}: {allowed}"
        )
    if ages is None:
        return Feed(source(ANALYSES, chosen.background))
    return Feed(source(FORECASTS, chosen.background), ages, HOURS_BETWEEN_RUNS)


def _qpepre(settings: Settings, folder: Folder) -> Source:
    if settings.qpepre_clock is None or settings.qpepre_stamp is None:
        raise ValueError(
            "qpepre: its clock and stamp are not documented; set STORMCAST_TW_QPEPRE_CLOCK (utc, taipei) and"
            " STORMCAST_TW_QPEPRE_STAMP (end, start)"
        )
    return Qpepre(folder, settings.qpepre_clock, settings.qpepre_stamp, settings.qpesums_datum)
