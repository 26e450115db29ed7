"""Where zones end: their names and polygons, from TopoJSON or GeoJSON."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.settings import ZoneFile

Ring = npt.NDArray[np.float64]
Polygons = tuple[tuple[Ring, ...], ...]

_NESTING = {"Polygon": 1, "MultiPolygon": 2}


@dataclass(frozen=True, eq=False)
class Border:
    """A zone's code, level (such as county), names, the code of the zone that it is part of, and its polygons.

    A polygon is its outer ring and then its holes; rings are (n, 2) of longitude and latitude in degrees, closed.
    """

    code: str
    level: str
    parent: str | None
    zh: str
    en: str
    polygons: Polygons

    @property
    def geometry(self) -> dict[str, Any]:
        """The polygons as a GeoJSON geometry (RFC 7946), in degrees to 1e-5 (1 m)."""
        rings = [[np.round(ring, 5).tolist() for ring in polygon] for polygon in self.polygons]
        return {"type": "MultiPolygon", "coordinates": rings}


@dataclass(frozen=True, eq=False)
class Borders:
    """All zones of a file, those that others are part of first, and the digest of what was read."""

    borders: tuple[Border, ...]
    digest: str


def read_borders(file: ZoneFile) -> Borders:
    """Read the zones of a file: TopoJSON or GeoJSON, packed by gzip or not.

    Raises NotReady if there is no such file; BadInput where it is not such JSON, a zone has no code or name, has the
    code of another, is part of one that is not in the file, or is no polygon in degrees.
    """
    try:
        data = file.path.read_bytes()
    except FileNotFoundError as error:
        raise NotReady(f"{file.path}: there is no file of zones") from error
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        document = json.loads(text)
    except (OSError, EOFError, ValueError) as error:
        raise BadInput(f"{file.path}: is not JSON: {error}") from error
    try:
        borders = tuple(_borders(document, file))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadInput(f"{file.path}: is neither TopoJSON nor GeoJSON of polygons: {error!r}") from error
    return Borders(_parents_first(borders, file.path), hashlib.sha256(text).hexdigest())


def _borders(document: Mapping[str, Any], file: ZoneFile) -> Iterator[Border]:
    if document["type"] == "Topology":
        arcs = _arcs(document)
        for level, collection in document["objects"].items():
            for geometry in collection["geometries"]:
                yield _border(geometry["properties"], level, _polygons(geometry, "arcs", arcs), file)
        return
    for feature in document["features"]:
        yield _border(feature["properties"], "zone", _polygons(feature["geometry"], "coordinates", None), file)


def _border(properties: Mapping[str, Any], level: str, polygons: Polygons, file: ZoneFile) -> Border:
    text = {field: properties.get(key) for field, key in file.properties.items()}
    if absent := [file.properties[field] for field in ("code", "zh", "en") if not text[field]]:
        raise BadInput(f"{file.path}: a zone has no {', '.join(absent)}; found {dict(properties)}"[:300])
    code = str(text["code"])
    for ring in (ring for polygon in polygons for ring in polygon):
        if ring.ndim != 2 or ring.shape[1] < 2 or len(ring) < 4 or not np.isfinite(ring).all():
            raise BadInput(f"{file.path}: zone {code} has a ring of shape {ring.shape}; allowed 4 points or more")
        if np.abs(ring[:, 0]).max() > 360 or np.abs(ring[:, 1]).max() > 90:
            at = np.abs(ring).max(axis=0)
            raise BadInput(f"{file.path}: zone {code} reaches {at[0]:g}, {at[1]:g}; allowed degrees, 360 and 90")
    parent = None if text["parent"] in (None, "") else str(text["parent"])
    return Border(code, str(text["level"] or level), parent, str(text["zh"]), str(text["en"]), polygons)


def _polygons(geometry: Mapping[str, Any], key: str, arcs: list[Ring] | None) -> Polygons:
    """Return the polygons of a geometry whose rings are positions, or numbers of arcs."""
    if geometry["type"] not in _NESTING:
        raise TypeError(f"{geometry['type']}; allowed {', '.join(_NESTING)}")
    polygons = [geometry[key]] if _NESTING[geometry["type"]] == 1 else geometry[key]
    ring_of = _joined if arcs is not None else _positions
    return tuple(tuple(ring_of(ring, arcs or []) for ring in polygon) for polygon in polygons)


def _positions(ring: list[list[float]], _: list[Ring]) -> Ring:
    try:
        return np.array([position[:2] for position in ring], np.float64)
    except ValueError as error:
        raise TypeError(f"a ring that is no list of positions: {error}") from error


def _joined(ring: list[int], arcs: list[Ring]) -> Ring:
    """Join arcs into a ring; ~n is arc n backwards, and each begins where the one before ends (TopoJSON 2.1.4)."""
    parts = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in ring]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def _arcs(document: Mapping[str, Any]) -> list[Ring]:
    """Return the arcs (n, 2) in degrees: whole steps from point to point, scaled and shifted, or plain positions."""
    if (transform := document.get("transform")) is None:
        return [np.array(arc, np.float64) for arc in document["arcs"]]
    scale, translate = np.array(transform["scale"]), np.array(transform["translate"])
    return [np.cumsum(arc, axis=0) * scale + translate for arc in document["arcs"]]


def _parents_first(borders: tuple[Border, ...], path: Path) -> tuple[Border, ...]:
    by_code = {border.code: border for border in borders}
    if len(by_code) < len(borders):
        codes = [border.code for border in borders]
        raise BadInput(f"{path}: the code {next(c for c in codes if codes.count(c) > 1)} stands for two zones")

    def depth(border: Border) -> int:
        count = 0
        while border.parent is not None:
            count += 1
            if border.parent not in by_code or count > len(borders):
                raise BadInput(f"{path}: zone {border.code} is part of {border.parent}, which is no zone above it")
            border = by_code[border.parent]
        return count

    return tuple(sorted(borders, key=lambda border: (depth(border), border.code)))
