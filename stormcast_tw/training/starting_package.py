"""The package that a training begins with: a description from recipe and data, and fresh or given networks."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch

from stormcast_tw import __version__
from stormcast_tw.errors import BadPackage
from stormcast_tw.model.description import Description, Network, Role, Scale, StateScale
from stormcast_tw.model.package import ModelPackage, new_network
from stormcast_tw.model.stormcast import HOURLY_SHARE
from stormcast_tw.plan import digest_of
from stormcast_tw.training.recipes import Recipe
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.version import code_version

CALIBRATED = ("widest_waves", "gain")
"""The fields of StateScale that a calibration sets."""


def first_package(recipe: Recipe, data: TrainingData, base: ModelPackage | None) -> ModelPackage:
    """Return the package that a training begins with: fresh, or a base whose networks are continued or added to.

    Raises BadPackage if the base does not fit the data or the recipe.
    """
    if base is None:
        return new_package(recipe, data)
    return (tuned if set(recipe.networks) & set(base.networks) else added_to)(base, recipe, data)


def tuned(base: ModelPackage, recipe: Recipe, data: TrainingData) -> ModelPackage:
    """Return the base, whose networks the recipe will continue, with its own scales and the next minor version.

    Raises BadPackage if data or networks do not fit.
    """
    description = base.description
    _require_fit(base, recipe, data)
    sizes = {network.role: network.architecture for network in description.networks}
    if different := [r for r, size in recipe.networks.items() if sizes.get(r) != size]:
        raise BadPackage(
            f"{description.name}: has no network {', '.join(different)} of the size in recipe {recipe.name}"
        )
    if description.detail_widths != recipe.detail_widths:
        raise BadPackage(
            f"{description.name}: sees details {description.detail_widths}; recipe {recipe.name} {recipe.detail_widths}"
        )
    if recipe.background_details and not description.background_details:
        base = with_background_details(base)
        description = base.description
    if description.background_details != recipe.background_details:
        raise BadPackage(f"{description.name}: sees background details; recipe {recipe.name} does not")
    base = uncalibrated(base)
    description = base.description
    major, minor, _ = description.version.split(".")
    update = {
        "version": f"{major}.{int(minor) + 1}.0",
        "shapiro_order": recipe.shapiro_order,
        "sampler": recipe.sampler,
        "members": recipe.members,
        "members_per_batch": recipe.members_per_batch,
        "provenance": _provenance(recipe, data) | {f"base {k}": v for k, v in description.provenance.items()},
        "simulated": description.simulated or data.artifact.simulated,
        "files": {},
    }
    return replace(base, description=description.model_copy(update=update), networks=deepcopy(base.networks))


def with_background_details(package: ModelPackage) -> ModelPackage:
    """Return a package whose networks of a step see background details but still give the same output.

    The first layer is linear, so its weights can be rewritten: the background at the end is the one at the start plus
    the change, and new channels start at weight 0.
    """
    before = package.description
    description = before.model_copy(update={"background_details": True})
    networks = dict(package.networks)
    for network in before.networks:
        if network.role in ("regression", "diffusion"):
            fresh = new_network(description, network, package.grid)
            fresh.load_state_dict(_rewritten(package.networks[network.role], fresh, before, network.role))
            networks[network.role] = fresh
    return replace(package, description=description, networks=networks)


def _rewritten(old: torch.nn.Module, fresh: torch.nn.Module, told: Description, role: Role) -> dict[str, torch.Tensor]:
    """Return the weights of `old` for a network that sees background details: only its first layer changes."""
    weights = {name: value.clone() for name, value in old.state_dict().items()}
    (first,) = [name for name, value in fresh.state_dict().items() if value.shape != weights[name].shape]
    area, states, background = told.fold**2, len(told.state), len(told.background)
    start = states * (1 + len(told.detail_widths)) + (states if role == "diffusion" else 0)
    sizes = [start, background, background]
    rest = weights[first].shape[1] // area - sum(sizes)
    head, before, after, tail = weights[first].split([size * area for size in (*sizes, rest)], dim=1)
    unseen = torch.zeros_like(head[:, : len(told.driven) * area])
    weights[first] = torch.cat([head, unseen, before + after, HOURLY_SHARE * after, tail], dim=1)
    return weights


def new_package(recipe: Recipe, data: TrainingData) -> ModelPackage:
    """Return the package of a recipe with fresh networks and a residual not yet measured (1 transformed unit)."""
    description = Description(
        name=recipe.name,
        version="1.0.0",
        summary=f"{'SIMULATED: ' if data.artifact.simulated else ''}{recipe.summary}",
        licence=recipe.licence,
        trained=True,
        simulated=data.artifact.simulated,
        grid=data.grid,
        state_set=recipe.state_set,
        background_set=recipe.background_set,
        state=data.state_scales(dict.fromkeys(data.state_set.ids, 1.0)),
        background=data.background_scales(),
        invariants={
            "lsm": Scale(mean=0.0, std=1.0),
            "orog": Scale(mean=0.0, std=1000.0),
            "coverage": Scale(mean=0.0, std=1.0),
        },
        fold=recipe.fold,
        detail_widths=recipe.detail_widths,
        background_details=recipe.background_details,
        shapiro_order=recipe.shapiro_order,
        networks=_networks(recipe),
        sampler=recipe.sampler,
        members=recipe.members,
        members_per_batch=recipe.members_per_batch,
        provenance=_provenance(recipe, data),
    )
    return ModelPackage(description, data.grid, data.invariants, _fresh(description, recipe, data))


def added_to(base: ModelPackage, recipe: Recipe, data: TrainingData) -> ModelPackage:
    """Return the base with the recipe's networks added. Raises BadPackage if data or recipe do not fit."""
    _require_fit(base, recipe, data)
    base = rescaled(base, "background_only_residual_std", dict.fromkeys(base.description.state, 1.0))
    before = base.description
    provenance = before.provenance | {f"background_only {k}": v for k, v in _provenance(recipe, data).items()}
    update = {"networks": (*before.networks, *_networks(recipe)), "provenance": provenance, "files": {}}
    description = before.model_copy(update=update | {"simulated": before.simulated or data.artifact.simulated})
    return ModelPackage(description, base.grid, base.invariants, base.networks | _fresh(description, recipe, data))


