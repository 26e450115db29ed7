"""Smooth random errors of analyses: what remains after the assimilation of observations."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import make_interp_spline

from stormcast_tw.simulation.world.box import X_KM, Y_KM
from stormcast_tw.simulation.world.chance import Array, Chance

_POINTS = (25, 17)
"""Nodes of the error field, about 24 km apart."""


@lru_cache(maxsize=1)
def _to_box() -> tuple[Array, Array]:
    matrices = []
    for axis, count in ((Y_KM, _POINTS[0]), (X_KM, _POINTS[1])):
        spline = make_interp_spline(np.linspace(axis[0], axis[-1], count), np.eye(count), k=3)
        matrices.append(np.asarray(spline(axis), dtype=np.float32))
    return matrices[0], matrices[1]


def smooth_errors(chance: Chance, stream: str, hour: int, count: int) -> Array:
    """Return `count` independent smooth fields on the box (count, 288, 192), about unit variance, stamped `hour`."""
    drawn = chance.normals(stream, hour, count * _POINTS[0] * _POINTS[1]).reshape(count, *_POINTS)
    to_y, to_x = _to_box()
    return np.asarray(1.15 * (to_y @ drawn @ to_x.T), dtype=np.float32)
