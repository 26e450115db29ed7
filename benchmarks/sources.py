"""What finding and parsing files takes: QPEPRE's text against np.loadtxt, and find among ten thousand files.

    python benchmarks/sources.py

QPEPRE's text is the simulated hour in the provider's own size, decoded in turns by our decoder and np.loadtxt: medians
of CPU time. QPESUMS, QPEPRE and the open data's archive are found a hundred times each in a folder that holds one file
of each, and in one that holds ten thousand more: since a file is found by its name, both should take the same.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from stormcast_tw.simulation.files import qpepre as qpepre_files
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.opendata import RAIN_KEY, OpenData, archived_path
from stormcast_tw.sources.qpepre import Qpepre, decode
from stormcast_tw.sources.qpepre import path as qpepre_path
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

TIME = datetime(2026, 6, 11, 6, tzinfo=UTC)
ROUNDS, FINDS, CROWD = 7, 100, 10_000


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds that one call takes."""
    began = time.process_time()
    call()
    return time.process_time() - began


def parsing() -> None:
    """Print how long one QPEPRE file takes us and np.loadtxt."""
    text = qpepre_files.encode(World(seed=7), TIME)
    turns = [
        (cpu_seconds(lambda: decode(text, "qpepre")), cpu_seconds(lambda: np.loadtxt(io.BytesIO(text))))
        for _ in range(ROUNDS)
    ]
    ours, numpys = (statistics.median(side) for side in zip(*turns, strict=True))
    print(f"QPEPRE text, {len(text) / 1e6:.1f} MB: ours {ours:.3f} s, np.loadtxt {numpys:.3f} s: {numpys / ours:.1f} x")


def folder(root: Path, crowd: int) -> Path:
    """Return a provider's folder with one file of every form, and `crowd` files more."""
    day = root / "20260611"
    day.mkdir(parents=True)
    for number in range(crowd):
        (day / f"CB_GC_PCP_1H_RAD.{number:08d}.0000.gz").touch()
    (root / "O-B0045-001").mkdir()
    (root / "O-B0045-001" / "20260611").symlink_to(day)
    for path in (
        root / qpesums_path(TIME),
        day / qpepre_path(TIME, "utc", "end"),
        root / archived_path(RAIN_KEY, TIME),
    ):
        path.touch()
    return root


def find_all(root: Path) -> None:
    """Find the hour in every form, FINDS times each."""
    here, rain = Folder(str(root)), variable_set("rain", "tp01")
    for source in (Qpesums(here), Qpepre(Folder(str(root / "20260611")), "utc", "end"), OpenData(here, kept=here)):
        for _ in range(FINDS):
            source.find((TIME,), rain)


def finding() -> None:
    """Print how long finding takes in an empty folder and in a crowded one."""
    with tempfile.TemporaryDirectory() as scratch:
        empty, crowded = folder(Path(scratch, "empty"), 0), folder(Path(scratch, "crowded"), CROWD)
        turns = [(cpu_seconds(lambda: find_all(empty)), cpu_seconds(lambda: find_all(crowded))) for _ in range(ROUNDS)]
        listed = cpu_seconds(lambda: [entry.name for entry in os.scandir(crowded / "20260611")])
    alone, among = (statistics.median(side) / (3 * FINDS) * 1e3 for side in zip(*turns, strict=True))
    print(f"a find: {alone:.2f} ms alone, {among:.2f} ms among {CROWD:,} files: {among / alone:.2f} x")
    print(f"(a listing of that folder: {listed * 1e3:.1f} ms)")


if __name__ == "__main__":
    parsing()
    finding()
