"""Samples a second of the demo recipe's two stages, and the share of time that they wait for data (wanted: under 5 %).

    python benchmarks/training.py [updates]

Two simulated days on the forecast grid, one process of one thread; medians over windows of ten updates, the first left
out. Two such processes under torchrun, one a core, give nearly twice the samples.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

from stormcast_tw.settings import Settings
from stormcast_tw.training import log
from stormcast_tw.training.learner import Switches
from stormcast_tw.training.recipes import Recipe, Validation, demo
from stormcast_tw.training.run import carry_out
from stormcast_tw.training_data import build
from stormcast_tw.training_data.archives import archive_of
from stormcast_tw.training_data.finish import finish
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.training_data.recipe import DataRecipe, Simulated, Span

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAITING = 0.05


def make_data(root: Path) -> TrainingData:
    """Make a dataset of two days, and one held out."""
    recipe = DataRecipe(
        name="bench",
        archive=Simulated(),
        training=(Span(first=date(2023, 6, 1), last=date(2023, 6, 2)),),
        held_out=(Span(first=date(2024, 6, 1), last=date(2024, 6, 1)),),
    )
    job = build.plan(str(root), recipe, archive_of(recipe, Settings()))
    build.begin(job)
    build.make_run(job, list(recipe.days))
    return TrainingData(finish(job, NOW))


def cut(updates: int) -> Recipe:
    """Return the demo recipe with so many updates a stage, and hardly a validation."""
    recipe = demo()
    stages = {n: recipe.stages[n].model_copy(update={"updates": updates}) for n in ("regression", "diffusion")}
    validation = Validation(every=updates, cycles=1, members=2, lead_hours=1)
    return recipe.model_copy(update={"stages": stages, "validation": validation, "residual_hours": 2})


def main() -> None:
    """Train, and tell what the log says."""
    updates = int(sys.argv[1]) if len(sys.argv) > 1 else 80
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        carry_out(cut(updates), make_data(Path(scratch)), run, Switches(threads=1, log_every=10), NOW)
        lines = [line for line in log.read(run / log.LOG) if "loss" in line]
    worst = 0.0
    for stage in ("regression", "diffusion"):
        windows = [line for line in lines if line["stage"] == stage][1:]
        speed, waiting = (statistics.median(w[name] for w in windows) for name in ("samples_per_second", "waiting"))
        print(f"{stage:10} {speed:5.1f} crops of 112 x 64 a second, waiting for data {waiting:.1%}")
        worst = max(worst, waiting)
    sys.exit(worst > WAITING)


if __name__ == "__main__":
    main()
