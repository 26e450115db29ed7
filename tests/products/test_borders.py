"""Zones as files give them: TopoJSON and GeoJSON of the same three zones, and what is wrong with others."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.products.borders import read_borders
from stormcast_tw.settings import ZoneFile

COUNTY = {"code": "1", "name_zh": "縣", "name_en": "County", "level": "county"}
WEST = {"code": "12", "name_zh": "西鄉", "name_en": "West", "level": "township", "parent": "1"}
EAST = {"code": "11", "name_zh": "東鄉", "name_en": "East", "level": "township", "parent": "1"}

TOPOLOGY = {
    "type": "Topology",
    "transform": {"scale": [0.5, 0.25], "translate": [120, 23]},
    # In steps: the border between the two from south to north, then around the east, then around the west.
    "arcs": [[[2, 0], [0, 4]], [[2, 4], [2, 0], [0, -4], [-2, 0]], [[2, 4], [-2, 0], [0, -4], [2, 0]]],
    "objects": {
        "township": {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Polygon", "properties": EAST, "arcs": [[0, 1]]},
                {"type": "MultiPolygon", "properties": WEST, "arcs": [[[-3, -1]]]},
            ],
        },
        "county": {
            "type": "GeometryCollection",
            "geometries": [{"type": "Polygon", "properties": COUNTY, "arcs": [[1, -3]]}],
        },
    },
}


def square(west: float, east: float) -> list[list[float]]:
    return [[west, 23.0], [east, 23.0], [east, 24.0], [west, 24.0], [west, 23.0]]


def collection(*zones: tuple[dict[str, Any], Any], kind: str = "Polygon") -> dict[str, Any]:
    features = [
        {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}
        for properties, coordinates in zones
    ]
    return {"type": "FeatureCollection", "features": features}


COLLECTION = collection((WEST, [square(120, 121)]), (EAST, [square(121, 122)]), (COUNTY, [square(120, 122)]))


def write(folder: Path, document: object, name: str = "zones.json") -> ZoneFile:
    path = folder / name
    path.write_text(json.dumps(document))
    return ZoneFile(path=path)


@pytest.mark.parametrize("document", [TOPOLOGY, COLLECTION], ids=["TopoJSON", "GeoJSON"])
def test_both_forms_say_the_same(tmp_path: Path, document: dict[str, Any]):
    borders = read_borders(write(tmp_path, document)).borders
    assert [(b.code, b.level, b.parent, b.zh, b.en) for b in borders] == [
        ("1", "county", None, "縣", "County"),
        ("11", "township", "1", "東鄉", "East"),
        ("12", "township", "1", "西鄉", "West"),
    ], "those that others are part of first, then by code"
    spans = [(ring[:, 0].min(), ring[:, 0].max()) for b in borders for polygon in b.polygons for ring in polygon]
    assert spans == [(120, 122), (121, 122), (120, 121)]
    for border in borders:
        assert np.array_equal(border.polygons[0][0][0], border.polygons[0][0][-1]), "closed"
        assert sorted({y for _, y in border.geometry["coordinates"][0][0]}) == [23.0, 24.0]


def test_packed_or_not_the_digest_is_of_the_text(tmp_path: Path):
    plain = write(tmp_path, COLLECTION)
    packed = ZoneFile(path=tmp_path / "zones.json.gz")
    packed.path.write_bytes(gzip.compress(plain.path.read_bytes()))
    assert read_borders(plain).digest == read_borders(packed).digest


def test_properties_go_by_any_name(tmp_path: Path):
    basin = {"BASIN_NO": 1140, "NAME": "淡水河", "ENG": "Tamsui River"}
    file = write(tmp_path, collection((basin, [square(121, 122)])))
    named = file.model_copy(update={"code": "BASIN_NO", "name_zh": "NAME", "name_en": "ENG"})
    (border,) = read_borders(named).borders
    assert (border.code, border.level, border.parent, border.zh) == ("1140", "zone", None, "淡水河")


WRONG = {
    "twice": (collection((EAST, [square(120, 121)]), (EAST, [square(121, 122)])), "code 11 stands for two zones"),
    "an orphan": (collection((EAST, [square(121, 122)])), "zone 11 is part of 1, which is no zone above it"),
    "part of itself": (collection((COUNTY | {"parent": "1"}, [square(120, 122)])), "zone 1 is part of 1"),
    "no name": (collection((COUNTY | {"name_zh": ""}, [square(120, 122)])), "a zone has no name_zh"),
    "no area": (collection((COUNTY, [square(120, 122)[:3]])), r"zone 1 has a ring of shape \(3, 2\)"),
    "metres": (collection((COUNTY, [square(2e5, 3e5)])), "zone 1 reaches 300000, 24; allowed degrees"),
    "a point": (collection((COUNTY, [120, 23]), kind="Point"), "Point; allowed Polygon, MultiPolygon"),
    "no positions": (collection((COUNTY, [[[1, 2], [3]]])), "neither TopoJSON nor GeoJSON"),
    "another document": ({"type": "Feature"}, "neither TopoJSON nor GeoJSON of polygons: KeyError"),
    "a list": ([1, 2], "neither TopoJSON nor GeoJSON"),
    "an arc that is not there": (TOPOLOGY | {"arcs": TOPOLOGY["arcs"][:1]}, "neither TopoJSON nor GeoJSON"),
}  # fmt: skip


@pytest.mark.parametrize(("document", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, document: object, message: str):
    with pytest.raises(BadInput, match=f"zones.json: .*{message}"):
        read_borders(write(tmp_path, document))


def test_no_file_and_no_json(tmp_path: Path):
    file = ZoneFile(path=tmp_path / "zones.json")
    with pytest.raises(NotReady, match="there is no file of zones"):
        read_borders(file)
    for content in (b"{", b"\x1f\x8bnot gzip", b"\xff\xfe"):
        file.path.write_bytes(content)
        with pytest.raises(BadInput, match="is not JSON"):
            read_borders(file)
