"""Power by octave: known waves land where they belong, and the octaves add up to the variance."""

import numpy as np
import pytest

from stormcast_tw.verification.scores.spectra import OCTAVES, octave_power

SHAPE, KM = (224, 128), (2.0, 2.5)


def wave(m: int, n: int) -> np.ndarray:
    """The (m, n)th function of the cosine transform, of unit amplitude: variance 1/2 for each axis with a wave."""
    y, x = ((np.arange(size) + 0.5) / size for size in SHAPE)
    return np.cos(np.pi * m * y)[:, None] * np.cos(np.pi * n * x)[None, :]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("kilometres", "octave"), [(200, ">160"), (100, "160-80"), (50, "80-40"), (30, "40-20"),
                                                    (14, "20-10"), (7, "<10")])  # fmt: skip
def test_a_wave_lands_in_its_octave_along_either_axis(kilometres: float, octave: str, axis: int):
    """Wavelength of order m over a side of N points is 2 N d / m; sides of 448 and 320 km."""
    order = round(2 * SHAPE[axis] * KM[axis] / kilometres)
    power = octave_power(wave(order, 0) if axis == 0 else wave(0, order), KM)
    assert power[OCTAVES.index(octave)] == pytest.approx(0.5)
    assert power.sum() == pytest.approx(0.5)


def test_an_oblique_wave_has_the_wavelength_of_both_components():
    """100 km along y and 60 km along x make 1 / hypot(1/100, 1/60) = 51.4 km."""
    power = octave_power(wave(9, 11), KM)  # 896 / 9 = 99.6 km, 640 / 11 = 58.2 km
    assert power[OCTAVES.index("80-40")] == pytest.approx(0.25)
    assert np.delete(power, OCTAVES.index("80-40")) == pytest.approx(0, abs=1e-12)


def test_octaves_add_up_to_the_variance():
    """Parseval's identity, for any field, in float32 and far from zero."""
    rng = np.random.default_rng(0)
    fields = (295 + np.cumsum(rng.standard_normal((3, *SHAPE)), axis=-1)).astype(np.float32)
    power = octave_power(fields, KM)
    assert power.shape == (3, len(OCTAVES))
    np.testing.assert_allclose(power.sum(-1), fields.var(axis=(-2, -1), dtype=np.float64), rtol=1e-5)


def test_power_goes_with_the_square_and_not_with_the_mean():
    field = np.random.default_rng(1).standard_normal(SHAPE)
    np.testing.assert_allclose(octave_power(3 * field + 7, KM), 9 * octave_power(field, KM), rtol=1e-9)


def test_smoothing_takes_from_the_short_octaves():
    rough = np.random.default_rng(2).standard_normal(SHAPE)
    smooth = (rough + np.roll(rough, 1, 0) + np.roll(rough, 1, 1) + np.roll(rough, (1, 1), (0, 1))) / 4
    ratio = octave_power(smooth, KM) / octave_power(rough, KM)
    assert ratio[1] == pytest.approx(1, abs=0.1)
    assert ratio[-1] < 0.4
