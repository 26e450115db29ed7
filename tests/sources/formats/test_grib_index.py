"""Where the messages of a GRIB file lie: `.index`, `.idx` and heads, and everything in them that is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.formats import grib, grib_index
from stormcast_tw.sources.formats.grib_index import Entry
from stormcast_tw.storage.provider_files import Folder, Reader
from tests.sources.conftest import grib_message

T = datetime(2026, 6, 11, tzinfo=UTC)
LATITUDE, LONGITUDE = np.linspace(30.0, 15.0, 101), np.linspace(115.0, 130.0, 101)


def field(short_name: str, level: int | None, **keys) -> bytes:
    values = np.linspace(250, 260, LATITUDE.size * LONGITUDE.size)
    return grib_message((short_name, level), values, LATITUDE, LONGITUDE, T, 6, **keys)


def opened(folder: Path, data: bytes):
    (folder / "file").write_bytes(data)
    place = Folder(str(folder))
    return place.open(place.find("file"))


def line(offset: int = 0, length: int = 100, **more) -> str:
    said = {"param": "t", "levtype": "pl", "levelist": "500", "_offset": offset, "_length": length}
    return json.dumps({key: value for key, value in (said | more).items() if value is not None}) + "\n"


def test_an_ecmwf_index_says_what_lies_where():
    text = line(0, 100) + line(300, 50, param="2t", levtype="sfc", levelist=None) + line(100, 200, levtype="sol")
    assert grib_index.ecmwf(text.encode(), "f.index", 350) == (
        Entry(("t", 500), 0, 100),
        Entry(("2t", None), 300, 50),
    )
    assert grib_index.ecmwf(text.rstrip().encode(), "f.index", 350)[0] == Entry(("t", 500), 0, 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line()[:-20], r"line 1 is '\{\"param.*; allowed JSON with param, levtype, _offset, _length"),
        (line() + "\n" + line(100), r"line 2 is ''; allowed JSON"),
        ("<html>404</html>\n", r"line 1 is '<html>404</html>'; allowed JSON"),
        ("[]\n", r"line 1 is '\[\]'; allowed JSON"),
        ("[" * 100_000, r"line 1 is '\[+'; allowed JSON"),
        (line(_offset="0"), r"line 1 is"),
        (line(_offset=True), r"line 1 is"),
        (line(_length=10**40), r"line 1 is"),
        (line(_length=None), r"line 1 is"),
        (line(levelist="low"), r"line 1 is"),
        (line(levelist=None), r"line 1 is"),
        (line(-5, 100), r"line 1 is"),
        (line(0, 351), r"points at bytes 0 to 351; the file has 350"),
        (line(340, 100), r"points at bytes 340 to 440; the file has 350"),
        (line(0, 100) + line(99, 100), r"points at bytes 99 to 199 after 100; allowed messages .* one after the other"),
        (line(0, 15), r"points at bytes 0 to 15 after 0; allowed messages of 16 bytes or more"),
        ("{\"param\": \"t\u00e9\"}\n", r"byte 12 is 0xc3; allowed ASCII"),
    ],
    ids=lambda value: value[:18] if isinstance(value, str) else None,
)  # fmt: skip
def test_what_is_wrong_with_an_ecmwf_index_is_said(text: str, message: str):
    with pytest.raises(BadInput, match=r"^f\.index: " + message):
        grib_index.ecmwf(text.encode(), "f.index", 350)


NAMES = {("TMP", "500 mb", "6 hour fcst"): ("t", 500), ("PRMSL", "mean sea level", "6 hour fcst"): ("prmsl", None)}
IDX = (
    "1:0:d=2026061100:TMP:500 mb:6 hour fcst:\n"
    "2:100:d=2026061100:TMP:500 mb:0-6 hour ave fcst:\n"
    "3:170:d=2026061100:PRMSL:mean sea level:6 hour fcst:\n"
)


def test_an_ncep_index_has_starts_and_the_last_message_ends_with_the_file():
    assert grib_index.ncep(IDX.encode(), "f.idx", 350, NAMES) == (
        Entry(("t", 500), 0, 100),
        Entry(("prmsl", None), 170, 180),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (IDX[:-9], r"line 3 is '3:170:d=2026061100:PRMSL:mean sea level:6 ho'; allowed 3:first byte:d="),
        (IDX.replace("170", "360"), r"points at bytes 100 to 360; the file has 350"),
        (IDX.replace(":100:", ":180:"), r"points at bytes 170 to 350 after 180; allowed .* one after the other"),
        (IDX.replace("2:100", "2.1:100"), r"line 2 is '2\.1:100:d="),
        (IDX.replace("3:170", "4:170"), r"line 3 is '4:170:.*; allowed 3:first byte"),
        ("<!DOCTYPE html>\n", r"line 1 is '<!DOCTYPE html>'; allowed 1:first byte"),
        (IDX.replace("d=2026061100:TMP", "TMP", 1), r"line 1 is '1:0:TMP"),
        (IDX.replace(":170:", ":345:"), r"points at bytes 345 to 350 after 345; allowed messages of 16 bytes or more"),
        (IDX.replace(":170:", f":{'9' * 15}:"), r"points at bytes 100 to 9{15}; the file has 350"),
        (IDX.replace(":170:", f":{'9' * 5000}:"), r"line 3 is '3:9"),
    ],
    ids=lambda value: value[-30:] if isinstance(value, str) else None,
)  # fmt: skip
def test_what_is_wrong_with_an_ncep_index_is_said(text: str, message: str):
    with pytest.raises(BadInput, match=r"^f\.idx: " + message):
        grib_index.ncep(text.encode(), "f.idx", 350, NAMES)


@pytest.mark.parametrize(("size", "message"), [(0, "0 bytes"), (8_000_001, "8000001 bytes")])
def test_an_empty_or_an_endless_index_is_not_read(size: int, message: str, tmp_path: Path):
    path = tmp_path / "file"
    path.touch()
    with path.open("r+b") as stream:
        stream.truncate(size)
    place = Folder(str(tmp_path))
    with (
        place.open(place.find("file")) as reader,
        pytest.raises(BadInput, match=rf"file: {message}; allowed an index of 1 to 8000000"),
    ):
        grib_index.read(reader)


def test_a_scan_reads_heads_and_knows_every_message(tmp_path: Path):
    messages = [
        field("t", 500),
        field("10u", None, packingType="grid_ccsds"),
        field("gh", 850, edition=1),
        field("tp", None),
        field("q", 1000, setLocalDefinition=1, experimentVersionNumber="simu"),
    ]
    starts = np.cumsum([0, *map(len, messages)]).tolist()
    with opened(tmp_path, b"".join(messages)) as reader:
        entries = grib_index.scan(reader)
        assert [entry.key for entry in entries] == [("t", 500), ("10u", None), ("gh", 850), ("tp", None), ("q", 1000)]
        assert [(entry.start, entry.length) for entry in entries] == list(
            zip(starts[:-1], map(len, messages), strict=True)
        )
        assert (reader.used.bytes_used, reader.used.bytes_of_index) == (0, 5 * grib_index.HEAD)
        for entry, whole in zip(entries, messages, strict=True):
            assert grib_index.message(reader, entry) == whole
        assert reader.used.bytes_used == sum(map(len, messages))


@pytest.mark.parametrize("edition", [1, 2])
def test_a_message_with_a_bitmap_is_read_whole_to_be_known(edition: int, tmp_path: Path):
    data = field("t", 500, edition=edition, holes=1)
    with opened(tmp_path, data) as reader:
        assert grib_index.scan(reader) == (Entry(("t", 500), 0, len(data)),)
        assert reader.used.bytes_of_index == len(data)


def test_a_message_shorter_than_a_head_is_known(tmp_path: Path):
    data = grib_message(("t", 500), np.full(9, 260.0), [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], T, 6)
    assert len(data) < grib_index.HEAD
    with opened(tmp_path, data + data) as reader:
        assert [entry.start for entry in grib_index.scan(reader)] == [0, len(data)]


def test_what_a_scan_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grib_index, "MOST_MESSAGES", 20)
    good = field("t", 500)
    many = grib_message(("t", 500), np.full(9, 260.0), [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], T, 6) * 21
    cases = {
        b"": r"0 bytes; allowed at least one GRIB message",
        b"GRIB": r"byte 0 begins with b'GRIB'; allowed GRIB of edition 1 or 2",
        good[:7] + b"\x03" + good[8:]: r"byte 0 begins with b'GRIB.*; allowed GRIB of edition 1 or 2",
        good + good[:-1]: rf"the message at byte {len(good)} is {len(good)} bytes long; found {len(good) - 1}",
        good[:8] + bytes(8) + good[16:]: r"the message at byte 0 is 0 bytes long; found",
        good[:16] + b"\xff" * 5 + good[21:]: r"the message at byte 0: section 255 of 4294967295 bytes at byte 16",
        many: r"has more than 20 messages before byte \d+",
    }
    for data, message in cases.items():
        with opened(tmp_path, data) as reader, pytest.raises(BadInput, match=r"file: " + message):
            grib_index.scan(reader)


def test_a_message_that_claims_more_memory_than_any_field_is_not_read(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"GRIB\0\0\0\x02" + (50_000_000).to_bytes(8, "big"))
    with path.open("r+b") as stream:
        stream.truncate(50_000_000)
    place = Folder(str(tmp_path))
    with place.open(place.find("file")) as reader:
        with pytest.raises(BadInput, match="the message at byte 0 is 50000000 bytes long; allowed 40000000"):
            grib_index.scan(reader)
        with pytest.raises(BadInput, match="the message at byte 0 is 50000000 bytes long; allowed 16 to 40000000"):
            grib_index.message(reader, Entry(("t", 500), 0, 50_000_000))


def test_a_range_is_a_message_or_refused(tmp_path: Path):
    good = field("t", 500)
    size = len(good)

    def read(data: bytes, start: int, length: int) -> bytes:
        with opened(tmp_path, data) as reader:
            return grib_index.message(reader, Entry(("t", 500), start, length))

    assert read(b"xx" + good, 2, size) == good
    for data, start, length, message in (
        (good, 1, size - 1, r"the message at byte 1 begins with b'RIB.*; allowed b'GRIB'"),
        (good, 0, size - 1, rf"the message at byte 0 says that it is {size} bytes long; the index says {size - 1}"),
        (good[:-4] + b"0000", 0, size, r"the message at byte 0 ends with b'0000'; allowed b'7777'"),
        (good, 0, size + 1, rf"bytes 0 to {size + 1} are requested; the file has {size}"),
        (good, 0, 15, r"the message at byte 0 is 15 bytes long; allowed 16 to"),
    ):
        with pytest.raises(BadInput, match=r"file: " + message):
            read(data, start, length)


def test_each_wanted_message_is_there_once():
    ids = {("z", 500): "z500", ("gh", 500): "z500", ("2t", None): "t2m"}
    entries = [Entry(("z", 500), 0, 100), Entry(("u", 500), 100, 100), Entry(("2t", None), 200, 100)]
    assert grib_index.choose(entries, ids, ("t2m",), "f") == {"t2m": entries[2]}
    twice = [*entries, Entry(("gh", 500), 300, 100)]
    with pytest.raises(BadInput, match="f: z500 appears twice, at bytes 0 and 300; allowed once"):
        grib_index.choose(twice, ids, ("z500",), "f")
    assert grib_index.choose(twice, ids, ("t2m",), "f") == {"t2m": entries[2]}
    with pytest.raises(BadInput, match="f: has no message for z500; found 1, allowed 2"):
        grib_index.choose(entries[1:], ids, ("t2m", "z500"), "f")


def test_rain_that_eccodes_cannot_name_is_named(tmp_path: Path):
    keys = {"centre": 255, "productDefinitionTemplateNumber": 8, "typeOfStatisticalProcessing": 1, "stepRange": "0-6"}
    numbers = {"discipline": 0, "parameterCategory": 1, "parameterNumber": 8}
    with opened(tmp_path, field("2t", None, typeOfFirstFixedSurface=1, **keys, **numbers)) as reader:
        assert known(reader) == ("tp", None)
    numbers = {"discipline": 0, "parameterCategory": 1, "parameterNumber": 250}
    with opened(tmp_path, field("2t", None, typeOfFirstFixedSurface=1, **keys, **numbers)) as reader:
        assert known(reader) == ("unknown", None)


def known(reader: Reader) -> grib.Key:
    (entry,) = grib_index.scan(reader)
    return entry.key
