"""Run a training in separate processes, show its progress, and emit an event when it is ill."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from stormcast_tw.errors import Refused
from stormcast_tw.operations.events import Event
from stormcast_tw.tasks.page import ProgressPage, emit_training_event
from stormcast_tw.tasks.policy import task_under
from stormcast_tw.training.health import RECORD
from stormcast_tw.training.log import LOG, read
from stormcast_tw.training.recipes import RECIPES
from stormcast_tw.training.run import PACKAGE

SECONDS_BETWEEN_LOOKS = 5.0
END_SECONDS = 60.0
"""A training that is asked to end writes a checkpoint first, within 30 s."""
SHOWN = 2000
"""Characters of its last output that the error quotes."""


@task_under("training")
def train_package(recipe: str, output: Path, processes: int, options: tuple[str, ...]) -> Path:
    """Train with `processes` processes of torchrun; return the package. Raises Refused if there is none at the end."""
    if recipe not in RECIPES:
        raise Refused(f"recipe {recipe!r} is not one of {', '.join(RECIPES)}")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    words = [recipe, "--output", str(output), *options]
    with tempfile.TemporaryFile("w+") as printed:
        status = _run_watched([*torchrun, "-m", "stormcast_tw.cli", "train", "run", *words], recipe, output, printed)
        printed.seek(0)
        last = printed.read()[-SHOWN:]
    if status == 0:
        return output / PACKAGE
    if (record := output / RECORD).exists():
        illness = json.loads(record.read_text())
        emit_training_event(Event.TRAINING_ILL, output.name, what=illness["what"], text=f"{output}: {illness['text']}")
        raise Refused(f"{output}: training.ill, {illness['what']}: {illness['text']}")
    raise Refused(
        f"{output}: the training ended with status {status}; run the same flow to resume. Last output:\n{last}"
    )


def _run_watched(command: list[str], recipe: str, output: Path, printed: IO[str]) -> int:
    """Run a training, show its progress and return its exit status; if interrupted, end it with a checkpoint."""
    updates = {str(name): stage.updates for name, stage in RECIPES[recipe]().stages.items()}
    total = sum(updates.values())
    key = f"training-{recipe}".replace("_", "-")
    page = ProgressPage(key, f"{total:,} updates of recipe {recipe} in {output}")
    child = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
    try:
        shown: list[dict[str, Any]] = []
        while (status := child.poll()) is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            if (last := read(output / LOG)[-1:]) != shown:
                shown = last
                _show(page, updates, last[0])
        return status
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def _show(page: ProgressPage, updates: dict[str, int], logged: dict[str, Any]) -> None:
    stage, names = logged["stage"], list(updates)
    done = sum(updates[name] for name in names[: names.index(stage)]) + logged["update"]
    values = {name: logged[name] for name in ("loss", "validation") if name in logged}
    page.show(done / sum(updates.values()), f"{stage}, update {logged['update']}: {values}")
