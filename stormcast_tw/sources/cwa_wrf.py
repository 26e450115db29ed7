"""CWA's 3-km WRF from its open data: `M-A0064` GRIB 2 files every six hours to 84 h, on a Lambert grid.

The last-resort background, and a baseline of the verification. File names are fixed and each run overwrites the one
before, so a folder may hold files of several runs at once: which run a file holds is read from its first message. There
is no index; messages are found by scanning their headers. data-formats.md 1.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import EARTH_RADIUS_WRF, Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, on_grid, require_init_time, require_times, require_variables
from stormcast_tw.sources.formats import grib, grib_index
from stormcast_tw.sources.formats.arrays import MARGIN_DEGREES
from stormcast_tw.sources.translate import derive, grib_run
from stormcast_tw.sources.translate.time_steps import Step, bracketing_leads, hourly
from stormcast_tw.storage.provider_files import Folder, Reader, SourceFile, Used
from stormcast_tw.variables import Variable, VariableSet

STEP_HOURS = 6
LAST_LEAD = 84

CORNERS = ((14.02224, 105.25), (32.1202, 140.9139))
"""Latitude and longitude of the first and last point of the 1158 x 673 points, as published."""
_CLOSED = 0.02
"""Cells: well above the rounding of the published corners (0.001), a tenth of the misfit of a wrong radius (0.22)."""

LEVELS_HPA = (1000, 925, 850, 700, 500, 400, 300, 250, 200, 150, 100)
_SURFACE = {"2t": "t2m", "10u": "u10m", "10v": "v10m", "prmsl": "msl", "sp": "sp"}
_ON_LEVELS = {"t": "t", "u": "u", "v": "v", "gh": "z", "r": "r"}
PROVIDED: dict[grib.Key, str] = {(short_name, None): variable_id for short_name, variable_id in _SURFACE.items()} | {
    (short_name, level): f"{letter}{level}" for short_name, letter in _ON_LEVELS.items() for level in LEVELS_HPA
}
"""Our id of every message that is read, by its key; `r` with a level is relative humidity (`derive`)."""

RAIN_6H = Variable("tp06", "precipitation_amount", "rain in the past 6 hours", "kg m-2", (0.0, 1200.0), "time: sum")
_RAIN: grib.Key = ("tp", None)


def path(lead_hours: int) -> str:
    """Return the path of the newest forecast at `lead_hours`, below the root of CWA's open data."""
    return f"Model/M-A0064-{lead_hours:03d}.grb2"


@dataclass(frozen=True)
class CwaWrf:
    """CWA's WRF around `grid`, on its own grid: surface and pressure-level variables in our units."""

    folder: Folder
    grid: Grid = field(default=TAIWAN_2KM)
    name: str = "cwa_wrf"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find the files that bracket all valid times: one per six-hourly lead, ascending.

        Raises NotReady if one is absent or holds another run, BadInput for a variable that can neither be read nor
        derived or a lead beyond 84 h, ValueError for naive or unsorted times.
        """
        derive.ids_to_read(PROVIDED.values(), variables, self.name)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        leads = bracketing_leads(start, times, STEP_HOURS)
        return Located(self.name, _files(self.folder, leads, start), times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, y, x) float32 on WRF's grid, hourly by interpolation in
        time.

        Winds become earth-relative, heights become geopotential, humidity is derived from relative humidity. Raises
        NotReady if a file changed since, BadInput for a missing, repeated or damaged message, another date or step,
        a grid whose corners fit neither sphere, or implausible values.
        """
        leads = bracketing_leads(located.forecast_from(), located.valid_times, STEP_HOURS)
        steps = [self._step(lead, file, located) for lead, file in zip(leads, located.files, strict=True)]
        return hourly(steps, located)

    def _step(self, lead_hours: int, file: SourceFile, located: Located) -> Step:
        with self.folder.open(file) as reader:
            entries = grib_index.scan(reader)
            return grib_run.read_step(
                reader, entries, PROVIDED, located, lead_hours, self.grid, true_radius=true_radius
            )


