"""A network in training: its weights, their moving mean, which is shipped, and the optimizer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from math import cos, isfinite, pi
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from stormcast_tw.model.network import for_inference
from stormcast_tw.plan import Frozen
from stormcast_tw.training.loss import Forward
from stormcast_tw.training.processes import Team
from stormcast_tw.training.recipes import Stage

BETAS = (0.9, 0.99)
EMA_RISE = 0.1
"""The half-life is at most this share of the samples seen, so that the first weights are soon forgotten."""


class Switches(Frozen):
    """How a training is computed: these affect speed and last digits, but not what is learnt."""

    device: str = "cpu"
    """cpu or cuda."""
    bf16: bool = False
    tf32: bool = False
    compile: bool = False
    channels_last: bool = False
    at_once: int = 0
    """Samples that a process takes at once, as its memory allows; 0: its whole share of the batch."""
    threads: int = 0
    """torch's threads per process; 0: torch's own choice. On a busy machine 1 is many times faster than 2, which wait
    for each other; on idle cores one single-threaded process per core is a third faster than one process on all."""
    workers: int = 0
    """Reading processes for each training process."""
    log_every: int = 20
    checkpoint_every: int = 500
    """Like `log_every`, in updates."""


class Learner:
    """Trains `network`, a copy of a package's network; the package's own holds the moving mean of the weights."""

    def __init__(self, shipped: torch.nn.Module, settings: Stage, switches: Switches, team: Team):
        self._shipped = for_inference(shipped)
        self._settings = settings
        self.network = deepcopy(shipped).train().requires_grad_(True)
        if switches.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        for module in self.network.modules():
            if switches.bf16 and hasattr(module, "amp_mode"):
                module.amp_mode = True  # type: ignore[assignment]
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, BETAS, weight_decay=settings.weight_decay
        )
        self._bf16 = torch.autocast(team.device.type, torch.bfloat16, enabled=switches.bf16)
        forward: torch.nn.Module = DistributedDataParallel(self.network) if team.world > 1 else self.network
        self._whole = forward
        self.forward: Forward = torch.compile(forward) if switches.compile else forward
        self.update, self.skipped, self.skipped_in_a_row, self.validated = 0, 0, 0, 0

    def precision(self) -> AbstractContextManager[Any]:
        """Return the context that the forward pass is computed in."""
        return self._bf16

    def gradient_exchange(self, last: bool) -> AbstractContextManager[Any]:
        """Return the context of a micro-batch: only the last one of an update exchanges gradients."""
        if isinstance(self._whole, DistributedDataParallel) and not last:
            return self._whole.no_sync()
        return nullcontext()

    def apply(self) -> float:
        """Take a step along the gradients and return their norm; if it is not finite, skip the step and count it."""
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        size = float(norm)
        if isfinite(size):
            torch.nn.utils.clip_grads_with_norm_(parameters, self._settings.clip, norm)
            for group in self._optimizer.param_groups:
                group["lr"] = self.learning_rate
            self._optimizer.step()
            self._update_mean()
            self.skipped_in_a_row = 0
        else:
            self.skipped, self.skipped_in_a_row = self.skipped + 1, self.skipped_in_a_row + 1
        self._optimizer.zero_grad(set_to_none=True)
        self.update += 1
        return size

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next update: a linear rise, then a cosine to zero."""
        stage, done = self._settings, self.update
        if done < stage.warm_up:
            return stage.learning_rate * (done + 1) / stage.warm_up
        return (
            stage.learning_rate * 0.5 * (1 + cos(pi * (done - stage.warm_up) / max(1, stage.updates - stage.warm_up)))
        )

    @torch.no_grad()
    def _update_mean(self) -> None:
        """Move the shipped weights towards the learning ones; the half-life of the mean is in samples."""
        seen = (self.update + 1) * self._settings.batch
        half_life = min(self._settings.ema_half_life, EMA_RISE * seen)
        keep = 0.5 ** (self._settings.batch / half_life)
        for mean, weight in zip(self._shipped.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(weight, 1 - keep)
        for kept, buffer in zip(self._shipped.buffers(), self.network.buffers(), strict=True):
            kept.copy_(buffer)

    def state(self) -> dict[str, Any]:
        """Return everything that a checkpoint needs."""
        return {
            "update": self.update,
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
            "validated": self.validated,
            "network": self.network.state_dict(),
            "shipped": self._shipped.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.update, self.skipped = state["update"], state["skipped"]
        self.skipped_in_a_row, self.validated = state["skipped_in_a_row"], state["validated"]
        self.network.load_state_dict(state["network"])
        self._shipped.load_state_dict(state["shipped"])
        self._optimizer.load_state_dict(state["optimizer"])
