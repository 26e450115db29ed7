"""Rain extrapolated along its own motion, by pysteps (Pulkkinen et al. 2019, doi:10.5194/gmd-12-4185-2019).

Motion is found from three hourly maps by variational echo tracking (Laroche and Zawadzki 1995), which nowcasts over
Taiwan use. The scheme is backward semi-Lagrangian (Germann and Zawadzki 2002). Rain that enters from outside the grid
takes the value at the edge where it enters: otherwise a map of 2 degrees would be empty after a few hours.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import Refused

Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

THRESHOLD_MM = 0.1
"""mm in an hour from which a cell counts as wet."""
WET_SHARE = 0.01
"""Share of the cells that must be wet for motion to be estimated; below it the cost function has no minimum and
tracking gave up to 240 km/h."""
FASTEST_KM_PER_HOUR = 150.0
"""Longer displacements are shortened to this: 42 m/s, as fast as the bands of a severe typhoon."""
CASCADE_LEVELS = 6
_DRY_DB = 10.0 * np.log10(THRESHOLD_MM) - 5.0
"""dB of a dry cell: 5 dB below the threshold, as in pysteps' own transformation."""
_NEAREST = {"map_coordinates_mode": "nearest"}


def motion(past_rain: Array, km_per_cell: float) -> FloatArray:
    """Return the hourly displacement (2, y, x), in cells along x and y, of hourly rain maps (time, y, x) in mm.

    NaN is unobserved and not tracked. With hardly any rain the motion is zero. Raises Refused without pysteps.
    """
    return _motion(past_rain.tobytes(), past_rain.dtype.str, past_rain.shape, km_per_cell).copy()


@lru_cache(maxsize=4)
def _motion(past_rain: bytes, dtype: str, shape: tuple[int, ...], km_per_cell: float) -> FloatArray:
    """Track the rain of a cycle once for all its systems."""
    rain = np.ma.masked_invalid(np.frombuffer(past_rain, dtype).reshape(shape).astype(np.float64))
    wet = [float(np.mean(hour.filled(0.0) >= THRESHOLD_MM)) for hour in rain]
    if min(wet[-2:]) < WET_SHARE:
        return np.zeros((2, *shape[1:]))
    with _quiet():
        tracked = _pysteps("motion.vet").vet(np.log1p(rain), verbose=False)
    velocity = np.asarray(tracked, dtype=np.float64)
    speed = np.hypot(*velocity) * km_per_cell
    limited: FloatArray = velocity * np.minimum(1.0, FASTEST_KM_PER_HOUR / np.maximum(speed, 1e-9))
    return limited


def extrapolation(rain: Array, velocity: FloatArray, lead_hours: int) -> Array:
    """Return rain (y, x) moved by `velocity` (2, y, x), cells per hour, at leads 1 to lead_hours (lead_time, y, x)."""
    with _quiet():
        carried = _pysteps("extrapolation.semilagrangian").extrapolate(
            rain.astype(np.float64), velocity, lead_hours, **_NEAREST
        )
    return np.asarray(np.maximum(carried, 0.0), dtype=np.float32)


def steps(
    past_rain: Array, velocity: FloatArray, lead_hours: int, members: int, seed: int, km_per_cell: float
) -> Array:
    """Return STEPS (Bowler et al. 2006, doi:10.1256/qj.04.100): (member, lead_time, y, x), mm, from maps (3, y, x), mm.

    Maps must be finite. Rain below 0.1 mm is set to 0. Raises Refused without pysteps.
    """
    wet = past_rain >= THRESHOLD_MM
    decibels = np.where(wet, 10.0 * np.log10(np.maximum(past_rain, THRESHOLD_MM)), _DRY_DB)
    with _quiet():
        members_db = _pysteps("nowcasts.steps").forecast(
            decibels,
            velocity,
            lead_hours,
            n_ens_members=members,
            n_cascade_levels=CASCADE_LEVELS,
            precip_thr=10.0 * np.log10(THRESHOLD_MM),
            norain_thr=WET_SHARE,
            kmperpixel=km_per_cell,
            timestep=60,
            seed=seed,
            extrap_kwargs=_NEAREST,
        )
    rain = np.where(members_db < 10.0 * np.log10(THRESHOLD_MM), 0.0, 10.0 ** (members_db / 10.0))
    return np.asarray(rain, dtype=np.float32)


def _pysteps(module: str) -> Any:
    """Import a module of pysteps on demand; raises Refused, with the cure, if it is not installed."""
    try:
        return importlib.import_module(f"pysteps.{module}")
    except ModuleNotFoundError as error:
        if error.name != "pysteps":
            raise
        raise Refused("rain extrapolation and STEPS need pysteps: pip install 'stormcast-tw[rain]'") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what pysteps prints on import and while working, and its warnings about dry maps."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
