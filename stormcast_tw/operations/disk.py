"""Is there room for a cycle: what it leaves below the work and the published root, and what is free on their disks.

A root in an object store is not asked: such stores do not say what is free.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stormcast_tw.errors import Refused
from stormcast_tw.settings import Settings
from stormcast_tw.storage.objects import objects
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS

if TYPE_CHECKING:
    from stormcast_tw.model.description import Description

FLOAT32_BYTES = 4
PRODUCT_MAPS = 60
"""Uncompressed maps an hour that the products are as large as, Zarr and NetCDF together: 27 and 40 were measured for
16 members and 12 h, of a day with thunderstorms."""
SPARE_BYTES = 2**30
"""Stays free beside a cycle, for logs, the database and what else is on the disk."""


@dataclass(frozen=True)
class Needed:
    """Bytes that a cycle leaves below the work and below the published root, at most."""

    work: int = 0
    published: int = 0


@dataclass(frozen=True)
class Space:
    """A disk that holds a root, or both: a folder on it, its free bytes, and those that a cycle needs there."""

    folder: str
    free: int
    needed: int

    @property
    def fine(self) -> bool:
        """True if a cycle fits and SPARE_BYTES stay free."""
        return self.free >= self.needed + SPARE_BYTES

    def __str__(self) -> str:
        return f"{self.free / 2**30:.1f} GiB free at {self.folder}, a cycle needs {self.needed / 2**30:.2f} GiB"


def needed(package: Description, members: int, lead_hours: int) -> Needed:
    """Return what a cycle leaves: members and products in both roots; in work fetched and prepared inputs besides.

    Members count as float32 without compression; inputs on their providers' grids as much as prepared ones.
    """
    states, backgrounds = len(STATE_SETS[package.state_set].ids), len(BACKGROUND_SETS[package.background_set].ids)
    map_bytes = FLOAT32_BYTES * package.grid.ny * package.grid.nx
    forecast = lead_hours * (members * states + PRODUCT_MAPS)
    inputs = 2 * (states + (lead_hours + 1) * backgrounds)
    return Needed(work=map_bytes * (forecast + inputs), published=map_bytes * forecast)


def spaces(settings: Settings, of: Needed) -> list[Space]:
    """Return the local disks that hold the roots, and what is needed and free on each; none for object stores."""
    found: dict[int, Space] = {}
    for root, size in ((settings.work_root, of.work), (settings.published_root, of.published)):
        if (folder := _folder(root)) is None:
            continue
        device, before = folder.stat().st_dev, 0
        if device in found:
            folder, before = Path(found[device].folder), found[device].needed
        found[device] = Space(str(folder), shutil.disk_usage(folder).free, before + size)
    return list(found.values())


def require_space(settings: Settings, package: Description, members: int, lead_hours: int) -> None:
    """Raise Refused, before a cycle begins, where what it leaves does not fit on a disk."""
    for space in spaces(settings, needed(package, members, lead_hours)):
        if not space.fine:
            allowed = f"allowed at least {(space.needed + SPARE_BYTES) / 2**30:.2f} GiB"
            raise Refused(f"{space.folder}: {space.free / 2**30:.2f} GiB are free for a cycle of {members} members x"
                          f" {lead_hours} h; {allowed}; see `stormcast-tw prune --dry-run`")  # fmt: skip


def _folder(root: str) -> Path | None:
    """Return the folder of a local root, or the nearest above it that is there; None for an object store."""
    path = objects(root).root
    if "://" in path:
        return None
    folder = Path(path)
    while not folder.exists():
        folder = folder.parent
    return folder
