"""ERA5 as the Climate Data Store delivers it: NetCDF (written before or after 2024-09), GRIB, or zipped NetCDF files.

The bytes of a file, not its name, say what it is: a request for both instants and sums is delivered as a zip even if
NetCDF was requested. data-formats.md 4; ECMWF, "GRIB to netCDF conversion on new CDS".
"""

from __future__ import annotations

import io
import itertools
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from stormcast_tw.cycle import datetime64
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.lazy import lazy_import
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, on_grid, require_variables
from stormcast_tw.sources.era5 import PROVIDED, in_our_units, require_hours
from stormcast_tw.sources.formats import cf, grib, grib_index
from stormcast_tw.sources.formats.arrays import MARGIN_DEGREES
from stormcast_tw.sources.formats.netcdf import Array, NetCDF, open_netcdf
from stormcast_tw.sources.translate.derive import FloatArray
from stormcast_tw.storage.provider_files import Folder, Reader
from stormcast_tw.variables import Variable, VariableSet

eccodes = lazy_import("eccodes")

LARGEST_ZIP = 512_000_000
"""Most bytes of a zip, and of one of its members unpacked; a global day should be requested as NetCDF or GRIB."""
MOST_MEMBERS = 16
"""Most files in a zip; the store writes one per step type."""

_ZIP, _GRIB = b"PK\x03\x04", b"GRIB"
_TIMES, _LEVELS = ("valid_time", "time"), ("pressure_level", "level")
_GRIB_IDS: dict[grib.Key, str] = {
    (names.grib, int(variable_id[1:]) if names.netcdf == variable_id[0] else None): variable_id
    for variable_id, names in PROVIDED.items()
}


@dataclass(frozen=True)
class HourlyField:
    """One variable at one hour: its values (latitude, longitude) as the file has them, their grid and address."""

    variable: Variable
    time: datetime
    values: FloatArray
    grid: Grid
    address: str
    simulated: bool


@dataclass(frozen=True)
class Era5Cds:
    """Hourly analyses from downloaded files, around `grid`, in our units.

    `patterns` are paths below `folder` with strftime codes for the valid time. For every hour the file of each pattern
    is read, and each variable is looked for in all of them.
    """

    folder: Folder
    patterns: tuple[str, ...] = ("%Y/era5_single_%Y%m%d.nc", "%Y/era5_pressure_%Y%m%d.nc")
    grid: Grid = field(default=TAIWAN_2KM)
    name: str = "era5"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find the files of the valid times.

        Raises NotReady if one is absent, BadInput for a variable this source does not have, ValueError for times
        that are naive, unsorted or not full hours.
        """
        require_variables(self.name, PROVIDED, variables)
        times = require_hours(self.name, valid_times)
        paths = dict.fromkeys(time.strftime(pattern) for time in times for pattern in self.patterns)
        return Located(self.name, tuple(self.folder.find(path) for path in paths), times, variables)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, latitude, longitude) float32.

        Raises NotReady if a file has changed since, BadInput for a variable, level or hour that occurs in none of
        them or twice, grids that differ, damaged files, or implausible values.
        """
        fields: dict[tuple[str, datetime], HourlyField] = {}
        used = []
        for file in located.files:
            with self.folder.open(file) as reader:
                for new in _fields(reader, located, self.grid):
                    if (new.variable.id, new.time) in fields:
                        raise BadInput(f"{new.address}: {new.variable.id} at {_hour_text(new.time)} is there twice")
                    fields[new.variable.id, new.time] = new
                used.append(reader.used)
        self._require_all(located, fields)
        first = next(iter(fields.values()))
        for other in fields.values():
            if other.grid != first.grid:
                raise BadInput(f"{other.address}: grid {other.grid.describe()}; allowed {first.grid.describe()}")
        values = {
            v: np.stack([in_our_units(fields[v.id, t].values, v, fields[v.id, t].address) for t in located.valid_times])
            for v in located.variables
        }
        simulated = int(any(each.simulated for each in fields.values()))
        attributes: dict[str, str | int | float] = {"source": located.source, "simulated": simulated}
        return Reading(on_grid(first.grid, located.valid_times, values, attributes), tuple(used))

    def _require_all(self, located: Located, fields: dict[tuple[str, datetime], HourlyField]) -> None:
        wanted = [(v.id, time) for time in located.valid_times for v in located.variables]
        if absent := [
            f"{variable_id} at {_hour_text(time)}" for variable_id, time in wanted if (variable_id, time) not in fields
        ]:
            where = ", ".join(file.address for file in located.files)
            raise BadInput(f"{where}: no {absent[0]} and {len(absent) - 1} more; found {len(fields)} of {len(wanted)}")


def _fields(reader: Reader, located: Located, around: Grid) -> Iterator[HourlyField]:
    """Yield every requested field of a file, whatever its format."""
    magic = reader.read(0, min(4, reader.size), index=True)
    if magic == _GRIB:
        yield from _from_grib(reader, located, around)
    elif magic == _ZIP:
        for member in _members(reader):
            with open_netcdf(member) as file:
                yield from _from_netcdf(file, located, around)
    else:
        with open_netcdf(reader) as file:
            yield from _from_netcdf(file, located, around)


