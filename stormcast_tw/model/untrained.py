"""The untrained package: persistence plus white noise, whose forecasts are known in closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from stormcast_tw.grid import Grid
from stormcast_tw.model.architecture import Architecture
from stormcast_tw.model.description import Description, Network, Role, Scale, StateScale
from stormcast_tw.model.network import for_inference, zero_output
from stormcast_tw.model.package import ModelPackage, new_network
from stormcast_tw.plan import Sampler
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS

RESIDUAL_SHARE = 0.05
"""Standard deviation of the noise added each hour, as a share of that of the hourly change."""

_STEP: tuple[Role, ...] = ("regression", "diffusion")
_BEGINNING: tuple[Role, ...] = ("background_only_regression", "background_only_diffusion")

# Mean and standard deviation over the domain, 2019-08 to 2021-12, and standard deviation of the hourly change (t2m K,
# wind m s-1, rain log1p mm; radar reflectivity is a guess until data are available).
_STATE = {
    "t2m": (295.98, 5.61, 0.67),
    "u10m": (-1.58, 3.84, 0.95),
    "v10m": (-2.65, 5.66, 1.37),
    "tp01": (0.103, 0.366, 0.26),
    "refc": (5.0, 12.0, 8.0),
}
_SURFACE_BACKGROUND = {
    "msl": (101325.8, 536.7),
    "t2m": (296.15, 5.00),
    "u10m": (-1.99, 3.68),
    "v10m": (-2.45, 5.14),
    "sp": (98500.0, 3500.0),
    "tcwv": (42.0, 14.0),
}
_LEVELS = {
    "q": ((0.01432, 0.00404), (0.01028, 0.00279), (0.00217, 0.00151), (0.000141, 0.000122)),
    "t": ((296.69, 4.68), (289.08, 4.45), (267.31, 2.59), (233.48, 1.86)),
    "u": ((-2.36, 4.32), (-0.83, 5.13), (10.18, 11.93), (16.57, 19.46)),
    "v": ((-2.85, 6.08), (0.34, 4.65), (2.38, 5.33), (1.64, 8.32)),
    "z": ((1116.9, 437.5), (14824.6, 274.4), (57386.0, 424.0), (107377.0, 713.0)),
}
_BACKGROUND = _SURFACE_BACKGROUND | {
    f"{letter}{level}": statistics
    for letter, rows in _LEVELS.items()
    for level, statistics in zip((1000, 850, 500, 250), rows, strict=True)
}


def untrained_package(
    grid: Grid,
    invariants: dict[str, npt.NDArray[np.float32]],
    *,
    state_set: str = "surface",
    background_set: str = "background24",
    begins_alone: bool = False,
    seed: int = 0,
) -> ModelPackage:
    """Return a package with random hidden and zero output layers: each hour adds noise of 5 % of the hourly change.

    `invariants` are lsm (1), orog (m) and coverage (1), each (y, x) on `grid`. With `begins_alone` it can also make a
    state from the background alone: the climatological mean plus noise of a fifth of the climatological standard
    deviation.
    """
    size = Architecture(model_channels=16, channel_mult=(1, 2, 2), num_blocks=1)
    description = Description(
        name="demo",
        version="0.1.0",
        summary="UNTRAINED demo package of the simulated Taiwan: persistence plus noise, for rehearsal only",
        licence="Apache-2.0",
        trained=False,
        simulated=True,
        grid=grid,
        state_set=state_set,
        background_set=background_set,
        state={v: _state_scale(v, begins_alone) for v in STATE_SETS[state_set].ids},
        background={v: _scale(*_BACKGROUND[v]) for v in BACKGROUND_SETS[background_set].ids},
        invariants={"lsm": _scale(0.0, 1.0), "orog": _scale(0.0, 1000.0), "coverage": _scale(0.0, 1.0)},
        fold=2,
        networks=tuple(
            Network(role=role, architecture=size, file=f"{role}.safetensors")
            for role in (*_STEP, *(_BEGINNING if begins_alone else ()))
        ),
        sampler=Sampler(name="dpmpp_2m", steps=6, sigma_min=0.002, sigma_max=80.0, rho=7.0),
        members=8,
        members_per_batch=8,
        provenance={"made_by": "stormcast_tw.model.untrained", "seed": str(seed)},
    )
    torch.manual_seed(seed)
    networks = {network.role: new_network(description, network, grid) for network in description.networks}
    for network in networks.values():
        zero_output(network)
        for_inference(network)
    return ModelPackage(description, grid, invariants, networks)


def _scale(mean: float, std: float) -> Scale:
    return Scale(mean=mean, std=std)


def _state_scale(variable: str, begins_alone: bool) -> StateScale:
    mean, std, tendency_std = _STATE[variable]
    return StateScale(
        mean=mean,
        std=std,
        tendency_std=tendency_std,
        residual_std=RESIDUAL_SHARE * tendency_std,
        background_only_residual_std=0.2 * std if begins_alone else None,
    )
