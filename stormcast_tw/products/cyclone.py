"""The typhoon of a forecast, if there is one: where its centre is in every member and hour, and whom it may strike.

A centre is where the circulation is largest: vorticity at 10 m, averaged over a disc of 30 km. A maximum there always
is; one is a centre only from a floor on that no weather without a typhoon has shown (`soak/cyclones.py`), and only if
it can be the centre of the hour before, no storm being faster than 80 km/h. Noise behind a storm that has left the
grid is therefore not taken for the storm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.grid import Grid, to_grid_relative
from stormcast_tw.lazy import lazy_import
from stormcast_tw.products.place import grid_of

if TYPE_CHECKING:
    import scipy.signal as signal
else:
    signal = lazy_import("scipy.signal")

DISC_KM = 30.0
"""Radius of the disc over which vorticity is averaged."""
FLOOR = 0.5e-3
"""s-1. Least mean vorticity of a centre: a mean wind of 7.5 m s-1 round the edge of the disc."""
FASTEST_KM_H = 80.0
"""A bound on how fast a centre moves, with room for one that jumps over the mountains."""
LONGEST_GAP_HOURS = 2
"""For how long a centre may be missing, for example over the mountains, and be found again."""
NEAR_KM = 100.0
"""Radius within which the highest wind of a centre is sought."""
STRIKE_KM = 50.0
"""How near to a point the centre must pass to strike it."""

ENDS = ("in the domain", "left the domain", "lost")
"""What became of a centre: it was there to the last hour, or was last seen within an hour of the edge, or inside."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Centre:
    """A centre at one hour: lead in hours, grid indices, mean vorticity in s-1, highest wind within 100 km in m s-1."""

    lead: int
    j: int
    i: int
    vorticity: float
    wind: float


@dataclass(frozen=True)
class Track:
    """The centres of one member, in order of lead, and what became of it: one of ENDS."""

    member: int
    centres: tuple[Centre, ...]
    end: str


def circulation(forecast: xr.Dataset) -> xr.DataArray:
    """Return the mean vorticity (member, lead_time, y, x) in s-1 over a disc of 30 km, of u10m and v10m in m s-1.

    Outside the grid nothing is known and vorticity counts as 0, so a centre on the edge shows half its circulation.
    """
    grid = grid_of(forecast)
    u, v = (forecast[name].transpose("member", "lead_time", ...) for name in ("u10m", "v10m"))
    north = grid.grid_north()
    along_x, along_y = to_grid_relative(u.values, v.values, np.cos(north), -np.sin(north))
    dy, dx = (1000.0 * km for km in grid.spacing_km)
    vorticity = np.gradient(along_y, dx, axis=-1) - np.gradient(along_x, dy, axis=-2)
    disc = _disc(grid, DISC_KM)
    means = [signal.fftconvolve(member, disc[None] / disc.sum(), "same", axes=(-2, -1)) for member in vorticity]
    return u.copy(data=np.asarray(means, u.dtype))


def tracks(forecast: xr.Dataset) -> tuple[Track, ...]:
    """Return the track of every member that has a centre, followed from its strongest hour both ways."""
    grid, whirl = grid_of(forecast), circulation(forecast)
    leads = (forecast["lead_time"].values / np.timedelta64(1, "h")).astype(int)
    found = []
    for member, strength in enumerate(whirl.values):
        if strength.max() < FLOOR:
            continue
        where = _joined(grid, strength, leads)
        winds = forecast[["u10m", "v10m"]].isel(member=member)
        speed = np.hypot(winds["u10m"].values, winds["v10m"].values)
        centres = tuple(_centre(grid, leads[at], speed[at], strength[at], j, i) for at, j, i in where)
        found.append(Track(member, centres, _end(grid, centres[-1], leads[-1])))
    return tuple(found)


def strike_probability(found: Sequence[Track], forecast: xr.Dataset, radius_km: float = STRIKE_KM) -> xr.DataArray:
    """Return the share (y, x) of the members whose centre passes within a radius of a point, between hours too."""
    grid = grid_of(forecast)
    struck = np.zeros(grid.shape, np.int32)
    for track in found:
        struck += _distance_km(grid, track.centres) <= radius_km
    template = forecast["u10m"].isel(member=0, lead_time=0, drop=True)
    made = template.copy(data=(struck / forecast.sizes["member"]).astype(np.float32))
    made.attrs = {
        "long_name": f"probability that the centre of a typhoon passes within {radius_km:g} km",
        "units": "1",
        "cell_methods": "realization: mean (share of the members)",
        "radius_km": radius_km,
        "grid_mapping": "crs",
    }
    return made


