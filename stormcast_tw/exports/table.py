"""The table of exports: what a published run is made into for other tools."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stormcast_tw.exports import cap, cog, grib, members, series, stac, web


@dataclass(frozen=True)
class Export:
    """Files in one format: `write` takes what it `needs` by keyword, and yields paths and bytes, the same each time.

    `needs` are `products` and `members` (datasets as they are published), `places` (`series.Place`), `board` (the
    content of zones.json), `sent` (when the run was published) and `assets` (titles of its files by path). An export
    that is not `always` made is made for those who ask. `library` is what it needs beyond a plain installation.
    """

    name: str
    write: Callable[..., Iterator[tuple[str, bytes]]]
    needs: tuple[str, ...]
    always: bool = True
    library: str = ""
    """What it needs beyond a plain installation: the extra `exports` brings it."""

    @property
    def is_possible(self) -> bool:
        """True if its library is installed."""
        return not self.library or importlib.util.find_spec(self.library) is not None

    def files(self, **given: Any) -> Iterator[tuple[str, bytes]]:
        """Yield its files, below a folder of its name, from more than it may need."""
        for path, data in self.write(**{need: given[need] for need in self.needs}):
            yield f"{self.name}/{path}", data


EXPORTS: dict[str, Export] = {
    export.name: export
    for export in (
        Export("grib", grib.statistics, ("products",)),
        Export("cog", cog.statistics, ("products",), library="rasterio"),
        Export("csv", series.by_place, ("members", "places")),
        Export("cap", cap.drafts, ("board", "sent")),
        Export("stac", stac.item, ("products", "assets"), library="pystac"),
        Export("grib_members", grib.members, ("members",), always=False),
        Export("netcdf_members", members.netcdf, ("members",), always=False),
    )
}
"""Every export that is made after publication, by name."""
VIEWS: dict[str, Export] = {
    "maps": Export("maps", web.maps, ("products",)),
    "points": Export("points", web.points, ("members",)),
}
"""What the page reads; it is published with the run itself."""
