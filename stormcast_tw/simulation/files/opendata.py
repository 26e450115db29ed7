"""Simulated CWA open data: O-B0045-001 (rain) as today's JSON and XML and as XML of 2018, O-A0059-001 as JSON.

`datasetDescription` says SIMULATED, and `status` is Test instead of Actual.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import as_utc
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.clock import TAIPEI
from stormcast_tw.simulation.files.qpesums import (
    GRID,
    NO_ECHO,
    OUTSIDE,
    REFLECTIVITY_GRID,
    REFLECTIVITY_SCALE,
    SCALE,
    observed_rain,
    observed_reflectivity,
)
from stormcast_tw.simulation.world.weather import World

OLD_GRID = Grid("QPESUMS", 19.975, 27.025, 95, 117.975, 123.525, 75)
"""The grid of O-B0045-001 until 2022: 0.075 degree."""

_SENT_AFTER = timedelta(minutes=15)
"""Delay between valid time and `sent`, as in the file of 2018."""

_RAIN = "SIMULATED QPESUMS rain of the past hour"
_RAIN_CONTENT = "mm, -1 is no data; west to east, then south to north; TWD67"
_REFLECTIVITY = "SIMULATED composite reflectivity"
_REFLECTIVITY_CONTENT = (
    "dBZ, -99 is missing or invalid, -999 outside coverage; west to east, then south to north; TWD67"
)

Described = dict[str, "Described"] | list["Described"] | str


def rain_json(world: World, valid_time: datetime) -> bytes:
    """Return O-B0045-001 of the hour ending at `valid_time` as JSON, 441 x 561 points."""
    return _json(_document(*_rain(world, valid_time, GRID)))


def rain_xml(world: World, valid_time: datetime) -> bytes:
    """Return O-B0045-001 of the hour ending at `valid_time` as XML of today's schema."""
    return _xml("cwaopendata", "urn:cwa:gov:tw:cwacommon:0.1", _document(*_rain(world, valid_time, GRID)))


def old_rain_xml(world: World, valid_time: datetime) -> bytes:
    """Return O-B0045-001 as XML of 2018: 75 x 95 points, local time in twelve digits, labelled UTC."""
    _, _, local, _, _, content = _rain(world, valid_time, OLD_GRID)
    named = (
        ("左下角", f"{OLD_GRID.x_first:g},{OLD_GRID.y_first:g}"),
        ("解析度", f"{OLD_GRID.dx:g}"),
        ("時間(UTC)", f"{local:%Y%m%d%H%M}"),
        ("維度(nx*ny)", f"{OLD_GRID.nx}*{OLD_GRID.ny}"),
        ("單位", "mm"),
    )
    document: Described = {
        "sent": (local + _SENT_AFTER).isoformat(),
        "status": "Test",
        "dataset": {
            "datasetInfo": {
                "datasetDescription": _RAIN,
                "parameterSet": {"parameter": [{"parameterName": n, "parameterValue": v} for n, v in named]},
            },
            "contents": {"contentDescription": _RAIN_CONTENT, "content": content},
        },
    }
    return _xml("cwbopendata", "urn:cwb:gov:tw:cwbcommon:0.1", document)


def reflectivity_json(world: World, valid_time: datetime) -> bytes:
    """Return O-A0059-001 of `valid_time` as JSON, 921 x 881 points.

    This product has no number for "no echo" (data-formats.md 1.2): such points are written as invalid, -99.
    """
    raw = observed_reflectivity(world, valid_time)
    missing = {OUTSIDE * REFLECTIVITY_SCALE: "-9.990E+02", NO_ECHO * REFLECTIVITY_SCALE: "-9.900E+01"}
    content = _content(raw, REFLECTIVITY_SCALE, missing)
    local = as_utc(valid_time).astimezone(TAIPEI)
    return _json(_document("O-A0059-001", REFLECTIVITY_GRID, local, ("Reflectivity", "dBZ"), _REFLECTIVITY, content))


def _rain(world: World, valid_time: datetime, grid: Grid) -> tuple[str, Grid, datetime, tuple[str, str], str, str]:
    content = _content(observed_rain(world, valid_time, grid), SCALE, {})
    local = as_utc(valid_time).astimezone(TAIPEI)
    return "O-B0045-001", grid, local, ("Precipitation", "mm"), _RAIN, content


def _content(raw: npt.NDArray[np.int16], scale: int, texts: dict[int, str]) -> str:
    """Return the numbers in scientific notation, separated by commas, one line per row."""
    texts = {value: f"{value / scale:.3E}" for value in np.unique(raw).tolist()} | texts
    return ",\n".join(",".join(texts[value] for value in row) for row in raw.tolist())


def _document(
    data_id: str, grid: Grid, local: datetime, unit: tuple[str, str], description: str, content: str
) -> Described:
    about = _RAIN_CONTENT if description == _RAIN else _REFLECTIVITY_CONTENT
    return {
        "sent": (local + _SENT_AFTER).isoformat(),
        "status": "Test",
        "dataid": data_id,
        "dataset": {
            "datasetInfo": {
                "datasetDescription": description,
                "parameterSet": {
                    "StartPointLongitude": f"{grid.x_first:g}",
                    "StartPointLatitude": f"{grid.y_first:g}",
                    "GridResolution": f"{grid.dx:g}",
                    "DateTime": local.isoformat(),
                    "GridDimensionX": str(grid.nx),
                    "GridDimensionY": str(grid.ny),
                    unit[0]: unit[1],
                },
            },
            "contents": {"contentDescription": about, "content": content},
        },
    }


def _json(document: Described) -> bytes:
    return json.dumps({"cwaopendata": document}, ensure_ascii=False).encode()


def _xml(root: str, namespace: str, document: Described) -> bytes:
    opened = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{namespace}">'
    return f"{opened}{_elements(document)}</{root}>\n".encode()


def _elements(node: Described) -> str:
    """Return a document as XML: each name an element, each item of a list an element of that name, text as text."""
    if isinstance(node, str):
        return escape(node)
    assert isinstance(node, dict)
    return "".join(
        f"<{name}>{_elements(value)}</{name}>"
        for name, values in node.items()
        for value in (values if isinstance(values, list) else [values])
    )
