import numpy as np
import pytest

from stormcast_tw.model.noise import standard_normal
from tests.conftest import CYCLE

T = CYCLE.init_time


def test_same_key_same_noise():
    assert np.array_equal(standard_normal(1, T, 2, 3, (4, 5)), standard_normal(1, T, 2, 3, (4, 5)))


@pytest.mark.parametrize(
    "other", [(2, T, 2, 3), (1, CYCLE.valid_time(6), 2, 3), (1, T, 3, 3), (1, T, 2, 4), (1, T, 3, 2)]
)
def test_any_other_key_is_other_noise(other):
    a, b = standard_normal(1, T, 2, 3, (50, 50)), standard_normal(*other, (50, 50))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.08


def test_it_is_standard_normal():
    x = standard_normal(0, T, 0, 1, (1000, 1000))
    assert x.dtype == np.float32
    assert abs(float(x.mean())) < 0.004
    assert abs(float(x.std()) - 1) < 0.003
    assert float((np.abs(x) < 1).mean()) == pytest.approx(0.68269, abs=0.002)


def test_another_draw_is_other_noise():
    assert not np.array_equal(standard_normal(0, T, 0, 1, (9,)), standard_normal(0, T, 0, 1, (9,), draw=1))
