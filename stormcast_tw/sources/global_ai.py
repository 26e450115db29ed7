"""A global AI model initialised from the ECMWF analysis: `EC-pangu` GRIB files every six hours.

They have no index: messages are found by scanning their headers, and only the wanted ones are read. Hourly fields are
interpolated linearly in time, winds by components. data-formats.md 2.3, 3.1, 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, require_init_time, require_times
from stormcast_tw.sources.formats import grib, grib_index
from stormcast_tw.sources.translate import derive, grib_run
from stormcast_tw.sources.translate.orography import Orography
from stormcast_tw.sources.translate.time_steps import Step, bracketing_leads, hourly
from stormcast_tw.storage.provider_files import Folder, SourceFile
from stormcast_tw.variables import VARIABLES, VariableSet

STEP_HOURS = 6
"""Hours between the files of a run."""

_SURFACE = {"2t": "t2m", "10u": "u10m", "10v": "v10m", "msl": "msl", "sp": "sp", "tcwv": "tcwv"}
PROVIDED: dict[grib.Key, str] = {(short_name, None): variable_id for short_name, variable_id in _SURFACE.items()} | {
    (variable_id[0], variable.level_hpa): variable_id
    for variable_id, variable in VARIABLES.items()
    if variable.level_hpa is not None
}
"""Our id of every message that is read, by its key."""


def path(init_time: datetime, lead_hours: int) -> str:
    """Return the path of the forecast of `init_time` at `lead_hours`, below the provider's root."""
    return f"{init_time:%Y%m%d%H}/EC-pangu_{init_time:%Y%m%d%H}-{lead_hours}.grb"


_NEED_ALTITUDE = {"sp", "tcwv"}
"""Variables that Pangu lacks, and that are derived from the others and the surface altitude."""


@dataclass(frozen=True)
class GlobalAI:
    """Large-scale fields around `grid`, in our units; `orography` is needed to derive surface pressure."""

    folder: Folder
    grid: Grid = field(default=TAIWAN_2KM)
    orography: Orography | None = None
    name: str = "global_ai"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find the files of a run that bracket all valid times, one per six-hourly lead, ascending; then the orography.

        Raises NotReady if one is absent, BadInput for a variable this source does not have, ValueError for naive or
        unsorted times.
        """
        derive.ids_to_read(PROVIDED.values(), variables, self.name)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        files = [self.folder.find(path(start, lead)) for lead in bracketing_leads(start, times, STEP_HOURS)]
        if self.orography and _NEED_ALTITUDE & set(variables.ids):
            files.append(self.orography.find())
        return Located(self.name, tuple(files), times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, latitude, longitude) float32, hourly by interpolation in
        time.

        Only the requested messages are read, and cut to `grid` plus a margin. Variables that a file lacks are derived
        where physics allows. Raises NotReady if a file has changed since, BadInput for a missing, repeated or damaged
        message, another date or step, or implausible values.
        """
        leads = bracketing_leads(located.forecast_from(), located.valid_times, STEP_HOURS)
        files, more = located.files[: len(leads)], located.files[len(leads) :]
        altitude = self.orography.read(more[0], self.grid) if self.orography and more else None
        steps = [self._step(lead, file, located, altitude) for lead, file in zip(leads, files, strict=True)]
        reading = hourly(steps, located)
        return replace(reading, used=(*reading.used, altitude[2])) if altitude else reading

    def _step(self, lead_hours: int, file: SourceFile, located: Located, altitude: grib_run.Altitude | None) -> Step:
        with self.folder.open(file) as reader:
            entries = grib_index.scan(reader)
            return grib_run.read_step(reader, entries, PROVIDED, located, lead_hours, self.grid, altitude=altitude)
