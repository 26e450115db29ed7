"""Locating the messages of a GRIB file: from ECMWF's `.index`, NCEP's `.idx`, or by scanning the messages' headers.

However a message was located, it is read whole and checked: `GRIB`, the length in section 0, `7777` at its end.
WMO Manual on Codes, FM 92; data-formats.md 3.2 to 3.4.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.formats import grib, grib_sections
from stormcast_tw.storage.provider_files import Reader

HEAD = 512
"""Bytes of a message that hold all its sections before the data, unless it has a bitmap or a long local section."""
LARGEST_MESSAGE = 40_000_000
"""Bytes: the largest field that is decoded, packed at 32 bits per value, with its bitmap."""
LARGEST_INDEX = 8_000_000
"""Bytes: an ensemble's `.index` has two million."""
MOST_MESSAGES = 2_000
"""Most messages of a file that is scanned; a file of NCEP's GFS has 750, one of CWA's WRF 78."""

_IDX_LINE = re.compile(r"([0-9]{1,9}):([0-9]{1,15}):d=[0-9]{10}:([^:]*):([^:]*):([^:]*):.*")
"""number, first byte, parameter, level, forecast; a number with a point is a field inside a message."""


@dataclass(frozen=True)
class Entry:
    """One message: what it is said to be (`grib.identity`), its first byte and its length."""

    key: grib.Key
    start: int
    length: int


def scan(reader: Reader) -> tuple[Entry, ...]:
    """Return every message of a file, reading only headers; raises BadInput for one that is none or too long."""
    if not reader.size:
        raise BadInput(f"{reader.address}: 0 bytes; allowed at least one GRIB message")
    entries: list[Entry] = []
    start = 0
    while start < reader.size:
        head = _begin(reader, start)
        if entries and (padding := len(head) - len(head.lstrip(b"\0"))):
            start += padding  # MARS pads messages with NUL bytes, by default to a multiple of 120
            continue
        if len(entries) == MOST_MESSAGES:
            raise BadInput(f"{reader.address}: has more than {MOST_MESSAGES} messages before byte {start}")
        length = _length(reader, start, head)
        with grib.opened(_identifiable(reader, start, head[:length], length), reader.address) as handle:
            entries.append(Entry(grib.identity(handle), start, length))
        start += length
    return tuple(entries)


def first(reader: Reader) -> bytes:
    """Return the part of a file's first message with its parameter and times; raises BadInput if it is not GRIB."""
    head = _begin(reader, 0)
    length = _length(reader, 0, head)
    return _identifiable(reader, 0, head[:length], length)


def message(reader: Reader, entry: Entry) -> bytes:
    """Return a whole message; raises BadInput unless its start, length and end are those of a GRIB message."""
    where = _where(reader, entry.start)
    if not 16 <= entry.length <= LARGEST_MESSAGE:
        raise BadInput(f"{where} is {entry.length} bytes long; allowed 16 to {LARGEST_MESSAGE}")
    data = reader.read(entry.start, entry.length)
    if data[:4] != b"GRIB":
        raise BadInput(f"{where} begins with {data[:8]!r}; allowed b'GRIB'")
    if (length := grib_sections.length_of(data)) != entry.length:
        raise BadInput(f"{where} says that it is {length} bytes long; the index says {entry.length}")
    if data[-4:] != b"7777":
        raise BadInput(f"{where} ends with {data[-4:]!r}; allowed b'7777'")
    grib_sections.sections(data, where)
    return data


def read(reader: Reader) -> bytes:
    """Return an index file whole; raises BadInput if it is empty or too large for one."""
    if not 0 < reader.size <= LARGEST_INDEX:
        raise BadInput(f"{reader.address}: {reader.size} bytes; allowed an index of 1 to {LARGEST_INDEX}")
    return reader.read(0, reader.size, index=True)


def ecmwf(data: bytes, address: str, size: int) -> tuple[Entry, ...]:
    """Return the surface and pressure-level messages that an ECMWF `.index` lists for a GRIB file of `size` bytes.

    One JSON object a line, with `param`, `levtype`, `levelist`, `_offset` and `_length`. Raises BadInput for an index
    that is truncated or invalid, or whose ranges overlap or end beyond the file.
    """
    entries: list[tuple[grib.Key | None, int, int]] = []
    for number, line in enumerate(_lines(data, address), 1):
        try:
            entries.append(_ecmwf_line(json.loads(line)))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BadInput(
                f"{address}: line {number} is {line[:60]!r}; allowed JSON with param, levtype, _offset, _length"
            ) from None
    _require_ranges([(start, length) for _, start, length in entries], address, size)
    return tuple(Entry(key, start, length) for key, start, length in entries if key is not None)


