from __future__ import annotations

from math import log
from statistics import NormalDist

import pytest
from pydantic import ValidationError

from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.training.recipes import DATA, RECIPES, ROLES, Recipe, demo, surface_2y5
from stormcast_tw.training_data import recipe as data_recipe

ALL = pytest.mark.parametrize("name", RECIPES)


@ALL
def test_99_percent_of_the_samplers_levels_lie_within_the_training_noise_law(name):
    recipe = RECIPES[name]()
    s = recipe.sampler
    high, low = s.sigma_max ** (1 / s.rho), s.sigma_min ** (1 / s.rho)
    levels = [(high + i / (s.steps - 1) * (low - high)) ** s.rho for i in range(s.steps)]
    law = NormalDist(recipe.noise.mean, recipe.noise.std)
    inside = [0.001 <= law.cdf(log(level)) <= 0.999 for level in levels]
    assert sum(inside) >= 0.99 * len(levels)


@ALL
def test_every_network_is_trained_regression_before_diffusion_and_fits_the_grid(name):
    recipe = RECIPES[name]()
    stages = list(recipe.stages)
    assert stages.index(next(s for s in stages if s.endswith("regression"))) == 0
    assert {ROLES[stage] for stage in stages} == set(recipe.networks)
    for size in recipe.networks.values():
        factor = recipe.fold * 2 ** (len(size.channel_mult) - 1)
        for points in recipe.crop or TAIWAN_2KM.shape:
            assert points % factor == 0


@ALL
def test_a_recipe_comes_back_from_its_json_and_is_frozen(name):
    recipe = RECIPES[name]()
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    with pytest.raises(ValidationError, match="frozen"):
        recipe.seed = 1
    assert recipe.name == name


def test_a_law_that_does_not_reach_the_samplers_levels_is_refused():
    told = demo().model_dump() | {"noise": {"mean": -1.2, "std": 1.2}}
    with pytest.raises(ValidationError, match=r"of the sampler's levels lie within the 0\.1 to 99\.9 % range"):
        Recipe.model_validate(told)


def test_crops_and_attention_do_not_go_together():
    with pytest.raises(ValidationError, match="crops need no attention"):
        Recipe.model_validate(surface_2y5().model_dump() | {"crop": (112, 64)})


def test_a_stage_without_a_network_and_a_network_without_a_stage_are_refused():
    told = demo().model_dump()
    with pytest.raises(ValidationError, match="stages without a network: diffusion"):
        Recipe.model_validate(told | {"networks": {"regression": told["networks"]["regression"]}})
    with pytest.raises(ValidationError, match="networks that no stage trains"):
        Recipe.model_validate(told | {"stages": {"regression": told["stages"]["regression"]}})


def test_what_no_diffusion_samples_is_not_calibrated():
    told = RECIPES["background_only"]().model_dump() | {"calibrated": True}
    with pytest.raises(ValidationError, match="calibrated is what a diffusion samples"):
        Recipe.model_validate(told)


def test_one_argument_grows_a_recipe():
    assert {size.model_channels for size in demo().grown(64).networks.values()} == {64}
    assert demo().grown(64).stages == demo().stages


def test_batches_are_whole_maps():
    with pytest.raises(ValidationError, match="batches are not whole maps of 3 crops"):
        Recipe.model_validate(demo().model_dump() | {"crops": 3})
    with pytest.raises(ValidationError, match="batches are not whole maps of 2 crops"):
        Recipe.model_validate(demo().model_dump() | {"crop": None})


@ALL
def test_every_recipe_has_data_of_its_variables(name: str):
    recipe, data = RECIPES[name](), data_recipe.RECIPES[DATA.get(name, name)]()
    assert (recipe.state_set, recipe.background_set) == (data.state_set, data.background_set)
