"""Damaged GRIB files and indexes, thousands of them: each is read or refused as BadInput, never a crash.

python -m soak.fuzz_grib [--cases 20000] [--seed 1] [decode index idx]
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np

from soak.fuzzing import Parser, main
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.files import aifs, cwa_wrf, gfs, global_ai
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources import aifs as aifs_source
from stormcast_tw.sources import cwa_wrf as cwa_wrf_source
from stormcast_tw.sources import gfs as gfs_source
from stormcast_tw.sources import global_ai as global_ai_source
from stormcast_tw.sources.base import Located
from stormcast_tw.sources.formats import grib_index
from stormcast_tw.sources.translate import grib_run
from stormcast_tw.storage.provider_files import Reader
from stormcast_tw.variables import variable_set

START = datetime(2025, 6, 8, 6, tzinfo=UTC)
LEAD = 6

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True)
class Seed:
    """What is damaged, how the file is read, and what follows undamaged in it."""

    data: bytes
    read: Callable[[bytes], object]
    after: bytes = b""


def wanted(*ids: str) -> Located:
    """Return a request for variables of the run that the seeds are of."""
    return Located("fuzz", (), (START + timedelta(hours=LEAD),), variable_set("fuzz", *ids), START)


def scanned(ids: dict, radius=None) -> Callable[[bytes], object]:
    """Return what reads t500 and msl of a file without an index."""

    def read(data: bytes) -> object:
        reader = Reader.of_bytes("fuzz", data)
        entries = grib_index.scan(reader)
        return grib_run.read_step(reader, entries, ids, wanted("t500"), LEAD, TAIWAN_2KM, true_radius=radius)

    return read


def messages(data: bytes, *numbers: int) -> list[bytes]:
    """Return some messages of a file."""
    entries = grib_index.scan(Reader.of_bytes("fuzz", data))
    return [data[e.start : e.start + e.length] for e in (entries[number] for number in numbers)]


def gribs() -> tuple[Seed, ...]:
    """Return small files of all four providers, t500 among two messages: simple, CCSDS and complex packing, Lambert."""
    world = World(3)
    pangu = global_ai.encode(world, START, LEAD)
    (grib2, _), (ncep, _) = aifs.encode(world, START, LEAD), gfs.encode(world, START, LEAD)
    cwa = cwa_wrf.encode(world, START, LEAD)
    files = ((pangu, global_ai_source.PROVIDED, None), (grib2, aifs_source.PROVIDED, None),
             (ncep, gfs_source.PROVIDED, None), (cwa, cwa_wrf_source.PROVIDED, cwa_wrf_source.true_radius))  # fmt: skip
    seeds = []
    for data, ids, radius in files:
        keys = [entry.key for entry in grib_index.scan(Reader.of_bytes("fuzz", data))]
        t500, other = messages(data, keys.index(("t", 500)), 0)
        seeds.append(Seed(t500, scanned(ids, radius), other))
    return tuple(seeds)


def indexes() -> tuple[Seed, ...]:
    """Return an ECMWF index of 71 messages."""
    data, index = aifs.encode(World(3), START, LEAD)

    def read(text: bytes) -> object:
        entries = grib_index.ecmwf(text, "fuzz.index", len(data))
        return grib_index.choose(entries, aifs_source.PROVIDED, ("t500", "msl"), "fuzz.index")

    few = [line for line in index.splitlines(keepends=True) if b'"msl"' in line or b'"500"' in line]
    return (Seed(index, read), Seed(b"".join(few), read))


def idxs() -> tuple[Seed, ...]:
    """Return an NCEP index of 71 messages."""
    data, index = gfs.encode(World(3), START, LEAD)

    def read(text: bytes) -> object:
        entries = grib_index.ncep(text, "fuzz.idx", len(data), gfs_source._instants(LEAD))
        return grib_index.choose(entries, gfs_source.PROVIDED, ("t500", "msl"), "fuzz.idx")

    return (Seed(index, read),)


def damaged(data: bytes, chance: np.random.Generator, text: bool) -> bytes:
    """Return the bytes after one to four of: flipped bits, extreme numbers, words of the format, cuts and splices."""
    out = bytearray(data)
    for _ in range(int(chance.integers(1, 5))):
        at = int(chance.integers(min(len(out), 300) if chance.random() < 0.8 else len(out)))
        kind = chance.random()
        if kind < 0.35:
            out[at] ^= 1 << int(chance.integers(8))
        elif kind < 0.6 and text:
            out[at : at + int(chance.integers(12))] = WORDS[int(chance.integers(len(WORDS)))]
        elif kind < 0.6:
            width = int(chance.choice([1, 2, 4, 8]))
            out[at : at + width] = (EXTREMES[int(chance.integers(len(EXTREMES)))] % 256**width).to_bytes(width, "big")
        elif kind < 0.85:
            out[at] = int(chance.integers(256))
        elif kind < 0.95:
            source = int(chance.integers(len(out)))
            out[at : at + int(chance.integers(1, 64))] = out[source : source + int(chance.integers(1, 64))]
        else:
            del out[at + 20 :]
    return bytes(out)


WORDS = (b"", b"\n", b":", b'"', b"{", b"[" * 2000, b"null", b"true", b"1e999", b"-1", b"9" * 30, b"9" * 5000, b"NaN",
         b'"_offset": -1', b"\xff\xfe", b"\\ud800", json.dumps({"a": [[[]]]}).encode(), b"0.5")  # fmt: skip


def mended(data: bytes, chance: np.random.Generator) -> bytes:
    """Return a damaged message whose lengths fit again, in most cases, so that more of it is read."""
    if len(data) < 100 or chance.random() < 0.2:
        return data
    out = bytearray(data)
    out[:4], out[7], out[8:16] = b"GRIB", 2, struct.pack(">Q", len(out))
    out[-4:] = b"7777"
    at = 16
    while at + 5 < len(out) and (length := int.from_bytes(out[at : at + 4], "big")) >= 5 and out[at + 4] != 7:
        at += length
    if at + 9 < len(out):
        out[at : at + 4] = struct.pack(">I", len(out) - 4 - at)
    return bytes(out)


def parser_of(seeds: Callable[[], tuple[Seed, ...]], text: bool) -> Parser:
    """Return what fuzzes the files or the indexes that `seeds` gives."""
    chosen = seeds()

    def case(seed: int, number: int) -> tuple[Seed, bytes]:
        one, chance = chosen[number % len(chosen)], np.random.default_rng([seed, number])
        data = damaged(one.data, chance, text)
        return one, data if text else mended(data, chance) + one.after

    good = [(one, one.data + one.after) for one in chosen]
    return Parser(case, lambda made: made[0].read(made[1]), good)


PARSERS = {
    "decode": partial(parser_of, gribs, text=False),
    "index": partial(parser_of, indexes, text=True),
    "idx": partial(parser_of, idxs, text=True),
}

if __name__ == "__main__":
    main(PARSERS, __doc__)
