"""Simulated GFS: NCEP's GRIB 2 on 0.25 degree with complex packing, hourly, and the `.idx` beside it.

A run branches from the truth's large scale at its start, with errors of its own, a little larger than those of a model
that starts from ECMWF's analysis.
"""

from __future__ import annotations

from datetime import datetime

from stormcast_tw.simulation.files import grib
from stormcast_tw.simulation.files.global_ai import ON_GRID, Model, run_fields
from stormcast_tw.simulation.world.climate import GRAVITY, LEVELS_HPA
from stormcast_tw.simulation.world.weather import World

GFS = Model("gfs", 20.0, 1.3, (("t", 0.4), ("u", 0.7), ("v", 0.7), ("msl", 45.0), ("q", 0.05), ("z", 45.0)))
BITS = 16

_ON_LEVELS = (
    # wgrib2's name, our letter, category and number (code table 4.2)
    ("HGT", "z", 3, 5),
    ("TMP", "t", 0, 0),
    ("SPFH", "q", 1, 0),
    ("UGRD", "u", 2, 2),
    ("VGRD", "v", 2, 3),
)
_SURFACE = (
    # wgrib2's names, our id, category, number, surface (code table 4.5; 200 is NCEP's whole column) and its value
    ("PRMSL", "mean sea level", "msl", 3, 1, 101, 0),
    ("PRES", "surface", "sp", 3, 0, 1, 0),
    ("TMP", "2 m above ground", "t2m", 0, 0, 103, 2),
    ("UGRD", "10 m above ground", "u10m", 2, 2, 103, 10),
    ("VGRD", "10 m above ground", "v10m", 2, 3, 103, 10),
    ("PWAT", "entire atmosphere (considered as a single layer)", "tcwv", 1, 3, 200, 0),
)


def encode(world: World, init_time: datetime, lead_hours: int) -> tuple[bytes, bytes]:
    """Return the bytes of the GRIB file for `lead_hours` of the run of `init_time`, and those of its index."""
    fields = run_fields(world, init_time, lead_hours, GFS)
    forecast = f"{lead_hours} hour fcst" if lead_hours else "anl"
    descriptions, messages = [], []
    for level in reversed(LEVELS_HPA):
        for parameter, letter, category, number in _ON_LEVELS:
            values = fields[f"{letter}{level}"] / (GRAVITY if letter == "z" else 1.0)
            descriptions.append(f"{parameter}:{level} mb")
            messages.append(_message(values, grib.what(category, number, 100, 100 * level), init_time, lead_hours))
    for parameter, place, variable_id, *numbers in _SURFACE:
        descriptions.append(f"{parameter}:{place}")
        messages.append(_message(fields[variable_id], grib.what(*numbers), init_time, lead_hours))
    start, lines = 0, []
    for number, (message, description) in enumerate(zip(messages, descriptions, strict=True), 1):
        lines.append(f"{number}:{start}:d={init_time:%Y%m%d%H}:{description}:{forecast}:\n")
        start += len(message)
    return b"".join(messages), "".join(lines).encode()


def _message(values: grib.FloatArray, what: dict[str, int], init_time: datetime, lead_hours: int) -> bytes:
    keys = {
        "centre": "kwbc",
        "generatingProcessIdentifier": 96,
        **grib.when(init_time, lead_hours),
        **ON_GRID,
        **what,
    }
    return grib.marked(grib.message(values, keys, packing="grid_complex_spatial_differencing", bits=BITS))
