"""What products are made of: quantities of every member, and what a row of the table of products says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import xarray as xr

from stormcast_tw.products.projected import (
    OBSERVED,
    PROJECTED_HOURS,
    REACHED_BEFORE,
    missing_hours,
    projected,
    reached_before,
)
from stormcast_tw.products.rain import ACCUMULATION_HOURS, accumulate
from stormcast_tw.products.surface import LOWLAND_BELOW_M, OROGRAPHY, lowland, wind_speed, wind_vector
from stormcast_tw.regions import HOME
from stormcast_tw.regions.region import Hazard
from stormcast_tw.variables import VARIABLES

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Quantity:
    """A quantity at a point, computed for each member before any statistic.

    `form` takes the forecast, with `observed` and `orog` beside it (`table.beside`), and returns (member, lead_time,
    y, x) in `attributes["units"]`; what depends on no member has no such dimension. `hours` is the length of the
    interval that ends at valid_time; if it exceeds one hour, the first hours - 1 leads may be absent. Values are
    finite, except on cells that a quantity `of_some_cells` leaves out.
    """

    name: str
    inputs: tuple[str, ...]
    attributes: Attributes
    form: Callable[[xr.Dataset], xr.DataArray]
    hours: int = 1
    optional_inputs: tuple[str, ...] = ()
    """Without these there is no such quantity, and no error."""
    of_some_cells: bool = False
    of_members: bool = True
    """False for what is a product as it is."""


@dataclass(frozen=True)
class Product:
    """A statistic of a quantity: its name, CF attributes and the pure function from members to product.

    `compute` takes (member, lead_time, y, x) and returns (lead_time, ..., y, x), or (..., y, x) of the whole run;
    float32, int8 for classes. It needs at least `members` members. `since_init` says that its interval begins at
    init_time, not `quantity.hours` before valid_time.
    """

    name: str
    quantity: Quantity
    attributes: Attributes
    compute: Callable[[xr.DataArray], xr.DataArray]
    members: int = 1
    since_init: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """The forecast variables it needs."""
        return self.quantity.inputs


def _rain(hours: int) -> Quantity:
    long_name = "rain in the past hour" if hours == 1 else f"rain in the past {hours} hours"
    summed = {} if hours == 1 else {
        "cell_methods": f"time: sum (interval: 1 hour comment: of the {hours} hours that end at this time) area: mean",
        "comment": f"missing at lead times below {hours} h: a sum is whole or not given",
    }  # fmt: skip
    attributes = {**VARIABLES["tp01"].attributes, "long_name": long_name, **summed}
    return Quantity(f"tp{hours:02d}", ("tp01",), attributes, lambda f: accumulate(f, hours), hours)


def _projected_rain(hours: int) -> Quantity:
    ends = f"of the {hours} hours that end at this time, observed up to init_time, then forecast"
    attributes = {
        **VARIABLES["tp01"].attributes,
        "long_name": f"projected rain in the past {hours} hours",
        "cell_methods": f"time: sum (interval: 1 hour comment: {ends}) area: mean",
        "comment": f"at least this much where tp{hours:02d}_missing_hours is not 0; missing at lead times below {hours}"
        " h if no hour was observed at all",
    }
    return Quantity(f"tp{hours:02d}_projected", ("tp01",), attributes, lambda f: projected(f, hours), hours)


def _missing_hours(hours: int) -> Quantity:
    attributes = {
        "long_name": f"hours without observation in the projected rain of the past {hours} hours",
        "units": "1",
        "cell_methods": "time: sum (interval: 1 hour) area: point",
        "coverage_content_type": "qualityInformation",
    }
    return Quantity(f"tp{hours:02d}_missing_hours", ("tp01",), attributes, lambda f: missing_hours(f, hours), hours,
                    (OBSERVED,), of_members=False)  # fmt: skip


def _reached_before(hazard: Hazard, hours: int) -> Quantity:
    name = f"tp{hours:02d}_projected_threshold"
    threshold = {
        **{k: v for k, v in VARIABLES["tp01"].attributes.items() if k in ("standard_name", "units")},
        "long_name": f"threshold of {hazard.long_name}, {hazard.side}",
    }
    attributes = {
        "long_name": f"whether the observed rain of the {hours} hours before init_time alone reaches a threshold",
        "units": "1",
        "cell_methods": f"area: mean (of the sum of the {hours} hours that end at init_time)",
        "flag_values": list(range(len(REACHED_BEFORE))),
        "flag_meanings": " ".join(REACHED_BEFORE),
        "coverage_content_type": "physicalMeasurement",
    }
    form = partial(reached_before, hours=hours, thresholds=hazard.thresholds, name=name, attributes=threshold)
    return Quantity(f"tp{hours:02d}_reached_before", ("tp01",), attributes, form, 1, (OBSERVED,), of_members=False)


_WIND = {"units": "m s-1", "cell_methods": "time: point"}
_LOWLAND = {
    **VARIABLES["t2m"].attributes,
    "long_name": f"2 metre temperature below {LOWLAND_BELOW_M:g} m",
    "comment": f"missing where the model's orography reaches {LOWLAND_BELOW_M:g} m: mountains are always cold",
}

QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity("wind_speed", ("u10m", "v10m"),
                 {"standard_name": "wind_speed", "long_name": "10 metre wind speed", **_WIND}, wind_speed),
        Quantity("wind_vector", ("u10m", "v10m"), {"long_name": "10 metre wind vector", **_WIND}, wind_vector),
        Quantity("t2m", ("t2m",), VARIABLES["t2m"].attributes, lambda f: f["t2m"]),
        *(_rain(hours) for hours in ACCUMULATION_HOURS),
        Quantity("t2m_lowland", ("t2m",), _LOWLAND, lowland, optional_inputs=(OROGRAPHY,), of_some_cells=True),
        *(_projected_rain(hours) for hours in PROJECTED_HOURS),
        *(_missing_hours(hours) for hours in PROJECTED_HOURS),
        *(_reached_before(hazard, hours) for hours in PROJECTED_HOURS for hazard in HOME.hazards
          if hazard.quantity == f"tp{hours:02d}_projected"),
    )
}  # fmt: skip
"""Every quantity, by name."""