def _members(reader: Reader) -> Iterator[Reader]:
    """Yield the NetCDF files of a zip, each unpacked and checked by its CRC; raises BadInput."""
    if reader.size > LARGEST_ZIP:
        raise BadInput(f"{reader.address}: a zip of {reader.size} bytes; allowed {LARGEST_ZIP}")
    try:
        with zipfile.ZipFile(io.BytesIO(reader.all())) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".nc")]
            if not 1 <= len(members) <= MOST_MEMBERS:
                raise BadInput(f"{reader.address}: a zip of {archive.namelist()[:20]}; allowed 1 to 16 .nc files")
            for member in members:
                yield _member(reader, archive, member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise BadInput(f"{reader.address}: not a whole zip ({error})") from error


def _member(reader: Reader, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Reader:
    address = f"{reader.address}!{member.filename}"
    if member.file_size > LARGEST_ZIP:
        raise BadInput(f"{address}: unpacks to {member.file_size} bytes; allowed {LARGEST_ZIP}")
    return Reader.of_bytes(address, archive.read(member))


def _from_netcdf(file: NetCDF, located: Located, around: Grid) -> Iterator[HourlyField]:
    time = file.variable(_first_present(_TIMES, file))
    known = cf.times(cf.column(time, file.address), time.attributes, file.address)
    axes = [cf.column(file.variable(name), file.address) for name in ("latitude", "longitude")]
    part = cf.window(axes[0], axes[1], around, file.address)
    simulated = "SIMULATED" in str(file.attributes.get("title", "")).upper()
    for variable in located.variables:
        name = PROVIDED[variable.id].netcdf
        if name not in file.variables or (variable.level_hpa is not None and not _has_level(file, variable.level_hpa)):
            continue
        for valid_time in located.valid_times:
            places = np.flatnonzero(known == datetime64(valid_time))
            if places.size > 1:
                raise BadInput(
                    f"{file.address}: {time.name} holds {_hour_text(valid_time)} {places.size} times; allowed once"
                )
            if places.size:
                values = cf.cut(_map(file, file.variables[name], int(places[0]), variable.level_hpa), part)
                yield HourlyField(variable, valid_time, values, part.grid, file.address, simulated)


def _map(file: NetCDF, array: Array, time_index: int, level_hpa: int | None) -> FloatArray:
    """Return one map (latitude, longitude); where ERA5 and ERA5T are layers (`expver`), the first with a value."""
    if array.dimensions[-2:] != ("latitude", "longitude"):
        raise BadInput(
            f"{file.address}: {array.name} has dimensions {array.dimensions}; allowed latitude, longitude last"
        )
    choices: list[list[int]] = []
    for dimension, size in zip(array.dimensions[:-2], array.shape[:-2], strict=True):
        if dimension in _TIMES:
            choices.append([time_index])
        elif dimension in _LEVELS and level_hpa is not None:
            choices.append([_levels(file).index(level_hpa)])
        elif dimension == "expver" and size <= 2:
            choices.append(list(range(size)))
        elif size == 1:
            choices.append([0])
        else:
            raise BadInput(f"{file.address}: {array.name} has {size} along {dimension}; allowed one")
    layers = [
        cf.unpacked(array.read(*place), array.attributes, array.name, file.address)
        for place in itertools.product(*choices)
    ]
    return layers[0] if len(layers) == 1 else np.where(np.isnan(layers[0]), layers[1], layers[0])


def _levels(file: NetCDF) -> list[float]:
    levels: list[float] = cf.column(file.variable(_first_present(_LEVELS, file)), file.address).tolist()
    return levels


def _has_level(file: NetCDF, level_hpa: int) -> bool:
    return any(name in file.variables for name in _LEVELS) and _levels(file).count(level_hpa) == 1


def _first_present(names: tuple[str, ...], file: NetCDF) -> str:
    if (first := next((name for name in names if name in file.variables), None)) is None:
        raise BadInput(f"{file.address}: has no variable {' or '.join(names)}; found {', '.join(file.variables)}")
    return first


def _from_grib(reader: Reader, located: Located, around: Grid) -> Iterator[HourlyField]:
    box, wanted = grib.Box.around(around, MARGIN_DEGREES), {v.id: v for v in located.variables}
    for entry in grib_index.scan(reader):
        variable = wanted.get(_GRIB_IDS.get(entry.key, ""))
        if variable is None:
            continue
        message = grib_index.message(reader, entry)
        with grib.opened(message, reader.address) as handle:
            time = _valid_time(handle, reader.address)
            if time not in located.valid_times:
                continue
            if variable.id == "tp01":
                _check_one_hour(handle, reader.address)
            values, grid = grib.field(handle, box, variable.id, reader.address)
            yield HourlyField(variable, time, values, grid, reader.address, grib.simulated(handle, message))


def _valid_time(handle: int, address: str) -> datetime:
    """Return when a message is valid; for a sum, the end of its hours."""
    text = f"{eccodes.codes_get(handle, 'validityDate'):08d}{eccodes.codes_get(handle, 'validityTime'):04d}"
    try:
        return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        raise BadInput(f"{address}: a message is valid at {text}, which is not a time") from None


def _check_one_hour(handle: int, address: str) -> None:
    kind, steps = eccodes.codes_get(handle, "stepType"), eccodes.codes_get_string(handle, "stepRange")
    if kind != "accum" or eccodes.codes_get(handle, "endStep") - eccodes.codes_get(handle, "startStep") != 1:
        raise BadInput(f"{address}: tp is {kind} over hours {steps}; allowed accum over one hour")


def _hour_text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%HZ}"
