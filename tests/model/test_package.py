import json
import shutil
from pathlib import Path

import pytest
import torch

from stormcast_tw.errors import BadPackage
from stormcast_tw.model import package as packages
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.untrained import untrained_package
from stormcast_tw.simulation.invariants import simulated_invariants
from tests.conftest import SMALL


@pytest.fixture
def copy(small_package_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_package_folder, tmp_path / "copy"))


def rewrite(folder: Path, **changes: object) -> None:
    path = folder / "package.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_round_trip(small_package: ModelPackage, tmp_path: Path):
    saved = packages.save(small_package, tmp_path / "again")
    loaded = packages.load(tmp_path / "again")
    assert loaded.digest == saved.digest == small_package.digest
    assert loaded.grid == SMALL
    for role, network in loaded.networks.items():
        for name, weights in network.state_dict().items():
            assert torch.equal(weights, small_package.networks[role].state_dict()[name])


def test_same_seed_same_package(small_package: ModelPackage, tmp_path: Path):
    again = packages.save(untrained_package(SMALL, simulated_invariants(SMALL)), tmp_path / "again")
    assert again.digest == small_package.digest


def test_a_field_that_a_later_version_adds_changes_no_digest(copy: Path, small_package: ModelPackage):
    path = copy / "package.json"
    told = json.loads(path.read_text())
    assert told.pop("shapiro_order") == 0
    path.write_text(json.dumps(told))
    assert packages.load(copy).digest == small_package.digest
    path.write_text(json.dumps(told | {"shapiro_order": 3}))
    assert packages.load(copy).digest != small_package.digest


def test_package_that_is_not_there(tmp_path: Path):
    with pytest.raises(BadPackage, match="there is no model package here"):
        packages.load(tmp_path)


@pytest.mark.parametrize("name", ["regression.safetensors", "diffusion.safetensors", "invariants.safetensors"])
def test_flipped_byte_is_refused(copy: Path, name: str):
    data = bytearray((copy / name).read_bytes())
    data[-1] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(BadPackage, match=rf"{name}: sha256 is [0-9a-f]{{64}}, the package says [0-9a-f]{{64}}"):
        packages.load(copy)


def test_missing_file_is_named(copy: Path):
    (copy / "diffusion.safetensors").unlink()
    with pytest.raises(BadPackage, match=r"diffusion\.safetensors: is missing from the package"):
        packages.describe(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state_set": "upper"}, "are not those of upper"),
        ({"state_set": "lower"}, "state set 'lower' is not one of"),
        ({"fold": 0}, "fold: Input should be greater than or equal to 1"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"format": 1}, "format: Input should be 2"),
        ({"detail_widths": [8]}, r"detail_widths \(8,\): allowed are odd numbers from 3, ascending"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_description_is_refused(copy: Path, changes: dict[str, object], message: str):
    rewrite(copy, **changes)
    with pytest.raises(BadPackage, match=message):
        packages.describe(copy)


def test_weights_of_another_size_are_refused(copy: Path):
    description = json.loads((copy / "package.json").read_text())
    description["networks"][0]["architecture"]["model_channels"] = 32
    rewrite(copy, networks=description["networks"])
    with pytest.raises(BadPackage, match="weights do not fit the regression network"):
        packages.load(copy)


def test_another_grid_does_not_fit_the_invariants(copy: Path):
    rewrite(copy, grid=json.loads((copy / "package.json").read_text())["grid"] | {"y": [23.0, 23.6, 64]})
    with pytest.raises(BadPackage, match=r"invariants\.safetensors: lsm of shape \(64, 32\) is not there"):
        packages.load(copy)
