"""Against scipy's orthonormal DCT-II."""

import numpy as np
import pytest
import scipy.fft

from stormcast_tw.model.waves import OCTAVES, cosines, octaves

SHAPE = (24, 16)
FIELD = np.random.default_rng(0).standard_normal(SHAPE)
EXPECTED = scipy.fft.dctn(FIELD, norm="ortho")


def test_the_transform_is_the_cosine_transform_and_its_transpose_the_inverse():
    y, x = (cosines(size) for size in SHAPE)
    assert y @ FIELD @ x.T == pytest.approx(EXPECTED, abs=1e-12)
    assert y.T @ EXPECTED @ x == pytest.approx(FIELD, abs=1e-12)


def test_an_octave_is_twice_the_wavelength():
    """Of 512 points, wave n along an axis is 1024 / n points long; of both axes, shorter by the root of 2."""
    found = octaves((512, 512))
    for octave in range(OCTAVES):
        assert found[1024 // 2 ** (octave + 2), 0] == octave
    assert found[128, 128] == pytest.approx(0.5, abs=1e-12)
    assert found[0, 0] == found[1, 1] == OCTAVES - 1, "the widest"
    assert found[511, 511] == 0, "the shortest"
