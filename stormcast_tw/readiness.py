"""Which inputs a cycle needs, and which files serve them now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.plan import CycleText, Frozen
from stormcast_tw.sources.base import Located, Source, SourceFile
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.variables import VARIABLES, VariableSet, variable_set

InputName = Literal["state", "rain", "model_rain", "background"]
STATE_FROM_RWRP = variable_set("rwrp", "t2m", "u10m", "v10m", "sp", "orog")
RAIN = variable_set("rain", "tp01")


class Input(Frozen):
    """One row of the input table: what was wanted, what serves it, and how old that is."""

    name: InputName
    source: str
    required: bool
    status: Literal["ready", "absent"]
    files: dict[str, str] = Field(default_factory=dict)
    """Address -> sha256 of the bytes."""
    valid_times: tuple[AwareDatetime, ...]
    variables: tuple[str, ...]
    init_time: AwareDatetime | None = None
    reason: str = ""

    def located(self) -> Located:
        """Return what the source's `read` takes."""
        files = tuple(SourceFile(address, digest) for address, digest in self.files.items())
        variables = VariableSet(self.source, tuple(VARIABLES[v] for v in self.variables))
        return Located(self.source, files, self.valid_times, variables, self.init_time)


class InputSet(Frozen):
    """The outcome of readiness. Has every required input; rain from QPESUMS, from RWRP, or from both."""

    cycle: CycleText
    inputs: tuple[Input, ...]

    def get(self, name: InputName) -> Input | None:
        """Return the input of this name if it is there."""
        return next((i for i in self.inputs if i.name == name and i.status == "ready"), None)

    def require(self, name: InputName) -> Input:
        """Return the input of this name; raises NotReady if it is absent."""
        found = self.get(name)
        if found is None:
            raise NotReady(f"{self.cycle}: input {name} is absent")
        return found

    @property
    def digests(self) -> dict[str, tuple[str, ...]]:
        """The digests of every file that serves, by input."""
        return {i.name: tuple(i.files.values()) for i in self.inputs if i.status == "ready"}

    def table(self) -> list[dict[str, str]]:
        """Return one row an input, for people."""
        return [_row(Cycle.parse(self.cycle), i) for i in self.inputs]


def sources(inputs_root: str, grid: Grid) -> Mapping[InputName, Source]:
    """Return the source that serves each input, below one root, for forecasts on `grid`."""
    return {
        "state": RwrpState(f"{inputs_root}/rwrp"),
        "rain": Qpesums(f"{inputs_root}/qpesums"),
        "model_rain": RwrpRain(f"{inputs_root}/rwrp"),
        "background": GlobalAI(f"{inputs_root}/global_ai", grid),
    }


def find_inputs(
    cycle: Cycle, lead_hours: int, background_set: VariableSet, providers: Mapping[InputName, Source]
) -> InputSet:
    """Look once for everything a forecast needs: state and rain at init_time, background at every hour to the end.

    Raises NotReady naming what is absent when state, background or both rains are.
    """
    at_init = (cycle.init_time,)
    hourly = tuple(cycle.valid_time(lead) for lead in range(lead_hours + 1))
    inputs = (
        _look(providers, "state", at_init, STATE_FROM_RWRP, required=True),
        _look(providers, "rain", at_init, RAIN, required=False),
        _look(providers, "model_rain", at_init, RAIN, required=False),
        _look(providers, "background", hourly, background_set, required=True),
    )
    found = InputSet(cycle=str(cycle), inputs=inputs)
    absent = [f"{i.name} ({i.reason})" for i in inputs if i.required and i.status == "absent"]
    if found.get("rain") is None and found.get("model_rain") is None:
        absent += [f"{i.name} ({i.reason})" for i in inputs if i.name in ("rain", "model_rain")]
    if absent:
        raise NotReady(f"{cycle}: " + "; ".join(absent))
    return found


def _look(
    providers: Mapping[InputName, Source],
    name: InputName,
    valid_times: tuple[datetime, ...],
    variables: VariableSet,
    *,
    required: bool,
) -> Input:
    source = providers[name]
    wanted = Input(
        name=name,
        source=source.name,
        required=required,
        status="absent",
        valid_times=valid_times,
        variables=variables.ids,
    )
    try:
        found = source.find(valid_times, variables)
    except NotReady as error:
        return wanted.model_copy(update={"reason": str(error)})
    files = {file.address: file.digest for file in found.files}
    return wanted.model_copy(update={"status": "ready", "files": files, "init_time": found.init_time})


def _row(cycle: Cycle, row: Input) -> dict[str, str]:
    age = "" if row.init_time is None else f"{(cycle.init_time - row.init_time).total_seconds() / 3600:g} h"
    return {
        "input": row.name,
        "source": row.source,
        "status": row.status if row.required or row.status == "ready" else "absent (optional)",
        "initialised (UTC)": "" if row.init_time is None else f"{row.init_time:%Y-%m-%d %H:%M}",
        "age": age,
        "files": ", ".join(address.rsplit("/", 1)[-1] for address in row.files) or row.reason,
    }
