"""Verdicts on fields, each with its number."""

from __future__ import annotations

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.quality import check, clip_small_negatives
from stormcast_tw.variables import VARIABLES

T2M, RAIN = VARIABLES["t2m"], VARIABLES["tp01"]


def test_a_believable_field_passes():
    check(np.array([[220.0, 330.0]]), T2M, "file")
    check(np.array([np.nan, 0.0, 300.0]), RAIN, "file", missing_allowed=True)
    check(np.full(3, np.nan), RAIN, "file", missing_allowed=True)


@pytest.mark.parametrize(
    ("values", "missing_allowed", "message"),
    [
        ([290.0, np.nan, np.inf], False, r"file: t2m has 2 of 3 values that are not finite; allowed 0"),
        ([290.0, np.nan, np.inf], True, r"file: t2m has 1 of 3 values that are not finite; allowed 0"),
        ([219.5, 290.0], False, r"file: t2m spans 219\.5 to 290 K; allowed 220 to 330"),
        ([290.0, 330.5], False, r"file: t2m spans 290 to 330\.5 K; allowed 220 to 330"),
        ([np.nan, 22.0], True, r"file: t2m spans 22 to 22 K; allowed 220 to 330"),
        ([], False, r"file: t2m has no values at all"),
    ],
)
def test_an_unbelievable_field_is_refused(values, missing_allowed: bool, message: str):
    with pytest.raises(BadInput, match=message):
        check(np.array(values), T2M, "file", missing_allowed=missing_allowed)


def test_small_negatives_are_clipped_and_counted():
    values, count = clip_small_negatives(np.array([-0.1, -0.01, 0.0, 2.0, np.nan]), 0.1, RAIN, "file")
    np.testing.assert_array_equal(values, [0.0, 0.0, 0.0, 2.0, np.nan])
    assert count == 2


def test_large_negatives_are_refused():
    with pytest.raises(BadInput, match=r"file: tp01 falls to -0\.11 kg m-2; allowed no lower than -0\.1"):
        clip_small_negatives(np.array([np.nan, -0.11, 3.0]), 0.1, RAIN, "file")
