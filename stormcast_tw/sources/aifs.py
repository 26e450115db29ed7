"""AIFS-single from ECMWF's open data: GRIB 2 (CCSDS) every six hours, read by the byte ranges in its `.index` files.

Total column water (`tcw`) includes cloud, so vapour (`tcwv`) is integrated from humidity instead.
data-formats.md 3.3 to 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, require_init_time, require_times
from stormcast_tw.sources.formats import grib, grib_index
from stormcast_tw.sources.translate import derive, grib_run
from stormcast_tw.sources.translate.time_steps import bracketing_leads
from stormcast_tw.storage.provider_files import Folder, Reader, SourceFile
from stormcast_tw.variables import VARIABLES, VariableSet

STEP_HOURS = 6
"""Hours between the files of a run, up to 360 h."""

_PLACES = (
    (datetime(2025, 2, 25, 6, tzinfo=UTC), "aifs-single/0p25/oper"),
    (datetime(2025, 2, 9, 12, tzinfo=UTC), "aifs-single/0p25/experimental/oper"),
    (datetime(2024, 2, 29, tzinfo=UTC), "aifs/0p25/oper"),
)
"""Folder of the runs from each init_time on, newest first (Herbie's ECMWF template; ECMWF's news of the renaming)."""

_SURFACE = {"2t": "t2m", "10u": "u10m", "10v": "v10m", "msl": "msl", "sp": "sp"}
_ON_LEVELS = {"q": "q", "t": "t", "u": "u", "v": "v", "z": "z", "gh": "z"}
"""Our letter for each pressure-level field. AIFS gives geopotential, IFS its height; the magnitude is checked too."""
PROVIDED: dict[grib.Key, str] = {(short_name, None): variable_id for short_name, variable_id in _SURFACE.items()} | {
    (short_name, variable.level_hpa): variable_id
    for short_name, letter in _ON_LEVELS.items()
    for variable_id, variable in VARIABLES.items()
    if variable.level_hpa is not None and variable_id[0] == letter
}
"""Our id of every message that is read, by its key."""


def path(init_time: datetime, lead_hours: int) -> str:
    """Return the path of the forecast of `init_time` at `lead_hours`; its index has `.index` instead of `.grib2`."""
    place = next((place for since, place in _PLACES if init_time >= since), _PLACES[-1][1])
    folder = f"{init_time:%Y%m%d}/{init_time:%H}z/{place}"
    return f"{folder}/{init_time:%Y%m%d%H%M%S}-{lead_hours}h-oper-fc.grib2"


def index_path(init_time: datetime, lead_hours: int) -> str:
    """Return the path of the index of that file."""
    return path(init_time, lead_hours).removesuffix(".grib2") + ".index"


@dataclass(frozen=True)
class Aifs:
    """The large-scale fields of AIFS-single around `grid`, in our units."""

    folder: Folder
    grid: Grid = field(default=TAIWAN_2KM)
    name: str = "aifs"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find a run's files that bracket all valid times: a GRIB file and its index for each lead, ascending.

        Raises NotReady if one is absent, BadInput for a variable that can neither be read nor derived, ValueError
        for naive or unsorted times.
        """
        derive.ids_to_read(PROVIDED.values(), variables, self.name)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        leads = bracketing_leads(start, times, STEP_HOURS)
        files = (self.folder.find(name(start, lead)) for lead in leads for name in (path, index_path))
        return Located(self.name, tuple(files), times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, latitude, longitude) float32, hourly by interpolation in
        time.

        Raises NotReady if a file has changed since, BadInput for an index that does not fit its file, a missing,
        repeated or damaged message, another date or step, or implausible values.
        """
        return grib_run.read_indexed(self.folder, located, STEP_HOURS, _entries, PROVIDED, self.grid)


def _entries(reader: Reader, file: SourceFile, lead_hours: int) -> Sequence[grib_index.Entry]:
    return grib_index.ecmwf(grib_index.read(reader), reader.address, file.size)
