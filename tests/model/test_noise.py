import numpy as np
import pytest
import scipy.fft

from stormcast_tw.model.noise import hourly_noise, standard_normal
from stormcast_tw.model.waves import WAVES
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


SHAPE = (24, 16)
PERSISTENCE = np.outer((1.0, 0.4, 0.0), np.linspace(0.8, 0.2, WAVES))


def test_noise_that_does_not_persist_is_the_draw_itself():
    noise = hourly_noise(1, T, (3,), np.zeros((3, WAVES)), SHAPE)
    assert np.array_equal(noise(5)[0], standard_normal(1, T, 3, 5, (3, *SHAPE)))


def test_persisting_noise_is_white_at_every_lead_and_correlated_in_its_widest_waves():
    """By scipy's orthonormal DCT-II."""
    noise = hourly_noise(1, T, range(1000), PERSISTENCE, SHAPE)
    found = np.stack([waves_of(noise(lead))[..., :4, :4].reshape(1000, 3, WAVES) for lead in range(6)])
    assert found.std(axis=1) == pytest.approx(1, abs=0.12)
    scaled = found / found.std(axis=1, keepdims=True)
    assert (scaled[5] * scaled[4]).mean(axis=0) == pytest.approx(PERSISTENCE, abs=0.1)
    assert (scaled[5] * scaled[3]).mean(axis=0) == pytest.approx(PERSISTENCE**2, abs=0.12)
    assert (scaled[1] * scaled[0]).mean(axis=0) == pytest.approx(0, abs=0.12), "lead 0 is another network's"
    rest, drawn = (waves_of(one) for one in (noise(5)[7], standard_normal(1, T, 7, 5, (3, *SHAPE))))
    rest[:, :4, :4] = drawn[:, :4, :4] = 0
    assert rest == pytest.approx(drawn, abs=1e-6)


def waves_of(fields: np.ndarray) -> np.ndarray:
    return scipy.fft.dctn(fields.astype(np.float64), axes=(-2, -1), norm="ortho")


def test_persisting_noise_is_the_same_whatever_the_batch_and_the_order():
    together, alone = hourly_noise(1, T, range(4), PERSISTENCE, SHAPE), hourly_noise(1, T, (2,), PERSISTENCE, SHAPE)
    late = alone(6)
    assert np.array_equal(late[0], [together(lead) for lead in range(1, 7)][-1][2])
