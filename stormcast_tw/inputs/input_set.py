"""What one look at the inputs of a cycle found: what serves each, what is missing. Manifests and pages show this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import NotReady
from stormcast_tw.plan import CycleText, Frozen
from stormcast_tw.sources.base import Located
from stormcast_tw.storage.provider_files import SourceFile
from stormcast_tw.variables import VARIABLES, VariableSet

InputName = Literal["state", "rain", "model_rain", "background", "past_rain"]
Status = Literal["ready", "degraded", "missing"]


def _file(value: Any) -> Any:
    return SourceFile(*value) if isinstance(value, list | tuple) else value


_File = Annotated[SourceFile, BeforeValidator(_file)]
"""Manifests made before 0.2 hold a file as [address, version, size]."""


class Input(Frozen):
    """One input of a cycle: what was wanted, what serves it, how old that is, and what was tried before."""

    name: InputName
    source: str
    """The provider that serves, or the first that should have."""
    required: bool
    status: Status
    files: tuple[_File, ...] = ()
    valid_times: tuple[AwareDatetime, ...]
    variables: tuple[str, ...]
    init_time: AwareDatetime | None = None
    expected_age_hours: int
    stand_in: bool = False
    reason: str = ""
    """Why it is degraded or missing."""
    doubt: str = ""
    """What looks suspicious in it."""

    def located(self) -> Located:
        """Return what the source's `read` takes."""
        variables = VariableSet(self.source, tuple(VARIABLES[v] for v in self.variables))
        return Located(self.source, self.files, self.valid_times, variables, self.init_time)

    def age_hours(self, cycle: Cycle) -> int | None:
        """Return how long before the cycle the serving run began; None for observations."""
        return None if self.init_time is None else int((cycle.init_time - self.init_time).total_seconds() // 3600)

    @property
    def remark(self) -> str:
        """Why it is degraded or missing, and what looks suspicious in it."""
        return "; ".join(part for part in (self.reason, self.doubt and f"suspicious: {self.doubt}") if part)

    def __str__(self) -> str:
        run = "" if self.init_time is None else f" {self.init_time:%Y%m%dT%HZ}"
        remark = f" ({self.remark})" if self.remark else ""
        return f"{self.name}: {self.source}{run} {self.status}{remark}"


class InputSet(Frozen):
    """The outcome of one look at everything a cycle needs."""

    cycle: CycleText
    inputs: tuple[Input, ...]

    def get(self, name: InputName) -> Input | None:
        """Return the input of this name if something serves it."""
        return next((i for i in self.inputs if i.name == name and i.status != "missing"), None)

    @property
    def status(self) -> Status:
        """`missing` if a required input is, else `degraded` if a required one is, else `ready`."""
        statuses = [i.status for i in self.inputs if i.required]
        return "missing" if "missing" in statuses else "degraded" if "degraded" in statuses else "ready"

    @property
    def degraded(self) -> tuple[str, ...]:
        """One line for each required input that is served by a stand-in or by something old."""
        return tuple(f"{i.name}: {i.remark}" for i in self.inputs if i.required and i.status == "degraded")

    @property
    def missing(self) -> tuple[str, ...]:
        """One line for each required input that nothing serves."""
        return tuple(f"{i.name} ({i.reason})" for i in self.inputs if i.required and i.status == "missing")

    @property
    def doubts(self) -> tuple[str, ...]:
        """One line for each input in which something looks suspicious."""
        return tuple(f"{i.name}: {i.doubt}" for i in self.inputs if i.doubt)

    def doubted(self, doubts: Mapping[InputName, str]) -> InputSet:
        """Return this set with the inputs of `doubts`, which look suspicious for these reasons, as degraded."""
        update = {name: {"status": "degraded", "doubt": doubt} for name, doubt in doubts.items()}
        return self.model_copy(
            update={"inputs": tuple(i.model_copy(update=update.get(i.name, {})) for i in self.inputs)}
        )

    def require_complete(self) -> InputSet:
        """Return this set; raises NotReady naming what is missing."""
        if self.missing:
            raise NotReady(f"{self.cycle}: {'; '.join(self.missing)}")
        return self

    def served(self) -> dict[str, str]:
        """Return the attributes that say on every product what served: `inputs_status` and `inputs`."""
        return {"inputs_status": self.status, "inputs": "; ".join(str(i) for i in self.inputs if i.required)}

    def table(self) -> list[dict[str, str]]:
        """Return one row per input, for people."""
        return [_row(Cycle.parse(self.cycle), i) for i in self.inputs]


def _row(cycle: Cycle, row: Input) -> dict[str, str]:
    age = row.age_hours(cycle)
    shown = [file.address.rsplit("/", 1)[-1] for file in row.files]
    files = ", ".join(shown) if len(shown) <= 3 else f"{shown[0]} to {shown[-1]} ({len(shown)} files)"
    return {
        "input": row.name,
        "served by": row.source if row.status != "missing" else "nothing",
        "status": row.status if row.required else f"{row.status} (optional)",
        "initialised (UTC)": "" if row.init_time is None else f"{row.init_time:%Y-%m-%d %H:%M}",
        "age": "" if age is None else f"{age} h",
        "expected": f"{row.expected_age_hours} h" if row.init_time else "",
        "files": files,
        "remark": row.remark,
    }
