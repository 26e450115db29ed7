"""Measures of realism: the shape of rain fields, and the published numbers of real weather over Taiwan.

Numbers: hourly statistics of 2019-08 to 2021-12 on TAIWAN_2KM, two real QPESUMS hours, and the forecast errors of 2022
of a trained two-stage model over the same domain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

FloatArray = npt.NDArray[np.float64]

CLIMATE = {"t2m": (295.98, 5.61), "u10m": (-1.58, 3.84), "v10m": (-2.65, 5.66)}
"""Mean and standard deviation over domain and time: K, m s-1."""
LOG_RAIN = (0.103, 0.366)
"""Mean and standard deviation of log1p of the one-hour rain in mm."""
RAIN_HOURS = {
    # regime: share of cells with 0.25 mm or more, 99th percentile mm, spectral slope, e-folding distance km
    "typhoon": (0.767, 39.8, -3.2, 74.0),
    "northeast_monsoon": (0.275, 3.5, -2.1, 30.0),
}
"""Soudelor, 2015-08-08 08:50 UTC, and a winter monsoon hour, 2021-01-10 18:10 UTC."""
ERRORS = {
    1: {"u10m": 1.10, "v10m": 1.13, "t2m": 0.52, "tp01": 0.97},
    12: {"u10m": 1.86, "v10m": 2.65, "t2m": 1.72, "tp01": 0.92},
}
"""Root mean square errors by lead in hours."""


def spectral_density(values: npt.ArrayLike, dy_km: float, dx_km: float) -> tuple[FloatArray, FloatArray]:
    """Return wavelengths in km and the mean 2-D spectral density of a field (y, x) in rings of wavenumber.

    The mean is removed and a Hann window applied; rings are one wavenumber of the longer side wide.
    """
    field = np.asarray(values, dtype=np.float64)
    window = np.hanning(field.shape[0])[:, None] * np.hanning(field.shape[1])[None, :]
    power = np.abs(fft.fft2((field - field.mean()) * window)) ** 2
    ky = np.fft.fftfreq(field.shape[0], dy_km)[:, None]
    kx = np.fft.fftfreq(field.shape[1], dx_km)[None, :]
    k = np.hypot(ky, kx)
    width = 1.0 / min(field.shape[0] * dy_km, field.shape[1] * dx_km)
    ring = np.rint(k / width).astype(int).ravel()
    count = np.bincount(ring)
    chosen = np.flatnonzero((count > 0) & (np.arange(count.size) * width <= 0.5 / max(dy_km, dx_km)))[1:]
    density = np.bincount(ring, weights=power.ravel())[chosen] / count[chosen]
    wavenumber = np.bincount(ring, weights=k.ravel())[chosen] / count[chosen]
    return 1.0 / wavenumber, density


def spectral_slope(
    values: npt.ArrayLike, dy_km: float, dx_km: float, shortest_km: float = 6.0, longest_km: float = 60.0
) -> float:
    """Return the slope of log density against log wavenumber between two wavelengths, by least squares."""
    wavelength, density = spectral_density(values, dy_km, dx_km)
    inside = (wavelength >= shortest_km) & (wavelength <= longest_km)
    return float(np.polyfit(-np.log(wavelength[inside]), np.log(density[inside]), 1)[0])


def e_folding_distance(values: npt.ArrayLike, dy_km: float, dx_km: float) -> float:
    """Return the distance in km at which the isotropic autocorrelation of a field (y, x) falls below 1/e.

    Autocorrelation by zero-padded Fourier transform, divided by the number of pairs, averaged in rings.
    """
    field = np.asarray(values, dtype=np.float64)
    shape = (2 * field.shape[0], 2 * field.shape[1])
    anomaly = np.abs(fft.rfft2(field - field.mean(), s=shape)) ** 2
    pairs = np.abs(fft.rfft2(np.ones(field.shape), s=shape)) ** 2
    covariance = fft.irfft2(anomaly, s=shape) / np.maximum(fft.irfft2(pairs, s=shape), 0.5)
    north = np.fft.fftfreq(shape[0], 1.0 / shape[0])[:, None] * dy_km
    east = np.fft.fftfreq(shape[1], 1.0 / shape[1])[None, :] * dx_km
    ring = np.rint(np.hypot(north, east) / dx_km).astype(int).ravel()
    count = np.bincount(ring)
    mean = np.bincount(ring, weights=covariance.ravel()) / np.maximum(count, 1)
    below = np.flatnonzero(mean / mean[0] < np.exp(-1.0))
    return float(below[0] * dx_km) if below.size else float(count.size * dx_km)
