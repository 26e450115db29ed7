"""What an archive provides for an hour: the km-scale weather, and the large scale that drove it.

Two archives implement one Protocol: the simulated world itself (`simulated_archive`) and the files of providers
(`provider_archive`). For an hour that is missing or fails a check, the archive returns the error that says why; nothing
is filled in.
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

    `values` (variable, y, x) are in the order of the state set, in SI units. `rain_source` (y, x) holds the flags of
    `inputs.onto_grid`: where it is not RAIN_QPESUMS the rain was not observed, and is RWRP's or, without that, NaN.
    `terrain` (y, x), m, is that of the hour's own file, which reveals a file on a wrong grid.
    """

    values: Array
    rain_source: npt.NDArray[np.int8]
    terrain: Array
    used: tuple[Used, ...] = ()
    simulated: bool = False
    address: str = ""
    rain_address: str = ""
    """Where the rain was read, for messages."""


@dataclass(frozen=True)
class LargeScale:
    """The background of an hour on its provider's own `grid`: `values` (variable, y, x), order of the set, SI units."""

    values: Array
    grid: Grid
    used: tuple[Used, ...] = ()
    simulated: bool = False
    address: str = ""


Refusal = NotReady | BadInput
"""Why an hour is missing (NotReady) or fails a check (BadInput). Any other error stops the build."""


class Archive(Protocol):
    """Past hours, each independent of the others, for a training dataset. Sent to workers, so it can be pickled."""

    def describe(self) -> str:
        """Return in one line what distinguishes this archive from any other; its location is no part of it."""

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | Refusal]:
        """Return the state of every hour, or why there is none."""

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | Refusal]:
        """Return the background of every hour, or why there is none; also of other hours read with them."""

    def ground(self, time: datetime) -> Mapping[str, Array]:
        """Return `orog` (m) and `lsm` (1), each (y, x), that go with an hour's state; raises NotReady or BadInput."""


@dataclass(frozen=True)
class Remembering:
    """An archive that keeps the last state and the backgrounds of the previous call, which consecutive days share.

    Results are those of the archive itself: the outcome of an hour does not depend on which other hours are requested
    with it.
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
"""Two days of hourly backgrounds: the next day may have been read for its midnight."""


def _recalled(
    times: Sequence[datetime],
    known: dict[datetime, Outcome],
    ask: Callable[[Sequence[datetime]], dict[datetime, Outcome]],
    keep: int,
) -> dict[datetime, Outcome]:
    unknown = [time for time in times if time not in known]
    outcomes = known | (ask(unknown) if unknown else {})
    known.clear()
    known.update((time, outcomes[time]) for time in sorted(outcomes)[-keep:])
    return {time: outcomes[time] for time in times}