def ncep(data: bytes, address: str, size: int, names: Mapping[tuple[str, str, str], grib.Key]) -> tuple[Entry, ...]:
    """Return the messages with one of `names` that an NCEP `.idx` lists for a GRIB file of `size` bytes.

    `names` is our key by (parameter, level, forecast) in wgrib2's words, e.g. (TMP, 500 mb, 6 hour fcst). A message
    ends where the next begins, the last one at the end of the file. Raises BadInput for an index that is truncated or
    invalid, that does not ascend, or that points beyond the file.
    """
    listed: list[tuple[tuple[str, str, str], int]] = []
    for number, line in enumerate(_lines(data, address), 1):
        if not (match := _IDX_LINE.fullmatch(line)) or int(match[1]) != number:
            raise BadInput(
                f"{address}: line {number} is {line[:60]!r};"
                f" allowed {number}:first byte:d=YYYYMMDDHH:parameter:level:forecast:"
            )
        listed.append(((match[3], match[4], match[5]), int(match[2])))
    starts = [start for _, start in listed]
    lengths = [after - start for start, after in itertools.pairwise([*starts, size])]
    _require_ranges(list(zip(starts, lengths, strict=True)), address, size)
    return tuple(
        Entry(names[name], start, length)
        for (name, start), length in zip(listed, lengths, strict=True)
        if name in names
    )


def choose(
    entries: Iterable[Entry], ids: Mapping[grib.Key, str], wanted: Collection[str], address: str
) -> dict[str, Entry]:
    """Return the entry of each wanted id; raises BadInput unless each occurs once. `ids` gives our id of a key."""
    chosen: dict[str, Entry] = {}
    for entry in entries:
        variable_id = ids.get(entry.key)
        if variable_id is None or variable_id not in wanted:
            continue
        if variable_id in chosen:
            raise BadInput(
                f"{address}: {variable_id} appears twice, at bytes {chosen[variable_id].start} and {entry.start};"
                " allowed once"
            )
        chosen[variable_id] = entry
    if absent := [variable_id for variable_id in wanted if variable_id not in chosen]:
        raise BadInput(f"{address}: has no message for {', '.join(absent)}; found {len(chosen)}, allowed {len(wanted)}")
    return chosen


def _begin(reader: Reader, start: int) -> bytes:
    return reader.read(start, min(HEAD, reader.size - start), index=True)


def _length(reader: Reader, start: int, head: bytes) -> int:
    """Return the length of the message at `start`, whose first bytes are `head`; raises BadInput if it is no GRIB."""
    if len(head) < 16 or head[:4] != b"GRIB" or head[7] not in (1, 2):
        raise BadInput(f"{reader.address}: byte {start} begins with {head[:8]!r}; allowed GRIB of edition 1 or 2")
    length, available = grib_sections.length_of(head), reader.size - start
    if not 16 <= length <= available:
        raise BadInput(f"{_where(reader, start)} is {length} bytes long; found {available}")
    if length > LARGEST_MESSAGE:
        raise BadInput(f"{_where(reader, start)} is {length} bytes long; allowed {LARGEST_MESSAGE}")
    return length


def _identifiable(reader: Reader, start: int, head: bytes, length: int) -> bytes:
    """Return a message that eccodes can identify: its header and zeros for data, or all if `head` is too short."""
    where = _where(reader, start)
    if grib_sections.sections(head, where) is None:
        head += reader.read(start + len(head), length - len(head), index=True)
        grib_sections.sections(head, where)
    if len(head) == length:
        return head
    return head + bytes(length - len(head) - 4) + b"7777"


def _where(reader: Reader, start: int) -> str:
    return f"{reader.address}: the message at byte {start}"


def _lines(data: bytes, address: str) -> Iterator[str]:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadInput(f"{address}: byte {error.start} is {data[error.start]:#x}; allowed ASCII") from None
    yield from text.removesuffix("\n").split("\n")


def _ecmwf_line(entry: Any) -> tuple[grib.Key | None, int, int]:
    start, length = entry["_offset"], entry["_length"]
    if any(type(number) is not int or not 0 <= number < 2**50 for number in (start, length)):
        raise ValueError
    parameter, kind = str(entry["param"]), entry["levtype"]
    level = int(str(entry["levelist"])) if kind == "pl" else None
    return (parameter, level) if kind in ("pl", "sfc") else None, start, length


def _require_ranges(ranges: list[tuple[int, int]], address: str, size: int) -> None:
    """Raise BadInput unless the ranges (first byte, length) lie one after the other in a file of `size` bytes."""
    end = 0
    for start, length in sorted(ranges):
        if max(start, start + length) > size:
            raise BadInput(f"{address}: points at bytes {start} to {start + length}; the file has {size}")
        if start < end or length < 16:
            raise BadInput(
                f"{address}: points at bytes {start} to {start + length} after {end};"
                " allowed messages of 16 bytes or more, one after the other"
            )
        end = start + length
