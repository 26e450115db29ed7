"""How a package is trained: everything that determines it except the data. Each recipe is returned by a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp
from statistics import NormalDist
from typing import Literal, Self

from pydantic import Field, model_validator

from stormcast_tw.model.architecture import Architecture
from stormcast_tw.model.description import Role
from stormcast_tw.names import ExperimentName
from stormcast_tw.plan import Frozen, Sampler

StageName = Literal["regression", "diffusion", "rollout", "background_only_regression", "background_only_diffusion"]

ROLES: Mapping[StageName, Role] = {
    "regression": "regression",
    "diffusion": "diffusion",
    "rollout": "diffusion",
    "background_only_regression": "background_only_regression",
    "background_only_diffusion": "background_only_diffusion",
}
"""The network that each stage trains. `rollout` continues the diffusion, from states of the model itself."""


class NoiseLaw(Frozen):
    """ln sigma is normal with this mean and standard deviation (Karras et al. 2022, table 1: P_mean, P_std)."""

    mean: float
    std: float = Field(gt=0)

    def quantile(self, share: float) -> float:
        """Return the noise level below which `share` of the draws lie."""
        return exp(NormalDist(self.mean, self.std).inv_cdf(share))


class Stage(Frozen):
    """The training of one network. A sample is a map or a crop of one, an update is one step of the optimizer."""

    updates: int = Field(ge=1)
    batch: int = Field(ge=1, description="samples per update, over all processes")
    learning_rate: float = Field(gt=0)
    warm_up: int = Field(default=0, ge=0, description="updates of linear rise; then a cosine to zero")
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    weight_decay: float = Field(default=0.0, ge=0)
    ema_half_life: int = Field(ge=1, description="samples after which a weight counts half")
    rollout_hours: int = Field(
        default=0, ge=0, le=4, description="most hours that the model steps by itself before a sample"
    )
    state_error: float = Field(
        default=0.0, ge=0, description="large-scale error added to the first state, in units of the hourly change"
    )


class Validation(Frozen):
    """Ensemble rollouts from fixed held-out hours, every `every` updates of the diffusion."""

    every: int = Field(ge=1)
    cycles: int = Field(ge=1)
    members: int = Field(ge=2)
    lead_hours: int = Field(ge=1, le=48)


class Recipe(Frozen):
    """Everything that determines a training except the data, the code and the machine.

    `weights` by variable multiply the squared error (1 where absent); `crop` is (y, x) in points of the grid. Raises
    ValueError for stages or networks that do not fit each other, and if less than 99 % of the sampler's noise levels
    lie within the 0.1 to 99.9 % range of those of the training.
    """

    name: ExperimentName
    summary: str
    state_set: str = "surface"
    background_set: str = "background24"
    fold: int = Field(default=1, ge=1, le=8)
    detail_widths: tuple[int, ...] = ()
    background_details: bool = False
    shapiro_order: int = 0
    calibrated: bool = Field(default=False, description="one-hour ensembles, on held-out hours: calibration.py")
    networks: dict[Role, Architecture]
    stages: dict[StageName, Stage]
    noise: NoiseLaw
    sampler: Sampler
    weights: dict[str, float] = Field(default_factory=dict)
    crop: tuple[int, int] | None = None
    crops: int = Field(default=1, ge=1, description="crops of each map that is read, as reading costs more than a crop")
    residual_hours: int = Field(default=512, ge=2, description="held-out hours on which the residual is measured")
    validation: Validation
    members: int = Field(default=16, ge=2, description="ensemble size of a forecast")
    members_per_batch: int = Field(default=8, ge=1)
    licence: str = "Apache-2.0"
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if missing := {ROLES[stage] for stage in self.stages} - set(self.networks):
            raise ValueError(f"recipe {self.name}: stages without a network: {', '.join(sorted(missing))}")
        if {ROLES[stage] for stage in self.stages} != set(self.networks):
            raise ValueError(f"recipe {self.name}: has networks that no stage trains")
        if self.calibrated and "diffusion" not in self.stages:
            raise ValueError(f"recipe {self.name}: calibrated is what a diffusion samples; it has no such stage")
        attentive = any(size.bottleneck_attention or size.attn_resolutions for size in self.networks.values())
        if self.crop is not None and (attentive or any(points % self.fold for points in self.crop)):
            raise ValueError(f"recipe {self.name}: crops need no attention, and whole folds of {self.fold} points")
        if any(stage.batch % self.crops for stage in self.stages.values()) or (self.crops > 1 and self.crop is None):
            raise ValueError(f"recipe {self.name}: batches are not whole maps of {self.crops} crops")
        if self.covered < 0.99:
            raise ValueError(
                f"recipe {self.name}: {self.covered:.0%} of the sampler's levels lie within the 0.1 to 99.9 % range of "
                f"the training's, {self.noise.quantile(0.001):.3g} to {self.noise.quantile(0.999):.3g}; allowed 99 %"
            )
        return self

    @property
    def covered(self) -> float:
        """The share of the sampler's noise levels within the 0.1 to 99.9 % range of those of the training."""
        from stormcast_tw.model.sampler import noise_levels

        low, high = self.noise.quantile(0.001), self.noise.quantile(0.999)
        levels = [level for level in noise_levels(self.sampler) if level > 0]
        return sum(low <= level <= high for level in levels) / len(levels)

    def grown(self, model_channels: int) -> Recipe:
        """Return the same recipe with networks of another width, as far as a GPU has room."""
        sizes = {
            role: size.model_copy(update={"model_channels": model_channels}) for role, size in self.networks.items()
        }
        return Recipe.model_validate(self.model_dump() | {"networks": sizes})


