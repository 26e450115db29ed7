"""One lead time of a forecast from one GRIB file: messages decoded on one grid, in our units, the rest derived."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from stormcast_tw import quality
from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid, to_earth_relative
from stormcast_tw.sources.base import Located, Reading
from stormcast_tw.sources.formats import grib, grib_index
from stormcast_tw.sources.formats.arrays import MARGIN_DEGREES
from stormcast_tw.sources.translate import derive
from stormcast_tw.sources.translate.time_steps import (
    Step,
    bracketing_leads,
    checked_in_our_units,
    geopotential_factor,
    hourly,
)
from stormcast_tw.storage.provider_files import Folder, Reader, SourceFile, Used
from stormcast_tw.variables import VARIABLES, VariableSet

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decoded:
    """Decoded messages of a file, unconverted: values (y, x) by id on one grid, and the shortName of each.

    `relative_to_grid` holds the ids of winds whose header says that they are along the grid's axes.
    """

    fields: Mapping[str, FloatArray]
    names: Mapping[str, str]
    grid: Grid
    relative_to_grid: frozenset[str]
    simulated: bool


Altitude = tuple[FloatArray, Grid, Used]
"""Surface altitude in m around a grid, the grid it is on, and what was read for it."""


def read_step(
    reader: Reader,
    entries: Sequence[grib_index.Entry],
    ids: Mapping[grib.Key, str],
    located: Located,
    lead_hours: int,
    grid: Grid,
    *,
    index: tuple[Used, ...] = (),
    true_radius: grib.TrueRadius | None = None,
    altitude: Altitude | None = None,
) -> Step:
    """Return the located variables at a lead, cut to `grid` plus a margin, in our units.

    `entries` are the messages of the file, `ids` our id of each that the source knows, `index` the account of the index
    file if there is one, `altitude` the altitude from which surface pressure is derived. Raises BadInput as
    `grib_index.choose`, `decode` and `complete_step` do, or where the altitude is on another grid.
    """
    where = index[0].address if index else reader.address
    present = {ids[entry.key] for entry in entries if entry.key in ids} | ({"orog"} if altitude else set())
    wanted = needed_ids(present, located.variables, where)
    if true_radius is not None:
        wanted = _with_other_component(wanted)
    chosen = grib_index.choose(entries, ids, [i for i in wanted if i != "orog"], where)
    box = grib.Box.around(grid, MARGIN_DEGREES)
    decoded = decode(reader, chosen, located.forecast_from(), lead_hours, box, true_radius)
    if altitude and "orog" in wanted:
        decoded = _with_altitude(decoded, altitude)
    return complete_step(decoded, lead_hours, located.variables, reader.address, (reader.used, *index))


def read_indexed(
    folder: Folder,
    located: Located,
    step_hours: int,
    entries_of: Callable[[Reader, SourceFile, int], Sequence[grib_index.Entry]],
    ids: Mapping[grib.Key, str],
    grid: Grid,
) -> Reading:
    """Return the located variables, hourly, from a run whose files have an index each (located: file, index, file ...).

    `entries_of` returns the messages of a file from its index, the file and the lead in hours. Raises as `read_step`
    does.
    """
    leads = bracketing_leads(located.forecast_from(), located.valid_times, step_hours)
    steps = []
    for lead, file, index_file in zip(leads, located.files[::2], located.files[1::2], strict=True):
        with folder.open(index_file) as index:
            entries = entries_of(index, file, lead)
        with folder.open(file) as reader:
            steps.append(read_step(reader, entries, ids, located, lead, grid, index=(index.used,)))
    return hourly(steps, located)


def _with_altitude(decoded: Decoded, altitude: Altitude) -> Decoded:
    values, grid, used = altitude
    ends, allowed = ([g.y_first, g.y_last, g.ny, g.x_first, g.x_last, g.nx] for g in (grid, decoded.grid))
    if not np.allclose(ends, allowed, atol=1e-4):
        raise BadInput(f"{used.address}: orography on {grid.describe()}; allowed {decoded.grid.describe()}")
    return replace(decoded, fields={**decoded.fields, "orog": values})


def needed_ids(present: Collection[str], wanted: VariableSet, address: str) -> tuple[str, ...]:
    """Return which of the ids `present` in a file to read to obtain all of `wanted`.

    With any geopotential also z500, which tells it from height. If a variable can be neither read nor derived, the
    wanted ids are returned as they are, and `grib_index.choose` reports what the file lacks.
    """
    try:
        needed = derive.ids_to_read(present, wanted, address)
    except BadInput:
        needed = wanted.ids
    heights = any(v in VARIABLES and VARIABLES[v].standard_name == "geopotential" for v in needed)
    return tuple(dict.fromkeys((*needed, *(("z500",) if heights else ()))))


def decode(
    reader: Reader,
    entries: Mapping[str, grib_index.Entry],
    init_time: datetime,
    lead_hours: int,
    box: grib.Box,
    true_radius: grib.TrueRadius | None = None,
    check_step: Callable[[int, str, str], None] = grib.check_instant,
) -> Decoded:
    """Read the messages `entries` (by id) whole and decode them around `box`.

    Raises BadInput for a message that is damaged, not what the index names, of another time, not an instant (or what
    `check_step` asks for), with missing values, or on a grid other than the first's.
    """
    fields: dict[str, FloatArray] = {}
    grids: dict[str, Grid] = {}
    relative: set[str] = set()
    simulated = False
    for variable_id, entry in entries.items():
        message = grib_index.message(reader, entry)
        with grib.opened(message, reader.address) as handle:
            if (key := grib.identity(handle)) != entry.key:
                raise BadInput(
                    f"{reader.address}: the message at byte {entry.start} is {_describe_key(key)};"
                    f" the index says {_describe_key(entry.key)}"
                )
            grib.check_time(handle, init_time, hours(lead_hours), variable_id, reader.address)
            check_step(handle, variable_id, reader.address)
            fields[variable_id], grids[variable_id] = grib.field(handle, box, variable_id, reader.address, true_radius)
            simulated |= grib.simulated(handle, message)
            relative |= {variable_id} if grib.relative_to_grid(handle) else set()
    grid = next(iter(grids.values()))
    for variable_id, other in grids.items():
        if other != grid:
            raise BadInput(f"{reader.address}: {variable_id} is on {other.describe()}; allowed {grid.describe()}")
    names = {variable_id: entry.key[0] for variable_id, entry in entries.items()}
    return Decoded(fields, names, grid, frozenset(relative), simulated)


def complete_step(decoded: Decoded, lead_hours: int, wanted: VariableSet, address: str, used: tuple[Used, ...]) -> Step:
    """Return all of `wanted` in our units: heights as geopotential, winds earth-relative, missing variables derived.

    Raises BadInput for implausible values, or a wind of which one component is relative to the grid.
    """
    fields = dict(decoded.fields) | earth_relative_winds(decoded, address)
    factor = _geopotential_factor(decoded, address)
    fields = {
        i: checked_in_our_units(f, VARIABLES[i], factor, address) if i in VARIABLES else f for i, f in fields.items()
    }
    complete = derive.complete(fields, wanted, address)
    for variable_id in complete.keys() - fields.keys():
        quality.check(complete[variable_id], VARIABLES[variable_id], address)
    return Step(lead_hours, complete, decoded.grid, decoded.simulated, used)


def earth_relative_winds(decoded: Decoded, address: str) -> dict[str, FloatArray]:
    """Return, eastward and northward, the winds whose headers say that they are relative to a projected grid."""
    if decoded.grid.is_geographic:
        return {}
    alpha = decoded.grid.grid_north()
    turned: dict[str, FloatArray] = {}
    for u in (variable_id for variable_id in decoded.fields if variable_id[0] == "u"):
        v = f"v{u[1:]}"
        if len({u in decoded.relative_to_grid, v in decoded.relative_to_grid}) == 2:
            raise BadInput(f"{address}: one of {u} and {v} is relative to the grid; allowed both or none")
        if u in decoded.relative_to_grid:
            turned[u], turned[v] = to_earth_relative(
                decoded.fields[u], decoded.fields[v], np.cos(alpha), -np.sin(alpha)
            )
    return turned


def _with_other_component(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids and, for each wind component that may be grid-relative, the other component."""
    other = {"u": "v", "v": "u"}
    return tuple(dict.fromkeys((*wanted, *(other[i[0]] + i[1:] for i in wanted if i[0] in other))))


def _geopotential_factor(decoded: Decoded, address: str) -> float:
    """Return the factor from z to geopotential, by z's mean at 500 hPa; a `gh` that is not a height is refused."""
    if "z500" not in decoded.fields:
        return 1.0
    mean = float(decoded.fields["z500"].mean())
    factor = geopotential_factor(mean, address)
    if decoded.names["z500"] == "gh" and factor == 1.0:
        raise BadInput(f"{address}: gh at 500 hPa averages {mean:.6g}; allowed a height in m, about 5800")
    return factor


def _describe_key(key: grib.Key) -> str:
    return key[0] if key[1] is None else f"{key[0]} at {key[1]} hPa"
