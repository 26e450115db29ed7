"""Zones: the places that people are told about, such as counties and townships, as cells of a grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.plan import digest_of
from stormcast_tw.products.borders import Border, Borders, read_borders
from stormcast_tw.products.overlap import cell_shares, multipolygon
from stormcast_tw.regions import HOME
from stormcast_tw.settings import ZoneFile, settings

if TYPE_CHECKING:
    import shapely

Cells = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

HALF = 0.5
"""A cell belongs to a zone if at least this share of it lies in the zone."""
_TOLERANCE = 1e-6
"""How far a sum of shares may be off by rounding."""
_WHOLE = 0.999


@dataclass(frozen=True)
class Zone:
    """A zone's code, level (such as county), the code of the zone it is part of, and its names."""

    code: str
    level: str
    parent: str | None
    zh: str
    en: str
    coarse: bool = False
    """No cell is half inside: it is judged by the cells that it, or its parts, touch."""
    partial: bool = False
    """Part of it lies outside the grid, and is not judged."""


@dataclass(frozen=True, eq=False)
class Zones:
    """Zones on a grid, those that others are part of first.

    Zone z has the cells `cells[starts[z]:starts[z + 1]]`, numbers of the flattened grid in order, and as `shares` how
    much of each lies in it. `outside` are the zones that have nothing in common with the grid. `digest` is of the file
    of zones, how it is read, and the grid: for the plan of what is made with them.
    """

    grid: Grid
    zones: tuple[Zone, ...]
    starts: Cells
    cells: Cells
    shares: Shares
    outside: tuple[Zone, ...]
    digest: str
    attribution: str

    def __len__(self) -> int:
        return len(self.zones)

    def of(self, code: str) -> tuple[Cells, Shares]:
        """Return the cells of a zone and its share of each; raises KeyError for a code that is none on the grid."""
        number = {zone.code: n for n, zone in enumerate(self.zones)}[code]
        part = slice(self.starts[number], self.starts[number + 1])
        return self.cells[part], self.shares[part]

    def where(self, allowed: npt.NDArray[np.bool_]) -> Zones:
        """Return the zones with only those of their cells that are allowed (y, x); zones without any are left out."""
        kept = allowed.ravel()[self.cells]
        counts = np.add.reduceat(kept, self.starts[:-1], dtype=np.int64)
        zones = tuple(zone for zone, count in zip(self.zones, counts, strict=True) if count)
        starts = np.append(0, np.cumsum(counts[counts > 0]))
        return replace(self, zones=zones, starts=starts, cells=self.cells[kept], shares=self.shares[kept])


class NoZones(BadInput):
    """No zone of a file lies on a grid."""


def home_zones(grid: Grid) -> Zones:
    """Return the zones of this installation on a grid: those of a setting, or of the region."""
    return zones_on(grid, settings().zones or HOME.zones)


def zones_here(grid: Grid) -> Zones | None:
    """Return the zones of this installation on a grid, None where the grid is elsewhere."""
    try:
        return home_zones(grid)
    except NoZones:
        return None


@lru_cache(maxsize=4)
def zones_on(grid: Grid, file: ZoneFile) -> Zones:
    """Return the zones of a file on a grid.

    A zone has the cells of which at least half is inside it; also those of the zones that are part of it, so that it
    has whatever they have. One without any takes the cells that it touches and of which at least half is in some zone
    (those of the coast that are mostly sea are not its own), or else all that it touches: it is `coarse`. Shares are
    exact on a latitude/longitude grid; on a projection borders are straight from point to point.
    Raises what `read_borders` raises, BadInput where a zone's polygons are not valid, NoZones where none is here.
    """
    source = read_borders(file)
    polygons = {border.code: _in_cells(border, grid, file) for border in source.borders}
    shares = {code: cell_shares(shape, grid.shape) for code, shape in polygons.items()}
    inside = [border for border in source.borders if shares[border.code].any()]
    if not inside:
        raise NoZones(f"{file.path}: none of its {len(source.borders)} zones lies on grid {grid.name}")
    own = {border.code: shares[border.code] >= HALF for border in inside}
    land = np.sum([shares[border.code] for border in inside if border.parent not in own], axis=0) >= HALF - _TOLERANCE
    coarse = {code for code, cells in own.items() if not cells.any()}
    for border in reversed(inside):  # the parts of a zone before the zone
        if not own[border.code].any():
            touched = shares[border.code] > 0
            own[border.code] = touched & land if (touched & land).any() else touched
        if border.parent in own:
            own[border.parent] = own[border.parent] | own[border.code]
    counts = [np.count_nonzero(own[border.code]) for border in inside]
    partial = {code for code, shape in polygons.items() if shares[code].sum() < _WHOLE * shape.area}
    return Zones(
        grid=grid,
        zones=tuple(_zone(b, b.code in coarse, b.code in partial) for b in inside),
        starts=np.append(0, np.cumsum(counts, dtype=np.int64)),
        cells=np.concatenate([np.flatnonzero(own[border.code]) for border in inside]),
        shares=np.concatenate([shares[border.code][own[border.code]] for border in inside]),
        outside=tuple(_zone(border) for border in source.borders if border.code not in own),
        digest=digest_of({"file": source.digest, "properties": file.properties, "grid": grid.fingerprint}),
        attribution=file.attribution,
    )


def geojson(
    zones: Zones, borders: Borders, properties: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return a GeoJSON FeatureCollection of zones, with more properties by code where given."""
    return {"type": "FeatureCollection", "features": list(_features(zones, borders, properties or {}))}


def _features(zones: Zones, borders: Borders, properties: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    here = {zone.code for zone in zones.zones}
    for border in (border for border in borders.borders if border.code in here):
        named = {"code": border.code, "level": border.level, "parent": border.parent}
        names = {"name_zh": border.zh, "name_en": border.en}
        described = named | names | dict(properties.get(border.code, {}))
        yield {"type": "Feature", "id": border.code, "properties": described, "geometry": border.geometry}


def _zone(border: Border, coarse: bool = False, partial: bool = False) -> Zone:
    return Zone(border.code, border.level, border.parent, border.zh, border.en, coarse, partial)


def _in_cells(border: Border, grid: Grid, file: ZoneFile) -> shapely.MultiPolygon:
    """Return the polygons of a zone in units of cells; grid points are the centres of cells."""

    def in_cells(ring: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        row, column = grid.index_of(ring[:, 1], ring[:, 0])
        return np.stack([column, row], axis=-1) + 0.5

    try:
        return multipolygon((in_cells(ring) for ring in polygon) for polygon in border.polygons)
    except ValueError as error:
        raise BadInput(f"{file.path}: zone {border.code}: its polygons are not valid: {error}, in cells") from error
