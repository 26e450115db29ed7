"""What people are warned of: the quantities that criteria are judged by, and the words for what is forecast."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.products.quantities import QUANTITIES
from stormcast_tw.regions.region import Criterion, Text


@dataclass(frozen=True)
class Shown:
    """How values of SI units are shown to people: the unit, and what is added."""

    unit: str
    added: float = 0.0

    def __call__(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return values, any shape, as they are shown: to a tenth, from 100 on whole."""
        exact = np.asarray(values, np.float64) + self.added
        return np.where(np.abs(exact) < 100, np.round(exact, 1), np.round(exact)) + 0.0


SHOWN = {"kg m-2": Shown("mm"), "m s-1": Shown("m/s"), "K": Shown("°C", -273.15)}
"""By SI units."""

CHANCES = (
    (0.3, Text("低", "low")),
    (0.7, Text("中", "medium")),
    (1.0, Text("高", "high")),
)
"""Words for a probability, each with where it ends: low is less than 30 %, high is more than 70 %."""


def chance(hits: int, members: int) -> Text:
    """Return the word for the probability that `hits` of `members` members give; exact, without division."""
    low, medium, high = (word for _, word in CHANCES)
    if 10 * hits < 3 * members:
        return low
    return high if 10 * hits > 7 * members else medium


def sentence(criterion: Criterion, zone: Text, hits: int, members: int) -> Text:
    """Return what a row says of a zone, for lists and messages; never that there is a warning."""
    word = chance(hits, members)
    return Text(
        f"{zone.zh}：{members}個成員中有{hits}個{criterion.reaches.zh}，可能性{word.zh}",
        f"{zone.en}: {hits} of {members} members; chance {word.en}: {criterion.reaches.en}",
    )


def judged_quantities(forecast: xr.Dataset, criteria: Iterable[Criterion]) -> dict[str, xr.DataArray]:
    """Return by name the quantities (member, lead_time, y, x) that a forecast alone has for the criteria.

    An n-hour sum lacks the leads below n; 24-hour sums, and these leads, exist where observed rain is added.
    """
    names = dict.fromkeys(criterion.quantity for criterion in criteria)
    formed = {name: QUANTITIES[name].form(forecast) for name in names if name in QUANTITIES}
    return {name: values.rename(name) for name, values in formed.items() if values.sizes["lead_time"]}
