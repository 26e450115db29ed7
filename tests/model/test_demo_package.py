"""The package that ships: whole, small, trained, and its card is of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from stormcast_tw.model import package as packages
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.world.regimes import REGIMES
from stormcast_tw.training.recipes import RECIPES, demo

FOLDER = Path(__file__).parents[2] / "packages" / "demo"


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
        assert float(next(iter(network.state_dict().values())).abs().max()) > 0, role


def test_its_card_is_of_this_package_and_of_this_recipe(package: ModelPackage, card: str):
    assert package.digest in card
    for name, stage in RECIPES[package.description.provenance["recipe"]]().stages.items():
        assert f"| {name} | {stage.updates:,} | {stage.batch} | {stage.updates * stage.batch:,} |" in card


def test_its_card_has_its_acceptance(card: str):
    section = card.split("## Acceptance\n")[1].split("\n## ")[0]
    rows = re.findall(r"\| (.+?) \| (\S+) \| ([^|]+) \| (kept|\*\*NOT KEPT\*\*) \|$", section, re.MULTILINE)
    assert len(rows) == 14


def record(card: str, truth: str) -> str:
    section = card.split(f"## Record, truth {truth}")[1].split("\n## ")[0]
    told = re.search(r"(\d+) cycles from \S+ to \S+, (\d+) members", section)
    assert told is not None
    assert int(told[1]) >= 40
    assert int(told[2]) == 16
    return section


def test_its_record_is_of_all_regimes(card: str):
    regimes = re.search(r"Regimes: (.+)\.", record(card, "simulated"))
    assert regimes is not None
    assert {told.rpartition(" ")[0] for told in regimes[1].split(", ")} == set(REGIMES)


@pytest.mark.parametrize("truth", ["simulated", "operational"])
def test_its_record_compares_every_lead_of_every_variable(card: str, truth: str):
    dressed = {"persistence_dressed": 48} if truth == "simulated" else {}  # of operations there is no year before
    for system, total in {"persistence": 48, **dressed, "global": 36, "extrapolation": 12}.items():
        row = re.search(rf"must\*\*: CRPS below {system} \| (\d+) / (\d+) \| (.*) \|", record(card, truth))
        assert row is not None, system
        assert int(row[2]) == total, system
        assert bool(row[3]) == (int(row[1]) < total), "what was not reached is named"
