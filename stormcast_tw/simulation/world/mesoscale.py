"""Unpredictable weather from 4 to 400 km: red noise in spectral space, carried by the wind.

Each Fourier mode of the box is a moving average of hourly innovations, moved from hour to hour by a phase shift. The
memory of a mode grows with wavelength as the eddy turnover time does, tau = tau_0 (L / L_0)^(2/3), so that small scales
live for an hour and large ones for a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from stormcast_tw.simulation.world.box import BOX, wavenumbers
from stormcast_tw.simulation.world.chance import Array, Chance

ComplexArray = npt.NDArray[np.complex64]

FIELDS = ("t", "u", "v", "rain", "storm")
_LONGEST_KM, _SHORTEST_KM, _SPLIT_KM = 450.0, 4.0, 45.0
_MEMORY_HOURS, _AT_KM = {"t": 2.8, "u": 2.5, "v": 2.5, "rain": 0.9, "storm": 0.9}, 60.0
"""tau_0 and L_0: a rain area of 60 km keeps its texture for an hour, an eddy for two and a half."""
_ONE_PER_WAVELENGTH = {"t": 1.35, "u": 1.4, "v": 1.4, "rain": 1.1, "storm": 1.6}
"""Half the slope of the 2-D spectral density: the amplitude of a mode goes as its wavelength to this power."""


@dataclass(frozen=True)
class _Band:
    """The modes of a range of wavelengths in rfft2 layout, longest first: flat index and axis indices (modes,).

    `weights` (lags, fields, modes); `amplitude` (fields, modes); `alive` (lags,) how many modes remember that long.
    """

    stream: str
    index: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    weights: Array
    amplitude: Array
    alive: tuple[int, ...]


def _memory(wavelength: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the memory of modes in hours (fields, modes)."""
    at_60_km = np.array([_MEMORY_HOURS[name] for name in FIELDS])[:, None]
    return np.asarray(np.clip(at_60_km * (wavelength / _AT_KM) ** (2.0 / 3.0), 0.4, 12.0))


@lru_cache(maxsize=1)
def _bands() -> tuple[_Band, _Band]:
    k = wavenumbers().k.astype(np.float64)
    wavelength = 2.0 * np.pi / np.where(k > 0, k, np.inf).clip(1e-9)
    inside = (wavelength >= _SHORTEST_KM) & (wavelength <= _LONGEST_KM)
    amplitude = np.stack([_amplitude(wavelength, inside, name) for name in FIELDS])
    coarse = _band("mesoscale", inside & (wavelength > _SPLIT_KM), wavelength, amplitude)
    fine = _band("fine", inside & (wavelength <= _SPLIT_KM), wavelength, amplitude)
    return coarse, fine


def _amplitude(
    wavelength: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_], name: str
) -> npt.NDArray[np.float64]:
    """Return the amplitude of each mode that gives the field unit variance."""
    shape = np.where(inside, np.minimum(wavelength, 200.0) ** _ONE_PER_WAVELENGTH[name], 0.0)
    twice = np.full(shape.shape[1], 2.0)
    twice[[0, -1]] = 1.0
    return np.asarray(shape / np.sqrt(2.0 * np.sum(twice * shape**2)) * BOX.ny * BOX.nx)


def _band(
    stream: str,
    chosen: npt.NDArray[np.bool_],
    wavelength: npt.NDArray[np.float64],
    amplitude: npt.NDArray[np.float64],
) -> _Band:
    index = np.flatnonzero(chosen)
    index = index[np.argsort(-wavelength.ravel()[index], kind="stable")]
    memory = _memory(wavelength.ravel()[index])
    lags = np.arange(int(np.ceil(3.0 * memory.max())))[:, None, None]
    weights = np.exp(-lags / memory) * np.clip(1.0 - lags / (3.0 * memory), 0.0, None)
    weights /= np.sqrt(np.sum(weights**2, axis=0))
    row, column = np.divmod(index, BOX.nx // 2 + 1)
    return _Band(
        stream,
        index,
        row,
        column,
        weights.astype(np.float32),
        amplitude.reshape(len(FIELDS), -1)[:, index].astype(np.float32),
        tuple(int(n) for n in np.count_nonzero(weights.any(axis=1), axis=1)),
    )


HISTORY_HOURS = int(np.ceil(3.0 * 12.0))
"""Longest memory of any mode: how far back the wind that carries the modes must be known."""


def mesoscale(chance: Chance, hour: int, drift_km: npt.NDArray[np.float64]) -> dict[str, Array]:
    """Return unit-variance noise of each of FIELDS on the box at `hour`.

    `drift_km` (HISTORY_HOURS, 2) is how far east and north the air has moved since each past hour, starting with 0.
    """
    spectrum = np.zeros((len(FIELDS), BOX.ny * (BOX.nx // 2 + 1)), dtype=np.complex64)
    for band in _bands():
        spectrum[:, band.index] = _modes(band, chance, hour, drift_km)
    fields = fft.irfft2(spectrum.reshape(len(FIELDS), BOX.ny, -1), s=BOX.shape, overwrite_x=True)
    return dict(zip(FIELDS, fields, strict=True))


def _modes(band: _Band, chance: Chance, hour: int, drift_km: npt.NDArray[np.float64]) -> ComplexArray:
    n = wavenumbers()
    total = np.zeros(band.amplitude.shape, dtype=np.complex64)
    for lag, alive in enumerate(band.alive):
        drawn = chance.normals(band.stream, hour - lag, 2 * total.size)
        innovation = drawn.view(np.complex64).reshape(total.shape)[:, :alive]
        east, north = drift_km[lag]
        along_x = np.exp(-1j * n.kx[0] * east).astype(np.complex64)
        along_y = np.exp(-1j * n.ky[:, 0] * north).astype(np.complex64)
        carried = along_y[band.row[:alive]] * along_x[band.column[:alive]]
        total[:, :alive] += carried * (band.weights[lag, :, :alive] * innovation)
    return np.asarray(total * band.amplitude, dtype=np.complex64)
