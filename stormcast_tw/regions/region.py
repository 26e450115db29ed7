"""What a region is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from stormcast_tw.grid import Grid

Side = Literal["at or above", "at or below"]


@dataclass(frozen=True)
class Hazard:
    """A quantity and the thresholds, in its units and from mild to severe, whose probability is published.

    The product is `<name>_probability` on the coordinate `<name>_threshold`; a value equal to a threshold counts.
    """

    name: str
    quantity: str
    thresholds: tuple[float, ...]
    side: Side
    long_name: str


@dataclass(frozen=True)
class InputLimit:
    """What a measure of the inputs may be (`inputs.second_opinion`), both ends included.

    Beyond `usual` the input is used, but as suspicious: the forecast is degraded and says why. Beyond `refused` it does
    not serve. `reason` says what the limit catches and where its numbers come from.
    """

    measure: str
    unit: str
    """With a space in front, for messages; empty for a number without a unit."""
    usual: tuple[float, float]
    refused: tuple[float, float]
    reason: str


@dataclass(frozen=True)
class Region:
    """A place that is forecast: the grid of its packages, the clock its people go by, and what they are warned of."""

    name: str
    grid: Grid
    clock: tzinfo
    hazards: tuple[Hazard, ...]
    compared_at: Grid
    """A coarse grid of points at which inputs from different grids are compared."""
    input_limits: tuple[InputLimit, ...]
