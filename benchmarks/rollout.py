"""Seconds a member-call of the demo package: the whole step, divided by its network calls, on the machine at hand.

    .venv/bin/python benchmarks/rollout.py

Expected: 20 to 40 ms a call on two cores for a network of 0.34 M parameters at 112 x 64 points; 120 ms are allowed.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from stormcast_tw.cycle import Cycle
from stormcast_tw.model import package as packages
from stormcast_tw.model.noise import standard_normal
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.settings import settings

CYCLE = Cycle.parse("20260611T06Z")
ALLOWED_SECONDS = 0.12
STEPS = 7


def main() -> None:
    """Step a batch of members and print the median."""
    package = packages.load(settings().package)
    model, described = StormCast(package, settings().device), package.description
    members, calls = described.members_per_batch, described.sampler.network_calls + 1
    shape = (members, len(package.state_set), *package.grid.shape)
    means = np.array([scale.mean for scale in described.state.values()], np.float32)[None, :, None, None]
    state = State.of(np.broadcast_to(means, shape), package.state_set, CYCLE.init_time, model.device)
    seconds = []
    for lead in range(1, STEPS + 1):
        before, after = (background(package, model, lead - 1), background(package, model, lead))
        noise = np.stack([standard_normal(0, CYCLE.init_time, m, lead, shape[1:]) for m in range(members)])
        started = time.perf_counter()
        state = model.step(state, before, after, noise)
        seconds.append((time.perf_counter() - started) / members / calls)
    median = statistics.median(seconds[1:])
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {members} members, {calls} calls an hour")
    print(f"{median:.4f} s a member-call (median of {STEPS - 1}; {min(seconds):.4f} to {max(seconds):.4f})")
    print(f"allowed {ALLOWED_SECONDS} s: {'kept' if median <= ALLOWED_SECONDS else 'BROKEN'}")


def background(package: packages.ModelPackage, model: StormCast, lead: int) -> State:
    """Return the mean background."""
    means = np.array([scale.mean for scale in package.description.background.values()], np.float32)
    values = np.broadcast_to(means[None, :, None, None], (1, len(means), *package.grid.shape))
    return State.of(values, package.background_set, CYCLE.valid_time(lead), model.device)


if __name__ == "__main__":
    main()