def rescaled(package: ModelPackage, name: str, values: Mapping[str, Any]) -> ModelPackage:
    """Return a package with field `name` of its state scales, e.g. residual_std, set for the variables in `values`.

    Raises ValidationError for a value that StateScale does not allow.
    """
    description = package.description
    state = {
        v: StateScale.model_validate(scale.model_dump() | ({name: values[v]} if v in values else {}))
        for v, scale in description.state.items()
    }
    return replace(package, description=description.model_copy(update={"state": state}))


def uncalibrated(package: ModelPackage) -> ModelPackage:
    """Return a package without its calibration."""
    for measured in CALIBRATED:
        package = rescaled(package, measured, dict.fromkeys(package.description.state))
    return package


def _require_fit(base: ModelPackage, recipe: Recipe, data: TrainingData) -> None:
    description, ours = (
        base.description,
        (data.grid.fingerprint, data.state_set.name, data.background_set.name, recipe.fold),
    )
    if (base.grid.fingerprint, description.state_set, description.background_set, description.fold) != ours:
        raise BadPackage(
            f"{description.name}: grid, variables or folding are not those of the data and recipe {recipe.name}"
        )


def _networks(recipe: Recipe) -> tuple[Network, ...]:
    return tuple(Network(role=r, architecture=size, file=f"{r}.safetensors") for r, size in recipe.networks.items())


def _fresh(description: Description, recipe: Recipe, data: TrainingData) -> dict[Role, torch.nn.Module]:
    torch.manual_seed(recipe.seed)
    return {network.role: new_network(description, network, data.grid) for network in _networks(recipe)}


def _provenance(recipe: Recipe, data: TrainingData) -> dict[str, str]:
    """Return the origin of a package, without machine or time, so that equal runs make equal packages."""
    return {
        "made_by": f"stormcast-tw {__version__}+{code_version('training')}",
        "recipe": recipe.name,
        "recipe_sha256": digest_of(recipe.model_dump(mode="json")),
        "data": f"{data.recipe.name} {data.artifact.address.run}",
        "data_sha256": data.digest,
        "samples": ", ".join(f"{name} {stage.updates * stage.batch:,}" for name, stage in recipe.stages.items()),
        "seed": str(recipe.seed),
    }
