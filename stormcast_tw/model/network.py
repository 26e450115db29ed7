"""The two networks, built from a package's description with physicsnemo's current modules."""

from __future__ import annotations

import torch

from stormcast_tw.model import physicsnemo_import
from stormcast_tw.model.architecture import Architecture, Channels
from stormcast_tw.model.description import Role


def fold(fields: torch.Tensor, factor: int) -> torch.Tensor:
    """Fold blocks of factor x factor points into channels: (b, c, y, x) -> (b, c f^2, y/f, x/f)."""
    return torch.nn.functional.pixel_unshuffle(fields, factor)


def unfold(channels: torch.Tensor, factor: int) -> torch.Tensor:
    """The inverse of `fold`."""
    return torch.nn.functional.pixel_shuffle(channels, factor)


def build(role: Role, size: Architecture, channels: Channels, shape: tuple[int, int], factor: int) -> torch.nn.Module:
    """Return an untrained network on the folded grid: shape (y, x) of the grid, `factor` points folded each way.

    Regressions: F(condition, 0) -> state, no noise embedding. Diffusions: D(x, sigma, condition), EDM-preconditioned
    with sigma_data = 1, because residuals are divided by their own standard deviation.
    """
    parts = physicsnemo_import.classes()
    area = factor * factor
    state, condition = channels.state * area, channels.condition * area
    regression = role.endswith("regression")
    network: torch.nn.Module = parts.SongUNet(
        img_resolution=[shape[0] // factor, shape[1] // factor],
        in_channels=condition if regression else state + condition,
        out_channels=state,
        embedding_type="zero" if regression else "positional",
        **{k: list(v) if isinstance(v, tuple) else v for k, v in size.model_dump().items()},
    )
    if regression:
        return network
    preconditioned: torch.nn.Module = parts.EDMPreconditioner(parts.ConcatConditionWrapper(network), sigma_data=1.0)
    return preconditioned


def for_inference(network: torch.nn.Module) -> torch.nn.Module:
    """Prepare a network for inference and return it: no gradients, no dropout, group norm as in training.

    In evaluation mode physicsnemo's GroupNorm takes another path, with unbiased variances that it was not trained with
    (up to 2e-4 of a standard deviation in the demo), and on a CPU the whole network takes 1.5 times as long (measured).
    """
    group_norm = physicsnemo_import.classes().GroupNorm
    network.eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, group_norm):
            module.train()
    return network


def zero_output(network: torch.nn.Module) -> None:
    """Zero the last layer of a network: the regression then predicts no change and the diffusion returns c_skip x."""
    for name, module in network.named_modules():
        if name.endswith("aux_conv"):
            for parameter in module.parameters():
                torch.nn.init.zeros_(parameter)
