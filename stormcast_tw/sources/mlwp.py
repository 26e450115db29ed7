"""NOAA's real-time archive of global AI models: one NetCDF file per run, 41 six-hourly steps, read in place by chunks.

FourCastNet, Pangu-Weather, GraphCast and Aurora, initialised from GFS or from the ECMWF analysis at 00 and 12 UTC, in
the bucket `noaa-oar-mlwp-data`. data-formats.md 3.1. A chunk holds one variable, level and step globally.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np

from stormcast_tw.cycle import datetime64, hours
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, require_init_time, require_times
from stormcast_tw.sources.formats import cf
from stormcast_tw.sources.formats.grib import Window
from stormcast_tw.sources.formats.netcdf import NetCDF, open_netcdf
from stormcast_tw.sources.translate.derive import FloatArray, complete, ids_to_read
from stormcast_tw.sources.translate.orography import Orography
from stormcast_tw.sources.translate.time_steps import (
    Step,
    bracketing_leads,
    checked_in_our_units,
    geopotential_factor,
    hourly,
)
from stormcast_tw.storage.provider_files import Folder, Used
from stormcast_tw.variables import VARIABLES, VariableSet

STEP_HOURS, LAST_LEAD_HOURS = 6, 240
INIT_HOURS = (0, 12)
LEVELS_HPA = (1000, 925, 850, 700, 600, 500, 400, 300, 250, 200, 150, 100, 50)

Stream = Literal["IFS", "GFS"]
"""The analysis that runs start from; the IFS stream was complete where GFS had gaps (data-formats.md 3.1)."""

_DIMENSIONS = ("time", "latitude", "longitude")
_DIMENSIONS_3D = ("time", "level", "latitude", "longitude")


@dataclass(frozen=True)
class Model:
    """One model's files: their label, the name of each surface variable by our id, the letters on pressure levels."""

    label: str
    surface: Mapping[str, str]
    letters: str

    @property
    def provided(self) -> dict[str, tuple[str, int | None]]:
        """The file's name and the level of every id that can be read; `r` is relative humidity (derive.py)."""
        levels = {f"{letter}{level}": (letter, level) for letter in self.letters for level in LEVELS_HPA}
        return {**{variable_id: (name, None) for variable_id, name in self.surface.items()}, **levels}


_SURFACE = {"t2m": "t2", "u10m": "u10", "v10m": "v10", "msl": "msl"}
MODELS = {
    "FOUR": Model("FOUR_v200", _SURFACE | {"sp": "sp", "tcwv": "tcwv"}, "zrtuv"),
    "PANG": Model("PANG_v100", _SURFACE, "zqtuv"),
    "GRAP": Model("GRAP_v100", _SURFACE, "zqtuv"),
    "AURO": Model("AURO_v100", _SURFACE, "zqtuv"),
}
"""FourCastNet v2-small, Pangu-Weather, GraphCast and Aurora."""


def path(model: str, stream: Stream, init_time: datetime) -> str:
    """Return the path of a run in the bucket."""
    stem = f"{MODELS[model].label}_{stream}"
    return f"{stem}/{init_time:%Y}/{init_time:%m%d}/{stem}_{init_time:%Y%m%d%H}_f000_f{LAST_LEAD_HOURS}_06.nc"


