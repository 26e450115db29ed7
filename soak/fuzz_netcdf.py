"""Damages wrfout files of all five NetCDF kinds and reads them: each is read or refused as BadInput, nothing else.

    python soak/fuzz_netcdf.py [--cases 25000] [--seed 1] [kind ...]

Every case is a function of the seed and its number. Cases run in forked children, a batch each, with 512 MiB of address
space more than they start with; a child that crashes or hangs is counted with its case, and the next goes on after it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import h5netcdf
import netCDF4
import numpy as np

from stormcast_tw.errors import BadInput
from stormcast_tw.simulation import rwrp_upper
from stormcast_tw.simulation.weather import World
from stormcast_tw.sources.files import Reader, SourceFile
from stormcast_tw.sources.netcdf import open_netcdf
from stormcast_tw.sources.pressure_levels import on_pressure_levels
from stormcast_tw.sources.wrfout import Wrfout
from stormcast_tw.sources.wrfout_upper import read_atmosphere

INIT = datetime(2025, 6, 8, 6, tzinfo=UTC)
NY, NX = 5, 4
BATCH, SECONDS, HUNG_SECONDS = 500, 1.0, 10.0
MEMORY = 512 * 2**20
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**40, 2**63 - 1, 2**64 - 1)


@lru_cache(maxsize=1)
def _wrfout() -> tuple[dict[str, Any], dict[str, tuple[tuple[str, ...], np.ndarray]]]:
    """Return attributes and variables of a simulated wrfout, cut to 5 x 4 points."""
    whole = netCDF4.Dataset("wrfout", memory=rwrp_upper.encode(World(), INIT, 1))
    whole.set_auto_mask(False)
    keep = {"south_north": NY, "south_north_stag": NY + 1, "west_east": NX, "west_east_stag": NX + 1}
    variables = {}
    for name, variable in whole.variables.items():
        cut = tuple(slice(100, 100 + keep[d]) if d in keep else slice(None) for d in variable.dimensions)
        variables[name] = (variable.dimensions, variable[cut])
    return {name: whole.getncattr(name) for name in whole.ncattrs()}, variables


def _by_netcdf4(format_name: str) -> bytes:
    attributes, variables = _wrfout()
    out = netCDF4.Dataset("wrfout", "w", format=format_name, memory=1)
    out.setncatts(attributes)
    for name, (dimensions, values) in variables.items():
        for dimension, size in zip(dimensions, values.shape, strict=True):
            if dimension not in out.dimensions:
                out.createDimension(dimension, None if dimension == "Time" else size)
        packed = {"zlib": True, "shuffle": True, "fletcher32": True} if values.ndim == 4 else {}
        variable = out.createVariable(name, values.dtype, dimensions, **packed if format_name == "NETCDF4" else {})
        variable[:] = values
        variable.units = "something"
    return bytes(out.close())


def _by_h5netcdf() -> bytes:
    """The newest forms of HDF5's structures; contiguous variables besides chunked ones; text of variable length."""
    attributes, variables = _wrfout()
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w", libver="latest") as out:
        out.attrs.update(attributes)
        for name, (dimensions, values) in variables.items():
            for dimension, size in zip(dimensions, values.shape, strict=True):
                if dimension not in out.dimensions:
                    out.dimensions[dimension] = size
            packed = {"compression": "gzip", "chunks": (1, 4, 2, 2)} if values.ndim == 4 else {}
            variable = out.create_variable(name, dimensions, values.dtype, **packed)
            variable[...] = values
            variable.attrs["units"] = "something"
    return buffer.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "CDF-1": lambda: _by_netcdf4("NETCDF3_CLASSIC"),
    "CDF-2": lambda: _by_netcdf4("NETCDF3_64BIT_OFFSET"),
    "CDF-5": lambda: _by_netcdf4("NETCDF3_64BIT_DATA"),
    "HDF5": lambda: _by_netcdf4("NETCDF4"),
    "HDF5 latest": _by_h5netcdf,
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes that are flipped, cut, spliced, or hold extreme numbers; half of it in the first 8 kB."""
    out, kind = bytearray(data), chance.randrange(6)

    def place() -> int:
        return chance.randrange(min(len(out), chance.choice((512, 8192, len(data), len(data)))))

    if kind == 0:
        del out[place() :]
    elif kind == 1:
        for _ in range(chance.randint(1, 8)):
            out[place()] ^= 1 << chance.randrange(8)
    elif kind == 2:
        for _ in range(chance.randint(1, 3)):
            width = chance.choice((1, 2, 4, 8))
            number = (chance.choice(EXTREMES) & (256**width - 1)).to_bytes(width, chance.choice(("little", "big")))
            at = place() // width * width
            out[at : at + width] = number
    elif kind == 3:
        at, source, length = place(), place(), chance.randrange(1, 400)
        out[at : at + length] = out[source : source + length]
    elif kind == 4:
        at, length = place(), chance.randrange(1, 64)
        out[at : at + chance.choice((0, length))] = chance.randbytes(chance.choice((0, length)))
    else:
        at = place()
        out[at : at + chance.randrange(1, 2000)] = bytes(chance.randrange(1, 2000))
    return bytes(out)


def case(kind: str, data: bytes, seed: int, number: int) -> bytes:
    """Return the bytes of a case."""
    return damaged(data, random.Random(f"{seed} {kind} {number}"))


def exercise(data: bytes) -> str:
    """Read everything of a file, then what RWRP reads of it: `read`, or `BadInput`."""
    reader = Reader(SourceFile("case", "version", len(data)), lambda start, length: data[start : start + length])
    outcome = "read"
    try:
        with np.errstate(all="ignore"), open_netcdf(reader) as file:
            for variable in file.variables.values():
                outcome = _attempt(variable.read, outcome)
                outcome = _attempt(lambda variable=variable: variable.read(*[0] * min(2, len(variable.shape))), outcome)
            outcome = _attempt(lambda: _as_rwrp(Wrfout("case", file)), outcome)
    except BadInput:
        return "BadInput"
    return outcome


def _attempt(read: Callable[[], object], outcome: str) -> str:
    try:
        read()
    except BadInput:
        return "BadInput"
    return outcome


def _as_rwrp(wrfout: Wrfout) -> None:
    wrfout.require_run(INIT)
    index = wrfout.index_at(INIT + timedelta(hours=1))
    grid = wrfout.grid(index)
    wrfout.earth_relative_wind(index, grid)
    wrfout.accumulated_rain(index)
    atmosphere = read_atmosphere(wrfout, index, grid)
    on_pressure_levels(atmosphere.levels(), wrfout.field("PSFC", index), (850, 200), "case")
    atmosphere.water_vapour()


@dataclass
class Outcome:
    """What became of the cases of one kind."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0
    """Largest resident size of a child above that of its parent, bytes."""


