"""THE table of sources: every provider by name, made from the settings, its files decoded in a child process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stormcast_tw.grid import Grid
from stormcast_tw.settings import Settings
from stormcast_tw.sources.aifs import Aifs
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.cwa_wrf import CwaWrf
from stormcast_tw.sources.era5 import Era5
from stormcast_tw.sources.era5_cds import Era5Cds
from stormcast_tw.sources.gfs import Gfs
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.isolated import Isolated
from stormcast_tw.sources.mlwp import Mlwp
from stormcast_tw.sources.opendata import OpenData
from stormcast_tw.sources.qpepre import Qpepre
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.rwrp_training import RwrpTraining
from stormcast_tw.sources.translate.orography import Orography
from stormcast_tw.storage.provider_files import Folder

OPEN_DATA = "cwa_open_data"
"""CWA's open-data bucket, overwritten in place; `KEPT` is the archive of its earlier documents."""
KEPT = "cwa_open_data_kept"


def folder(settings: Settings, name: str) -> Folder:
    """Return the folder of a provider's files, from the settings; "" is the inputs root itself."""
    return Folder(*settings.place(name))


def _orography(settings: Settings) -> Orography | None:
    return Orography(folder(settings, ""), settings.orography) if settings.orography else None


def _mlwp(name: str, model: str) -> Callable[[Settings, Grid], Source]:
    return lambda settings, grid: Mlwp(
        folder(settings, "mlwp"), model, grid=grid, orography=_orography(settings), name=name
    )


def _qpepre(settings: Settings, _: Grid) -> Source:
    if settings.qpepre_clock is None or settings.qpepre_stamp is None:
        raise ValueError(
            "qpepre: its clock and stamp are not documented; set STORMCAST_TW_QPEPRE_CLOCK (utc, taipei) and"
            " STORMCAST_TW_QPEPRE_STAMP (end, start)"
        )
    clock, stamp = settings.qpepre_clock, settings.qpepre_stamp
    return Qpepre(folder(settings, "qpepre"), clock, stamp, settings.qpesums_datum)


_TABLE: Mapping[str, Callable[[Settings, Grid], Source]] = {
    "rwrp": lambda settings, _: RwrpState(folder(settings, "rwrp")),
    "rwrp_rain": lambda settings, _: RwrpRain(folder(settings, "rwrp")),
    "rwrp_training": lambda settings, grid: RwrpTraining(folder(settings, "rwrp_training"), around=grid),
    "qpesums": lambda settings, _: Qpesums(folder(settings, "qpesums"), datum=settings.qpesums_datum),
    "qpe_open_data": lambda settings, _: OpenData(
        folder(settings, OPEN_DATA), kept=folder(settings, KEPT), datum=settings.qpesums_datum
    ),
    "qpepre": _qpepre,
    "global_ai": lambda settings, grid: GlobalAI(folder(settings, "global_ai"), grid, _orography(settings)),
    "aifs": lambda settings, grid: Aifs(folder(settings, "aifs"), grid),
    "gfs": lambda settings, grid: Gfs(folder(settings, "gfs"), grid),
    "mlwp_pangu": _mlwp("mlwp_pangu", "PANG"),
    "mlwp_graphcast": _mlwp("mlwp_graphcast", "GRAP"),
    "mlwp_aurora": _mlwp("mlwp_aurora", "AURO"),
    "mlwp_fourcastnet": _mlwp("mlwp_fourcastnet", "FOUR"),
    "cwa_wrf": lambda settings, grid: CwaWrf(folder(settings, OPEN_DATA), grid),
    "era5": lambda settings, grid: Era5(folder(settings, "era5"), grid=grid),
    "era5_cds": lambda settings, grid: Era5Cds(folder(settings, "era5_cds"), grid=grid),
}

NAMES = tuple(_TABLE)
"""Every source."""


def source(name: str, settings: Settings, grid: Grid) -> Source:
    """Return a source by name, for a model on `grid`.

    Raises ValueError for a name that is not in the table, or if a setting that the source needs is missing.
    """
    if name not in _TABLE:
        raise ValueError(f"source {name!r} is not one of {', '.join(NAMES)}")
    return Isolated(_TABLE[name](settings, grid))


def all_sources(settings: Settings, grid: Grid) -> dict[str, Source]:
    """Return every source by name, for a model on `grid`; QPEPRE only where its clock and stamp are set."""
    incomplete = {"qpepre"} if settings.qpepre_clock is None or settings.qpepre_stamp is None else set()
    return {name: source(name, settings, grid) for name in NAMES if name not in incomplete}
