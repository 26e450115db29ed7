"""Make the borders that the page draws, from the zones of Taiwan: the same arcs with fewer points.

Arcs are shared by neighbours, so borders still meet. Only the standard library is used: the page is built with it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

ZONES = Path(__file__).parents[1] / "stormcast_tw/regions/taiwan/zones.topojson.gz"
STEP = 1e-4
"""Degrees: coordinates are whole multiples of it, 11 m."""
TOLERANCE = 6.0
"""How far a border may move, in steps: 70 m, less than a pixel unless the map is enlarged eight times."""
DOMAIN = (119.74, 122.3, 21.5, 25.7)
"""West, east, south and north of what can be seen; zones without a point in it are left out."""

Point = tuple[int, int]


def borders(topology: dict[str, Any]) -> dict[str, Any]:
    """Return `step`, the arcs (x, y, then differences, in steps) and by code the polygons of each zone: rings of arcs.

    ~n stands for arc n backwards, as in TopoJSON.
    """
    arcs = [_degrees(arc, topology["transform"]) for arc in topology["arcs"]]
    inside = [any(_is_inside(*point) for point in arc) for arc in arcs]
    zones = dict(_zones(topology, inside))
    used = sorted({_number(arc) for polygons in zones.values() for rings in polygons for ring in rings for arc in ring})
    place = {number: n for n, number in enumerate(used)}
    renamed = {
        code: [[[place[a] if a >= 0 else ~place[~a] for a in ring] for ring in rings] for rings in polygons]
        for code, polygons in zones.items()
    }
    return {"step": STEP, "arcs": [_packed(simplified(_steps(arcs[n]))) for n in used], "zones": renamed}


def _zones(topology: dict[str, Any], inside: Sequence[bool]) -> Iterator[tuple[str, list[list[list[int]]]]]:
    for level in topology["objects"].values():
        for geometry in level["geometries"]:
            polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
            kept = [p for p in polygons if any(inside[_number(arc)] for ring in p for arc in ring)]
            if kept:
                yield geometry["properties"]["code"], kept


def simplified(points: Sequence[Point]) -> list[Point]:
    """Return the points of a line without those that lie within the tolerance of it (Douglas and Peucker)."""
    if len(points) < 3:
        return list(points)
    far, distance = 0, 0.0
    for n, point in enumerate(points[1:-1], 1):
        if (d := _distance(point, points[0], points[-1])) > distance:
            far, distance = n, d
    if distance <= TOLERANCE:
        return [points[0], points[-1]]
    return simplified(points[: far + 1])[:-1] + simplified(points[far:])


def _distance(point: Point, start: Point, end: Point) -> float:
    """Return the distance of a point from a segment."""
    (x, y), (x0, y0), (x1, y1) = point, start, end
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    along = min(max(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0.0), 1.0) if length else 0.0
    return float(((x - x0 - along * (x1 - x0)) ** 2 + (y - y0 - along * (y1 - y0)) ** 2) ** 0.5)


def _degrees(arc: list[list[int]], transform: dict[str, list[float]]) -> list[tuple[float, float]]:
    (sx, sy), (tx, ty) = transform["scale"], transform["translate"]
    xs, ys = (accumulate(steps) for steps in zip(*arc, strict=True))
    return [(x * sx + tx, y * sy + ty) for x, y in zip(xs, ys, strict=True)]


def _steps(arc: list[tuple[float, float]]) -> list[Point]:
    return [(round(x / STEP), round(y / STEP)) for x, y in arc]


def _packed(points: list[Point]) -> list[int]:
    flat = [*points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        flat += [x1 - x0, y1 - y0]
    return flat


def _is_inside(longitude: float, latitude: float) -> bool:
    west, east, south, north = DOMAIN
    return west < longitude < east and south < latitude < north


def _number(arc: int) -> int:
    return arc if arc >= 0 else ~arc


def write(target: Path) -> None:
    """Write the borders as JSON; equal zones give equal bytes."""
    made = borders(json.loads(gzip.decompress(ZONES.read_bytes())))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made, separators=(",", ":")))


if __name__ == "__main__":
    write(Path(__file__).parent / "public/borders.json")
