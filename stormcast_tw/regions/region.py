"""What a region is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from stormcast_tw.grid import Grid
from stormcast_tw.settings import ZoneFile

Side = Literal["at or above", "at or below"]
Kind = Literal["rain", "wind", "heat", "cold"]


@dataclass(frozen=True)
class Text:
    """What people read, in Traditional Chinese and in English."""

    zh: str
    en: str


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
class Criterion:
    """One criterion of a class that people are warned of, and how far a forecast of hours can judge it.

    A class with several, such as 80 mm in 24 h or 40 mm in 1 h, is several rows. A value equal to the threshold, which
    is in the quantity's SI units, reaches it.
    """

    id: str
    kind: Kind
    quantity: str
    hours: int
    """The length of the interval that ends at valid_time; 0 for values at valid_time."""
    threshold: float
    units: str
    side: Side
    rank: int
    """How severe the class is, across kinds: 1 is mild."""
    name: Text
    """The class: "大雨", "heavy rain"."""
    reaches: Text
    """The criterion as a predicate. It never says that there is a warning: who warns decides on more."""
    judged: Text
    """By what values it is judged."""
    not_judged: Text | None = None
    """What else makes the class, and is not judged."""
    ground_below: float | None = None
    """Only cells whose ground is lower, in metres: criteria of the plains."""


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
    criteria: tuple[Criterion, ...]
    """What is told by zone, from the most severe class to the mildest."""
    compared_at: Grid
    """A coarse grid of points at which inputs from different grids are compared."""
    input_limits: tuple[InputLimit, ...]
    zones: ZoneFile
    """The places that people are told about: their names and borders."""