def typhoon(forecast: xr.Dataset) -> dict[str, Any] | None:
    """Return the typhoon as plain JSON values, None if no member has one.

    `tracks` holds for each member with a centre `centres`, rows of lead in hours, latitude, longitude, mean vorticity
    in 1e-3 s-1 and the highest wind within 100 km in m s-1; `by_lead` how many members have one, and their median.
    """
    found = tracks(forecast)
    if not found:
        return None
    latitude, longitude = grid_of(forecast).latlon()

    def row(centre: Centre) -> list[float | int]:
        place = (float(field[centre.j, centre.i]) for field in (latitude, longitude))
        return [centre.lead, *(round(x, 2) for x in (*place, 1000 * centre.vorticity)), round(centre.wind, 1)]

    listed = [{"member": t.member, "end": t.end, "centres": [row(c) for c in t.centres]} for t in found]
    return {
        "init_time": f"{np.datetime_as_string(forecast['init_time'].values, 's')}Z",
        "simulated": int(forecast.attrs.get("simulated", 0)),
        "members": forecast.sizes["member"],
        "members_with_a_centre": len(found),
        "definition": {
            "disc_km": DISC_KM,
            "least_vorticity": FLOOR,
            "fastest_km_h": FASTEST_KM_H,
            "longest_gap_hours": LONGEST_GAP_HOURS,
            "columns": ["lead_hours", "latitude", "longitude", "vorticity_1e-3_s-1", "wind_m_s-1"],
        },
        "by_lead": list(_by_lead(listed)),
        "tracks": listed,
    }


def _by_lead(listed: Sequence[dict[str, Any]]) -> Iterator[dict[str, float | int]]:
    rows = np.array([row for track in listed for row in track["centres"]])
    for lead in np.unique(rows[:, 0]):
        here = rows[rows[:, 0] == lead]
        latitude, longitude = (round(float(x), 2) for x in np.median(here[:, 1:3], axis=0))
        yield {"lead_hours": int(lead), "members": len(here), "latitude": latitude, "longitude": longitude}


def _joined(grid: Grid, strength: Floats, leads: npt.NDArray[np.int_]) -> list[tuple[int, int, int]]:
    """Return (place in leads, j, i) of the centres of a member's circulation (lead_time, y, x), in order of lead."""
    start = np.unravel_index(int(strength.argmax()), strength.shape)
    first = (int(start[0]), int(start[1]), int(start[2]))
    later = _followed(grid, strength, leads, first, range(first[0] + 1, len(leads)))
    earlier = _followed(grid, strength, leads, first, range(first[0] - 1, -1, -1))
    return [*reversed(earlier), first, *later]


def _followed(
    grid: Grid, strength: Floats, leads: npt.NDArray[np.int_], last: tuple[int, int, int], steps: range
) -> list[tuple[int, int, int]]:
    """Return the strongest centre within reach of the one before, hour by hour, until there is none for too long."""
    found = []
    for at in steps:
        elapsed = abs(int(leads[at] - leads[last[0]]))
        if elapsed > LONGEST_GAP_HOURS + 1:
            break
        within = _apart_km(grid, last[1], last[2]) <= FASTEST_KM_H * elapsed
        j, i = np.unravel_index(int(np.where(within, strength[at], -np.inf).argmax()), grid.shape)
        if strength[at, j, i] >= FLOOR:
            last = (at, int(j), int(i))
            found.append(last)
    return found


def _centre(grid: Grid, lead: int, speed: Floats, strength: Floats, j: int, i: int) -> Centre:
    near = _apart_km(grid, j, i) <= NEAR_KM
    return Centre(int(lead), j, i, float(strength[j, i]), float(speed[near].max()))


def _end(grid: Grid, last: Centre, final_lead: int) -> str:
    """Return what became of a centre: where it is not there to the end, it left if it could have, else it was lost."""
    if last.lead == final_lead:
        return ENDS[0]
    (dy, dx), (ny, nx) = grid.spacing_km, grid.shape
    to_edge = min(last.j * dy, (ny - 1 - last.j) * dy, last.i * dx, (nx - 1 - last.i) * dx)
    return ENDS[1] if to_edge <= FASTEST_KM_H else ENDS[2]


def _apart_km(grid: Grid, j: float, i: float) -> Floats:
    """Return the distance (ny, nx) in km of every point from one, as the grid's spacing has it."""
    dy, dx = grid.spacing_km
    return np.asarray(np.hypot((np.arange(grid.ny)[:, None] - j) * dy, (np.arange(grid.nx) - i) * dx))


def _distance_km(grid: Grid, centres: Sequence[Centre]) -> Floats:
    """Return the distance (ny, nx) in km of every point from a track: from the straight lines between its centres."""
    dy, dx = grid.spacing_km
    y, x = np.arange(grid.ny)[:, None] * dy, np.arange(grid.nx) * dx
    places = [(centre.j * dy, centre.i * dx) for centre in centres]
    nearest = np.full(grid.shape, np.inf)
    for (y0, x0), (y1, x1) in zip(places, (*places[1:], places[-1]), strict=True):
        length2 = (y1 - y0) ** 2 + (x1 - x0) ** 2
        along = np.clip(((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / length2, 0, 1) if length2 else 0.0
        nearest = np.minimum(nearest, np.hypot(y - y0 - along * (y1 - y0), x - x0 - along * (x1 - x0)))
    return nearest


def _disc(grid: Grid, radius_km: float) -> npt.NDArray[np.float32]:
    """Return 1 at the points of a square that are within a radius of its middle, else 0."""
    dy, dx = grid.spacing_km
    rows, columns = (np.arange(-int(radius_km / step), int(radius_km / step) + 1) * step for step in (dy, dx))
    return np.asarray(np.hypot(rows[:, None], columns) <= radius_km, np.float32)
