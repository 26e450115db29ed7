"""Every provider by the name that the table of readiness uses, made from the settings."""

from __future__ import annotations

from stormcast_tw.grid import Grid
from stormcast_tw.settings import Settings
from stormcast_tw.sources.aifs import Aifs
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.cwa_wrf import CwaWrf
from stormcast_tw.sources.gfs import Gfs
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.mlwp import Mlwp
from stormcast_tw.sources.opendata import OpenData
from stormcast_tw.sources.qpepre import Qpepre
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.translate.orography import Orography
from stormcast_tw.storage.provider_files import Folder

OPEN_DATA = "cwa_open_data"
"""CWA's bucket of open data: overwritten in place, so that `KEPT` holds what it held."""
KEPT = "cwa_open_data_kept"

_MLWP = {"mlwp_pangu": "PANG", "mlwp_graphcast": "GRAP", "mlwp_aurora": "AURO", "mlwp_fourcastnet": "FOUR"}


def providers(settings: Settings, grid: Grid) -> dict[str, Source]:
    """Return the source of each provider, for forecasts on `grid`. One whose settings are incomplete is left out."""

    def folder(name: str) -> Folder:
        return Folder(*settings.place(name))

    datum, altitude = settings.qpesums_datum, settings.orography
    orography = Orography(Folder(*settings.place("")), altitude) if altitude else None
    found: dict[str, Source] = {
        "rwrp": RwrpState(folder("rwrp")),
        "rwrp_rain": RwrpRain(folder("rwrp")),
        "qpesums": Qpesums(folder("qpesums"), datum=datum),
        "qpe_open_data": OpenData(folder(OPEN_DATA), kept=folder(KEPT), datum=datum),
        "global_ai": GlobalAI(folder("global_ai"), grid, orography),
        "aifs": Aifs(folder("aifs"), grid),
        "gfs": Gfs(folder("gfs"), grid),
        "cwa_wrf": CwaWrf(folder(OPEN_DATA), grid),
    }
    found |= {
        name: Mlwp(folder("mlwp"), model, grid=grid, orography=orography, name=name) for name, model in _MLWP.items()
    }
    if settings.qpepre_clock and settings.qpepre_stamp:
        found["qpepre"] = Qpepre(folder("qpepre"), settings.qpepre_clock, settings.qpepre_stamp, datum)
    return found
