"""A few hundred cases of every loop of soak.fuzz_qpesums, and that the driver would notice."""

from __future__ import annotations

import os
import signal

import pytest

from soak.fuzz_qpesums import PARSERS
from soak.fuzzing import Parser, fuzz
from stormcast_tw.errors import BadInput
from stormcast_tw.sources.formats import numbers_in_text


@pytest.mark.parametrize("kind", ["binary-loop", "text", "json", "xml"])
def test_damaged_input_is_read_or_refused_in_one_line(kind: str):
    outcome = fuzz(PARSERS[kind](), 400, 3)
    assert outcome.findings == []
    assert outcome.counts["BadInput"] > 200
    assert outcome.counts["read"] > 5


def test_the_loop_finds_what_is_not_bad_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(numbers_in_text, "_first_bad", lambda plain: plain.index("never"))
    outcome = fuzz(PARSERS["json"](), 400, 3)
    assert any("ValueError('substring not found')" in line for line in outcome.findings)


def ends_badly(number: int) -> None:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        os._exit(0)
    if number == 7:
        bytearray(600 * 2**20)
    if number % 2:
        raise BadInput("odd")


def test_a_case_that_ends_its_process_is_counted_and_the_next_goes_on():
    outcome = fuzz(Parser(lambda seed, number: seed + number, ends_badly), 10, 0)
    assert outcome.counts == {"read": 5, "BadInput": 2, "SIGKILL": 1, "ended early": 1, "FOUND": 1}
    assert [line.split(" after")[0] for line in outcome.findings] == [
        "case 3: SIGKILL",
        "case 5: ended early",
        "case 7: MemoryError()",
    ]


def test_a_message_of_a_bad_input_is_one_line():
    assert str(BadInput("x.nc: dimension w\x00\nbottom, 臺灣")) == "x.nc: dimension w\\x00\\nbottom, 臺灣"