_STORMCAST = Architecture(
    model_channels=128, channel_mult=(1, 2, 2, 2, 2), num_blocks=4, bottleneck_attention=True, dropout=0.1
)
"""78 million parameters at the surface (Pathak et al. 2026; the same size is in service over Taiwan)."""

_SMALL = Architecture(model_channels=32, channel_mult=(1, 2, 2), num_blocks=1)
"""1.3 million parameters; trains on 27 crops of 112 x 64 per second on two cores, folded 2 x 2."""

_BROAD = NoiseLaw(mean=-0.3, std=1.7)
"""The residual is not white: at unit variance its largest scales are as strong as white noise of sigma 17 to 34, its
smallest as white noise of 0.05. Both must be learnt; EDM's own law, meant for pixels, puts 0.2 % of its draws above
10."""

_SAMPLER = Sampler(name="dpmpp_2m", steps=8, sigma_min=0.005, sigma_max=80.0, rho=7.0)


def demo() -> Recipe:
    """Trains on two cores in about two hours: folded 2 x 2, crops, a small network.

    No rollout stage: after 500 updates of it the validation was worse (.559 instead of .509 of persistence's error).
    """
    step = Stage(
        updates=8000, batch=4, learning_rate=1.5e-3, warm_up=100, weight_decay=1e-4, ema_half_life=1600, clip=1.0
    )
    return Recipe(
        name="demo",
        summary="demo model of the simulated Taiwan",
        fold=2,
        detail_widths=(9, 33),
        networks={"regression": _SMALL, "diffusion": _SMALL},
        stages={
            "regression": step,
            "diffusion": step.model_copy(update={"updates": 16_000, "ema_half_life": 4000}),
        },
        noise=_BROAD,
        sampler=_SAMPLER,
        crop=(112, 64),
        crops=2,
        members_per_batch=2,
        validation=Validation(every=8000, cycles=4, members=4, lead_hours=6),
    )


def demo_tuned() -> Recipe:
    """Continue `demo` with forecasts, which have errors, as background: from a package of `demo`, over an hour."""
    whole = demo()
    step = whole.stages["regression"].model_copy(update={"learning_rate": 1e-3})
    return whole.model_copy(
        update={
            "name": "demo_tuned",
            "stages": {
                "regression": step.model_copy(update={"updates": 5000}),
                "diffusion": step.model_copy(update={"updates": 12_000, "ema_half_life": 4000}),
            },
            "validation": Validation(every=6000, cycles=6, members=4, lead_hours=12),
        }
    )


