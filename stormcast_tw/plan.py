"""Plans: everything that determines an artifact. The digest of a plan names the run: same plan, same address."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from stormcast_tw.cycle import Cycle
from stormcast_tw.names import ExperimentName


def digest_of(value: Any) -> str:
    """Return the sha256 of `value` as canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_SAYS_ITSELF = ("value_error", "missing", "json_invalid")
"""Errors of pydantic whose input is in the message, or is all that was read."""


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a validation in one line: the field, what is allowed, what was found."""
    first = error.errors()[0]
    where, found = ".".join(str(part) for part in first["loc"]), repr(first["input"])
    shown = "" if first["type"] in _SAYS_ITSELF else f"; found {found[:60]}{'...' if len(found) > 60 else ''}"
    return f"{where[:200]}: {first['msg'][:500]}{shown}"


def _cycle_text(text: str) -> str:
    return str(Cycle.parse(text))


CycleText = Annotated[
    str,
    AfterValidator(_cycle_text),
    WithJsonSchema({"type": "string", "pattern": r"^\d{8}T(00|06|12|18)Z$(?!\n)", "description": "E.g. 20261122T06Z."}),
]
LeadHours = Annotated[int, Field(ge=1, le=48)]
MemberCount = Annotated[int, Field(ge=1, le=1024)]
BaseSeed = Annotated[int, Field(ge=0, lt=2**63)]


class Frozen(BaseModel):
    """The base of everything that crosses a process or a disk: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampler(Frozen):
    """How the diffusion stage is sampled: the algorithm and its noise levels (Karras et al. 2022, eq. 5).

    Noise is in units of the residual's standard deviation: below 1e-6 float32 does not show it, and 80 is usual.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    name: Literal["dpmpp_2m", "edm_heun"]
    steps: int = Field(ge=2, le=256)
    sigma_min: float = Field(ge=1e-6, le=1e4)
    sigma_max: float = Field(ge=1e-6, le=1e4)
    rho: float = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.sigma_min < self.sigma_max:
            raise ValueError(f"sampler: sigma_min {self.sigma_min} is not below sigma_max {self.sigma_max}")
        return self

    @property
    def network_calls(self) -> int:
        """Calls of the diffusion network per model step."""
        return self.steps if self.name == "dpmpp_2m" else 2 * self.steps - 1


class _AnyPlan(Frozen):
    @property
    def run(self) -> str:
        """The first 12 hex digits of the plan's sha256, without fields that are None (older plans lack them)."""
        return digest_of(self.model_dump(mode="json", exclude_none=True))[:12]


class InputsPlan(_AnyPlan):
    """Determines the prepared inputs of a cycle: which files, for which package, how far ahead."""

    experiment: ExperimentName
    cycle: CycleText
    inputs: dict[str, tuple[str, ...]]
    """Digests of the files of each input."""
    package: str
    """Digest of the package that chose the grid and the variables."""
    lead_hours: LeadHours
    interpretation: dict[str, dict[str, str]] | None = None
    """By input, the settings by which its source reads it: a datum, a clock. None before 0.2."""
    doubts: tuple[str, ...] = ()
    """What looked suspicious in them: it stands in everything made from them."""
    code_version: str
    """Version of the code that prepares them: `version.code_version("prepared")`."""


class Plan(_AnyPlan):
    """Determines a forecast, up to the rounding of the machine class that carries it out."""

    inputs: InputsPlan
    members: MemberCount
    base_seed: BaseSeed
    sampler: Sampler
    precision: Literal["float32"] = "float32"
    members_per_batch: MemberCount
    code_version: str | None = None
    """Version of the code of model and rollout. None in plans made before 0.2: `inputs` then names all code."""

    @property
    def experiment(self) -> str:
        """The experiment this forecast belongs to."""
        return self.inputs.experiment

    @property
    def cycle(self) -> Cycle:
        """The cycle this forecast starts from."""
        return Cycle.parse(self.inputs.cycle)

    @property
    def lead_hours(self) -> int:
        """The last lead time in hours."""
        return self.inputs.lead_hours

    @property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """Groups of members that are stepped together, in order."""
        first = range(0, self.members, self.members_per_batch)
        return tuple(tuple(range(m, min(m + self.members_per_batch, self.members))) for m in first)


class ProductsPlan(_AnyPlan):
    """Determines the products of a forecast, and so what is published."""

    forecast: Plan
    code_version: str | None = None
    """Version of the code that makes the products. None in plans made before 0.2."""
    observed: tuple[str, ...] | None = None
    """Digests of the files of observed rain, for the sums that count what fell before; None where there are none."""
    orography: Literal["of the package"] | None = None
    """Whether the package's orography says where the lowland is."""
    zones: str | None = None
    """Digest of the zones that hazards are told for."""

    @classmethod
    def read(cls, plan: Mapping[str, Any]) -> Self:
        """Read the plan of a published run; before 0.2 it was the plan of the forecast alone."""
        return cls.model_validate(plan if "forecast" in plan else {"forecast": plan})
