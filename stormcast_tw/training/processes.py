"""The processes that train together: one, or those that `torchrun` started; by gloo on CPUs, by NCCL on GPUs.

physicsnemo's DistributedManager cannot start a process group on CPUs, so torch is used directly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

PATIENCE = timedelta(minutes=30)
"""How long one process may validate or write a checkpoint while the others wait."""


@dataclass(frozen=True)
class Team:
    """The rank of this process among `world` processes, and the device it computes on."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """True for the process that writes."""
        return self.rank == 0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all processes, float64."""
        summed = values.detach().to(self.device, torch.float64)
        if self.world > 1:
            dist.all_reduce(summed)
        return summed

    def any(self, flag: bool) -> bool:
        """True if `flag` is true in any process."""
        return bool(self.total(torch.tensor([float(flag)]))[0] > 0)

    def wait(self) -> None:
        """Return once all processes have arrived."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def team_of(device: str) -> Iterator[Team]:
    """Yield the team given by torchrun's RANK, WORLD_SIZE and LOCAL_RANK; without them a single process.

    `device` is cpu or cuda; with cuda each process takes the GPU of its local rank.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device(f"cuda:{local}" if device == "cuda" and world > 1 else device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if world == 1:
        yield Team(0, 1, place)
        return
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", rank=rank, world_size=world, timeout=PATIENCE)
    try:
        yield Team(rank, world, place)
    finally:
        dist.destroy_process_group()
