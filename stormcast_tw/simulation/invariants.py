"""The constant fields of the simulated Taiwan."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stormcast_tw.grid import Grid
from stormcast_tw.simulation.world import geography


def simulated_invariants(grid: Grid) -> dict[str, npt.NDArray[np.float32]]:
    """Return the simulated Taiwan's land mask, orography and rain coverage on `grid`, each (y, x) float32."""
    latitude, longitude = grid.latlon()
    fields = {
        "lsm": geography.land_mask(latitude, longitude),
        "orog": geography.orography(latitude, longitude),
        "coverage": geography.radar_coverage(latitude, longitude),
    }
    return {name: np.ascontiguousarray(field, dtype=np.float32) for name, field in fields.items()}
