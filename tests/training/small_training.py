"""A training of seconds: three days of numbers on 16 x 16 points, two small networks, a few updates."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stormcast_tw.grid import Grid
from stormcast_tw.model.architecture import Architecture
from stormcast_tw.model.network import for_inference, zero_output
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.plan import Sampler
from stormcast_tw.training.health import Limits
from stormcast_tw.training.learner import Switches
from stormcast_tw.training.recipes import NoiseLaw, Recipe, Stage, Validation
from stormcast_tw.training.starting_package import new_package, rescaled
from stormcast_tw.training_data import build
from stormcast_tw.training_data.finish import finish
from stormcast_tw.training_data.reader import TrainingData
from tests.training_data.archives import NumbersArchive
from tests.training_data.archives import recipe as data_recipe

GRID = Grid("SIXTEEN", 23.0, 23.5, 16, 120.5, 121.0, 16)
NOW = datetime(2026, 11, 24, tzinfo=UTC)
NET = Architecture(model_channels=16, channel_mult=(1, 1), num_blocks=1)
STAGE = Stage(updates=5, batch=4, learning_rate=1e-3, warm_up=2, ema_half_life=8)
EVERY = Switches(log_every=1, checkpoint_every=2)
UNHURRIED = Limits(throughput=0.0)
"""How fast a training is, is no test's subject: on a busy machine it may be slow for a while."""


def make_data(root: Path) -> TrainingData:
    job = build.plan(
        str(root),
        data_recipe(training=2, held_out=1).model_copy(update={"grid": GRID}),
        NumbersArchive(GRID),
    )
    build.begin(job)
    for day in build.days_to_make(job):
        build.make_part(job, day)
    return TrainingData(finish(job, NOW))


def small(**more: Any) -> Recipe:
    chosen: dict[str, Any] = {
        "name": "small",
        "summary": "numbers",
        "fold": 2,
        "networks": {"regression": NET, "diffusion": NET},
        "stages": {"regression": STAGE, "diffusion": STAGE},
        "noise": NoiseLaw(mean=-0.3, std=1.7),
        "sampler": Sampler(name="dpmpp_2m", steps=3, sigma_min=0.005, sigma_max=80.0, rho=7.0),
        "residual_hours": 4,
        "validation": Validation(every=4, cycles=2, members=2, lead_hours=2),
        "members": 2,
    }
    return Recipe.model_validate(chosen | more)


def persistence_plus_noise(data: TrainingData) -> ModelPackage:
    """Zero output layers, and a residual of a tenth of the change in an hour."""
    package = new_package(small(), data)
    for network in package.networks.values():
        zero_output(network)
        for_inference(network)
    return rescaled(
        package, "residual_std", {v: 0.1 * scale.tendency_std for v, scale in package.description.state.items()}
    )
