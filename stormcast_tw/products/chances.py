"""The rows of a hazard: how likely its thresholds are reached at a point, near it, by a certain time, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import xarray as xr

from stormcast_tw.products.ensemble import probability
from stormcast_tw.products.neighbourhood import RADIUS_KM, neighbourhood_probability
from stormcast_tw.products.projected import PROJECTED_HOURS
from stormcast_tw.products.quantities import QUANTITIES, Product
from stormcast_tw.products.timing import onset, reached_probability
from stormcast_tw.regions.region import Hazard
from stormcast_tw.schema import array_attributes

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class _Chance:
    """What is said of a hazard: the end of the product's name, its function, and its words.

    `words` and `method` are completed with the hazard's `long_name` and `side`; `hazards` are the names of those of
    which it is said, all if there are none.
    """

    suffix: str
    compute: Callable[..., xr.DataArray]
    words: str
    method: str
    more: Attributes
    hazards: tuple[str, ...] = ()
    since_init: bool = False


_NEARBY = ("tp01", "wind_speed", *(f"tp{hours:02d}_projected" for hours in PROJECTED_HOURS))
"""Rain and wind change within kilometres; temperature follows the ground, and near a point there is always a valley."""
_TIMED = (*_NEARBY, "t2m_heat_lowland", "t2m_cold_lowland")
"""Of the sums the projected ones, which begin at lead 1; of temperature that of the lowland."""

_CHANCES = (
    _Chance("probability", probability, "probability of {long_name} {side} a threshold",
            "realization: mean (share of the members {side} the threshold)", {"units": "1"}),
    _Chance("neighbourhood_probability", neighbourhood_probability,
            f"probability of {{long_name}} {{side}} a threshold anywhere within {RADIUS_KM:g} km",
            f"realization: mean (share of the members {{side}} the threshold anywhere within {RADIUS_KM:g} km)",
            {"units": "1", "radius_km": RADIUS_KM}, _NEARBY),
    _Chance("reached_probability", reached_probability,
            "probability of {long_name} {side} a threshold at least once since init_time",
            "realization: mean (share of the members {side} the threshold at any hour since init_time)",
            {"units": "1"}, _TIMED, since_init=True),
    _Chance("onset", onset, "lead time at which half of the members have had {long_name} {side} a threshold",
            "realization: median (of each member's first hour {side} the threshold)",
            {"units": "h"}, _TIMED),
)  # fmt: skip


def chances(hazard: Hazard) -> Iterator[Product]:
    """Yield the rows of a hazard.

    CF has no standard name for any; as in number_of_days_with_X_above_threshold, the coordinate is named after X.
    """
    quantity, name = QUANTITIES[hazard.quantity], f"{hazard.name}_threshold"
    whole = array_attributes(quantity.attributes)
    kept = {k: v for k, v in whole.items() if k in ("standard_name", "units", "units_metadata")}
    threshold = {**kept, "long_name": f"threshold of {hazard.long_name}, {hazard.side}"}
    said = {"long_name": hazard.long_name, "side": hazard.side}
    for chance in _CHANCES:
        if chance.hazards and hazard.name not in chance.hazards:
            continue
        attributes = {
            "long_name": chance.words.format(**said),
            **chance.more,
            "cell_methods": chance.method.format(**said),
            **{k: v for k, v in quantity.attributes.items() if k == "comment"},
        }
        compute = partial(
            chance.compute, thresholds=hazard.thresholds, side=hazard.side, name=name, attributes=threshold
        )
        if quantity.of_some_cells:
            compute = partial(_where_given, compute)
        yield Product(f"{hazard.name}_{chance.suffix}", quantity, attributes, compute, since_init=chance.since_init)


def _where_given(compute: Callable[[xr.DataArray], xr.DataArray], members: xr.DataArray) -> xr.DataArray:
    """Return a product, missing at cells that the quantity leaves out."""
    return compute(members).where(members.isel(member=0, lead_time=0, drop=True).notnull())
