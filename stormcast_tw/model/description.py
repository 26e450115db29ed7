"""What a model package says of itself: `package.json`, and the constant fields beside it. Nothing here needs torch.

Nothing in a package can execute code: JSON validated against this module, and tensors.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays

from stormcast_tw.errors import BadPackage
from stormcast_tw.grid import DescribedGrid
from stormcast_tw.model.waves import OCTAVES, WAVES
from stormcast_tw.names import PackageName, WeightsFile
from stormcast_tw.plan import Frozen, Sampler, digest_of
from stormcast_tw.variables import BACKGROUND_SETS, INVARIANTS, STATE_SETS

DESCRIPTION = "package.json"
INVARIANTS_FILE = "invariants.safetensors"
TIME_CHANNELS = 5
"""cos-zenith, sine and cosine of the solar hour and of the time of year, all at t+1."""


Role = Literal["regression", "diffusion", "background_only_regression", "background_only_diffusion"]
"""The two stages of a step and, in packages that can begin without a state, the two that make one (as in CorrDiff)."""


class Architecture(Frozen):
    """Size of a SongUNet (Song et al. 2021's U-Net as in EDM): physicsnemo's own parameter names."""

    model_channels: int
    channel_mult: tuple[int, ...]
    num_blocks: int
    attn_resolutions: tuple[int, ...] = ()
    bottleneck_attention: bool = False
    dropout: float = 0.0


class Channels(Frozen):
    """Number of fields a network predicts (`state`) and is conditioned on (`condition`), before folding."""

    state: int
    condition: int


class Scale(Frozen):
    """Mean and standard deviation of a variable after its transform."""

    mean: float
    std: float = Field(gt=0)


class WidestWaves(Frozen):
    """What the ensemble was measured to be missing in a residual's widest waves, in the order of `waves.WAVES`.

    `std`: how much of the noise's amplitude is added, in units of the residual's standard deviation; `persistence`: the
    correlation of the noise's amplitude with that of the hour before.
    """

    std: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=WAVES, max_length=WAVES)
    persistence: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(min_length=WAVES, max_length=WAVES)


class StateScale(Scale):
    """A `Scale` with the standard deviations of the variable's one-hour tendency and of the regression's residual."""

    tendency_std: float = Field(gt=0)
    residual_std: float = Field(gt=0)
    background_only_residual_std: float | None = Field(default=None, gt=0)
    """Residual standard deviation of a state made from the background alone, if the package can make one."""
    widest_waves: WidestWaves | None = None
    """Correction of the residual's widest waves, if the variance that the diffusion understates is to be added."""
    gain: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(default=None, min_length=OCTAVES, max_length=OCTAVES)
    """Factors, by octave, for the other waves of a sampled residual: they make the spread equal the error."""


class Network(Frozen):
    """One network: what it is for, its size, and the file of its weights."""

    role: Role
    architecture: Architecture
    file: WeightsFile


class Description(Frozen):
    """The whole of `package.json`. Its canonical digest is the package's digest; it holds the sha256 of every file."""

    format: Literal[2] = 2
    name: PackageName
    version: str
    summary: str
    licence: str
    trained: bool
    simulated: bool
    grid: DescribedGrid
    step_hours: Literal[1] = 1
    state_set: str
    background_set: str
    state: dict[str, StateScale]
    background: dict[str, Scale]
    invariants: dict[str, Scale]
    fold: int = Field(ge=1, le=8)
    detail_widths: tuple[int, ...] = ()
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
    networks: tuple[Network, ...]
    sampler: Sampler
    precision: Literal["float32"] = "float32"
    members: int = Field(ge=1, description="default ensemble size")
    members_per_batch: int = Field(ge=1)
    files: dict[str, str] = Field(default_factory=dict, description="sha256 of every file")
    provenance: dict[str, str] = Field(default_factory=dict)

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
        if list(self.detail_widths) != sorted({width for width in self.detail_widths if width % 2 and width >= 3}):
            raise ValueError(f"detail_widths {self.detail_widths}: allowed are odd numbers from 3, ascending")
        if tuple(self.invariants) != INVARIANTS.ids:
            raise ValueError(f"invariants {tuple(self.invariants)} are not {INVARIANTS.ids}")
        return self

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


def read_description(folder: Path) -> Description:
    """Read and validate `package.json`; raises BadPackage with the first problem."""
    path = folder / DESCRIPTION
    try:
        return Description.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadPackage(f"{path}: there is no model package here") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadPackage(f"{path}: {where}: {first['msg']} ({error.error_count()} problems)") from error


def describe(folder: Path) -> Description:
    """Return the description of a package after checking the sha256 of every file; raises BadPackage."""
    path, description = folder / DESCRIPTION, read_description(folder)
    for name in (INVARIANTS_FILE, *(network.file for network in description.networks)):
        if name not in description.files:
            raise BadPackage(f"{path}: no sha256 of {name}")
        read_verified(folder / name, description.files[name])
    return description


def load_invariants(folder: Path, description: Description) -> dict[str, npt.NDArray[np.float32]]:
    """Return lsm, orog and coverage, each (y, x) on the package's grid; raises BadPackage if one is missing."""
    path, shape = folder / INVARIANTS_FILE, description.grid.shape
    try:
        fields = load_arrays(read_verified(path, description.files[INVARIANTS_FILE]))
    except SafetensorError as error:
        raise BadPackage(f"{path}: {error}") from error
    for name in INVARIANTS.ids:
        if name not in fields or fields[name].shape != shape:
            raise BadPackage(f"{path}: {name} of shape {shape} is not there")
    return {name: fields[name] for name in INVARIANTS.ids}


def read_verified(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file of a package; raises BadPackage where it is missing or has another sha256."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadPackage(f"{path}: is missing from the package") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise BadPackage(f"{path}: sha256 is {digest}, the package says {sha256}")
    return data
