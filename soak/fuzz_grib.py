"""Damaged GRIB files and indexes, thousands of them: each is read or refused as BadInput, never a crash.

    python soak/fuzz_grib.py [--cases 20000] [--seed 1] [decode index idx]

Cases are a function of the seed and their number. They run in forked children, a batch each, with 512 MiB of memory
more than they start with. A child that dies is counted with the signal and the case, and the next one goes on; so is a
case of more than 1 s of processor time.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import TAIWAN_2KM
from stormcast_tw.simulation import aifs, cwa_wrf, gfs, global_ai
from stormcast_tw.simulation.weather import World
from stormcast_tw.sources import aifs as aifs_source
from stormcast_tw.sources import cwa_wrf as cwa_wrf_source
from stormcast_tw.sources import gfs as gfs_source
from stormcast_tw.sources import global_ai as global_ai_source
from stormcast_tw.sources import grib_index, grib_steps
from stormcast_tw.sources.base import Located
from stormcast_tw.sources.files import Reader, SourceFile
from stormcast_tw.variables import variable_set

START = datetime(2025, 6, 8, 6, tzinfo=UTC)
LEAD = 6
BATCH = 500
SECONDS = 1.0
MEMORY = 512 * 2**20
HUNG_SECONDS = 30

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass
class Outcome:
    """What became of the cases of one parser."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: float = 0.0


@dataclass(frozen=True)
class Seed:
    """What is damaged, how the file is read, and what follows undamaged in it."""

    data: bytes
    read: Callable[[bytes], object]
    after: bytes = b""


def reader_of(data: bytes) -> Reader:
    """Return a reader of bytes in memory."""
    return Reader(SourceFile("fuzz", "1", len(data)), lambda start, length: data[start : start + length])


def wanted(*ids: str) -> Located:
    """Return a request for variables of the run that the seeds are of."""
    return Located("fuzz", (), (START + timedelta(hours=LEAD),), variable_set("fuzz", *ids), START)


def scanned(ids: dict, radius=None) -> Callable[[bytes], object]:
    """Return what reads t500 and msl of a file without an index."""

    def read(data: bytes) -> object:
        reader = reader_of(data)
        entries = grib_index.scan(reader)
        return grib_steps.read_step(reader, entries, ids, wanted("t500"), LEAD, TAIWAN_2KM, true_radius=radius)

    return read


def messages(data: bytes, *numbers: int) -> list[bytes]:
    """Return some messages of a file."""
    entries = grib_index.scan(reader_of(data))
    return [data[e.start : e.start + e.length] for e in (entries[number] for number in numbers)]


@lru_cache(maxsize=1)
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
        keys = [entry.key for entry in grib_index.scan(reader_of(data))]
        t500, other = messages(data, keys.index(("t", 500)), 0)
        seeds.append(Seed(t500, scanned(ids, radius), other))
    return tuple(seeds)


@lru_cache(maxsize=1)
def indexes() -> tuple[Seed, ...]:
    """Return an ECMWF index of 71 messages."""
    data, index = aifs.encode(World(3), START, LEAD)

    def read(text: bytes) -> object:
        entries = grib_index.ecmwf(text, "fuzz.index", len(data))
        return grib_index.choose(entries, aifs_source.PROVIDED, ("t500", "msl"), "fuzz.index")

    few = [line for line in index.splitlines(keepends=True) if b'"msl"' in line or b'"500"' in line]
    return (Seed(index, read), Seed(b"".join(few), read))


@lru_cache(maxsize=1)
def idxs() -> tuple[Seed, ...]:
    """Return an NCEP index of 71 messages."""
    data, index = gfs.encode(World(3), START, LEAD)

    def read(text: bytes) -> object:
        entries = grib_index.ncep(text, "fuzz.idx", len(data), gfs_source._instants(LEAD))
        return grib_index.choose(entries, gfs_source.PROVIDED, ("t500", "msl"), "fuzz.idx")

    return (Seed(index, read),)