def fuzz(kind: str, cases: int, seed: int) -> Outcome:
    """Exercise `cases` damaged files of a kind."""
    data, outcome, number = KINDS[kind](), Outcome(), 0
    while number < cases:
        number = _batch(kind, data, seed, range(number, min(number + BATCH, cases)), outcome)
    return outcome


def _batch(kind: str, data: bytes, seed: int, numbers: range, outcome: Outcome) -> int:
    """Run cases in a child; return the number of the first that is still to be run."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _in_child(kind, data, seed, numbers, send)
        os._exit(0)
    os.close(send)
    number = numbers.start
    with os.fdopen(receive, "rb") as lines:
        while select.select([lines], [], [], HUNG_SECONDS)[0] and (line := lines.readline()):
            _count(json.loads(line), number, kind, outcome)
            number += 1
    if number < numbers.stop:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    outcome.memory = max(outcome.memory, usage.ru_maxrss * 1024)
    if number < numbers.stop:
        how = "hang" if os.WTERMSIG(status) == signal.SIGKILL else signal.Signals(os.WTERMSIG(status)).name
        outcome.counts[how] += 1
        outcome.findings.append(f"{kind} case {number}: {how}")
        number += 1
    return number


def _count(report: dict[str, Any], number: int, kind: str, outcome: Outcome) -> None:
    outcome.counts[report["outcome"]] += 1
    outcome.slowest = max(outcome.slowest, report["seconds"])
    if report["outcome"] not in ("read", "BadInput"):
        outcome.findings.append(f"{kind} case {number}: {report['outcome']}")
    if report["seconds"] > SECONDS:
        outcome.findings.append(f"{kind} case {number}: {report['seconds']:.2f} s")


def _in_child(kind: str, data: bytes, seed: int, numbers: range, send: int) -> None:
    with open("/proc/self/statm", "rb") as sizes:  # noqa: PTH123
        limit = int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in numbers:
        bytes_of_case, start = case(kind, data, seed, number), time.process_time()
        try:
            found = exercise(bytes_of_case)
        except Exception as error:  # noqa: BLE001 - what is looked for
            found = f"{type(error).__name__}: {error}"[:200]
        seconds = time.process_time() - start
        os.write(send, json.dumps({"outcome": found, "seconds": seconds}).encode() + b"\n")


def main() -> int:
    """Run the fuzz and print its counts; return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=25_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    asked = parser.parse_args()
    found = 0
    for kind in asked.kinds:
        start = time.monotonic()
        outcome = fuzz(kind, asked.cases, asked.seed)
        seconds, own = time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(
            f"{kind}: {asked.cases} cases in {seconds:.0f} s, slowest {outcome.slowest:.2f} s of processor time,"
            f" resident at most {outcome.memory / 2**20:.0f} MiB ({own / 2**20:.0f} before the first case):"
            f" {dict(outcome.counts)}"
        )
        for finding in outcome.findings[:40]:
            print("  " + finding)
        found += len(outcome.findings)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
