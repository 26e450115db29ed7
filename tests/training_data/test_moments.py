from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.regrid import bilinear
from stormcast_tw.training_data.moments import background_moments, spreads, state_moments, tendency_moments
from stormcast_tw.variables import variable_set
from tests.training_data.archives import BACKGROUND, COARSE, STATE, TINY, NumbersArchive

RNG = np.random.default_rng(3)


def hours(count: int, shape=(6, 5)) -> tuple[np.ndarray, np.ndarray]:
    values = RNG.normal(
        [[[[290.0]], [[1.0]], [[-2.0]], [[0.0]]]], [[[[5.0]], [[3.0]], [[4.0]], [[1.0]]]], (count, 4, *shape)
    )
    values[:, 3] = RNG.gamma(0.4, 5.0, (count, *shape))
    return values.astype(np.float32), RNG.choice([1, 2, 3], (count, *shape)).astype(np.int8)


def test_mean_and_std_are_those_of_all_values_and_of_rain_those_observed():
    values, source = hours(7)
    found = spreads([state_moments(v, s, STATE) for v, s in zip(values, source, strict=True)], STATE.ids, "x")
    for n, name in enumerate(("t2m", "u10m", "v10m")):
        assert found[name].mean == pytest.approx(values[:, n].mean(dtype=np.float64), rel=1e-12)
        assert found[name].std == pytest.approx(values[:, n].std(dtype=np.float64), rel=1e-9)
        assert found[name].count == values[:, n].size
    rain = np.log1p(values[:, 3][source == 1].astype(np.float64))
    assert found["tp01"].mean == pytest.approx(rain.mean(), rel=1e-12)
    assert found["tp01"].std == pytest.approx(rain.std(), rel=1e-12)
    assert found["tp01"].count == rain.size


def test_what_was_not_observed_may_be_anything():
    values, source = hours(3)
    spoiled = values.copy()
    spoiled[:, 3][source != 1] = np.nan
    for v, w, s in zip(values, spoiled, source, strict=True):
        np.testing.assert_array_equal(state_moments(v, s, STATE), state_moments(w, s, STATE))


@given(st.integers(1, 8), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_sums_of_pieces_are_the_sums_of_the_whole(cut: int, seed: int):
    rng = np.random.default_rng(seed)
    moments = np.abs(rng.normal(5, 2, (9, 2, 3)))
    moments[..., 2] = 10 * moments[..., 0] + moments[..., 1] ** 2
    ids = ("a", "b")
    whole = spreads(moments, ids, "x")
    pieces = spreads([moments[:cut].sum(axis=0), moments[cut:].sum(axis=0)], ids, "x")
    for name in ids:
        assert pieces[name].mean == pytest.approx(whole[name].mean, rel=1e-12)
        assert pieces[name].std == pytest.approx(whole[name].std, rel=1e-9)


def test_tendency_of_rain_counts_where_both_ends_were_observed():
    values, source = hours(2)
    found = tendency_moments(values[1], values[0], source[1], source[0], STATE)
    both = (source[0] == 1) & (source[1] == 1)
    change = np.diff(np.log1p(values[:, 3].astype(np.float64)), axis=0)[0][both]
    assert found[3] == pytest.approx([change.size, change.sum(), (change**2).sum()], rel=1e-9)
    warming = np.diff(values[:, 0].astype(np.float64), axis=0)
    assert found[0] == pytest.approx([warming.size, warming.sum(), (warming**2).sum()], rel=1e-9)


def test_background_moments_are_those_of_the_regridded_field():
    values = NumbersArchive().background(datetime(2021, 7, 1, tzinfo=UTC))
    fine = bilinear(COARSE, TINY)(values.astype(np.float64))
    found = background_moments(values, COARSE, TINY, BACKGROUND)
    assert found[:, 0] == pytest.approx(np.full(24, TINY.ny * TINY.nx))
    assert found[:, 1] == pytest.approx(fine.sum(axis=(1, 2)), rel=1e-12)
    assert found[:, 2] == pytest.approx((fine**2).sum(axis=(1, 2)), rel=1e-12)
    spread = spreads([found], BACKGROUND.ids, "x")
    assert spread["z500"].std == pytest.approx(fine[BACKGROUND.ids.index("z500")].std(), rel=1e-6)


def test_a_background_with_a_transform_is_refused():
    grid = Grid("G", 0, 1, 2, 0, 1, 2)
    with pytest.raises(ValueError, match="tp01 have a transform"):
        background_moments(np.zeros((1, 2, 2), np.float32), grid, grid, variable_set("rain", "tp01"))


def test_no_values_and_no_spread_are_refused():
    with pytest.raises(BadInput, match="tp01 has 0 values; allowed 2"):
        spreads(np.zeros((3, 1, 3)), ("tp01",), "state")
    with pytest.raises(BadInput, match="t2m is 290 at all of 8 values"):
        spreads([np.array([[8.0, 8 * 290.0, 8 * 290.0**2]])], ("t2m",), "state")
