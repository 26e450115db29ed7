"""The board: which criteria are reached where, how likely and when; the content of `zones.json`.

Three probabilities have three names. `hits` counts members that reach a criterion anywhere in a zone: hits / members is
the probability of the zone. `point_hits` counts at a single cell and hour. That of a neighbourhood is a map elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import ConfigDict, Field

from stormcast_tw.plan import Frozen
from stormcast_tw.products.hazards import CHANCES, SHOWN
from stormcast_tw.products.zones import Zone, Zones
from stormcast_tw.regions.region import Criterion, Kind, Side, Text

NEAREST = 3
"""How many zones are named that come nearest to a criterion when none reaches one."""

_TEN_KELVIN = 10.0
_COLUMNS = ("hits", "by_lead", "point_hits", "onset", "peak", "peak_lead", "peak_member", "share", "at_least",
            "reached_before")  # fmt: skip


class Words(Frozen):
    """What people read, in Traditional Chinese and in English."""

    zh: str
    en: str

    @classmethod
    def of(cls, text: Text) -> Words:
        """Return a text of the region."""
        return cls(zh=text.zh, en=text.en)


class About(Frozen):
    """Which forecast it is."""

    experiment: str
    init_time: str = Field(description="Start of the forecast, UTC, e.g. 2026-06-11T06:00:00Z.")
    run: str
    members: int
    lead_hours: int
    simulated: bool = Field(description="Made of simulated inputs: no real weather.")
    trained: bool
    status: str = Field(description="complete, or degraded: made with a stand-in or an older input.")
    attribution: str = Field(description="Whose data it is made of.")


class HazardEntry(Frozen):
    """A criterion: `class` is what people are warned by, `criterion` the part of it that is told here."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    kind: Kind
    quantity: str
    hours: int = Field(description="Length of the interval that ends at valid time; 0: at valid time.")
    threshold: float = Field(description="In `unit`; a value equal to it reaches it.")
    unit: str
    side: Side
    class_: Words = Field(alias="class")
    criterion: Words
    rank: int = Field(description="How severe the class is, across kinds: 1 is mild.")
    judged: Words
    not_judged: Words | None
    leads: list[int] = Field(description="Lead hours that are judged in this run; none: not judged in this run.")


class ZoneEntry(Frozen):
    """A zone; `parent` is the code of the zone that it is part of."""

    code: str
    level: str
    parent: str | None
    zh: str
    en: str
    cells: int
    coarse: bool = Field(description="No cell is half inside it: judged by the cells that it touches.")
    partial: bool = Field(description="Part of it lies outside the grid, and is not judged.")


class Row(Frozen):
    """What the members do in one zone about one criterion."""

    zone: str
    hazard: str
    hits: int = Field(description="Members that reach it in any cell at any lead; / members: probability of the zone.")
    by_lead: list[int | None] = Field(description="Members that reach it in any cell, by lead; null: unknown.")
    point_hits: int = Field(description="Most members at one cell and lead; / members: highest point probability.")
    onset: list[int] | None = Field(description="Lead hour by which 10 and 50 % of the members that hit have done so.")
    peak: list[float] = Field(description="10, 50, 90 and 100 % of the members' most severe values, mild to severe.")
    peak_lead: int
    peak_member: int
    share: float = Field(description="Share of the zone's area where it is reached at any lead, mean over all members.")
    at_least: bool = Field(description="Some values are lower bounds, or unknown: more members may reach it.")
    reached_before: bool = Field(description="Reached at init_time by observations alone.")


class Columns(Frozen):
    """The rows of the board, a list for each field of a row, all of one length and in the order of the board.

    `zone` and `hazard` count in the lists `zones` and `hazards` of the board, from 0.
    """

    zone: list[int]
    hazard: list[int]
    hits: list[int]
    by_lead: list[list[int | None]]
    point_hits: list[int]
    onset: list[list[int] | None]
    peak: list[list[float]]
    peak_lead: list[int]
    peak_member: list[int]
    share: list[float]
    at_least: list[Literal[0, 1]]
    reached_before: list[Literal[0, 1]]


class ChanceWord(Frozen):
    """A word for probabilities up to `until`."""

    until: float
    zh: str
    en: str


class Board(About):
    """The content of `zones.json`: from the most severe class, the likeliest and earliest first, a county first."""

    version: Literal[1] = 1
    chances: list[ChanceWord]
    hazards: list[HazardEntry]
    zones: list[ZoneEntry]
    outside: list[ZoneEntry]
    rows: Columns
    nearest: list[Row] = Field(description="Where nothing is reached: the zones that come nearest to a criterion.")


def board(about: About, statistics: xr.Dataset, zones: Zones, criteria: Sequence[Criterion]) -> dict[str, Any]:
    """Return the content of `zones.json` from the statistics by zone (`area.area_statistics`) of these criteria."""
    every = rows(statistics, zones, criteria)
    number = {zone.code: n for n, zone in enumerate(zones.zones)}
    place = {criterion.id: n for n, criterion in enumerate(criteria)}
    columns = {name: [getattr(row, name) for row in every] for name in _COLUMNS}
    for flag in ("at_least", "reached_before"):
        columns[flag] = [int(value) for value in columns[flag]]
    counts = np.diff(zones.starts).tolist()
    made = Board(
        **about.model_dump(),
        chances=[ChanceWord(until=until, zh=word.zh, en=word.en) for until, word in CHANCES],
        hazards=[_hazard(criterion, statistics) for criterion in criteria],
        zones=[_zone(zone, count) for zone, count in zip(zones.zones, counts, strict=True)],
        outside=[_zone(zone, 0) for zone in zones.outside],
        rows=Columns(zone=[number[r.zone] for r in every], hazard=[place[r.hazard] for r in every], **columns),
        nearest=[] if every else nearest(statistics, zones, criteria),
    )
    return made.model_dump(mode="json", by_alias=True)


