"""What a model package says of itself: `package.json`, and the constant fields beside it. Nothing here needs torch.

Nothing in a package can execute code: JSON validated against this module, and tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log1p
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field, ValidationError, model_validator
from safetensors.numpy import load as load_arrays

from stormcast_tw.errors import BadPackage
from stormcast_tw.model.architecture import MOST_GIB, MOST_PARAMETERS, Architecture, Channels
from stormcast_tw.model.files import (
    MOST_HEADER_BYTES,
    read_bounded,
    read_verified,
    require_finite,
    require_float32,
    stored,
)
from stormcast_tw.model.package_grid import PackageGrid
from stormcast_tw.model.waves import OCTAVES, WAVES
from stormcast_tw.names import PackageName, Sha256, Text, VersionName, WeightsFile
from stormcast_tw.plan import Frozen, MemberCount, Sampler, digest_of, first_problem
from stormcast_tw.variables import BACKGROUND_SETS, INVARIANTS, STATE_SETS, VARIABLES

DESCRIPTION = "package.json"
INVARIANTS_FILE = "invariants.safetensors"
TIME_CHANNELS = 5
"""cos-zenith, sine and cosine of the solar hour and of the time of year, all at t+1."""
MOST_BYTES = 2**20
"""Of `package.json`; that of 52 variables takes a tenth of it."""
LEAST_SHARE = 1e-6
"""Least standard deviation, as a share of a variable's valid range: float32 carries seven digits."""

Role = Literal["regression", "diffusion", "background_only_regression", "background_only_diffusion"]
"""The two stages of a step and, in packages that can begin without a state, the two that make one (as in CorrDiff)."""


class Scale(Frozen):
    """Mean and standard deviation of a variable after its transform; `Description` holds both to its valid range."""

    model_config = ConfigDict(allow_inf_nan=False)

    mean: float
    std: float = Field(gt=0)


class WidestWaves(Frozen):
    """What the ensemble was measured to be missing in a residual's widest waves, in the order of `waves.WAVES`.

    `std`: how much of the noise's amplitude is added, in units of the residual's standard deviation; `persistence`: the
    correlation of the noise's amplitude with that of the hour before.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    std: tuple[Annotated[float, Field(ge=0, le=1e4)], ...] = Field(min_length=WAVES, max_length=WAVES)
    persistence: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(min_length=WAVES, max_length=WAVES)


class StateScale(Scale):
    """A `Scale` with the standard deviations of the variable's one-hour tendency and of the regression's residual."""

    tendency_std: float = Field(gt=0)
    residual_std: float = Field(gt=0)
    background_only_residual_std: float | None = Field(default=None, gt=0)
    """Residual standard deviation of a state made from the background alone, if the package can make one."""
    widest_waves: WidestWaves | None = None
    """Correction of the residual's widest waves, if the variance that the diffusion understates is to be added."""
    gain: tuple[Annotated[float, Field(ge=0.01, le=100)], ...] | None = Field(
        default=None, min_length=OCTAVES, max_length=OCTAVES
    )
    """Factors, by octave, for the other waves of a sampled residual: they make the spread equal the error."""


class Network(Frozen):
    """One network: what it is for, its size, and the file of its weights."""

    role: Role
    architecture: Architecture
    file: WeightsFile


