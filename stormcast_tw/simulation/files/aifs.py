"""Simulated AIFS-single: ECMWF open data's GRIB 2 with CCSDS packing on 0.25 degree, and the `.index` beside it.

A run branches from the truth's large scale at its start, with errors of its own. Like AIFS it has total column water,
including cloud, and no column vapour.
"""

from __future__ import annotations

import json
from datetime import datetime

from stormcast_tw.simulation.files import grib
from stormcast_tw.simulation.files.global_ai import ON_GRID, Model, run_fields
from stormcast_tw.simulation.world.climate import LEVELS_HPA
from stormcast_tw.simulation.world.weather import World

AIFS = Model("aifs", 17.0, 1.1, (("t", 0.33), ("u", 0.56), ("v", 0.56), ("msl", 38.0), ("q", 0.04), ("z", 38.0)))
BITS = 12
CLOUD_SHARE = 0.01
"""Cloud water and ice in a column, as a share of its vapour."""

_SURFACE = ("10u", "10v", "2t", "msl", "sp", "tcw")
_NAMES = {"10u": "u10m", "10v": "v10m", "2t": "t2m"}


def encode(world: World, init_time: datetime, lead_hours: int) -> tuple[bytes, bytes]:
    """Return the bytes of the GRIB file for `lead_hours` of the run of `init_time`, and those of its index."""
    fields = run_fields(world, init_time, lead_hours, AIFS)
    fields["tcw"] = (1.0 + CLOUD_SHARE) * fields["tcwv"]
    data, lines = b"", []
    wanted = [(name, None) for name in _SURFACE] + [(letter, level) for letter in "qtuvz" for level in LEVELS_HPA]
    for name, level in wanted:
        values = fields[_NAMES.get(name, name)] if level is None else fields[f"{name}{level}"]
        message = grib.message(values, _keys(name, level, init_time, lead_hours), packing="grid_ccsds", bits=BITS)
        lines.append(_line(name, level, init_time, lead_hours, len(data), len(message)))
        data += message
    return data, "".join(lines).encode()


def _keys(name: str, level: int | None, init_time: datetime, lead_hours: int) -> dict[str, int | float | str]:
    local: dict[str, int | float | str] = {
        "setLocalDefinition": 1,
        "class": "ai",
        "type": "fc",
        "stream": "oper",
        "expver": "SIMU",
    }
    return {
        "centre": "ecmf",
        **local,
        **grib.when(init_time, lead_hours),
        **ON_GRID,
        **({"typeOfLevel": "isobaricInhPa", "level": level} if level is not None else {}),
        "shortName": name,
    }


def _line(name: str, level: int | None, init_time: datetime, lead_hours: int, start: int, length: int) -> str:
    entry = {
        "domain": "g",
        "date": f"{init_time:%Y%m%d}",
        "time": f"{init_time:%H%M}",
        "expver": "SIMU",
        "class": "ai",
        "type": "fc",
        "stream": "oper",
        "step": str(lead_hours),
        **({"levelist": str(level)} if level is not None else {}),
        "levtype": "sfc" if level is None else "pl",
        "param": name,
        "model": "aifs-single",
        "_offset": start,
        "_length": length,
    }
    return json.dumps(entry) + "\n"
