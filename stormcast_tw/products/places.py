"""One place: what a forecast says of a zone; the content of `places/<code>.json`, a forecast API of static files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import ConfigDict, Field

from stormcast_tw.errors import BadInput
from stormcast_tw.plan import Frozen
from stormcast_tw.products.area import zone_values
from stormcast_tw.products.board import About, HazardEntry, Row, Words, ZoneEntry, unpacked
from stormcast_tw.products.ensemble import QUANTILES
from stormcast_tw.products.hazards import SHOWN
from stormcast_tw.products.quantities import QUANTITIES
from stormcast_tw.products.zones import Zones
from stormcast_tw.regions import HOME
from stormcast_tw.regions.region import Text

SERIES = {
    "tp01": Text("前1小時雨量", "rain of the hour before"),
    "wind_speed": Text("10公尺風速", "10 m wind speed"),
    "t2m": Text("2公尺氣溫", "2 m temperature"),
}
"""What a place shows, by quantity."""
_LOWEST = ("t2m",)
"""Quantities whose lowest values matter too."""


class Series(Frozen):
    """A quantity in a zone, hour by hour: lists along `valid_time`."""

    unit: str
    name: Words
    highest: list[list[float]] = Field(description="Highest value in any cell, a list for each member.")
    median: dict[str, list[float]] = Field(
        description="Median of the zone's cells: the 10, 50 and 90 % quantiles of the members."
    )
    lowest: dict[str, list[float]] | None = Field(
        default=None, description="Lowest value in any cell: quantiles of the members."
    )


class HazardRow(Row):
    """A row of the board with the words of its criterion."""

    model_config = ConfigDict(populate_by_name=True)

    p: float = Field(description="Probability of the zone: hits / members.")
    class_: Words = Field(alias="class")
    criterion: Words
    not_judged: Words | None


class Place(About):
    """The content of `places/<code>.json`."""

    version: Literal[1] = 1
    zone: ZoneEntry
    valid_time: list[str] = Field(description="UTC; rain is of the hour before.")
    local_time: list[str] = Field(description="The same hours by the clock of the place.")
    series: dict[str, Series]
    hazards: list[HazardRow] = Field(description="Criteria that some member reaches, from the most severe class.")


def places(quantities: Mapping[str, xr.DataArray], board: Mapping[str, Any], zones: Zones) -> Iterator[dict[str, Any]]:
    """Yield the content of `places/<code>.json` of every zone on the grid, in the order of the board.

    `quantities` are the members (member, lead_time, y, x) of `SERIES`, `board` the content of the same run's
    `zones.json`. Raises BadInput where one of them is not given.
    """
    if absent := [name for name in SERIES if name not in quantities]:
        raise BadInput(f"places: there is no {', '.join(absent)}; given {', '.join(quantities)}")
    about = {name: board[name] for name in About.model_fields}
    hazards = {entry.id: entry for entry in map(HazardEntry.model_validate, board["hazards"])}
    rows: dict[str, list[Row]] = {}
    for row in unpacked(board):
        rows.setdefault(row.zone, []).append(row)
    series = {name: _series(name, quantities[name], zones) for name in SERIES}
    hours = _hours(about["init_time"], quantities["tp01"]["lead_time"].values)
    for number, zone in enumerate(board["zones"]):
        yield Place(
            **about,
            zone=zone,
            valid_time=[f"{hour:%Y-%m-%dT%H:%M:%SZ}" for hour in hours],
            local_time=[hour.astimezone(HOME.clock).isoformat() for hour in hours],
            series={name: made[number] for name, made in series.items()},
            hazards=[_described(row, hazards[row.hazard], about["members"]) for row in rows.get(zone["code"], [])],
        ).model_dump(mode="json", by_alias=True)


def _series(name: str, quantity: xr.DataArray, zones: Zones) -> list[Series]:
    """Return the series of every zone."""
    shown = SHOWN[QUANTITIES[name].attributes["units"]]
    highest = shown(zone_values(quantity, zones, "maximum")).tolist()
    median = _quantiles(zone_values(quantity, zones, "median"))
    lowest = _quantiles(zone_values(quantity, zones, "minimum")) if name in _LOWEST else None

    def named(values: Any, zone: int) -> dict[str, list[float]]:
        return {f"p{100 * level:.0f}": shown(values[n, zone]).tolist() for n, level in enumerate(QUANTILES)}

    return [
        Series(
            unit=shown.unit,
            name=Words.of(SERIES[name]),
            highest=highest[zone],
            median=named(median, zone),
            lowest=None if lowest is None else named(lowest, zone),
        )
        for zone in range(len(zones))
    ]


def _quantiles(values: xr.DataArray) -> Any:
    """Return (quantile, zone, lead)."""
    return np.quantile(values.values, QUANTILES, axis=1)


def _hours(init_time: str, leads: Iterable[np.timedelta64]) -> list[datetime]:
    start = datetime.fromisoformat(init_time).astimezone(UTC)
    return [start + timedelta(hours=int(lead / np.timedelta64(1, "h"))) for lead in leads]


def _described(row: Row, hazard: HazardEntry, members: int) -> HazardRow:
    return HazardRow(
        **row.model_dump(),
        p=round(row.hits / members, 4),
        class_=hazard.class_,
        criterion=hazard.criterion,
        not_judged=hazard.not_judged,
    )
