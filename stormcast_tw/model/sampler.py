"""Samplers of the probability-flow ODE dx/dsigma = (x - D(x; sigma)) / sigma, from sigma_max down to 0.

Symbols as in the papers: D is the denoiser, t_i the noise levels, x_i the sample at level t_i, N the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import expm1, log

import torch

from stormcast_tw.plan import Sampler

Denoiser = Callable[[torch.Tensor, float], torch.Tensor]


def noise_levels(sampler: Sampler) -> list[float]:
    """Return t_0 = sigma_max > ... > t_{N-1} = sigma_min > t_N = 0 (Karras et al. 2022, eq. 5)."""
    N, rho = sampler.steps, sampler.rho
    high, low = sampler.sigma_max ** (1 / rho), sampler.sigma_min ** (1 / rho)
    return [(high + i / (N - 1) * (low - high)) ** rho for i in range(N)] + [0.0]


def edm_heun(D: Denoiser, x: torch.Tensor, t: Sequence[float]) -> torch.Tensor:
    """Heun's second-order method, 2N-1 calls (Karras et al. 2022, algorithm 1 with s(t) = 1, sigma(t) = t)."""
    for i in range(len(t) - 1):
        d = (x - D(x, t[i])) / t[i]
        x_next = x + (t[i + 1] - t[i]) * d
        if t[i + 1] > 0:
            d_prime = (x_next - D(x_next, t[i + 1])) / t[i + 1]
            x_next = x + (t[i + 1] - t[i]) * (d + d_prime) / 2
        x = x_next
    return x


def dpmpp_2m(D: Denoiser, x: torch.Tensor, t: Sequence[float]) -> torch.Tensor:
    """DPM-Solver++(2M), N calls (Lu et al. 2022, arXiv 2211.01095, algorithm 2, with alpha = 1 and lambda = -log t).

    The first and the last step are first order.
    """
    D_last = h_last = None
    for i in range(len(t) - 1):
        D_i = D(x, t[i])
        if t[i + 1] == 0:
            return D_i
        h = log(t[i] / t[i + 1])
        D_used = D_i
        if D_last is not None and h_last is not None:
            r = h_last / h
            D_used = (1 + 1 / (2 * r)) * D_i - 1 / (2 * r) * D_last
        x = t[i + 1] / t[i] * x - expm1(-h) * D_used
        D_last, h_last = D_i, h
    return x


SAMPLERS: dict[str, Callable[[Denoiser, torch.Tensor, Sequence[float]], torch.Tensor]] = {
    "dpmpp_2m": dpmpp_2m,
    "edm_heun": edm_heun,
}


def sample(D: Denoiser, noise: torch.Tensor, sampler: Sampler) -> torch.Tensor:
    """Return a sample of the distribution that D denoises, of the shape of `noise` (standard normal)."""
    t = noise_levels(sampler)
    return SAMPLERS[sampler.name](D, t[0] * noise, t)