class Description(Frozen):
    """The whole of `package.json`. Its canonical digest is the package's digest; it holds the sha256 of every file.

    A description may be a stranger's: every number is bounded by what a machine can do, every text can be printed.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    format: Literal[2] = 2
    name: PackageName
    version: VersionName
    summary: Text
    licence: Text
    trained: bool
    """The package's own word: `oper` asks for a signature or a digest besides (`signature.require_trusted`)."""
    simulated: bool
    grid: PackageGrid
    step_hours: Literal[1] = 1
    state_set: Text
    background_set: Text
    state: dict[str, StateScale]
    background: dict[str, Scale]
    invariants: dict[str, Scale]
    fold: int = Field(ge=1, le=8)
    detail_widths: tuple[Annotated[int, Field(ge=3, le=1023)], ...] = Field(default=(), max_length=8)
    """Widths of neighbourhoods in points, odd and ascending: the networks of a step also see, scale by scale, how far
    the state is from its mean over a square of this width, in units of the hourly change. These differences are small
    compared with the state, but decide what comes next."""
    background_details: bool = False
    """If true, the networks of a step see the background's change during the hour instead of the background at its end,
    and how far the state's widest mean is from the background in the variables that both have; both in units of the
    hourly change."""
    shapiro_order: int = Field(default=0, ge=0, le=8)
    """Order n of the filter applied to every hour's change, 0 for none: a wave of L points keeps 1 - sin(pi / L)^(2n)
    of its amplitude (Shapiro 1970, 10.1029/RG008i002p00359). Variables with a transform are not filtered."""
    networks: tuple[Network, ...] = Field(max_length=4)
    sampler: Sampler
    precision: Literal["float32"] = "float32"
    members: MemberCount = Field(description="default ensemble size")
    members_per_batch: MemberCount
    files: dict[WeightsFile, Sha256] = Field(default_factory=dict, max_length=8, description="sha256 of every file")
    provenance: dict[Text, Text] = Field(default_factory=dict, max_length=256)

    @model_validator(mode="after")
    def _variables_are_ours(self) -> Self:
        for kind, sets, chosen, scales in (
            ("state", STATE_SETS, self.state_set, self.state),
            ("background", BACKGROUND_SETS, self.background_set, self.background),
        ):
            if chosen not in sets:
                raise ValueError(f"{kind} set {chosen!r} is not one of {', '.join(sets)}")
            if tuple(scales) != sets[chosen].ids:
                raise ValueError(f"{kind} variables {tuple(scales)} are not those of {chosen}: {sets[chosen].ids}")
        if self.begins_alone and any(scale.background_only_residual_std is None for scale in self.state.values()):
            raise ValueError("a package that begins from the background alone needs its residual_std of every variable")
        if list(self.detail_widths) != sorted({width for width in self.detail_widths if width % 2}):
            raise ValueError(f"detail_widths {self.detail_widths}: allowed are odd numbers from 3, ascending")
        if tuple(self.invariants) != INVARIANTS.ids:
            raise ValueError(f"invariants {tuple(self.invariants)} are not {INVARIANTS.ids}")
        return self

    @model_validator(mode="after")
    def _scales_are_of_their_variables(self) -> Self:
        for kind, scales in (("state", self.state), ("background", self.background), ("invariants", self.invariants)):
            for variable, scale in scales.items():
                for name, value, low, high in _limits(variable, scale):
                    if not low <= value <= high:
                        raise ValueError(f"{kind}.{variable}.{name} {value:g}: allowed are {low:g} to {high:g}")
        return self

    @model_validator(mode="after")
    def _networks_fit_a_machine(self) -> Self:
        roles, names = [n.role for n in self.networks], [INVARIANTS_FILE, *(n.file for n in self.networks)]
        if len({*roles}) < len(roles) or len({*names}) < len(names):
            raise ValueError(
                f"networks: {roles} in files {names[1:]}: allowed is one of each role, in a file of its own"
            )
        for network in self.networks:
            multiple = self.fold * 2 ** (len(network.architecture.channel_mult) - 1)
            if any(points % multiple for points in self.grid.shape):
                raise ValueError(
                    f"{network.role}: grid of {self.grid.shape} points; allowed are multiples of {multiple}"
                )
            parameters, gib = self.parameters(network), self._gib(network)
            if parameters > MOST_PARAMETERS:
                raise ValueError(f"{network.role}: {parameters:,} parameters; allowed are {MOST_PARAMETERS:,}")
            if gib > MOST_GIB:
                raise ValueError(
                    f"{network.role}: {self.members_per_batch} members_per_batch need about {gib:,.0f} GiB of memory; "
                    f"allowed are {MOST_GIB:g}"
                )
        return self

    def parameters(self, network: Network) -> int:
        """Return how many numbers the weights of a network are."""
        points_y, diffusion = self.grid.ny // self.fold, network.role.endswith("diffusion")
        return network.architecture.parameters(self.channels[network.role], self.fold, points_y, diffusion)

    @property
    def most_bytes(self) -> dict[str, int]:
        """The size that each file may have: its numbers in float32, and a header."""
        numbers = {network.file: self.parameters(network) for network in self.networks}
        numbers[INVARIANTS_FILE] = len(INVARIANTS) * self.grid.ny * self.grid.nx
        return {name: 4 * count + MOST_HEADER_BYTES for name, count in numbers.items()}

    def _gib(self, network: Network) -> float:
        channels = self.channels[network.role]
        return network.architecture.gib(channels, self.fold, self.grid.shape, self.members_per_batch)

    @property
    def digest(self) -> str:
        """sha256 of the canonical description, which holds the sha256 of every file.

        Default values are left out, so that a field added by a later version changes no package's digest.
        """
        return digest_of(self.model_dump(mode="json", exclude_defaults=True))

    @property
    def begins_alone(self) -> bool:
        """True if the package can make a state from the background alone."""
        return {"background_only_regression", "background_only_diffusion"} <= {n.role for n in self.networks}

    @property
    def driven(self) -> tuple[str, ...]:
        """The state variables that the background also has, in the state's order."""
        return tuple(variable for variable in self.state if variable in self.background)

    @property
    def channels(self) -> dict[Role, Channels]:
        """The number of channels of each network, before folding."""
        state = len(self.state)
        alone = len(self.background) + len(self.invariants) + TIME_CHANNELS
        details = state * len(self.detail_widths) + (len(self.driven) if self.background_details else 0)
        condition = state + details + len(self.background) + alone
        return {
            "regression": Channels(state=state, condition=condition),
            "diffusion": Channels(state=state, condition=condition + state),
            "background_only_regression": Channels(state=state, condition=alone),
            "background_only_diffusion": Channels(state=state, condition=alone + state),
        }


