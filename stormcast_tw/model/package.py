"""Model packages: a folder of `package.json` and safetensors that holds everything a forecast needs to know."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from stormcast_tw.errors import BadPackage
from stormcast_tw.grid import Grid
from stormcast_tw.model.description import (
    DESCRIPTION,
    INVARIANTS_FILE,
    Description,
    Network,
    Role,
    describe,
    load_invariants,
    read_verified,
)
from stormcast_tw.model.network import build, for_inference
from stormcast_tw.model.noise import Noise, hourly_noise
from stormcast_tw.model.waves import WAVES
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS, VariableSet


@dataclass(frozen=True)
class ModelPackage:
    """A package in memory: its description, its invariants (name -> (y, x) float32) and its networks by role."""

    description: Description
    grid: Grid
    invariants: dict[str, npt.NDArray[np.float32]]
    networks: dict[Role, torch.nn.Module]

    @property
    def digest(self) -> str:
        """The digest of its description."""
        return self.description.digest

    @property
    def state_set(self) -> VariableSet:
        """The variables it predicts."""
        return STATE_SETS[self.description.state_set]

    @property
    def background_set(self) -> VariableSet:
        """The variables that drive it."""
        return BACKGROUND_SETS[self.description.background_set]

    def noise(self, base_seed: int, init_time: datetime, members: Sequence[int]) -> Noise:
        """Return the noise of `members` by lead, with the persistence that the package gives."""
        waves = [scale.widest_waves for scale in self.description.state.values()]
        persistence = [(0.0,) * WAVES if widest is None else widest.persistence for widest in waves]
        return hourly_noise(base_seed, init_time, members, np.array(persistence), self.grid.shape)

    @property
    def orography(self) -> npt.NDArray[np.float32]:
        """Surface altitude in metres (y, x)."""
        return self.invariants["orog"]


def load(folder: Path) -> ModelPackage:
    """Load a package whole; raises BadPackage for any digest, shape or name that does not match."""
    description = describe(folder)
    grid, invariants = description.grid, load_invariants(folder, description)
    networks = {network.role: _network(folder, description, network, grid) for network in description.networks}
    missing = {"regression", "diffusion"} - set(networks)
    if missing:
        raise BadPackage(f"{folder}: has no {' and no '.join(sorted(missing))} network")
    return ModelPackage(description, grid, invariants, networks)


def save(package: ModelPackage, folder: Path) -> ModelPackage:
    """Write a package into `folder` and return it with the sha256 of its files filled in."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {INVARIANTS_FILE: save_arrays(package.invariants)}
    for network in package.description.networks:
        weights = {k: v.detach().cpu().contiguous() for k, v in package.networks[network.role].state_dict().items()}
        contents[network.file] = save_tensors(weights)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    files = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())}
    description = package.description.model_copy(update={"files": files})
    (folder / DESCRIPTION).write_text(description.model_dump_json(indent=1) + "\n")
    return ModelPackage(description, package.grid, package.invariants, package.networks)


def misfit(path: Path, role: Role, error: Exception) -> BadPackage:
    """Return the error for weights that do not fit: the first of torch's complaints, of which there may be hundreds."""
    listed = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
    return BadPackage(f"{path}: weights do not fit the {role} network: {listed[0][:200]} ({len(listed)} such lines)")


def new_network(description: Description, network: Network, grid: Grid) -> torch.nn.Module:
    """Build a network of the package with fresh weights."""
    channels = description.channels[network.role]
    return build(network.role, network.architecture, channels, grid.shape, description.fold)


def _network(folder: Path, description: Description, network: Network, grid: Grid) -> torch.nn.Module:
    path = folder / network.file
    module = new_network(description, network, grid)
    try:
        module.load_state_dict(load_tensors(read_verified(path, description.files[network.file])), strict=True)
    except (RuntimeError, SafetensorError) as error:
        raise misfit(path, network.role, error) from error
    return for_inference(module)
