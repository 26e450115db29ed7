"""Every provider by the name that the table of readiness uses, made from the settings."""

from __future__ import annotations

from stormcast_tw.grid import Grid
from stormcast_tw.settings import Settings
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.files import Folder
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState


def providers(settings: Settings, grid: Grid) -> dict[str, Source]:
    """Return the source of each provider, for forecasts on `grid`. One whose settings are incomplete is left out."""

    def folder(name: str) -> Folder:
        return Folder(*settings.place(name))

    return {
        "rwrp": RwrpState(folder("rwrp")),
        "rwrp_rain": RwrpRain(folder("rwrp")),
        "qpesums": Qpesums(folder("qpesums")),
        "global_ai": GlobalAI(folder("global_ai"), grid),
    }
