"""Simulated weather on any grid."""

from __future__ import annotations

from collections.abc import Mapping

from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.regrid import bilinear
from stormcast_tw.simulation.world.box import BOX, INNER
from stormcast_tw.simulation.world.chance import Array
from stormcast_tw.simulation.world.weather import SURFACE_IDS


def on_grid(fields: Mapping[str, Array], grid: Grid) -> dict[str, Array]:
    """Return arrays of the simulation's box, by variable id, on `grid`, each (y, x).

    TAIWAN_2KM is cut out of the box, whose points include its own; other grids are interpolated bilinearly.
    """
    if grid.fingerprint == TAIWAN_2KM.fingerprint:
        return {name: fields[name][INNER] for name in SURFACE_IDS}
    return {name: bilinear(BOX, grid)(fields[name]) for name in SURFACE_IDS}
