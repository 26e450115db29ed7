"""What the measures of Taiwan's inputs may be (`inputs.second_opinion`), each limit with its reason.

"Year" is the range over the 1,464 cycles of the simulated 2024 (docs/SOAK.md), ten of them typhoons. `usual` lies about
half of that range beyond it, unless a reason says otherwise; `refused` lies where no weather was, and none is expected
in real inputs. The first months of a real archive should be measured likewise, and `usual` drawn anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from stormcast_tw.regions.region import InputLimit

Row = tuple[str, str, tuple[float, float], tuple[float, float], str]
"""What is measured, its unit, what is usual, beyond what it is refused, and why."""

_LEAST_SPREAD = {
    # Half of the year's least standard deviation over the points of comparison, in the variable's units.
    "msl": 2.5, "t2m": 0.9, "u10m": 0.03, "v10m": 0.035,
    "q1000": 1.5e-5, "q850": 1e-5, "q500": 1e-6, "q250": 7e-8,
    "t1000": 0.025, "t850": 0.014, "t500": 0.02, "t250": 0.016,
    "u1000": 0.02, "u850": 0.02, "u500": 0.025, "u250": 0.035,
    "v1000": 0.035, "v850": 0.03, "v500": 0.03, "v250": 0.04,
    "z1000": 2.4, "z850": 2.3, "z500": 1.9, "z250": 2.3,
}  # fmt: skip
_STUCK = 0.02
"""Share of the least usual spread below which a field does not vary, but for rounding."""

_STEP = "one step of another unit or run"
_TYPHOON = "a typhoon's 2.4"
_PLACE = "fields that do not belong together, or not there"
_LAYER = "z, t or q in another unit or of another run"
_BACKGROUND: tuple[Row, ...] = (
    ("step of t2m in an hour", " K", (0, 1.2), (0, 2.5), f"{_STEP}; year up to 0.66"),
    ("step of msl in an hour", " Pa", (0, 220), (0, 600), f"{_STEP}; year up to 120, a typhoon's 300"),
    ("step of u10m in an hour", " m s-1", (0, 3), (0, 8), f"{_STEP}; year up to 0.5, {_TYPHOON}"),
    ("step of v10m in an hour", " m s-1", (0, 3.5), (0, 8), f"{_STEP}; year up to 1.0, {_TYPHOON}"),
    ("step of t850 in an hour", " K", (0, 1.1), (0, 3), f"{_STEP}; year up to 0.7"),
    ("step of q850 in an hour", " kg kg-1", (0, 1.4e-3), (0, 4e-3), f"{_STEP}; year up to 0.0007"),
    ("step of u850 in an hour", " m s-1", (0, 3), (0, 8), f"{_STEP}; year up to 0.5, {_TYPHOON}"),
    ("step of v850 in an hour", " m s-1", (0, 3.5), (0, 8), f"{_STEP}; year up to 1.1, {_TYPHOON}"),
    ("step of z500 in an hour", " m2 s-2", (0, 70), (0, 250), f"{_STEP}; year up to 37"),
    ("least change of z500 in an hour", " m2 s-2", (0.05, inf), (1e-3, inf), "a step delivered twice; year from 0.27"),
    ("greatest mean relative humidity at 850 hPa", "", (0.2, 1.4), (5e-3, 1.7), "another unit; year 0.58 to 1.14"),
    ("thickness 1000 to 850 hPa not hydrostatic", " m2 s-2", (-190, 190), (-500, 500), f"{_LAYER}; year -98 to 80"),
    ("spread of thickness 1000 to 850 hPa not hydrostatic", " m2 s-2", (0, 80), (0, 300), f"{_PLACE}; year up to 39"),
    ("thickness 850 to 500 hPa not hydrostatic", " m2 s-2", (-540, 540), (-1500, 1500), f"{_LAYER}; year ±292"),
    ("spread of thickness 850 to 500 hPa not hydrostatic", " m2 s-2", (0, 290), (0, 900), f"{_PLACE}; year up to 157"),
    ("thickness 500 to 250 hPa not hydrostatic", " m2 s-2", (-750, 750), (-2000, 2000), f"{_LAYER}; year -433 to 352"),
    ("spread of thickness 500 to 250 hPa not hydrostatic", " m2 s-2", (0, 330), (0, 900), f"{_PLACE}; year up to 139"),
    ("msl less that of z1000", " Pa", (-450, 450), (-2500, 2500), "msl or z displaced; year ±259"),
    ("spread of msl less that of z1000", " Pa", (0, 230), (0, 900), f"{_PLACE}; year up to 139"),
    ("t2m less t1000", " K", (-5, 6), (-12, 12), "another unit or level; year -1.9 to 3.0"),
    ("smallest slope of 10-m wind against that at 1000 hPa", "", (0.1, inf), (-0.2, inf), "reversed; year from 0.4"),
    ("largest slope of 10-m wind against that at 1000 hPa", "", (-inf, 1.7), (-inf, 4), "another unit; year up to 1.4"),
    ("difference of 10-m wind against that at 1000 hPa over its size", "", (0, 1.05), (0, 1.6),
     "winds of another place or unit; year up to 0.70"),
    ("slope of wind aloft against the geostrophic", "", (-0.1, 3), (-0.5, 8),
     "reversed or swapped: not what the pressure drives; year from -0.03, reversed in June -0.12"),
    ("difference of wind aloft against the geostrophic over its size", "", (0, 1.15), (0, 1.5),
     "as the slope; year up to 1.09, reversed in June 1.19, 2 at most"),
)  # fmt: skip
_RUN_BEFORE: tuple[Row, ...] = (
    ("mean difference of t2m", " K", (-6, 6), (-15, 15), "a run of another analysis or unit; year ±3.8"),
    ("spread of the difference of t2m", " K", (0, 1.8), (0, 6), f"{_PLACE}; year up to 0.9"),
    ("mean difference of msl", " Pa", (-900, 900), (-3000, 3000), "as t2m; year ±493"),
    ("spread of the difference of msl", " Pa", (0, 450), (0, 2000), f"{_PLACE}; year up to 230, a typhoon's more"),
    ("mean difference of t850", " K", (-6.5, 6.5), (-15, 15), "as t2m; year ±4.1"),
    ("spread of the difference of t850", " K", (0, 1.8), (0, 6), f"{_PLACE}; year up to 1.0"),
    ("mean difference of q850", " kg kg-1", (-9e-3, 9e-3), (-0.02, 0.02), "as t2m; year ±0.0055"),
    ("spread of the difference of q850", " kg kg-1", (0, 2.2e-3), (0, 0.01), f"{_PLACE}; year up to 0.0011"),
    ("mean difference of z500", " m2 s-2", (-600, 600), (-3000, 3000), "as t2m; year ±345"),
    ("spread of the difference of z500", " m2 s-2", (0, 200), (0, 1500), f"{_PLACE}; year up to 108"),
    ("slope of 10-m wind", "", (-0.7, 2.7), (-2, 6), "reversed, or in another unit; year 0.02 to 1.77"),
    ("difference of 10-m wind over its size", "", (0, 1.45), (0, 1.8), "as the slope; year up to 1.02, 2 at most"),
    ("slope of 500 wind", "", (-0.9, 3), (-2, 6), "reversed, or in another unit; year -0.10 to 1.99"),
    ("difference of 500 wind over its size", "", (0, 1.5), (0, 1.8), "as the slope; year up to 1.10, 2 at most"),
)
_GROUND: tuple[Row, ...] = (
    ("smallest fall of t2m with altitude", " K km-1", (1.2, inf), (-3, inf), f"{_PLACE}; year 2.6 to 5.0"),
)
_STATE: tuple[Row, ...] = (
    ("spread of t2m", " K", (1.2, 11), (0.4, 20), "one value everywhere; year 2.5 to 5.6"),
    ("least spread of u10m and v10m", " m s-1", (0.3, 20), (0.05, 40), "0: not computed yet; year from 0.8"),
    ("spread of pressure at sea level", " Pa", (0, 1500), (0, 5000),
     "pressure and terrain of different places; year up to 580, a typhoon's eye 1500"),
)  # fmt: skip
_HOUR_BEFORE: tuple[Row, ...] = (
    ("mean difference of t2m", " K", (-2.2, 2.2), (-6, 6), "another unit, or an offset; year ±1.0"),
    ("spread of the difference of t2m", " K", (0, 1.8), (0, 5), f"{_PLACE}; year up to 1.0"),
    ("slope of 10-m wind", "", (0.45, 1.45), (0, 2.5), "reversed, swapped, in another unit; year 0.69 to 1.16"),
    ("difference of 10-m wind over its size", "", (0, 0.75), (0, 1.2), "as the slope; year up to 0.51"),
)
_STATE_AND_BACKGROUND: tuple[Row, ...] = (
    ("mean difference of t2m", " K", (-4, 4), (-6.5, 6.5), "one of them in another unit or too warm; year ±2.5"),
    ("spread of the difference of t2m", " K", (0, 2.4), (0, 6), f"{_PLACE}; year up to 1.6"),
    ("mean difference of pressure at sea level", " Pa", (-350, 350), (-1500, 1500), "one of them displaced; year ±186"),
    ("spread of the difference of pressure at sea level", " Pa", (0, 220), (0, 1000), f"{_PLACE}; year up to 115"),
    ("slope of 10-m wind", "", (-0.1, 2.3), (-0.8, 5), "one of them reversed, or in another unit; year 0.33 to 1.60"),
    ("difference of 10-m wind over its size", "", (0, 1.3), (0, 1.7), "as the slope; year up to 0.92, 2 at most"),
)
_FORECAST: tuple[Row, ...] = (
    ("mean difference of t2m", " K", (-5.2, 5.2), (-inf, inf), "a forecast refuses nothing; year ±3.5"),
    ("spread of the difference of t2m", " K", (0, 2.9), (0, inf), "as above; year up to 2.0"),
    ("slope of 10-m wind", "", (-0.6, 2.4), (-inf, inf), "as above; year 0.17 to 1.60"),
    ("difference of 10-m wind over its size", "", (0, 1.35), (0, inf), "as above; year up to 0.94"),
)
_RAIN: tuple[Row, ...] = (
    ("spread over mean of wet cells", "", (0.03, inf), (0.015, inf), "one value everywhere; year from 0.06"),
    (
        "roughness",
        "",
        (0, 0.25),
        (0, 0.3),
        "cells in another order, or speckled; year up to 0.17, Soudelor's hour 0.02",
    ),
)
_HOURS_BEFORE: tuple[Row, ...] = (
    (
        "share of wet cells equal to an earlier hour",
        "",
        (0, 0.6),
        (0, 0.95),
        "an hour delivered twice; year up to 0.36",
    ),
    ("share newly observed", "", (0, 0.01), (0, inf), "cells elsewhere, or a radar that came back; year 0"),
    ("share newly observed, all of it dry", "", (0, 0.01), (0, 0.05), "not observed written as 0; year 0"),
    ("share no longer observed", "", (0, 0.03), (0, inf), "cells elsewhere, or a radar that failed; year 0"),
)
_OTHERS: tuple[Row, ...] = (
    ("logarithm of its ratio to the nearer one", "", (-0.6, 0.6), (-2.5, 2.5),
     "another unit or hour, or no rain where hour before and model have it; year ±0.26"),
)  # fmt: skip
_MODEL_RAIN: tuple[Row, ...] = (
    (
        "share of the observed rain",
        "",
        (0.25, 3.5),
        (0.07, 20),
        "counters stuck or fallen, another unit; year 0.49 to 1.71",
    ),
)

_TABLES: dict[str, tuple[Row, ...]] = {
    "background": _BACKGROUND,
    "background and its run before": _RUN_BEFORE,
    "background and ground": _GROUND,
    "state": _STATE,
    "state and the hour before": _HOUR_BEFORE,
    "state and background": _STATE_AND_BACKGROUND,
    "state and forecast": _FORECAST,
    "rain": _RAIN,
    "rain and hours before": _HOURS_BEFORE,
    "rain and others": _OTHERS,
    "model rain": _MODEL_RAIN,
}
"""By group, in the order in which inputs are judged."""


def _limits() -> Iterator[InputLimit]:
    for name, least in _LEAST_SPREAD.items():
        refused = (_STUCK * least, inf)
        yield InputLimit(
            f"background: spread of {name}", "", (least, inf), refused, "a field that does not vary is stuck"
        )
    for group, rows in _TABLES.items():
        for what, unit, usual, refused, reason in rows:
            yield InputLimit(f"{group}: {what}", unit, usual, refused, reason)


INPUT_LIMITS = tuple(_limits())
"""Every limit, backgrounds first."""
