"""Numbers in text: any decimal notation, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.formats.numbers_in_text import read_numbers


@pytest.mark.parametrize(
    "text", ["1,-2.5,3e1", "1 -2.5 3.0E+01", "1.00,\n-2.50,\n30", " 1\t-2.5\r\n30 ,", "+1 -2.5e0 0.3e+2"]
)
def test_commas_blanks_lines_and_exponents(text: str):
    np.testing.assert_array_equal(read_numbers(text, 3, "content", "f"), [1.0, -2.5, 30.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: content holds 0 numbers; allowed 3"),
        ("  \n ", "f: content holds 0 numbers; allowed 3"),
        ("1 2", "f: content holds 2 numbers; allowed 3"),
        ("1 2 3 4", "f: content holds 4 numbers; allowed 3"),
        ("1,,3", "f: content holds 2 numbers; allowed 3"),
        ("1 NaN 3", "f: content holds 'NaN'; allowed finite numbers"),
        ("1 2 -inf", "f: content holds '-inf'; allowed finite numbers"),
        ("1 1e999 3", "f: content holds '1e999'; allowed finite numbers"),
        ("1 x 3", "f: content holds 'x'; allowed decimal numbers"),
        ("1 2.3.4 3", "f: content holds '2.3.4'; allowed decimal numbers"),
        ("1 0x10 3", "f: content holds '0x10'; allowed decimal numbers"),
        ("1 2 3\0", "f: content holds '3\\x00'; allowed decimal numbers"),
        ("1 2 " + "z" * 99, "f: content holds '" + "z" * 40 + "'; allowed decimal numbers"),
    ],
)
def test_everything_else_is_named(text: str, message: str):
    with pytest.raises(BadInput) as caught:
        read_numbers(text, 3, "content", "f")
    assert str(caught.value) == message


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_every_float_comes_back(values: list[float]):
    text = ", ".join(repr(value) for value in values)
    assert read_numbers(text, len(values), "content", "f").tolist() == values
