"""Model packages: a folder of `package.json` and safetensors that holds everything a forecast needs to know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
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
    read_file,
)
from stormcast_tw.model.files import Tensor, require_finite, require_float32, stored
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
    """Load a package whole; raises BadPackage for any digest, shape, type, value or name that is not allowed."""
    description = describe(folder)
    invariants = load_invariants(folder, description)
    missing = {"regression", "diffusion"} - {network.role for network in description.networks}
    if missing:
        raise BadPackage(f"{folder}: has no {' and no '.join(sorted(missing))} network")
    networks = {network.role: _network(folder, description, network) for network in description.networks}
    return ModelPackage(description, description.grid, invariants, networks)


def check(folder: Path) -> tuple[str, dict[Role, int]]:
    """Load a package whole and return its digest and the parameters of each network; raises BadPackage."""
    package = load(folder)
    return package.digest, {role: sum(p.numel() for p in net.parameters()) for role, net in package.networks.items()}


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


def new_network(description: Description, network: Network, grid: Grid) -> torch.nn.Module:
    """Build a network of the package with fresh weights."""
    channels = description.channels[network.role]
    return build(network.role, network.architecture, channels, grid.shape, description.fold)


def require_size(path: Path, description: Description, network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Raise BadPackage unless tensors are float32 and as many numbers as the network: it then costs what they do."""
    require_float32(path, tensors)
    found, wanted = sum(prod(tensor.shape) for tensor in tensors.values()), description.parameters(network)
    if found != wanted:
        raise BadPackage(
            f"{path}: weights do not fit the {network.role} network: {found:,} numbers; allowed are {wanted:,}"
        )


def with_weights(
    path: Path, description: Description, network: Network, weights: Mapping[str, torch.Tensor]
) -> torch.nn.Module:
    """Return a network ready for inference with the weights of a file; raises BadPackage where one does not fit.

    `weights` are float32; a value that is not finite is refused.
    """
    module = new_network(description, network, description.grid)
    ours = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in (*ours, *theirs):
        found, wanted = theirs.get(name, "missing"), ours.get(name, "no such tensor")
        if found != wanted:
            what = f"weights do not fit the {network.role} network: {name} is {found}"
            raise BadPackage(f"{path}: {what}; allowed is {wanted}")
    require_finite(path, {name: tensor.numpy() for name, tensor in weights.items()})
    module.load_state_dict(weights, strict=True)
    return for_inference(module)


def _network(folder: Path, description: Description, network: Network) -> torch.nn.Module:
    path = folder / network.file
    require_size(path, description, network, stored(path))
    return with_weights(path, description, network, load_tensors(read_file(folder, description, network.file)))
