"""What forecasters in Taiwan warn of: the Central Weather Administration's thresholds.

A forecast of 12 h can show that the criterion of a 1 h or 3 h rain, of the mean wind or of a temperature is reached.
It is not the warning itself: criteria over 24 h or days need observations, those of gusts a variable we do not have.
"""

from stormcast_tw.regions.region import Hazard

_ZERO_CELSIUS = 273.15

HAZARDS = (
    # 40 mm in 1 h: heavy rain; 100 and 200 mm in 3 h: extremely heavy and torrential rain (CWA). Below: everyday steps.
    Hazard("tp01", "tp01", (1.0, 5.0, 10.0, 20.0, 40.0), "at or above", "rain in the past hour"),
    Hazard("tp03", "tp03", (100.0, 200.0), "at or above", "rain in the past 3 hours"),
    # Lower limits of the mean wind's Beaufort forces 6, 9 and 12: CWA's yellow, orange and red strong-wind lights
    # (since 2025-12-01).
    Hazard("wind_speed", "wind_speed", (10.8, 20.8, 32.7), "at or above", "10 metre wind speed (Beaufort 6, 9, 12)"),
    # CWA's lights, degrees Celsius: heat yellow from 36, orange from 38; cold yellow from 10, orange from 6 downwards.
    Hazard("t2m_heat", "t2m", (36 + _ZERO_CELSIUS, 38 + _ZERO_CELSIUS), "at or above", "2 metre temperature"),
    Hazard("t2m_cold", "t2m", (10 + _ZERO_CELSIUS, 6 + _ZERO_CELSIUS), "at or below", "2 metre temperature"),
)  # fmt: skip
"""Every hazard, as the Central Weather Administration publishes its criteria."""