def _limits(variable: str, scale: Scale) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, value, least and largest of the numbers of a scale, from the valid range of its variable.

    A mean lies in the range, and no deviation is wider than it; a residual is 1 until it is measured.
    """
    low, high = VARIABLES[variable].valid_range
    if VARIABLES[variable].transform == "log1p":
        low, high = log1p(low), log1p(high)
    width = high - low
    yield "mean", scale.mean, low, high
    yield "std", scale.std, LEAST_SHARE * width, width
    if isinstance(scale, StateScale):
        yield "tendency_std", scale.tendency_std, LEAST_SHARE * width, width
        yield "residual_std", scale.residual_std, LEAST_SHARE * width, max(width, 1.0)
        alone = scale.background_only_residual_std
        if alone is not None:
            yield "background_only_residual_std", alone, LEAST_SHARE * width, max(width, 1.0)


def read_description(folder: Path) -> Description:
    """Read and validate `package.json`; raises BadPackage with the first problem: field, number found and allowed."""
    path = folder / DESCRIPTION
    if not path.exists():
        raise BadPackage(f"{path}: there is no model package here")
    try:
        return Description.model_validate_json(read_bounded(path, MOST_BYTES))
    except ValidationError as error:
        raise BadPackage(f"{path}: {first_problem(error)} ({error.error_count()} problems)") from error


def describe(folder: Path) -> Description:
    """Return the description of a package after checking the sha256 of every file; raises BadPackage."""
    description = read_description(folder)
    for name in description.most_bytes:
        read_file(folder, description, name)
    return description


def read_file(folder: Path, description: Description, name: str) -> bytes:
    """Return the bytes of one file; raises BadPackage where it is too large or its sha256 is not the description's."""
    if name not in description.files:
        raise BadPackage(f"{folder / DESCRIPTION}: no sha256 of {name}")
    return read_verified(folder / name, description.files[name], description.most_bytes[name])


def load_invariants(folder: Path, description: Description) -> dict[str, npt.NDArray[np.float32]]:
    """Return lsm, orog and coverage, each float32 (y, x) on the package's grid and within its valid range.

    Raises BadPackage with the first that is not.
    """
    path, shape = folder / INVARIANTS_FILE, description.grid.shape
    data = read_file(folder, description, INVARIANTS_FILE)
    tensors = stored(path)
    for name in INVARIANTS.ids:
        if name not in tensors or tensors[name].shape != shape:
            found = f"found {tensors[name].shape}" if name in tensors else "it is missing"
            raise BadPackage(f"{path}: {name} of shape {shape} is not there: {found}")
    require_float32(path, tensors)
    fields = load_arrays(data)
    require_finite(path, fields)
    for variable in INVARIANTS:
        (low, high), field = variable.valid_range, fields[variable.id]
        if field.min() < low or field.max() > high:
            found = f"{field.min():g} to {field.max():g}"
            raise BadPackage(f"{path}: {variable.id} is {found} {variable.units}; allowed are {low:g} to {high:g}")
    return {name: fields[name] for name in INVARIANTS.ids}
