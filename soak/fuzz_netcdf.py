"""Damages wrfout files of all five NetCDF kinds and reads them: each is read or refused as BadInput, nothing else.

python -m soak.fuzz_netcdf [--cases 20000] [--seed 1] [kind ...]
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import h5netcdf
import netCDF4
import numpy as np

from soak.fuzzing import Parser, main
from stormcast_tw.errors import BadInput
from stormcast_tw.simulation.files import rwrp_upper
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.formats.netcdf import open_netcdf
from stormcast_tw.sources.translate.pressure_levels import on_pressure_levels
from stormcast_tw.sources.wrfout import Wrfout
from stormcast_tw.sources.wrfout_upper import read_atmosphere
from stormcast_tw.storage.provider_files import Reader

INIT = datetime(2025, 6, 8, 6, tzinfo=UTC)
NY, NX = 5, 4
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


UNITS = {"T2": "K", "PSFC": "Pa", "U10": "m s-1", "V10": "m s-1", "HGT": "m"} | dict.fromkeys(
    ("RAINC", "RAINNC", "RAINSH"), "mm"
)


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
        variable.units = UNITS.get(name, "1")
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
            variable.attrs["units"] = UNITS.get(name, "1")
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


def exercise(data: bytes) -> None:
    """Read everything of a file, then what RWRP reads of it; raises the last BadInput, once all has been tried."""
    reader = Reader.of_bytes("case", data)
    refusals: list[BadInput] = []

    def attempt(read: Callable[[], object]) -> None:
        try:
            read()
        except BadInput as error:
            refusals.append(error)

    with np.errstate(all="ignore"), open_netcdf(reader) as file:
        for variable in file.variables.values():
            attempt(variable.read)
            attempt(lambda variable=variable: variable.read(*[0] * min(2, len(variable.shape))))
        attempt(lambda: _as_rwrp(Wrfout("case", file)))
    if refusals:
        raise refusals[-1]


def _as_rwrp(wrfout: Wrfout) -> None:
    wrfout.require_run(INIT)
    index = wrfout.index_at(INIT + timedelta(hours=1))
    grid = wrfout.grid(index)
    wrfout.earth_relative_wind(index, grid)
    wrfout.accumulated_rain(index)
    atmosphere = read_atmosphere(wrfout, index, grid)
    on_pressure_levels(atmosphere.levels(), wrfout.field("PSFC", index), (850, 200), "case")
    atmosphere.water_vapour()


def parser_of(kind: str) -> Parser:
    """Return what fuzzes the files of a kind."""
    data = KINDS[kind]()
    return Parser(lambda seed, number: case(kind, data, seed, number), exercise, good=(data,))


PARSERS = {kind: partial(parser_of, kind) for kind in KINDS}

if __name__ == "__main__":
    main(PARSERS, __doc__)
