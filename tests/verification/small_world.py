"""Systems and truths small enough for seconds: 24 x 20 points of TAIWAN_2KM, random in space and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import xarray as xr

from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.verification.scores.statistics import Strata, score_cycle

SHAPE = (24, 20)
START = datetime(2026, 6, 11, 6, tzinfo=UTC)
DIMS = ("member", "lead_time", "latitude", "longitude")


def system(leads: int = 4, shape: tuple[int, int] = SHAPE, **fields: np.ndarray) -> xr.Dataset:
    """A system of the given fields (member, lead, y, x), or of what broadcasts to (M, leads, y, x)."""
    axes = {
        "lead_time": (np.arange(1, leads + 1) * np.timedelta64(1, "h")).astype("timedelta64[ns]"),
        "latitude": TAIWAN_2KM.y[: shape[0]],
        "longitude": TAIWAN_2KM.x[: shape[1]],
    }
    arrays = {}
    for name, field in fields.items():
        given = np.asarray(field, np.float32)
        given = given.reshape(given.shape + (1,) * (4 - given.ndim))
        arrays[name] = (DIMS, np.array(np.broadcast_to(given, (given.shape[0], leads, *shape))))
    return xr.Dataset(arrays, axes)


def random_system(rng: np.random.Generator, members: int = 1, leads: int = 4) -> xr.Dataset:
    """Noise about 295 K, 8 m s-1 of wind, and rain at 3 of 10 points, all members and leads independent."""
    shape = (members, leads, *SHAPE)
    return system(
        leads,
        t2m=295 + 8 * rng.standard_normal(shape),
        u10m=8 * rng.standard_normal(shape),
        v10m=8 * rng.standard_normal(shape),
        tp01=np.maximum(rng.gamma(0.5, 20, shape) - 10, 0),
    )


def as_truth(single: xr.Dataset) -> xr.Dataset:
    """A system of one member as the truth."""
    return single.isel(member=0)


def strata(cycle: int = 0, regime: str = "quiet", shape: tuple[int, int] = SHAPE) -> Strata:
    """Land from the eighth column on, above 1000 m from the fourteenth; six-hourly cycles from 2026-06-11 06 UTC."""
    column = np.broadcast_to(np.arange(shape[1]), shape)
    land, high = (xr.DataArray(column >= first, dims=DIMS[2:]) for first in (8, 14))
    return Strata(land, high, regime, START + timedelta(hours=6 * cycle))


def cycles(count: int, leads: int = 3, worse: float = 2.0) -> list[xr.Dataset]:
    """Statistics of cycles of an ensemble from the truth's own distribution, and of a baseline with `worse` errors."""
    rng, found = np.random.default_rng(7), []
    for cycle in range(count):
        signal = random_system(rng, 1, leads)
        truth, ensemble, baseline = (
            _near(signal, rng, members, size) for members, size in ((1, 1.6), (8, 1.6), (1, 1.6 * worse))
        )
        systems = {"stormcast": ensemble, "persistence": baseline}
        regime = ("quiet", "typhoon")[cycle % 2]
        found.append(score_cycle(systems, as_truth(truth), strata(cycle, regime), seed=3))
    return found


def _near(signal: xr.Dataset, rng: np.random.Generator, members: int, size: float) -> xr.Dataset:
    """The signal with independent errors: `size` K and m s-1, rain by a factor of exp(size / 8 x normal)."""
    leads = signal.sizes["lead_time"]
    errors = {name: size * rng.standard_normal((members, leads, *SHAPE)) for name in signal.data_vars}
    made = {name: signal[name].values + error for name, error in errors.items()}
    made["tp01"] = signal["tp01"].values * np.exp(errors["tp01"] / 8)
    return system(leads, **made)