@dataclass(frozen=True)
class Mlwp:
    """One model's runs around `grid`, in our units; `orography` is needed to derive surface pressure."""

    folder: Folder
    model: str = "PANG"
    stream: Stream = "IFS"
    grid: Grid = field(default=TAIWAN_2KM)
    orography: Orography | None = None
    name: str = "mlwp"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find the single file of the run, and the orography if it is needed.

        Raises NotReady if it is absent, for init_times without a run, or beyond its leads, BadInput for variables that
        cannot be had from this model, ValueError for naive or unsorted times.
        """
        ids = self._needed(variables)
        times, start = require_times(self.name, valid_times), require_init_time(self.name, init_time)
        where, leads = path(self.model, self.stream, start), bracketing_leads(start, times, STEP_HOURS)
        if start.hour not in INIT_HOURS or leads[0] < 0 or leads[-1] > LAST_LEAD_HOURS:
            raise NotReady(
                f"{self.folder.address(where)}: leads {leads[0]} to {leads[-1]} h of {start:%HZ}; runs are of 00Z and"
                f" 12Z, leads 0 to {LAST_LEAD_HOURS} h"
            )
        files = [self.folder.find(where)]
        if "orog" in ids and self.orography:
            files.append(self.orography.find())
        return Located(self.name, tuple(files), times, variables, start)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, latitude, longitude) float32, hourly by interpolation in
        time.

        Only the chunks of the variables, levels and steps that are needed are read. Raises NotReady if a file changed
        since, BadInput for a missing variable, level or lead, another run, or implausible values.
        """
        init_time, ids = located.forecast_from(), self._needed(located.variables)
        leads = bracketing_leads(init_time, located.valid_times, STEP_HOURS)
        with self.folder.open(located.files[0]) as reader:
            with open_netcdf(reader) as file:
                run = _Run(file, MODELS[self.model], init_time, self.grid)
                given = [{v: run.field(v, lead) for v in ids if v != "orog"} for lead in leads]
            used = [reader.used]
        if "orog" in ids and self.orography:
            altitude, account = self._altitude(located, run.part)
            given = [fields | {"orog": altitude} for fields in given]
            used.append(account)
        steps = [
            Step(lead, _completed(fields, located.variables, run.file.address), run.part.grid, run.simulated, ())
            for lead, fields in zip(leads, given, strict=True)
        ]
        return hourly([replace(steps[0], used=tuple(used)), *steps[1:]], located)

    def _needed(self, variables: VariableSet) -> tuple[str, ...]:
        """Return the ids to read; with any geopotential also z500, to tell it from height."""
        provided = (*MODELS[self.model].provided, *(("orog",) if self.orography else ()))
        ids = ids_to_read(provided, variables, f"{self.name} {self.model}")
        heights = any(v.standard_name == "geopotential" for v in variables)
        return tuple(dict.fromkeys((*ids, *(("z500",) if heights else ()))))

    def _altitude(self, located: Located, part: Window) -> tuple[FloatArray, Used]:
        if self.orography is None or len(located.files) < 2:
            raise ValueError(f"{self.name}: located without the orography that {located.variables.ids} needs")
        values, grid, used = self.orography.read(located.files[1], self.grid)
        if grid.shape != part.grid.shape or not np.allclose(
            [*grid.y, *grid.x], [*part.grid.y, *part.grid.x], atol=1e-4
        ):
            raise BadInput(f"{used.address}: orography on {grid.describe()}; allowed {part.grid.describe()}")
        return values, used


class _Run:
    """An open file, checked to be the wanted run, and read map by map."""

    def __init__(self, file: NetCDF, model: Model, init_time: datetime, around: Grid) -> None:
        self.file, self._model, self._init_time = file, model, init_time
        self.simulated = "SIMULATED" in str(file.attributes.get("title", "")).upper()
        time = file.variable("time")
        self._times = cf.times(cf.column(time, file.address), time.attributes, file.address)
        if self._times[0] != datetime64(init_time):
            raise BadInput(f"{file.address}: time begins at {self._times[0]}; allowed {datetime64(init_time)}")
        axes = [cf.column(file.variable(name), file.address) for name in _DIMENSIONS[1:]]
        self.part = cf.window(axes[0], axes[1], around, file.address)
        self._levels: list[float] = cf.column(file.variable("level"), file.address).tolist()
        self._shape = axes[0].size, axes[1].size

    def field(self, variable_id: str, lead_hours: int) -> FloatArray:
        """Return one map (latitude, longitude) around the grid, as the file has it; missing values are NaN."""
        name, level = self._model.provided[variable_id]
        variable, dimensions = self.file.variable(name), _DIMENSIONS if level is None else _DIMENSIONS_3D
        if variable.dimensions != dimensions or variable.shape[-2:] != self._shape:
            raise BadInput(
                f"{self.file.address}: {name} is {variable.dimensions} {variable.shape}; allowed {dimensions}"
                f" on {self._shape[0]} x {self._shape[1]} points"
            )
        index = self._index(lead_hours)
        place = (index,) if level is None else (index, self._level_index(level))
        values = cf.cut(variable.read(*place), self.part)
        return cf.unpacked(values, variable.attributes, name, self.file.address)

    def _index(self, lead_hours: int) -> int:
        places = np.flatnonzero(self._times == datetime64(self._init_time + hours(lead_hours)))
        if places.size != 1:
            raise BadInput(
                f"{self.file.address}: holds lead {lead_hours} h {places.size} times; allowed once; found"
                f" {self._times.size} steps to {self._times[-1]}"
            )
        return int(places[0])

    def _level_index(self, level_hpa: int) -> int:
        if self._levels.count(level_hpa) != 1:
            raise BadInput(f"{self.file.address}: level holds {self._levels}; allowed {level_hpa} hPa once")
        return self._levels.index(level_hpa)


def _completed(fields: Mapping[str, FloatArray], wanted: VariableSet, address: str) -> dict[str, FloatArray]:
    """Return all wanted variables, those from the file and those derived from them, both checked."""
    factor = geopotential_factor(float(fields["z500"].mean()), address) if "z500" in fields else 1.0
    given = {
        name: checked_in_our_units(values, VARIABLES[name], factor, address) if name in VARIABLES else values
        for name, values in fields.items()
    }
    made = complete(given, wanted, address)
    return {v.id: made[v.id] if v.id in given else checked_in_our_units(made[v.id], v, 1.0, address) for v in wanted}
