"""Fuzzing the readers of QPESUMS: binary (coverage-guided, by atheris), text, JSON and XML (a loop of mutations).

python -m soak.fuzz_qpesums [--cases 20000] [--seed 1] [binary text text-full json xml]
python -m soak.fuzz_qpesums --guided [cases]
"""

from __future__ import annotations

import gzip
import json
import random
import re
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from unittest import mock

from soak.fuzzing import Parser, main
from stormcast_tw import quality
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.sources import opendata, qpepre, qpesums
from stormcast_tw.sources.translate.observation import Field
from stormcast_tw.storage.provider_files import Reader
from stormcast_tw.variables import VARIABLES

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
SMALL = Grid("QPEPRE", 21.8875, 21.9375, 5, 120.0, 120.0625, 6)

INT32 = [0, 1, -1, 2, 4, 4096, 4097, 65535, 1 << 20, 1 << 30, (1 << 31) - 1, -(1 << 31), -9990, -99]
WORDS = [
    b"NaN", b"-inf", b"1e999", b"1E-999", b"99999999999999999999", b"-1", b"-99", b"-999", b"0x1p3", b"1_0",
    b"--", b",,", b"\0", b"\xff\xfe", "１".encode(), b"\xed\xa0\x80", b"\\u0000", b"\\ud800", b"null", b"true",
    b"{", b"}", b"[", b"[[[[[[[[", b'"', b"<", b">", b"</", b"<a>", b"<!DOCTYPE a [<!ENTITY e 'x'>]>", b"&e;",
    b"&#0;", b"&#xD800;", b"<![CDATA[", b"<?xml", b"2026-06-11", b"2026-06-11T14:00:00", b"0001-01-01T00:00+08:00",
    b"9999-12-31T23:59-08:00", b"T24:00", b"201803280400", b"#", b"# SIMULATED\n", b"\r\n", b"\t", b"  ",
]  # fmt: skip


def binary_seed(nx: int = 6, ny: int = 5, radars: int = 1) -> bytes:
    """A small file, unpacked: the layout of data-formats.md 1.3."""
    data = struct.pack("<9i", 2026, 6, 11, 6, 0, 0, nx, ny, 1) + b"LL  "
    data += struct.pack("<10i", 100, 3000, 6000, 12075, 11950, 2600, 100, 1250, 1250, 100000)
    data += struct.pack("<i2i9i", 0, 1, 0, *[0] * 9) + struct.pack("<20s6s", b"CB_1H_GC Acc\0junk", b"mm\0XY\0")
    data += struct.pack("<3i", 4, -1, radars) + b"none" * radars
    return data + struct.pack(f"<{nx * ny}h", *(k % 40 - 4 if k % 7 == 0 else k for k in range(nx * ny)))


@lru_cache(maxsize=2)
def text_seed(grid: Grid) -> bytes:
    """QPEPRE on a grid."""
    points = ((y, x) for y in grid.y.tolist() for x in grid.x.tolist())
    rows = (f"{n} {x:.4f} {y:.4f} {n % 50 / 4:.2f}" for n, (y, x) in enumerate(points, 1))
    return ("\n".join(rows) + "\n").encode()


def json_seed() -> bytes:
    """O-B0045-001 of 4 x 3 points."""
    entries = {"StartPointLongitude": "118.0", "StartPointLatitude": "20.0", "GridResolution": "0.0125"} | {
        "DateTime": "2026-06-11T14:00:00+08:00",
        "GridDimensionX": "4",
        "GridDimensionY": "3",
        "Precipitation": "mm",
    }
    dataset = {"datasetInfo": {"datasetDescription": "rain", "parameterSet": entries}} | {
        "contents": {"content": ",".join(f"{k:.2E}" for k in range(12))}
    }
    root = {"dataid": "O-B0045-001", "sent": "2026-06-11T14:08:00+08:00", "dataset": dataset}
    return json.dumps({"cwaopendata": root}).encode()


