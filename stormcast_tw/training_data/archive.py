"""What an archive gives for an hour: the weather at km scale, and the large scale that drove it.

Two archives behind one Protocol: the simulated world itself (`simulated_archive`) and the files of providers
(`provider_archive`). An hour that an archive cannot give, or cannot vouch for, comes as the error that says why;
nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.storage.provider_files import Used

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class KmScale:
    """The state of an hour on the model's grid.

    `values` (variable, y, x) in the order of the state set, SI units; `rain_source` (y, x) has prepare's flags: where
    it is not RAIN_QPESUMS the rain was not observed: RWRP's, or NaN where there is none. `terrain` (y, x), m, is the
    hour's own: what tells a file of a wrong grid.
    """

    values: Array
    rain_source: npt.NDArray[np.int8]
    terrain: Array
    used: tuple[Used, ...] = ()
    simulated: bool = False
    address: str = ""
    rain_address: str = ""
    """Where it was read, for messages."""


@dataclass(frozen=True)
class LargeScale:
    """The background of an hour on its provider's own `grid`: `values` (variable, y, x), order of the set, SI units."""

    values: Array
    grid: Grid
    used: tuple[Used, ...] = ()
    simulated: bool = False
    address: str = ""


Refusal = NotReady | BadInput
"""Why an hour is not there (NotReady) or not to be believed (BadInput). Anything else stops the building."""


class Archive(Protocol):
    """Past hours, each by itself: what a training dataset is made of. Sent to workers, so it can be pickled."""

    def describe(self) -> str:
        """Return what tells this archive from any other, in one line; where it lies is no part of it."""

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | Refusal]:
        """Return the state of every hour, or why there is none."""

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | Refusal]:
        """Return the background of every hour, or why there is none; others too that were read with them."""

    def ground(self, time: datetime) -> Mapping[str, Array]:
        """Return `orog` (m) and `lsm` (1), (y, x), as the state of an hour has them; raises NotReady or BadInput."""


@dataclass(frozen=True)
class Remembering:
    """An archive that is not asked again for the last state and for backgrounds of the call before.

    Days that follow each other share them. What comes is what the archive itself would give: the outcome of an hour
    depends on no other hour that is asked for with it.
    """

    archive: Archive
    states: dict[datetime, KmScale | Refusal] = field(default_factory=dict)
    backgrounds: dict[datetime, LargeScale | Refusal] = field(default_factory=dict)

    def describe(self) -> str:  # noqa: D102
        return self.archive.describe()

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | Refusal]:  # noqa: D102
        return _recalled(times, self.states, self.archive.km_scale, keep=1)

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | Refusal]:  # noqa: D102
        return _recalled(times, self.backgrounds, self.archive.large_scale, keep=_BACKGROUNDS_KEPT)

    def ground(self, time: datetime) -> Mapping[str, Array]:  # noqa: D102
        return self.archive.ground(time)


Outcome = TypeVar("Outcome")

_BACKGROUNDS_KEPT = 48
"""Two days of hourly ones: the day after may have been read for its midnight."""


def _recalled(
    times: Sequence[datetime],
    known: dict[datetime, Outcome],
    ask: Callable[[Sequence[datetime]], dict[datetime, Outcome]],
    keep: int,
) -> dict[datetime, Outcome]:
    unknown = [time for time in times if time not in known]
    found = known | (ask(unknown) if unknown else {})
    known.clear()
    known.update((time, found[time]) for time in sorted(found)[-keep:])
    return {time: found[time] for time in times}