@dataclass(frozen=True)
class CwaWrfRain:
    """Rain in the six hours ending at a lead of 6, 12 ... 84 h: `tp06`, mm, differences of the sums since init_time."""

    folder: Folder
    grid: Grid = field(default=TAIWAN_2KM)
    name: str = "cwa_wrf"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find the files at both ends of the six hours before each valid time, except lead 0, whose sum is 0.

        Raises NotReady if one is absent or holds another run, BadInput for another variable or a lead that does
        not exist, ValueError for naive or unsorted times.
        """
        require_variables(self.name, (RAIN_6H.id,), variables)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        return Located(self.name, _files(self.folder, _rain_leads(start, times), start), times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: tp06 (valid_time, y, x) float32, mm, on WRF's grid.

        Negative differences down to -0.1 mm become 0. Raises BadInput or NotReady as `CwaWrf.read` does.
        """
        start, times = located.forecast_from(), located.valid_times
        sums: dict[datetime, grib_run.Decoded] = {}
        used: list[Used] = []
        for lead, file in zip(_rain_leads(start, times), located.files, strict=True):
            with self.folder.open(file) as reader:
                sums[start + hours(lead)] = _rain_since_init(reader, start, lead, self.grid)
                used.append(reader.used)
        first = next(iter(sums.values()))
        for account, decoded in zip(used, sums.values(), strict=True):
            if decoded.grid != first.grid:
                raise BadInput(f"{account.address}: {decoded.grid.describe()}; allowed {first.grid.describe()}")
        totals = {start: np.zeros(first.grid.shape)} | {time: d.fields[RAIN_6H.id] for time, d in sums.items()}
        address = located.files[-1].address
        rain = [_checked_rain(totals[time] - totals[time - hours(STEP_HOURS)], address) for time in times]
        attributes: dict[str, str | int | float] = {
            "source": self.name,
            "init_time": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "simulated": int(any(decoded.simulated for decoded in sums.values())),
        }
        return Reading(on_grid(first.grid, times, {RAIN_6H: np.stack(rain)}, attributes), tuple(used))


@lru_cache(maxsize=16)
def true_radius(lambert: grib.Lambert) -> float:
    """Return the earth radius in metres for which the published corners are points of the message's grid.

    The header says 6,371,229 m, but WRF computed on 6,370,000 m: the last corner tells which is right. Part of the grid
    is enough. Raises ValueError if the corners fit neither.
    """
    misfits: dict[float, float] = {}
    for radius in (EARTH_RADIUS_WRF, lambert.radius):
        corners = np.stack(lambert.grid(radius).index_of(*np.transpose(CORNERS)))
        outside = [*corners[:, 0], lambert.ny - 1 - corners[0, 1], lambert.nx - 1 - corners[1, 1]]
        misfits[radius] = float(max(np.abs(corners - np.round(corners)).max(), *outside))
        if misfits[radius] <= _CLOSED:
            return radius
    listed = ", ".join(f"{misfit:.3g} cells on {radius:.0f} m" for radius, misfit in misfits.items())
    raise ValueError(f"the published corners {CORNERS} miss its points by {listed}; allowed {_CLOSED:g}")


def _files(folder: Folder, leads: tuple[int, ...], init_time: datetime) -> tuple[SourceFile, ...]:
    """Return the file of each lead; raises NotReady unless all hold the run of `init_time`."""
    if leads[-1] > LAST_LEAD:
        raise BadInput(f"{folder.root}: lead {leads[-1]} h is asked for; allowed up to {LAST_LEAD} h")
    files = tuple(folder.find(path(lead)) for lead in leads)
    for file in files:
        with folder.open(file) as reader, grib.opened(grib_index.first(reader), file.address) as handle:
            if (run := grib.init_time(handle)) != (wanted := f"{init_time:%Y%m%dT%H%MZ}"):
                raise NotReady(f"{file.address}: holds the run of {run}; wanted is {wanted}")
    return files


def _rain_leads(init_time: datetime, valid_times: tuple[datetime, ...]) -> tuple[int, ...]:
    """Return the leads, ascending and above 0, whose sums give the six hours before each valid time."""
    leads: set[int] = set()
    for time in valid_times:
        lead, rest = divmod(time - init_time, hours(1))
        if rest or lead % STEP_HOURS or not STEP_HOURS <= lead <= LAST_LEAD:
            raise BadInput(f"cwa_wrf: tp06 at {time:%Y%m%dT%H%MZ} is asked for; allowed leads 6, 12 ... {LAST_LEAD} h")
        leads |= {lead, lead - STEP_HOURS}
    return tuple(sorted(leads - {0}))


def _rain_since_init(reader: Reader, init_time: datetime, lead_hours: int, grid: Grid) -> grib_run.Decoded:
    chosen = grib_index.choose(grib_index.scan(reader), {_RAIN: RAIN_6H.id}, (RAIN_6H.id,), reader.address)
    box = grib.Box.around(grid, MARGIN_DEGREES)
    return grib_run.decode(
        reader, chosen, init_time, lead_hours, box, true_radius, check_step=grib.check_sum_since_init
    )


def _checked_rain(rain: npt.NDArray[np.float64], address: str) -> npt.NDArray[np.float64]:
    values, _ = quality.clip_small_negatives(rain, quality.RAIN_NEGATIVE_LIMIT, RAIN_6H, address)
    quality.check(values, RAIN_6H, address)
    return values
