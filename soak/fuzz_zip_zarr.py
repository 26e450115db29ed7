"""Damages the zip of the Climate Data Store and the objects of an ARCO store, and reads them as ERA5.

python -m soak.fuzz_zip_zarr [--cases 20000] [--seed 1] [zip zarr]
"""

from __future__ import annotations

import io
import json
import random
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from soak.fuzzing import Parser, main
from stormcast_tw.simulation.files import era5 as simulated
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.era5 import Era5
from stormcast_tw.sources.era5_cds import Era5Cds
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

T = datetime(2024, 8, 15, tzinfo=UTC)
VARIABLES = variable_set("fuzzed", "t2m", "tp01")
EXTREMES = (0, 1, -1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1)
WORDS = (None, True, -1, 0, 2**31, 2**63, 1e308, "", "NaN", "<f4", "|V9", [], [0], {}, [[]], "\u0000", "9" * 50)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes that are flipped, cut, spliced, or hold an extreme number somewhere."""
    kind, out = chance.randrange(6), bytearray(data)
    at = chance.randrange(len(out)) if out else 0
    if not out or kind == 0:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(64)))
    if kind == 1:
        return bytes(out[:at])
    if kind == 2:
        for _ in range(chance.randint(1, 8)):
            out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    elif kind == 3:
        width = chance.choice((1, 2, 4, 8))
        number = chance.choice(EXTREMES) & (256**width - 1)
        out[at : at + width] = number.to_bytes(width, chance.choice(("little", "big")))
    elif kind == 4:
        other = chance.randrange(len(out))
        out[at : at + chance.randrange(200)] = out[other : other + chance.randrange(200)]
    else:
        edge = chance.choice((0, max(len(out) - 100, 0)))  # heads and tails hold the numbers
        out[min(edge + chance.randrange(100), len(out) - 1)] = chance.randrange(256)
    return bytes(out)


def reworded(text: bytes, chance: random.Random) -> bytes:
    """Return a JSON document with one of its values exchanged, or damaged as any bytes."""
    if chance.random() < 0.3:
        return damaged(text, chance)
    document = json.loads(text)
    inside, key = document, chance.choice(list(document))
    while isinstance(inside[key], dict | list) and inside[key] and chance.random() < 0.6:
        inside = inside[key]
        key = chance.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
    inside[key] = chance.choice(WORDS)
    return json.dumps(document).encode()


def zip_cases() -> tuple[Mapping[str, bytes], Callable[[random.Random], tuple[str, bytes]]]:
    """Return the good file, and what makes a damaged one: the container, or a member inside a sound container."""
    good = simulated.cds_zip(World(7), (T,), VARIABLES.ids)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def case(chance: random.Random) -> tuple[str, bytes]:
        if chance.random() < 0.8:
            return "era5.nc", damaged(good, chance)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, data in members.items():
                archive.writestr(name, damaged(data, chance))
        return "era5.nc", buffer.getvalue()

    return {"era5.nc": good}, case


def zarr_cases() -> tuple[Mapping[str, bytes], Callable[[random.Random], tuple[str, bytes]]]:
    """Return the good objects of a store, and what damages one of those that are read."""
    objects = simulated.arco(World(7), (T,), VARIABLES.ids, T)
    read = [path for path in objects if not path.endswith(".zgroup") and "level" not in path]
    documents = [path for path in read if path.endswith((".zarray", ".zattrs"))]

    def case(chance: random.Random) -> tuple[str, bytes]:
        path = chance.choice(documents if chance.random() < 0.7 else read)
        return path, (reworded if path in documents else damaged)(objects[path], chance)

    return objects, case


def parser_of(name: str) -> Parser:
    """Return what fuzzes "zip" or "zarr": one object of a good archive is damaged, read, and put back."""
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    source: Source = Era5Cds(Folder(folder.name), ("era5.nc",)) if name == "zip" else Era5(Folder(folder.name), ".")
    good, damage = zip_cases() if name == "zip" else zarr_cases()
    for path, data in good.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    def read(damaged_object: tuple[str, bytes], _folder: object = folder) -> None:
        path, data = damaged_object
        (root / path).write_bytes(data)
        try:
            source.read(source.find((T,), VARIABLES))
        finally:
            (root / path).write_bytes(good[path])

    def case(seed: int, number: int) -> tuple[str, bytes]:
        return damage(random.Random(f"{seed} {name} {number}"))

    return Parser(case, read, [next(iter(good.items()))], ("read", "BadInput", "NotReady"))


PARSERS = {name: partial(parser_of, name) for name in ("zip", "zarr")}

if __name__ == "__main__":
    main(PARSERS, __doc__)
