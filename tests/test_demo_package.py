"""The package that ships: whole, small, trained, and its card is of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from stormcast_tw.grid import TAIWAN_2KM
from stormcast_tw.model import package as packages
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.training.recipes import demo

FOLDER = Path(__file__).parents[1] / "packages" / "demo"


@pytest.fixture(scope="module")
def package() -> ModelPackage:
    return packages.load(FOLDER)


@pytest.fixture(scope="module")
def card() -> str:
    return (FOLDER / "README.md").read_text()


def test_it_is_trained_on_a_simulated_world_and_small(package: ModelPackage):
    told = package.description
    assert (told.trained, told.simulated, package.grid) == (True, True, TAIWAN_2KM)
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 16e6
    assert told.sampler == demo().sampler
    for role, network in package.networks.items():
        assert all(bool(torch.isfinite(p).all()) for p in network.parameters()), role
        assert float(network.state_dict()[next(iter(network.state_dict()))].abs().max()) > 0, role


def test_its_card_is_of_this_package_and_of_this_recipe(package: ModelPackage, card: str):
    assert package.digest in card
    for name, stage in demo().stages.items():
        assert f"| {name} | {stage.updates:,} | {stage.batch} | {stage.updates * stage.batch:,} |" in card


def test_its_record_is_of_forty_cycles_and_sixteen_members_by_both_truths(card: str):
    records = re.findall(
        r"## Record, truth (\w+)\n\n(\d+) cycles from 2025\d{4}T\d\dZ to 2025\d{4}T\d\dZ, (\d+) mem", card
    )
    assert [(truth, int(cycles) >= 40, int(members) >= 16) for truth, cycles, members in records] == [
        ("operational", True, True),
        ("simulated", True, True),
    ]


def test_what_it_must_reach_it_reaches_or_its_card_says_where_not(card: str):
    """Every `must` is in the table, and a comparison that is lost is named in its row."""
    musts = re.findall(r"\| \*\*must\*\*: CRPS below (\w+) \| (\d+) / (\d+) \| (.*) \|", card)
    assert {system for system, *_ in musts} == {"persistence", "persistence_dressed", "global", "extrapolation"}
    for system, reached, total, missed in musts:
        assert (reached == total) == (not missed), system
        assert int(total) == {"global": 36, "extrapolation": 12}.get(system, 48)


def test_it_keeps_what_it_must_keep(card: str):
    kept = re.findall(r"\| ([^|]+) \| ([\d.e+-]+) \| ([^|]+) \| (kept|\*\*NOT KEPT\*\*) \|", card)
    assert len(kept) == 2 + 2 * 4 + 2 * 2
    assert np.isfinite([float(found) for _, found, *_ in kept]).all()
