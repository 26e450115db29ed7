"""Is this machine fit to forecast? One check per row, each with its remedy."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from stormcast_tw.errors import StormcastError
from stormcast_tw.model.description import describe
from stormcast_tw.operations import disk
from stormcast_tw.regions import HOME
from stormcast_tw.settings import Settings
from stormcast_tw.sources import qpepre_clock, table
from stormcast_tw.storage.objects import objects

FREE_GIB = 5.0
"""A cycle of 50 members and 48 h of the surface state takes 1.1 GB in work and again in published."""

MOST_HOURS = 48
"""The longest forecast, for which there should be room."""

_PINNED_BELOW = {"fastapi": (0, 151), "sqlalchemy": (2, 1), "eccodes": (2, 43)}


@dataclass(frozen=True)
class Diagnosis:
    """The outcome of a check."""

    check: str
    fine: bool
    found: str
    cure: str = ""


def examine(settings: Settings) -> list[Diagnosis]:
    """Run every check; a failed check is returned, not raised."""
    return [_run(name, check, settings) for name, check in CHECKS.items()]


def _run(name: str, check: Callable[[Settings], tuple[bool, str, str]], settings: Settings) -> Diagnosis:
    try:
        fine, found, cure = check(settings)
    except (StormcastError, OSError, ImportError, RuntimeError, ValueError) as error:
        return Diagnosis(name, False, f"{type(error).__name__}: {error}", "fix what the message names")
    return Diagnosis(name, fine, found, "" if fine else cure)


def _versions(_settings: Settings) -> tuple[bool, str, str]:
    installed = {name: metadata.version(name) for name in _PINNED_BELOW}
    fine = all(tuple(int(p) for p in installed[n].split(".")[:2]) < limit for n, limit in _PINNED_BELOW.items())
    return fine, ", ".join(f"{n} {v}" for n, v in installed.items()), "install the versions of requirements.lock"


def _torch(settings: Settings) -> tuple[bool, str, str]:
    torch = importlib.import_module("torch")
    importlib.import_module("torchvision")
    torch.zeros(1, device=settings.device)
    threads = torch.get_num_threads()
    found = f"torch {torch.__version__} on {settings.device}, {threads} thread{'s' if threads > 1 else ''}"
    return True, found, ""


def _projections(_settings: Settings) -> tuple[bool, str, str]:
    proj, eccodes = importlib.import_module("pyproj"), importlib.import_module("eccodes")
    proj.CRS.from_epsg(4326)
    found = f"pyproj {proj.__version__}, eccodes {eccodes.codes_get_api_version()}"
    return True, found, ""


def _package(settings: Settings) -> tuple[bool, str, str]:
    described = describe(settings.package)
    trained = "trained" if described.trained else "UNTRAINED"
    return True, f"{described.name} {described.version} ({described.digest[:12]}), {trained}", ""


def _conditions(root: str) -> tuple[bool, str, str]:
    store, path = objects(root), f".doctor/{uuid4().hex}"
    try:
        created, again = store.create(path, b"1"), store.create(path, b"2")
        seen = store.read(path)
        stale, fresh = store.swap(path, "another version", b"3"), seen and store.swap(path, seen.version, b"4")
    finally:
        store.remove(".doctor")
    works = [("create", created and not again), ("compare-and-swap", bool(fresh) and not stale)]
    found = ", ".join(f"conditional {name} {'works' if fine else 'DOES NOT WORK'}" for name, fine in works)
    return (
        all(fine for _, fine in works),
        f"{store.root}: {found}",
        "use a store that honours If-None-Match and If-Match",
    )


def _disk(settings: Settings) -> tuple[bool, str, str]:
    root = Path(objects(settings.work_root).root)
    while not root.exists():
        root = root.parent
    free = shutil.disk_usage(root).free / 2**30
    return (
        free >= FREE_GIB,
        f"{free:.1f} GiB free at {root}",
        f"free some disk space: at least {FREE_GIB:g} GiB are needed",
    )


def _space(settings: Settings) -> tuple[bool, str, str]:
    package = describe(settings.package)
    found = disk.spaces(settings, disk.needed(package, package.members, MOST_HOURS))
    text = "; ".join(map(str, found)) or "both roots are in object stores, which do not say what is free"
    return all(space.fine for space in found), text, "remove what is kept no longer: `stormcast-tw prune --dry-run`"


def _qpepre(settings: Settings) -> tuple[bool, str, str]:
    """Compare the four readings of QPEPRE's file names with the first hour of RWRP's runs."""
    folder = table.folder(settings, "qpepre")
    if not folder.names(""):
        return True, "there are no QPEPRE files", ""
    rain = qpepre_clock.first_hours(table.source("rwrp_rain", settings, HOME.grid), folder, _COMPARED_HOURS)
    readings = qpepre_clock.agreements(rain, folder)
    best, chosen = qpepre_clock.verdict(readings), (settings.qpepre_clock, settings.qpepre_stamp)
    text = ", ".join(f"{a.clock}/{a.stamp} {a.correlation:.2f} ({a.hours} h)" for a in readings)
    if best is None:
        return chosen != (None, None), f"correlation with RWRP's rain does not single one out: {text}", _QPEPRE_CURE
    return chosen == (best.clock, best.stamp), f"correlation with RWRP's rain: {text}", _QPEPRE_CURE


_COMPARED_HOURS = 48
_QPEPRE_CURE = (
    "set STORMCAST_TW_QPEPRE_CLOCK and STORMCAST_TW_QPEPRE_STAMP to the reading that agrees best at hours with rain"
)


CHECKS: dict[str, Callable[[Settings], tuple[bool, str, str]]] = {
    "pinned versions": _versions,
    "torch and device": _torch,
    "projections and GRIB": _projections,
    "model package": _package,
    "QPEPRE's clock": _qpepre,
    "work root": lambda settings: _conditions(settings.work_root),
    "published root": lambda settings: _conditions(settings.published_root),
    "disk": _disk,
    "room for a cycle": _space,
}
"""Every check by its name."""