def xml_seeds() -> list[bytes]:
    """The same as XML, and the schema of 2018 for the same hour."""
    numbers = ",".join(f"{k:.2E}" for k in range(12))
    today = (
        "<StartPointLongitude>118.0</StartPointLongitude><StartPointLatitude>20.0</StartPointLatitude>"
        "<GridResolution>0.0125</GridResolution><DateTime>2026-06-11T14:00:00+08:00</DateTime>"
        "<GridDimensionX>4</GridDimensionX><GridDimensionY>3</GridDimensionY><Precipitation>mm</Precipitation>"
    )
    texts = {"左下角": "117.975,19.975", "解析度": "0.075", "時間": "202606111400", "維度": "4*3", "單位": "mm"}
    old = "".join(
        f"<parameter><parameterName>{name}</parameterName><parameterValue>{text}</parameterValue></parameter>"
        for name, text in texts.items()
    )
    return [
        f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="urn:{root}"><sent>2026-06-11T14:08:00+08:00</sent>'
        f"<dataid>O-B0045-001</dataid><dataset><datasetInfo><datasetDescription>rain</datasetDescription>"
        f"<parameterSet>{entries}</parameterSet></datasetInfo><contents><content>{numbers}</content></contents>"
        f"</dataset></{root}>".encode()
        for root, entries in (("cwaopendata", today), ("cwbopendata", old))
    ]


def flip_bits(data: bytearray, rng: random.Random) -> None:
    """Flip one to eight bits."""
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random) -> None:
    """Cut off an end."""
    del data[rng.randrange(len(data)) :]


def delete(data: bytearray, rng: random.Random) -> None:
    """Take out a piece."""
    start = rng.randrange(len(data))
    del data[start : start + rng.choice((1, 2, 4, 16, 64))]


def repeat(data: bytearray, rng: random.Random) -> None:
    """Splice a piece in again, elsewhere, up to 100 times."""
    start = rng.randrange(len(data))
    piece = data[start : start + rng.choice((1, 4, 16, 64, 256))]
    where = rng.randrange(len(data))
    data[where:where] = piece * rng.choice((1, 1, 2, 100))


def word(data: bytearray, rng: random.Random) -> None:
    """Put one of the words where something else was, or between."""
    where = rng.randrange(len(data))
    data[where : where + rng.choice((0, 1, 4, 10))] = rng.choice(WORDS)


def number(data: bytearray, rng: random.Random) -> None:
    """Put an extreme number in place of one written in text."""
    places = list(re.finditer(rb"[0-9.]+", data))
    if places:
        place = rng.choice(places)
        extreme = str(rng.choice([*INT32, 1e308, 1e-308, 0.5])).encode()
        data[place.start() : place.end()] = rng.choice((extreme, *WORDS[:10], b"9" * 5000))


def header(data: bytearray, rng: random.Random) -> None:
    """Put an extreme number into the binary header."""
    where = 4 * rng.randrange(44)
    if where + 4 <= len(data):
        struct.pack_into("<i", data, where, rng.choice(INT32))


Mutation = Callable[[bytearray, random.Random], None]
COMMON: tuple[Mutation, ...] = (flip_bits, truncate, delete, repeat, word)


def mutate(seeds: list[bytes], mutations: tuple[Mutation, ...], rng: random.Random) -> bytes:
    """Change one of the seeds one to four times; one case in fifty stays as it is."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 4)) if rng.random() > 0.02 else 0):
        if data:
            rng.choice(mutations)(data, rng)
    return bytes(data)


def believe(found: Field) -> None:
    """Hold a decoded field to what `read` holds it to."""
    if found.values.shape != found.grid.shape:
        raise AssertionError(f"values {found.values.shape} on a grid of {found.grid.shape}")
    values, _ = quality.clip_small_negatives(found.values, 0.1, VARIABLES["tp01"], "fuzz")
    quality.check(values, VARIABLES["tp01"], "fuzz", missing_allowed=True)


def named(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return the same, whose refusals must begin with the name of what is read."""

    def reading(data: bytes) -> None:
        try:
            read(data)
        except BadInput as error:
            if not str(error).startswith("fuzz: "):
                raise AssertionError(f"a message without a name: {error}") from error
            raise

    return reading


def read_binary(data: bytes) -> None:
    """Decode a `.gz`."""
    believe(qpesums.decode(data, "fuzz", T))