def demo_driven() -> Recipe:
    """Continue `demo_tuned` with the background's change and the state's distance from it as inputs: 50 minutes.

    Without these inputs it followed 0.4 of the background's change in wind, which is small compared with the
    background, as details are with a state. States get a large-scale error, as at later leads: from true states alone
    the model would never learn to return to the truth.
    """
    whole = demo_tuned()
    stages = {
        "regression": whole.stages["regression"].model_copy(update={"state_error": 0.4}),
        "diffusion": whole.stages["diffusion"].model_copy(update={"updates": 8000, "state_error": 0.4}),
    }
    checks = whole.validation.model_copy(update={"every": 8000})
    return whole.model_copy(
        update={
            "name": "demo_driven",
            "background_details": True,
            "shapiro_order": 3,
            "calibrated": True,
            "stages": stages,
            "validation": checks,
        }
    )


def rehearsal() -> Recipe:
    """The demo cut down to a minute: for tests and for a first try of every command. Its forecasts are poor."""
    return demo().model_copy(
        update={
            "name": "rehearsal",
            "summary": "rehearsal of a training, a minute long: forecasts are poor",
            "stages": {
                name: stage.model_copy(update={"updates": 16, "warm_up": 4, "ema_half_life": 16})
                for name, stage in demo().stages.items()
            },
            "residual_hours": 8,
            "validation": Validation(every=16, cycles=2, members=2, lead_hours=2),
        }
    )


def surface_1y() -> Recipe:
    """StormCast's networks on a year of RWRP, QPEPRE and ERA5: 1.0 M samples of regression, 3.8 M of diffusion."""
    return _stormcast("surface_1y", "surface model of Taiwan, a year of data", 60_000)


def surface_2y5() -> Recipe:
    """Like surface_1y on two and a half years; 8 M samples of diffusion, as many as CorrDiff over Taiwan."""
    return _stormcast("surface_2y5", "surface model of Taiwan, two and a half years of data", 125_000)


def upper_2y5() -> Recipe:
    """Like surface_2y5 with the upper air: 52 variables. Surface variables, the ones in demand, count five times."""
    recipe = _stormcast("upper_2y5", "surface and upper-air model of Taiwan, two and a half years of data", 150_000)
    return recipe.model_copy(
        update={
            "state_set": "upper",
            "background_set": "background26",
            "weights": {"t2m": 5.0, "u10m": 5.0, "v10m": 5.0, "tp01": 5.0},
        }
    )


def background_only() -> Recipe:
    """The two networks that make a state where none was observed, added to a package made by `surface_2y5`."""
    recipe = _stormcast("background_only", "state from the background alone", 60_000)
    return Recipe.model_validate(
        recipe.model_dump()
        | {
            "networks": {f"background_only_{role}": size for role, size in recipe.networks.items()},
            "calibrated": False,
            "stages": {f"background_only_{name}": recipe.stages[name] for name in ("regression", "diffusion")},
        }
    )


def _stormcast(name: str, summary: str, diffusion_updates: int) -> Recipe:
    """Return a recipe of StormCast's settings (batch 64, Adam 4e-4, 1000 updates of warm-up, 16,000 of regression)."""
    step = Stage(updates=16_000, batch=64, learning_rate=4e-4, warm_up=1000, ema_half_life=50_000, clip=1.0)
    return Recipe(
        name=name,
        summary=summary,
        networks={"regression": _STORMCAST, "diffusion": _STORMCAST},
        stages={
            "regression": step,
            "diffusion": step.model_copy(update={"updates": diffusion_updates, "ema_half_life": 500_000}),
        },
        noise=_BROAD,
        sampler=_SAMPLER,
        calibrated=True,
        validation=Validation(every=5000, cycles=40, members=8, lead_hours=12),
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    recipe.__name__: recipe
    for recipe in (rehearsal, demo, demo_tuned, demo_driven, surface_1y, surface_2y5, upper_2y5, background_only)
}
"""Every recipe, by name."""
NEED_A_BASE = ("demo_tuned", "demo_driven", "background_only")
"""Recipes that continue a package or add to one."""
DATA: Mapping[str, str] = {"demo_driven": "demo_tuned", "background_only": "surface_2y5"}
"""The data recipe of each recipe that has none of its own name."""
