"""A global AI model initialised from the ECMWF analysis: `EC-pangu` GRIB files every six hours.

Hourly fields are interpolated linearly in time, winds by components. data-formats.md 2.3, 3.1, 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import TAIWAN_2KM, Grid
from stormcast_tw.sources import grib
from stormcast_tw.sources.base import Located, Reading, require_init_time, require_times, require_variables
from stormcast_tw.sources.files import Folder, Reader, SourceFile
from stormcast_tw.sources.steps import MARGIN_DEGREES, Step, bracketing_leads, geopotential_factor, hourly, vouched
from stormcast_tw.variables import VARIABLES, VariableSet

FloatArray = npt.NDArray[np.float64]

STEP_HOURS = 6
"""Hours between the files of a run."""

_SURFACE = {"2t": "t2m", "10u": "u10m", "10v": "v10m", "msl": "msl", "sp": "sp", "tcwv": "tcwv"}
PROVIDED: dict[tuple[str, int | None], str] = {
    (short_name, None): variable_id for short_name, variable_id in _SURFACE.items()
} | {
    (variable_id[0], variable.level_hpa): variable_id
    for variable_id, variable in VARIABLES.items()
    if variable.level_hpa is not None
}
"""Our id of every message we read, by (shortName, pressure level in hPa or None)."""


def path(init_time: datetime, lead_hours: int) -> str:
    """Return where the forecast of `init_time` at `lead_hours` is kept below the provider's root."""
    return f"{init_time:%Y%m%d%H}/EC-pangu_{init_time:%Y%m%d%H}-{lead_hours}.grb"


@dataclass(frozen=True)
class GlobalAI:
    """The large scale, cut to the surroundings of `grid`: surface and pressure-level variables in our units."""

    folder: Folder
    grid: Grid = field(default=TAIWAN_2KM)
    name: str = "global_ai"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find the files of a run that bracket all valid times: one a six-hourly lead, ascending.

        Raises NotReady while one is absent, BadInput for a variable this source does not have, ValueError for naive or
        unsorted times.
        """
        require_variables(self.name, PROVIDED.values(), variables)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        files = tuple(self.folder.find(path(start, lead)) for lead in bracketing_leads(start, times, STEP_HOURS))
        return Located(self.name, files, times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read what `find` found: (valid_time, latitude, longitude) float32, hourly by interpolation in time.

        Only the messages asked for are decoded, cut to `grid` and a margin. Raises NotReady if a file changed
        since, BadInput for a missing, repeated or damaged message, another date or step, or unbelievable values.
        """
        init_time = located.forecast_from()
        leads = bracketing_leads(init_time, located.valid_times, STEP_HOURS)
        steps = [
            self._step(file, init_time, lead, located.variables)
            for file, lead in zip(located.files, leads, strict=True)
        ]
        return hourly(steps, located)

    def _step(self, file: SourceFile, init_time: datetime, lead_hours: int, variables: VariableSet) -> Step:
        """Return the wanted fields of one file; z500 is read with any geopotential, to tell it from height."""
        heights = any(variable.standard_name == "geopotential" for variable in variables)
        wanted = tuple(dict.fromkeys((*variables.ids, *(("z500",) if heights else ()))))
        with self.folder.open(file) as reader:
            decoded = _decode(reader, init_time, lead_hours, wanted, grib.Box.around(self.grid, MARGIN_DEGREES))
        factor = geopotential_factor(float(decoded.fields["z500"].mean()), file.address) if heights else 1.0
        fields = {v.id: vouched(decoded.fields[v.id], v, factor, file.address) for v in variables}
        return replace(decoded, fields=fields)


def _decode(reader: Reader, init_time: datetime, lead_hours: int, wanted: tuple[str, ...], box: grib.Box) -> Step:
    """Return the wanted messages of one file as they are; raises BadInput unless each is there once, on one grid."""
    fields: dict[str, FloatArray] = {}
    grids: dict[str, Grid] = {}
    simulated = False
    for message in grib.messages(reader.all(), reader.address):
        with grib.opened(message, reader.address) as handle:
            variable_id = PROVIDED.get(grib.identity(handle))
            if variable_id not in wanted:
                continue
            if variable_id in fields:
                raise BadInput(f"{reader.address}: {variable_id} appears twice; allowed once")
            grib.check_time(handle, init_time, hours(lead_hours), variable_id, reader.address)
            fields[variable_id], grids[variable_id] = grib.field(handle, box, variable_id, reader.address)
            simulated |= grib.simulated(handle)
    if absent := [variable_id for variable_id in wanted if variable_id not in fields]:
        raise BadInput(
            f"{reader.address}: has no message for {', '.join(absent)}; found {len(fields)}, allowed {len(wanted)}"
        )
    grid = grids[wanted[0]]
    for variable_id, other in grids.items():
        if other != grid:
            raise BadInput(f"{reader.address}: {variable_id} is on {other.describe()}; allowed {grid.describe()}")
    return Step(lead_hours, fields, grid, simulated, (reader.used,))
