"""What forecasters in Taiwan warn of: the Central Weather Administration's thresholds.

A forecast of 12 h can show that the criterion of a 1 h or 3 h rain, of the mean wind or of a temperature is reached.
It is not the warning itself: criteria over 24 h need the observed hours before, those over days more than that, and
those of gusts a variable we do not have.
"""

from stormcast_tw.regions.region import Hazard

_ZERO_CELSIUS = 273.15
_HEAT = (36 + _ZERO_CELSIUS, 38 + _ZERO_CELSIUS)
_COLD = (10 + _ZERO_CELSIUS, 6 + _ZERO_CELSIUS)

_OF_24_HOURS = (80.0, 200.0, 350.0, 500.0)
"""CWA's criteria over 24 h: heavy, extremely heavy, torrential and extremely torrential rain."""
_OF_12_HOURS, _OF_6_HOURS = (50.0, 80.0, 200.0, 350.0), (30.0, 50.0, 80.0, 200.0)
"""CWA has no criterion over 6 or 12 h. A shorter sum that reaches one over 24 h reaches it whatever fell before; below
are everyday steps."""
_OF_3_HOURS = (15.0, 30.0, 50.0, 100.0, 200.0)
"""100 and 200 mm: extremely heavy and torrential rain (CWA). Below: everyday steps."""

HAZARDS = (
    # 40 mm in 1 h: heavy rain (CWA). Below: everyday steps.
    Hazard("tp01", "tp01", (1.0, 5.0, 10.0, 20.0, 40.0), "at or above", "rain in the past hour"),
    Hazard("tp03", "tp03", _OF_3_HOURS, "at or above", "rain in the past 3 hours"),
    Hazard("tp06", "tp06", _OF_6_HOURS, "at or above", "rain in the past 6 hours"),
    Hazard("tp12", "tp12", _OF_12_HOURS, "at or above", "rain in the past 12 hours"),
    # Lower limits of the mean wind's Beaufort forces 6, 9 and 12: CWA's yellow, orange and red strong-wind lights
    # (since 2025-12-01).
    Hazard("wind_speed", "wind_speed", (10.8, 20.8, 32.7), "at or above", "10 metre wind speed (Beaufort 6, 9, 12)"),
    # CWA's lights, degrees Celsius: heat yellow from 36, orange from 38; cold yellow from 10, orange from 6 downwards.
    Hazard("t2m_heat", "t2m", _HEAT, "at or above", "2 metre temperature"),
    Hazard("t2m_cold", "t2m", _COLD, "at or below", "2 metre temperature"),
    # The same lights without the mountains, which are always cold: CWA's cold lights are for plains.
    Hazard("t2m_heat_lowland", "t2m_lowland", _HEAT, "at or above", "2 metre temperature below 500 m"),
    Hazard("t2m_cold_lowland", "t2m_lowland", _COLD, "at or below", "2 metre temperature below 500 m"),
    # The same sums completed with what was observed before init_time, so that the first hours are judged too.
    Hazard("tp03_projected", "tp03_projected", _OF_3_HOURS, "at or above", "projected rain in the past 3 hours"),
    Hazard("tp06_projected", "tp06_projected", _OF_6_HOURS, "at or above", "projected rain in the past 6 hours"),
    Hazard("tp12_projected", "tp12_projected", _OF_12_HOURS, "at or above", "projected rain in the past 12 hours"),
    Hazard("tp24_projected", "tp24_projected", _OF_24_HOURS, "at or above", "projected rain in the past 24 hours"),
)  # fmt: skip
"""Every hazard, as the Central Weather Administration publishes its criteria."""