PARSERS: dict[str, Callable[[], tuple[Seed, ...]]] = {"decode": gribs, "index": indexes, "idx": idxs}


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


def case(parser: str, seed: int, number: int) -> tuple[Seed, bytes]:
    """Return the case of this number."""
    seeds = PARSERS[parser]()
    chosen = seeds[number % len(seeds)]
    chance = np.random.default_rng([seed, number])
    text = parser != "decode"
    data = damaged(chosen.data, chance, text)
    return chosen, data if text else mended(data, chance) + chosen.after


def run_case(parser: str, seed: int, number: int) -> str:
    """Return `read` or `BadInput`; anything else goes through."""
    chosen, data = case(parser, seed, number)
    try:
        chosen.read(data)
    except BadInput as error:
        str(error)
        return "BadInput"
    return "read"


_SHARED = struct.Struct("q q q d")  # the case at work, read, refused, slowest


def child(parser: str, seed: int, numbers: range, shared: mmap.mmap, report: int) -> None:
    """Work through the cases in a process of its own; what is wrong is written to `report`, a line each."""
    with open("/proc/self/statm") as stream:  # noqa: PTH123
        now = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    counts, slowest = Counter[str](), 0.0
    for number in numbers:
        shared[: _SHARED.size] = _SHARED.pack(number, counts["read"], counts["BadInput"], slowest)
        signal.alarm(HUNG_SECONDS)
        began = time.process_time()
        try:
            counts[run_case(parser, seed, number)] += 1
        except Exception as error:  # noqa: BLE001  every kind is a finding
            os.write(report, f"case {number}: {type(error).__name__}: {str(error)[:200]!r}\n".encode())
        took = time.process_time() - began
        slowest = max(slowest, took)
        if took > SECONDS:
            os.write(report, f"case {number}: took {took:.1f} s\n".encode())
    shared[: _SHARED.size] = _SHARED.pack(numbers.stop, counts["read"], counts["BadInput"], slowest)


def batch(parser: str, seed: int, numbers: range, outcome: Outcome) -> int:
    """Run cases in a child; return the number of the first that is still to do."""
    shared = mmap.mmap(-1, _SHARED.size)
    receive, send = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(receive)
        child(parser, seed, numbers, shared, send)
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as lines:
        outcome.findings += [f"{parser} {line.strip()}" for line in lines]
    _, status = os.waitpid(process, 0)
    at, read, refused, slowest = _SHARED.unpack(shared[: _SHARED.size])
    outcome.counts.update(read=read, BadInput=refused)
    outcome.slowest = max(outcome.slowest, slowest)
    if os.WIFSIGNALED(status):
        outcome.findings.append(f"{parser} case {at}: ended by {signal.Signals(os.WTERMSIG(status)).name}")
        outcome.counts["crashed"] += 1
        return at + 1
    return numbers.stop


def fuzz(parser: str, cases: int, seed: int) -> Outcome:
    """Run cases 0 to `cases` of a parser."""
    outcome = Outcome()
    PARSERS[parser]()
    for chosen in PARSERS[parser]():
        chosen.read(chosen.data + chosen.after)  # undamaged, each is read
    number = 0
    while number < cases:
        number = batch(parser, seed, range(number, min(number + BATCH, cases)), outcome)
    return outcome


def main(arguments: Sequence[str]) -> int:
    """Print the outcome of each parser; return 1 if anything but `read` and `BadInput` came of a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parsers", nargs="*", default=list(PARSERS))
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    wrong = 0
    for name in options.parsers:
        began = time.perf_counter()
        outcome = fuzz(name, options.cases, options.seed)
        wrong += len(outcome.findings)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        counts = ", ".join(f"{count} {what}" for what, count in sorted(outcome.counts.items()))
        print(
            f"{name}: {options.cases} cases in {time.perf_counter() - began:.0f} s: {counts};"
            f" slowest {outcome.slowest:.3f} s of processor time, peak memory {peak:.0f} MiB,"
            f" findings {len(outcome.findings)}"
        )
        for finding in outcome.findings[:50]:
            print(f"  {finding}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