def read_text(grid: Grid, data: bytes) -> None:
    """Decode QPEPRE on a grid; what the fast parser reads the general one must read alike."""
    with mock.patch.object(qpepre, "GRID", grid):
        found = qpepre.decode(data, "fuzz")
        try:
            with mock.patch.object(qpepre, "_regular_rows", return_value=None):
                general = qpepre.decode(data, "fuzz")
        except BadInput as error:
            raise AssertionError(f"the fast parser reads what the general one refuses: {error}") from error
        if found.values.tobytes() != general.values.tobytes():
            raise AssertionError("the fast parser differs from the general one")
        believe(found)


def read_document(data: bytes) -> None:
    """Find a document's time in its head, and decode it."""
    reader = Reader.of_bytes("fuzz", data)
    product = opendata.PRODUCTS["O-B0045-001"]
    opendata.time_of(reader, product)
    believe(opendata.decode(data, "fuzz", T, product))


def binary_case(packed: list[bytes], rng: random.Random) -> bytes:
    """Mutate the contents and pack them, or mutate the packed file."""
    if rng.random() < 0.7:
        contents = [binary_seed(), binary_seed(radars=3)]
        return gzip.compress(mutate(contents, (*COMMON, header, header), rng), compresslevel=0, mtime=0)
    return mutate(packed, COMMON, rng)


def parser_of(
    kind: str,
    read: Callable[[bytes], None],
    seeds: Callable[[], list[bytes]],
    make: Callable[[list[bytes], random.Random], bytes],
) -> Parser:
    """Return what mutates seeds and reads them."""
    good = seeds()
    return Parser(lambda seed, n: make(good, random.Random(f"{seed}/{kind}/{n}")), named(read), good)


def binary_seeds() -> list[bytes]:
    """Two files, packed."""
    return [gzip.compress(binary_seed(), mtime=0), gzip.compress(binary_seed(radars=3), mtime=0)]


def texts(seeds: list[bytes], rng: random.Random) -> bytes:
    """Mutate text."""
    return mutate(seeds, (*COMMON, number), rng)


PARSERS = {
    kind: partial(parser_of, kind, read, seeds, make)
    for kind, read, seeds, make in (
        ("binary-loop", read_binary, binary_seeds, binary_case),
        ("text", partial(read_text, SMALL), lambda: [text_seed(SMALL)], texts),
        (
            "text-full",
            partial(read_text, qpepre.GRID),
            lambda: [text_seed(qpepre.GRID)],
            lambda seeds, rng: mutate(seeds, COMMON, rng),
        ),
        ("json", read_document, lambda: [json_seed()], texts),
        ("xml", read_document, xml_seeds, texts),
    )
}


def coverage_guided(cases: int, seed: int) -> None:
    """Hand the binary reader to libFuzzer, which ends the process: with 0, or at the first case that is not BadInput.

    A case is what follows the header's time, which stands before it in seven of eight; it is packed here, for gzip's
    checksum would end nearly all others at once (`binary-loop` has those). Prints now and then how many were read.
    """
    import atheris

    for name in ("decode", "_unpack", "_check_time", "_grid"):
        setattr(qpesums, name, atheris.instrument_func(getattr(qpesums, name)))
    when, counts = binary_seed()[:24], Counter[str]()

    def one(data: bytes) -> None:
        contents = data[1:] if data[:1] > b"\xe0" else when + data[1:]
        try:
            read_binary(gzip.compress(contents, compresslevel=0))
            counts["read"] += 1
        except BadInput:
            counts["BadInput"] += 1
        if counts.total() % (cases // 2) == 0:
            print(f"{counts.total()} cases: {dict(counts)}", flush=True)

    corpus = Path(tempfile.mkdtemp(prefix="fuzz_qpesums_"))
    for k, contents in enumerate((binary_seed(), binary_seed(radars=3), binary_seed(nx=2, ny=2))):
        (corpus / f"after_time{k}").write_bytes(b"\0" + contents[24:])
        (corpus / f"whole{k}").write_bytes(b"\xff" + contents)
    options = (f"-runs={cases}", f"-seed={seed}", "-timeout=1", "-rss_limit_mb=1024", "-max_len=4096")
    options += ("-reduce_inputs=0", "-keep_seed=1")
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}/", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--guided"]:
        coverage_guided(cases=int((*sys.argv[2:], 200_000)[0]), seed=1)
    main(PARSERS, __doc__, by_name=("text-full",))
