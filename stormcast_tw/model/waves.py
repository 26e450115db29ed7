"""Cosine waves of a grid: the widest ones individually, all of them by octave of wavelength.

The type-II discrete cosine transform with an orthonormal basis, as in `verification.scores.spectra` (Denis et al.
2002).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WAVES_A_SIDE = 4
WAVES = WAVES_A_SIDE**2
"""Number of widest waves: those with zero to one and a half periods along a side; y first, x fastest."""
OCTAVES = 6
"""Octaves of wavelength: 4, 8 ... 128 points; a shorter or longer wave counts as the nearest of them."""


def cosines(size: int) -> Array:
    """Return the transform of `size` points (wave, point); its transpose is its inverse."""
    waves, points = np.arange(size)[:, None], np.arange(size) + 0.5
    return np.sqrt(np.where(waves, 2, 1) / size) * np.cos(np.pi * waves * points / size)


def octaves(shape: tuple[int, int]) -> Array:
    """Return the octave of each wave of a grid, a real number from 0 to OCTAVES - 1 (wave in y, wave in x)."""
    y, x = (np.arange(size) / (2 * size) for size in shape)
    per_point = np.hypot(y[:, None], x)
    per_point[0, 0] = np.finfo(float).tiny
    octave: Array = np.clip(-np.log2(per_point) - 2, 0, OCTAVES - 1)
    return octave
