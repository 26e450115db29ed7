"""The lengths of the sections of a GRIB message, checked before a decoder is trusted with the rest.

WMO Manual on Codes, FM 92 GRIB (edition 1 and 2). eccodes follows the lengths that it finds, outside its memory if they
are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormcast_tw.errors import BadInput

_SHORTEST = {1: 21, 2: 5, 3: 14, 4: 9, 5: 11, 6: 6, 7: 5}
"""Fewest bytes of each section of edition 2."""
_FOLLOWS = {0: (1,), 1: (2, 3), 2: (3,), 3: (4,), 4: (5,), 5: (6,), 6: (7,)}
_SHORTEST_1 = {1: 28, 2: 32, 3: 6, 4: 11}
"""The same for edition 1."""


@dataclass(frozen=True)
class Section:
    """One section: its number, its first byte in the message, its length."""

    number: int
    start: int
    length: int


def length_of(head: bytes) -> int:
    """Return the length that a message declares."""
    return int.from_bytes(head[8:16] if head[7] == 2 else head[4:7], "big")


def sections(head: bytes, where: str) -> tuple[Section, ...] | None:
    """Return all sections of a message except the end section, from its first bytes; None if these are too few.

    Raises BadInput, beginning with `where`, unless the sections follow each other in the order of the standard, one of
    each (messages of several fields are not read), and end where the message does.
    """
    parsed = _edition_2(head, where) if head[7] == 2 else _edition_1(head, where)
    if parsed is None:
        return None
    end, allowed = parsed[-1].start + parsed[-1].length, length_of(head) - 4
    if end + 5 <= min(allowed, len(head)) and parsed[-1].number == 7 and head[end + 4] in (2, 3, 4):
        raise BadInput(f"{where}: holds several fields, which is not supported; split it, one field a message")
    if end != allowed:
        raise BadInput(f"{where}: its sections end at byte {end}; allowed {allowed}")
    return parsed


def _edition_2(head: bytes, where: str) -> tuple[Section, ...] | None:
    parsed: list[Section] = []
    at = 16
    while not parsed or parsed[-1].number != 7:
        if at + 5 > len(head):
            _require_more(head, where, at)
            return None
        section = Section(head[at + 4], at, int.from_bytes(head[at : at + 4], "big"))
        follows = _FOLLOWS[parsed[-1].number if parsed else 0]
        if section.number not in follows or section.length < _SHORTEST[section.number]:
            allowed = " or ".join(f"{number} of {_SHORTEST[number]} or more" for number in follows)
            raise BadInput(
                f"{where}: section {section.number} of {section.length} bytes at byte {at}; allowed {allowed}"
            )
        parsed.append(section)
        at += section.length
    return tuple(parsed)


def _edition_1(head: bytes, where: str) -> tuple[Section, ...] | None:
    parsed: list[Section] = []
    at = 8
    flags = head[15]
    for number, present in ((1, True), (2, bool(flags & 128)), (3, bool(flags & 64)), (4, True)):
        if not present:
            continue
        if at + 3 > len(head):
            _require_more(head, where, at)
            return None
        length = int.from_bytes(head[at : at + 3], "big")
        if length < (least := _SHORTEST_1[number]):
            raise BadInput(f"{where}: section {number} of {length} bytes at byte {at}; allowed {least} or more")
        parsed.append(Section(number, at, length))
        at += length
    return tuple(parsed)


def _require_more(head: bytes, where: str, at: int) -> None:
    """Raise BadInput if these are already all bytes of the message."""
    if len(head) >= length_of(head):
        raise BadInput(f"{where}: its sections go on to byte {at}; allowed {len(head)}")
