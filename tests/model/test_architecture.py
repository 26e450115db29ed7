"""The size of a network is known before it is built."""

from typing import Any

import pytest

from stormcast_tw.model.architecture import Architecture, Channels
from stormcast_tw.model.network import build


@pytest.mark.parametrize(
    ("fold", "size"),
    [
        (1, {"channel_mult": (1, 2), "num_blocks": 1, "attn_resolutions": (16,), "bottleneck_attention": True}),
        (2, {"channel_mult": (2, 1, 3), "num_blocks": 2, "attn_resolutions": (4, 8)}),
        (4, {"channel_mult": (1,), "num_blocks": 3}),
    ],
)
def test_parameters_are_counted_before_a_network_is_built(fold: int, size: dict[str, Any]):
    architecture, channels = Architecture(model_channels=16, **size), Channels(state=4, condition=10)
    for role in ("regression", "diffusion"):
        network = build(role, architecture, channels, (32, 16), fold)
        built = sum(tensor.numel() for tensor in network.state_dict().values())
        assert architecture.parameters(channels, fold, 32 // fold, role == "diffusion") == built
