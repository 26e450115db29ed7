"""An archive of providers' files: RWRP's atmosphere, observed rain, and a global analysis or forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from stormcast_tw import quality
from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import RAIN_MADE, RAIN_QPESUMS, RAIN_RWRP, observed_weights
from stormcast_tw.regrid import bilinear, cell_mean
from stormcast_tw.training_data.archive import Array, KmScale, LargeScale, Refusal
from stormcast_tw.training_data.provider_hours import Feed, Fields
from stormcast_tw.variables import VARIABLES, VariableSet, variable_set

VALUES_TOGETHER = 30
"""Maps of a regional grid that are read in one call: six hours of five variables. On 450 x 450 points the read takes
120 MB, five times their bytes."""

GROUND = ("orog", "lsm")
_RAIN = variable_set("rain", "tp01")


@dataclass(frozen=True)
class ProviderArchive:
    """Hours read from providers' files: RWRP's atmosphere, observed rain, and a global analysis or forecast.

    `model_rain`, RWRP's own, is what a forecast starts from where no radar sees; without it the rain there is NaN.
    Raises ValueError for a state set without rain or with `refc`, which no archive provides.
    """

    grid: Grid
    state_set: VariableSet
    background_set: VariableSet
    atmosphere: Feed
    rain: Feed
    background: Feed
    model_rain: Feed | None = None
    background_hours: tuple[int, ...] = (0, 6, 12, 18)
    """Hours of a day, all read together whichever is requested, because files often hold a day; what is read from a
    file then does not depend on the order in which days are made."""

    def __post_init__(self) -> None:
        if "tp01" not in self.state_set.ids or "refc" in self.state_set.ids:
            raise ValueError(f"state set {self.state_set.name}: rain is needed and refc has no archive")

    def describe(self) -> str:  # noqa: D102
        feeds = {"atmosphere": self.atmosphere, "rain": self.rain, "background": self.background}
        feeds |= {"model rain": self.model_rain} if self.model_rain else {}
        return "; ".join(f"{name} {feed.describe()}" for name, feed in feeds.items())

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | Refusal]:  # noqa: D102
        wanted = VariableSet("atmosphere", tuple(VARIABLES[v] for v in (*self._aloft, "orog")))
        states: dict[datetime, KmScale | Refusal] = {}
        chunk = max(1, VALUES_TOGETHER // len(wanted))
        for first in range(0, len(times), chunk):
            some = times[first : first + chunk]
            air, rain = self.atmosphere.read(some, wanted, chunk), self.rain.read(some, _RAIN, chunk)
            model = self.model_rain.read(some, _RAIN, chunk) if self.model_rain else {}
            states |= {time: self._state(air[time], rain[time], model.get(time)) for time in some}
        return states

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | Refusal]:  # noqa: D102
        backgrounds: dict[datetime, LargeScale | Refusal] = {}
        for day in dict.fromkeys(time.replace(hour=0) for time in times):
            together = [day + hours(hour) for hour in self.background_hours]
            readings = self.background.read(together, self.background_set, len(together))
            backgrounds |= {time: self._large_scale(reading) for time, reading in readings.items()}
        return backgrounds

    def ground(self, time: datetime) -> dict[str, Array]:  # noqa: D102
        fields = self.atmosphere.read([time], variable_set("ground", *GROUND), 1)[time]
        if isinstance(fields, Refusal):
            raise fields
        return {name: bilinear(fields.grid, self.grid)(fields.values[name]) for name in GROUND}

    @property
    def _aloft(self) -> tuple[str, ...]:
        return tuple(v for v in self.state_set.ids if v != "tp01")

    def _state(
        self, air: Fields | Refusal, rain: Fields | Refusal, model: Fields | Refusal | None
    ) -> KmScale | Refusal:
        if isinstance(air, Refusal):
            return air
        if isinstance(rain, Refusal):
            return rain
        if isinstance(model, Refusal):
            return model
        try:
            return self._on_grid(air, rain, model)
        except BadInput as error:
            return error if str(error).startswith(air.address) else BadInput(f"{air.address}: {error}")

    def _on_grid(self, air: Fields, rain: Fields, model: Fields | None) -> KmScale:
        """Return arrays like those of `onto_grid.prepare_state`: bilinear; rain conservative, RWRP's if unobserved."""
        to_grid = bilinear(air.grid, self.grid)
        fields = {v: to_grid(air.values[v]) for v in (*self._aloft, "orog")}
        amount = observed_weights(rain.grid, self.grid)(rain.values["tp01"])
        unobserved = np.isnan(amount)
        if model is not None:
            amount = np.where(unobserved, cell_mean(model.grid, self.grid)(model.values["tp01"]), amount)
        fields["tp01"] = amount
        for v in self.state_set:
            quality.check(fields[v.id], v, air.address, missing_allowed=v.id == "tp01")
        stand_in = np.where(np.isnan(amount), RAIN_MADE, RAIN_RWRP)
        sources = [source for source in (air, rain, model) if source is not None]
        return KmScale(
            values=np.stack([fields[v] for v in self.state_set.ids]),
            rain_source=np.where(unobserved, stand_in, RAIN_QPESUMS).astype(np.int8),
            terrain=fields["orog"],
            used=tuple(used for source in sources for used in source.used),
            simulated=any(source.simulated for source in sources),
            address=air.address,
            rain_address=rain.address,
        )

    def _large_scale(self, fields: Fields | Refusal) -> LargeScale | Refusal:
        if isinstance(fields, Refusal):
            return fields
        values = np.stack([fields.values[v] for v in self.background_set.ids])
        return LargeScale(
            values, replace(fields.grid, name="BACKGROUND"), fields.used, fields.simulated, fields.address
        )
