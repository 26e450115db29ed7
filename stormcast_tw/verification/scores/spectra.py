"""The variance of a field at each scale: power by octave of wavelength, from a discrete cosine transform."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[Any]

EDGES_KM = (160.0, 80.0, 40.0, 20.0, 10.0)
"""Wavelengths that separate the octaves."""
OCTAVES = (">160", "160-80", "80-40", "40-20", "20-10", "<10")
"""Labels in km. The middle four are scored; together with the two ends their powers add up to the variance."""


def octave_power(fields: Array, spacing_km: tuple[float, float]) -> Array:
    """Return the variance in each of OCTAVES of fields (..., y, x): (..., octave), in their units squared, float64.

    Denis et al. (2002, doi:10.1175/1520-0493(2002)130<1812:SDOTDA>2.0.CO;2): orthonormal DCT-II, without window
    or trend removal, because the cosine transform has no jump at the edges. The coefficient (m, n) has the wavenumber
    hypot(m / (2 Ny dy), n / (2 Nx dx)) cycles per km, so grids that are not square stay isotropic; `spacing_km` is
    (dy, dx). An octave includes its shorter wavelength but not its longer one. Fields must be
    finite.
    """
    shape = fields.shape[-2:]
    anomaly = fields - fields.mean(axis=(-2, -1), keepdims=True, dtype=np.float64).astype(fields.dtype)
    power = np.square(fft.dctn(anomaly, axes=(-2, -1), norm="ortho"), dtype=np.float64)
    binned: Array = power.reshape(*fields.shape[:-2], -1) @ _membership(shape, spacing_km)
    binned /= shape[0] * shape[1]
    return binned


@lru_cache(maxsize=8)
def _membership(shape: tuple[int, int], spacing_km: tuple[float, float]) -> Array:
    """Return (coefficient, octave) with a 1 in the octave of each row; the mean, coefficient (0, 0), is in none."""
    ky, kx = (np.arange(size) / (2 * size * step) for size, step in zip(shape, spacing_km, strict=True))
    wavenumber = np.hypot(ky[:, None], kx[None, :]).ravel()
    octave = np.searchsorted(1.0 / np.asarray(EDGES_KM), wavenumber, side="left")
    member = np.zeros((wavenumber.size, len(OCTAVES)))
    member[np.arange(1, wavenumber.size), octave[1:]] = 1.0
    return member
