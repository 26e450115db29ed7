"""What forecasters warn of: the thresholds whose probability is a product.

A forecast of 12 h can show that the criterion of a 1 h or 3 h rain, of the mean wind or of a temperature is reached.
It is not the warning itself: criteria over 24 h or days need observations, those of gusts a variable we do not have.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormcast_tw.products.ensemble import Side
from stormcast_tw.products.surface import BEAUFORT_LIMITS

_ZERO_CELSIUS = 273.15
WARNED_FORCES = (6, 9, 12)
"""Beaufort forces of the mean wind for CWA's yellow, orange and red strong-wind lights (since 2025-12-01)."""


@dataclass(frozen=True)
class Hazard:
    """A quantity and the thresholds, in its units and from mild to severe, whose probability we publish.

    The product is `<name>_probability` on the coordinate `<name>_threshold`; a value equal to a threshold counts.
    """

    name: str
    quantity: str
    thresholds: tuple[float, ...]
    side: Side
    long_name: str


HAZARDS = (
    # 40 mm in 1 h: heavy rain; 100 and 200 mm in 3 h: extremely heavy and torrential rain (CWA). Below: everyday steps.
    Hazard("tp01", "tp01", (1.0, 5.0, 10.0, 20.0, 40.0), "at or above", "rain in the past hour"),
    Hazard("tp03", "tp03", (100.0, 200.0), "at or above", "rain in the past 3 hours"),
    Hazard("wind_speed", "wind_speed", tuple(BEAUFORT_LIMITS[force - 1] for force in WARNED_FORCES),
           "at or above", "10 metre wind speed (Beaufort 6, 9, 12)"),
    # CWA's lights, degrees Celsius: heat yellow from 36, orange from 38; cold yellow from 10, orange from 6 downwards.
    Hazard("t2m_heat", "t2m", (36 + _ZERO_CELSIUS, 38 + _ZERO_CELSIUS), "at or above", "2 metre temperature"),
    Hazard("t2m_cold", "t2m", (10 + _ZERO_CELSIUS, 6 + _ZERO_CELSIUS), "at or below", "2 metre temperature"),
)  # fmt: skip
"""Every hazard. Thresholds of CWA as collected in the project's reference, science.md 3.3."""
