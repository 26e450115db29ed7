"""Where the messages of a GRIB file lie: by ECMWF's `.index`, by NCEP's `.idx`, or by scanning the messages' heads.

Whatever pointed at a message, it is read whole and checked: `GRIB`, the length in section 0, `7777` at its end.
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
"""Bytes: the largest field that is decoded, packed in 32 bits, with its bitmap."""
LARGEST_INDEX = 8_000_000
"""Bytes: an ensemble's `.index` has two million."""
MOST_MESSAGES = 2_000
"""Messages of a file that is scanned; a file of NCEP's GFS has 750, one of CWA's WRF 78."""

_IDX_LINE = re.compile(r"([0-9]{1,9}):([0-9]{1,15}):d=[0-9]{10}:([^:]*):([^:]*):([^:]*):.*")
"""number, first byte, parameter, level, forecast; a number with a point is a field inside a message."""


@dataclass(frozen=True)
class Entry:
    """One message: what it is said to be (`grib.identity`), its first byte and its length."""

    key: grib.Key
    start: int
    length: int


def scan(reader: Reader) -> tuple[Entry, ...]:
    """Return every message of a file, reading only the heads; raises BadInput where one does not begin or fit."""
    if not reader.size:
        raise BadInput(f"{reader.address}: 0 bytes; allowed at least one GRIB message")
    entries: list[Entry] = []
    start = 0
    while start < reader.size:
        if len(entries) == MOST_MESSAGES:
            raise BadInput(f"{reader.address}: has more than {MOST_MESSAGES} messages before byte {start}")
        head, length = _head(reader, start)
        with grib.opened(_identifiable(reader, start, head, length), reader.address) as handle:
            entries.append(Entry(grib.identity(handle), start, length))
        start += length
    return tuple(entries)


def first(reader: Reader) -> bytes:
    """Return what of a file's first message tells its parameter and its times; raises BadInput if it is no GRIB."""
    head, length = _head(reader, 0)
    return _identifiable(reader, 0, head, length)


def message(reader: Reader, entry: Entry) -> bytes:
    """Return a message whole; raises BadInput unless it begins, measures and ends as a GRIB message does."""
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
    """Return what an ECMWF `.index` says of surface and pressure-level fields of a GRIB file of `size` bytes.

    One JSON object a line, with `param`, `levtype`, `levelist`, `_offset` and `_length`. Raises BadInput for an index
    that is truncated or not one, or whose ranges overlap or end beyond the file.
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
    """Return what an NCEP `.idx` says of the messages that `names` knows, in a GRIB file of `size` bytes.

    `names` is our key by (parameter, level, forecast) in wgrib2's words, e.g. (TMP, 500 mb, 6 hour fcst). A message
    ends where the next begins, the last one at the end of the file. Raises BadInput for an index that is truncated or
    not one, that does not ascend, or that points beyond the file.
    """
    found: list[tuple[tuple[str, str, str], int]] = []
    for number, line in enumerate(_lines(data, address), 1):
        if not (match := _IDX_LINE.fullmatch(line)) or int(match[1]) != number:
            raise BadInput(
                f"{address}: line {number} is {line[:60]!r};"
                f" allowed {number}:first byte:d=YYYYMMDDHH:parameter:level:forecast:"
            )
        found.append(((match[3], match[4], match[5]), int(match[2])))
    starts = [start for _, start in found]
    lengths = [after - start for start, after in itertools.pairwise([*starts, size])]
    _require_ranges(list(zip(starts, lengths, strict=True)), address, size)
    return tuple(
        Entry(names[said], start, length) for (said, start), length in zip(found, lengths, strict=True) if said in names
    )


def choose(
    entries: Iterable[Entry], ids: Mapping[grib.Key, str], wanted: Collection[str], address: str
) -> dict[str, Entry]:
    """Return the entry of each wanted id; raises BadInput unless each is there once. `ids` is our id of a key."""
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


def _head(reader: Reader, start: int) -> tuple[bytes, int]:
    """Return the first bytes of the message at `start`, and its length."""
    head = reader.read(start, min(HEAD, reader.size - start), index=True)
    if len(head) < 16 or head[:4] != b"GRIB" or head[7] not in (1, 2):
        raise BadInput(f"{reader.address}: byte {start} begins with {head[:8]!r}; allowed GRIB of edition 1 or 2")
    length, there = grib_sections.length_of(head), reader.size - start
    if not 16 <= length <= there:
        raise BadInput(f"{_where(reader, start)} is {length} bytes long; found {there}")
    if length > LARGEST_MESSAGE:
        raise BadInput(f"{_where(reader, start)} is {length} bytes long; allowed {LARGEST_MESSAGE}")
    return head[:length], length


def _identifiable(reader: Reader, start: int, head: bytes, length: int) -> bytes:
    """Return a message that eccodes can name: its head and zeros for data, or the whole where the head is too short."""
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


def _ecmwf_line(said: Any) -> tuple[grib.Key | None, int, int]:
    start, length = said["_offset"], said["_length"]
    if any(type(number) is not int or not 0 <= number < 2**50 for number in (start, length)):
        raise ValueError
    parameter, kind = str(said["param"]), said["levtype"]
    level = int(str(said["levelist"])) if kind == "pl" else None
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
