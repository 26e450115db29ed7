"""Cosine waves of a grid: the widest ones by themselves, all of them by octave of wavelength.

The type-II discrete cosine transform with an orthonormal basis, as in `verification.spectra` (Denis et al. 2002).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WAVES_A_SIDE = 4
WAVES = WAVES_A_SIDE**2
"""How many waves are the widest: of none to one and a half periods a side; y first, x fastest."""
OCTAVES = 6
"""Wavelengths of 4, 8 ... 128 points; what is shorter or longer counts as the next of them."""


def cosines(size: int) -> Array:
    """Return the transform of `size` points (wave, point); its transpose is its inverse."""
    waves, points = np.arange(size)[:, None], np.arange(size) + 0.5
    return np.sqrt(np.where(waves, 2, 1) / size) * np.cos(np.pi * waves * points / size)


def octaves(shape: tuple[int, int]) -> Array:
    """Return which octave each wave of a grid is of, 0 to OCTAVES - 1 and between (wave in y, wave in x)."""
    y, x = (np.arange(size) / (2 * size) for size in shape)
    per_point = np.hypot(y[:, None], x)
    per_point[0, 0] = np.finfo(float).tiny
    octave: Array = np.clip(-np.log2(per_point) - 2, 0, OCTAVES - 1)
    return octave
