"""The members at a place, hour by hour, as a table that any spreadsheet opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from stormcast_tw.cycle import to_datetime
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.products.surface import beaufort, wind_speed
from stormcast_tw.regions import HOME

COLUMNS = (
    "valid_time_utc", "valid_time_taiwan", "member", "rain_mm", "wind_speed_m_s", "beaufort", "temperature_c",
)  # fmt: skip
_NEEDED = ("tp01", "u10m", "v10m", "t2m")
_ZERO_CELSIUS = 273.15
_BOM = "\ufeff"
"""Tells a spreadsheet that the text is UTF-8."""


@dataclass(frozen=True)
class Place:
    """A place in degrees, with its code, which names the file, and its names."""

    code: str
    zh: str
    en: str
    latitude: float
    longitude: float


def by_place(*, members: xr.Dataset, places: Sequence[Place]) -> Iterator[tuple[str, bytes]]:
    """Yield `<code>.csv` for each place: a row an hour and member of the nearest grid point, in the order of time.

    The first line is a comment that says what it is: SIMULATED where it is, experiment, run, place and who made it. The
    second names the columns: rain of the past hour in mm, 10 metre wind in m/s and Beaufort force, 2 metre temperature
    in degrees Celsius. Raises BadInput for a place outside the grid, or members without one of these variables.
    """
    if absent := [name for name in _NEEDED if name not in members]:
        raise BadInput(f"csv: the forecast has no {', '.join(absent)}")
    grid, fields = Grid.of(members), members[list(_NEEDED)].load()
    for place in places:
        j, i = (round(float(index)) for index in grid.index_of(place.latitude, place.longitude))
        if not (0 <= j < grid.ny and 0 <= i < grid.nx):
            raise BadInput(
                f"{place.code} {place.zh} at {place.latitude:g} N, {place.longitude:g} E: is outside the grid, allowed "
                f"{grid.y_first:g} to {grid.y_last:g}, {grid.x_first:g} to {grid.x_last:g}"
            )
        here = fields.isel({grid.dims[0]: j, grid.dims[1]: i}).transpose("lead_time", "member", ...)
        text = io.StringIO()
        text.write(f"{_BOM}# {_heading(members, place, here)}\r\n")
        csv.writer(text).writerows([COLUMNS, *_rows(here)])
        yield f"{place.code}.csv", text.getvalue().encode()


def _rows(here: xr.Dataset) -> Iterator[tuple[str, ...]]:
    speed = wind_speed(here)
    force, celsius = beaufort(speed).values, here["t2m"].values - _ZERO_CELSIUS
    for lead, valid in enumerate(here["valid_time"].values):
        times = _times(valid)
        for m, member in enumerate(here["member"].values):
            rain, wind, degrees = here["tp01"].values[lead, m], speed.values[lead, m], celsius[lead, m]
            yield *times, str(member), f"{rain:.2f}", f"{wind:.2f}", str(force[lead, m]), f"{degrees:.2f}"


def _times(valid: Any) -> tuple[str, str]:
    moment = to_datetime(valid)
    return f"{moment:%Y-%m-%dT%H:%MZ}", f"{moment.astimezone(HOME.clock):%Y-%m-%d %H:%M}"


def _heading(members: xr.Dataset, place: Place, here: xr.Dataset) -> str:
    about, (utc, taiwan) = members.attrs, _times(members["init_time"].values)
    said = [
        *(["SIMULATED 模擬資料，非真實天氣"] if about["simulated"] else []),
        f"{place.code} {place.zh} {place.en}",
        f"grid point 格點 {float(here['latitude']):.4f} N {float(here['longitude']):.4f} E",
        f"experiment {about.get('experiment', '')}",
        f"init_time {utc} = {taiwan} Taiwan 臺灣時間",
        f"run {about.get('run', '')}",
        *(f"{name} {about[name]}" for name in ("institution", "license", "acknowledgement") if name in about),
    ]
    return "; ".join(" ".join(text.split()) for text in said)
