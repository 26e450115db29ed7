"""What tests of a training share: three days of numbers, and a package that says persistence plus noise."""

from __future__ import annotations

import pytest
import torch

from stormcast_tw.model.package import ModelPackage
from stormcast_tw.training_data.reader import TrainingData
from tests.training.small_training import make_data, persistence_plus_noise


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    torch.set_num_threads(1)
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def held_out(data: TrainingData) -> TrainingData:
    return data.of("held_out")


@pytest.fixture(scope="module")
def package(held_out: TrainingData) -> ModelPackage:
    return persistence_plus_noise(held_out)
