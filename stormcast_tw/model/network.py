"""The two networks, built from a package's description with physicsnemo's current modules."""

from __future__ import annotations

import warnings
from typing import Literal

import torch

from stormcast_tw.plan import Frozen

Role = Literal["regression", "diffusion", "background_only_regression", "background_only_diffusion"]
"""The two stages of a step; and, in packages that can begin without a state, the two that make one (CorrDiff's)."""


class Architecture(Frozen):
    """Size of a SongUNet (Song et al. 2021's U-Net as in EDM): physicsnemo's own parameter names."""

    model_channels: int
    channel_mult: tuple[int, ...]
    num_blocks: int
    attn_resolutions: tuple[int, ...] = ()
    bottleneck_attention: bool = False
    dropout: float = 0.0


class Channels(Frozen):
    """How many fields a network sees and gives, before folding."""

    state: int
    condition: int


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from physicsnemo.diffusion.preconditioners import EDMPreconditioner
        from physicsnemo.diffusion.utils import ConcatConditionWrapper
        from physicsnemo.models.diffusion_unets import SongUNet

    area = factor * factor
    state, condition = channels.state * area, channels.condition * area
    regression = role.endswith("regression")
    network: torch.nn.Module = SongUNet(
        img_resolution=[shape[0] // factor, shape[1] // factor],
        in_channels=condition if regression else state + condition,
        out_channels=state,
        embedding_type="zero" if regression else "positional",
        **{k: list(v) if isinstance(v, tuple) else v for k, v in size.model_dump().items()},
    )
    if regression:
        return network
    preconditioned: torch.nn.Module = EDMPreconditioner(ConcatConditionWrapper(network), sigma_data=1.0)
    return preconditioned


def for_inference(network: torch.nn.Module) -> torch.nn.Module:
    """Make a network ready to be run, and return it: no gradients, no dropout, group norm as it was trained.

    Evaluated, physicsnemo's GroupNorm takes a path of its own: unbiased variances, which it never learnt with (up to
    2e-4 of a standard deviation in the demo), and 1.5 times the time of the whole network on a CPU (measured).
    """
    from physicsnemo.nn import GroupNorm

    network.eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, GroupNorm):
            module.train()
    return network


def zero_output(network: torch.nn.Module) -> None:
    """Set the last layer of a network to zero: the regression then predicts no change, the diffusion c_skip x."""
    for name, module in network.named_modules():
        if name.endswith("aux_conv"):
            for parameter in module.parameters():
                torch.nn.init.zeros_(parameter)