def rows(statistics: xr.Dataset, zones: Zones, criteria: Iterable[Criterion]) -> list[Row]:
    """Return the rows that some member or the observed rain alone reaches, in the order of the board.

    That is by rank from the most severe, then by probability, then by onset; of equals a zone comes before its parts.
    """
    by_id = {criterion.id: criterion for criterion in criteria}
    made = []
    for c, name in enumerate(map(str, statistics["criterion"].values)):
        here = statistics.isel(criterion=c)
        reached = np.flatnonzero((here["hits"].values > 0) | here["reached_before"].values)
        made += _rows(here, by_id[name], zones, reached.tolist())
    order, place = {name: n for n, name in enumerate(by_id)}, {zone.code: n for n, zone in enumerate(zones.zones)}

    def key(row: Row) -> tuple[Any, ...]:
        onset = tuple(row.onset or ())[::-1]
        return -by_id[row.hazard].rank, -row.hits, onset, order[row.hazard], place[row.zone]

    return sorted(made, key=key)


def unpacked(content: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a board that was read, in its order."""
    columns, zones, hazards = content["rows"], content["zones"], content["hazards"]
    return [
        Row(
            zone=zones[z]["code"],
            hazard=hazards[h]["id"],
            **{name: columns[name][n] for name in _COLUMNS},
        )
        for n, (z, h) in enumerate(zip(columns["zone"], columns["hazard"], strict=True))
    ]


def nearest(statistics: xr.Dataset, zones: Zones, criteria: Iterable[Criterion]) -> list[Row]:
    """Return the rows of zones that are part of none whose highest value comes nearest to a criterion.

    Near is relative to the threshold for rain and wind, and to 10 K for temperature.
    """
    found: list[tuple[float, int, Row]] = []
    whole = [n for n, zone in enumerate(zones.zones) if zone.parent is None]
    by_id = {criterion.id: criterion for criterion in criteria}
    for c, name in enumerate(map(str, statistics["criterion"].values)):
        criterion, here = by_id[name], statistics.isel(criterion=c)
        peaks = here["peak"].values[:, -1]
        scale = _TEN_KELVIN if criterion.units == "K" else criterion.threshold
        known = [n for n in whole if np.isfinite(peaks[n])]
        far = {n: abs(float(peaks[n]) - criterion.threshold) / scale for n in known}
        closest = sorted(known, key=lambda n: (far[n], n))[:NEAREST]
        found += [(far[n], c, row) for n, row in zip(closest, _rows(here, criterion, zones, closest), strict=True)]
    return [row for _, _, row in sorted(found, key=lambda each: each[:2])[:NEAREST]]


def to_json(content: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file: the same for the same content. Raises ValueError for NaN, which JSON has not."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _rows(here: xr.Dataset, criterion: Criterion, zones: Zones, numbers: Sequence[int]) -> list[Row]:
    shown = SHOWN[criterion.units]
    values = {str(name): variable.values for name, variable in here.data_vars.items()}
    peaks = shown(values["peak"]).tolist()
    onsets, by_lead = values["onset"].tolist(), values["hits_by_lead"].tolist()
    return [
        Row(
            zone=zones.zones[n].code,
            hazard=criterion.id,
            hits=values["hits"][n],
            by_lead=[None if np.isnan(count) else int(count) for count in by_lead[n]],
            point_hits=values["point_hits"][n],
            onset=[int(hour) for hour in onsets[n]] if values["hits"][n] else None,
            peak=peaks[n],
            peak_lead=int(values["peak_lead"][n]),
            peak_member=values["peak_member"][n],
            share=float(f"{values['share'][n]:.2g}"),
            at_least=values["at_least"][n],
            reached_before=values["reached_before"][n],
        )
        for n in numbers
    ]


def _hazard(criterion: Criterion, statistics: xr.Dataset) -> HazardEntry:
    leads: list[int] = []
    if criterion.id in statistics["criterion"].values:
        known = statistics["hits_by_lead"].sel(criterion=criterion.id).notnull().any("zone").values
        leads = [int(lead / np.timedelta64(1, "h")) for lead in statistics["lead_time"].values[known]]
    shown = SHOWN[criterion.units]
    return HazardEntry(
        id=criterion.id,
        kind=criterion.kind,
        quantity=criterion.quantity,
        hours=criterion.hours,
        threshold=float(shown(criterion.threshold)),
        unit=shown.unit,
        side=criterion.side,
        class_=Words.of(criterion.name),
        criterion=Words.of(criterion.reaches),
        rank=criterion.rank,
        judged=Words.of(criterion.judged),
        not_judged=criterion.not_judged and Words.of(criterion.not_judged),
        leads=leads,
    )


def _zone(zone: Zone, cells: int) -> ZoneEntry:
    return ZoneEntry(
        code=zone.code,
        level=zone.level,
        parent=zone.parent,
        zh=zone.zh,
        en=zone.en,
        cells=cells,
        coarse=zone.coarse,
        partial=zone.partial,
    )
