"""Where the sun is: one function, used by the model's inputs and by the simulated weather."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import as_utc

FloatArray = npt.NDArray[np.float64]


def year_phase(time: datetime) -> float:
    """Return the time of year as an angle in [0, 2 pi): 0 at 1 January 00 UTC (days over 365.25)."""
    time = as_utc(time)
    new_year = time.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return 2.0 * np.pi * (time - new_year).total_seconds() / (365.25 * 86400.0)


def hour_angle(time: datetime, longitude: npt.ArrayLike) -> FloatArray:
    """Return the solar hour as an angle in radians, in [-pi, pi).

    0 when the sun is highest, negative before that, growing by pi / 12 per hour. `longitude` in degrees; the equation
    of time is that of `cos_zenith`.
    """
    g, time = year_phase(time), as_utc(time)
    minutes_fast = 229.18 * (
        0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g) - 0.04089 * np.sin(2 * g)
    )
    utc_hours = time.hour + time.minute / 60.0 + time.second / 3600.0
    solar_hours = utc_hours + minutes_fast / 60.0 + np.asarray(longitude, dtype=np.float64) / 15.0
    return np.asarray((solar_hours % 24.0 - 12.0) * np.pi / 12.0, dtype=np.float64)


def cos_zenith(time: datetime, latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> FloatArray:
    """Return the cosine of the solar zenith angle, dimensionless, negative at night.

    `latitude`, `longitude` in degrees (broadcast against each other). Declination and equation of time
    by Spencer (1971), as printed in Iqbal, *An Introduction to Solar Radiation* (1983), eqs. 1.3.1 and 1.4.1;
    good to about 0.05 degree of declination and 1 minute of time.
    """
    g = year_phase(time)
    declination = (
        0.006918
        - 0.399912 * np.cos(g)
        + 0.070257 * np.sin(g)
        - 0.006758 * np.cos(2 * g)
        + 0.000907 * np.sin(2 * g)
        - 0.002697 * np.cos(3 * g)
        + 0.00148 * np.sin(3 * g)
    )
    phi = np.radians(np.asarray(latitude, dtype=np.float64))
    noonward = np.cos(hour_angle(time, longitude))
    result = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * noonward
    return np.asarray(result, dtype=np.float64)
