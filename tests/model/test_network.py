"""A network computes in a forecast what it computed in its training."""

from __future__ import annotations

import torch

from stormcast_tw.model.architecture import Architecture, Channels
from stormcast_tw.model.network import build, for_inference

SIZE = Architecture(model_channels=16, channel_mult=(1, 2), num_blocks=1)
CHANNELS = Channels(state=1, condition=2)


def output(network: torch.nn.Module) -> torch.Tensor:
    chance = torch.Generator().manual_seed(1)
    x, condition = (torch.randn(2, c, 8, 12, generator=chance) for c in (1, 2))
    with torch.no_grad():
        found: torch.Tensor = network(x, torch.tensor([0.1, 2.0]), condition)
    return found


def test_a_forecast_normalises_as_the_training_did():
    torch.manual_seed(0)
    network = build("diffusion", SIZE, CHANNELS, (8, 12), 1)
    trained = output(network.train())
    assert torch.equal(output(for_inference(network)), trained)
    assert not torch.equal(output(network.eval()), trained), "physicsnemo's own path differs: the reason for ours"
    assert not any(p.requires_grad for p in network.parameters())


def test_a_forecast_drops_nothing_out():
    torch.manual_seed(0)
    network = build("diffusion", SIZE.model_copy(update={"dropout": 0.5}), CHANNELS, (8, 12), 1)
    assert not torch.equal(output(network.train()), output(network))
    assert torch.equal(output(for_inference(network)), output(network))
