"""NCEP's GFS at 0.25 degree: GRIB 2 every hour to 120 h, read by the byte ranges in its `.idx` files.

The only hourly global forecast among our sources. Heights become geopotential; specific humidity that a file lacks is
derived from relative humidity. data-formats.md 3.2, 3.4; layout of `noaa-gfs-bdp-pds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, require_init_time, require_times
from stormcast_tw.sources.formats import grib, grib_index
from stormcast_tw.sources.translate import derive, grib_run
from stormcast_tw.sources.translate.time_steps import bracketing_leads
from stormcast_tw.storage.provider_files import Folder, Reader, SourceFile
from stormcast_tw.variables import VARIABLES, VariableSet

STEP_HOURS = 1
LAST_HOURLY_LEAD = 120
"""Hours; beyond it, files are three hours apart."""

_SURFACE: dict[str, tuple[str, str, str]] = {
    # our id: parameter and level in wgrib2's words, shortName
    "t2m": ("TMP", "2 m above ground", "2t"),
    "u10m": ("UGRD", "10 m above ground", "10u"),
    "v10m": ("VGRD", "10 m above ground", "10v"),
    "msl": ("PRMSL", "mean sea level", "prmsl"),
    "sp": ("PRES", "surface", "sp"),
    "tcwv": ("PWAT", "entire atmosphere (considered as a single layer)", "pwat"),
}
_ON_LEVELS = {
    # our letter: parameter in wgrib2's words, shortName
    "q": ("SPFH", "q"),
    "r": ("RH", "r"),
    "t": ("TMP", "t"),
    "u": ("UGRD", "u"),
    "v": ("VGRD", "v"),
    "z": ("HGT", "gh"),
}
_LEVELS = sorted({variable.level_hpa for variable in VARIABLES.values() if variable.level_hpa is not None})
PROVIDED: dict[grib.Key, str] = {(short_name, None): i for i, (_, _, short_name) in _SURFACE.items()} | {
    (short_name, level): f"{letter}{level}" for letter, (_, short_name) in _ON_LEVELS.items() for level in _LEVELS
}
"""Our id of every message that is read, by its key; `r` with a level is relative humidity (`derive`)."""


def path(init_time: datetime, lead_hours: int) -> str:
    """Return the path of the forecast of `init_time` at `lead_hours`; with `.idx` appended, that of its index."""
    hour = f"{init_time:%H}"
    return f"gfs.{init_time:%Y%m%d}/{hour}/atmos/gfs.t{hour}z.pgrb2.0p25.f{lead_hours:03d}"


def index_path(init_time: datetime, lead_hours: int) -> str:
    """Return the path of the index of that file."""
    return path(init_time, lead_hours) + ".idx"


@dataclass(frozen=True)
class Gfs:
    """The large-scale fields of GFS around `grid`, in our units."""

    folder: Folder
    grid: Grid = field(default=TAIWAN_2KM)
    name: str = "gfs"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find a run's files at all valid times: a GRIB file and its index for each hour, ascending.

        Raises NotReady if one is absent, BadInput for a lead beyond 120 h or a variable that can neither be read
        nor derived, ValueError for naive or unsorted times.
        """
        derive.ids_to_read(PROVIDED.values(), variables, self.name)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        leads = bracketing_leads(start, times, STEP_HOURS)
        if leads[-1] > LAST_HOURLY_LEAD:
            raise BadInput(f"{self.name}: lead {leads[-1]} h is asked for; allowed up to {LAST_HOURLY_LEAD} h, hourly")
        files = (self.folder.find(name(start, lead)) for lead in leads for name in (path, index_path))
        return Located(self.name, tuple(files), times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, latitude, longitude) float32.

        Raises NotReady if a file has changed since, BadInput for an index that does not fit its file, a missing,
        repeated or damaged message, another date or step, or implausible values.
        """
        return grib_run.read_indexed(self.folder, located, STEP_HOURS, _entries, PROVIDED, self.grid)


def _entries(reader: Reader, file: SourceFile, lead_hours: int) -> Sequence[grib_index.Entry]:
    return grib_index.ncep(grib_index.read(reader), reader.address, file.size, _instants(lead_hours))


def _instants(lead_hours: int) -> dict[tuple[str, str, str], grib.Key]:
    """Return the fields to read at a lead, in wgrib2's words: instantaneous values, never means or sums over hours."""
    forecast = f"{lead_hours} hour fcst" if lead_hours else "anl"
    names: dict[tuple[str, str, str], grib.Key] = {
        (parameter, level, forecast): (short_name, None) for parameter, level, short_name in _SURFACE.values()
    }
    names |= {
        (parameter, f"{level} mb", forecast): (short_name, level)
        for parameter, short_name in _ON_LEVELS.values()
        for level in _LEVELS
    }
    return names
