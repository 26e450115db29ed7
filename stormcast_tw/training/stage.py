"""One stage of a training: updates, log, checkpoints, validations. An interruption does not change its result."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import log
from pathlib import Path
from statistics import NormalDist
from typing import Any

import torch
from torch.utils.data import DataLoader

from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.training import checkpoint
from stormcast_tw.training.draws import Draws, Keys, Sample, Samples, positions
from stormcast_tw.training.health import Interrupted, Stop, Watch
from stormcast_tw.training.learner import Learner, Switches
from stormcast_tw.training.log import Journal
from stormcast_tw.training.loss import (
    Batch,
    batch_of,
    diffusion_terms,
    from_own_hours,
    noise_of,
    perturbed,
    regression_terms,
)
from stormcast_tw.training.processes import Team
from stormcast_tw.training.recipes import ROLES, NoiseLaw, Recipe, StageName
from stormcast_tw.training_data.reader import TrainingData

AHEAD = 2
"""Micro-batches that a thread reads ahead."""
BINS = 8
"""Equally likely classes of noise levels; the loss is logged for each."""

Halt = Callable[[], None]
"""Ends the training with a checkpoint if it was asked to stop; all processes call it together."""


@dataclass(frozen=True)
class StageRun:
    """Everything a stage needs. `model` runs the package whose network is trained, and holds the mean of its weights.

    `validate(update, halt)` is called every `recipe.validation.every` updates and after the last.
    """

    name: StageName
    recipe: Recipe
    model: StormCast
    data: TrainingData
    team: Team
    switches: Switches
    folder: Path
    watch: Watch
    journal: Journal
    stop: Stop
    beat: Callable[[], None]
    validate: Callable[[int, Halt], None] | None = None

    @property
    def checkpoint(self) -> Path:
        """Path of this stage's checkpoint."""
        return self.folder / f"{self.name}.pt"


def train(run: StageRun) -> Learner:
    """Run or resume a stage to its last update.

    Raises TrainingIll for what the watch finds, which leaves the last checkpoint from before, and Interrupted after a
    signal, which leaves a new one.
    """
    settings = run.recipe.stages[run.name]
    learner = Learner(run.model.package.networks[ROLES[run.name]], settings, run.switches, run.team)
    if (state := checkpoint.read(run.checkpoint, run.team.device)) is not None:
        learner.restore(state)
    if run.team.is_main:
        run.journal.forget_after(run.name, learner.update)
    stage = _Stage(run, learner)
    while True:
        stage.validate_if_due()
        if learner.update == settings.updates:
            break
        stage.update()
    stage.save()
    return learner


class _Stage:
    """The changing state of a stage."""

    def __init__(self, run: StageRun, learner: Learner):
        self._run, self._learner = run, learner
        self._settings, self._draws = run.recipe.stages[run.name], Draws.of(run.recipe, run.name)
        shared = (run.team.rank, run.team.world, run.switches.at_once, run.recipe.crops)
        self._positions = positions(self._settings.batch, *shared)
        self._role, self._weights = ROLES[run.name], [run.recipe.weights.get(v, 1.0) for v in run.data.state_set.ids]
        starts = run.data.starts(1 + self._settings.rollout_hours)
        keys = Keys(self._draws, starts, learner.update, self._positions)
        self._samples = _read_ahead(Samples(run.data), keys, run.switches.workers)
        self._window = _Window(run.data.state_set.ids, run.recipe.noise)

    def update(self) -> None:
        """Do one update, and whatever is due after it."""
        run, learner = self._run, self._learner
        torch.manual_seed(self._draws.dropout_seed(learner.update, run.team.rank))
        share, parts = sum(map(len, self._positions)), []
        for micro in self._positions:
            began = time.perf_counter()
            samples = next(self._samples)
            self._window.waited += time.perf_counter() - began
            with learner.gradient_exchange(last=micro == self._positions[-1]):
                terms, sigma = self._terms(samples, micro)
                (terms.mean() * len(micro) / share).backward()  # type: ignore[no-untyped-call]
            parts.append((terms.detach(), sigma))
        skipped = learner.skipped
        norm = learner.apply()
        self._window.add(parts if learner.skipped == skipped else [], share, norm)
        run.beat()
        run.watch.skipped(learner.skipped_in_a_row, learner.update)
        self._after()

    def _terms(self, samples: list[Sample], micro: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the loss of every sample and variable (b, v), and for a diffusion the noise levels (b)."""
        run, update = self._run, self._learner.update
        places = micro[:: run.recipe.crops]
        if self._settings.rollout_hours:
            pairs = zip(samples, places, strict=True)
            samples = [from_own_hours(run.model, sample, self._draws, update, at) for sample, at in pairs]
        if self._settings.state_error:
            pairs = zip(samples, places, strict=True)
            samples = [perturbed(sample, run.model.package, self._draws, update, at) for sample, at in pairs]
        batch = self._batch(samples, micro)
        with self._learner.precision():
            if self._role.endswith("regression"):
                return regression_terms(self._learner.forward, batch, run.recipe.fold), None
            noise, sigma = noise_of(self._draws, run.recipe.noise, update, micro, batch.target)
            return diffusion_terms(self._learner.forward, batch, run.recipe.fold, noise, sigma), sigma

    def _batch(self, samples: list[Sample], micro: tuple[int, ...]) -> Batch:
        run, crop = self._run, self._run.recipe.crop
        corners = None
        if crop is not None:
            corner = partial(self._draws.corner, self._learner.update)
            every = [corner(at, run.model.package.grid.shape, crop) for at in micro]
            corners = [every[n : n + run.recipe.crops] for n in range(0, len(every), run.recipe.crops)]
        return batch_of(run.model, self._role, samples, self._weights, corners, crop)

    def _after(self) -> None:
        """Do what is due after an update: stop, log, save."""
        run, update, last = self._run, self._learner.update, self._learner.update == self._settings.updates
        if update % run.switches.log_every == 0 or last:
            numbers = self._window.close(run.team, self._learner)
            run.journal.write(run.name, update, numbers)
            run.watch.window(update, numbers["loss"], numbers["samples_per_second"])
        if update % run.switches.checkpoint_every == 0:
            self.save()
        self._halt()

    def _halt(self) -> None:
        run = self._run
        run.beat()
        if run.team.any(bool(run.stop.asked)):
            self.save()
            raise Interrupted(
                f"{run.folder}: {run.stop.asked or 'another process'} asked to stop; {run.name} is saved at update "
                f"{self._learner.update} of {self._settings.updates}, the same command continues"
            )

    def save(self) -> None:
        """Write the checkpoint."""
        if self._run.team.is_main:
            checkpoint.write(self._run.checkpoint, self._learner.state())
        self._run.team.wait()

    def validate_if_due(self) -> None:
        """Validate at the recipe's interval and after the last update, each time once."""
        run, update = self._run, self._learner.update
        due = update == self._settings.updates or (update and update % run.recipe.validation.every == 0)
        if run.validate is None or not due or self._learner.validated >= update:
            return
        run.validate(update, self._halt)
        self._learner.validated = update
        self._window.restart()


class _Window:
    """Sums over the updates since the last line of the log."""

    def __init__(self, ids: tuple[str, ...], law: NoiseLaw):
        self._ids, self._law = ids, NormalDist(law.mean, law.std)
        self._middles = [f"{law.quantile((n + 0.5) / BINS):.3g}" for n in range(BINS)]
        self.restart()

    def restart(self) -> None:
        """Start a new window."""
        self.waited, self._samples, self._norm, self._began = 0.0, 0, 0.0, time.perf_counter()
        self._by_variable, self._count = torch.zeros(len(self._ids), dtype=torch.float64), 0
        self._by_sigma = torch.zeros(2, BINS, dtype=torch.float64)

    def add(self, parts: list[tuple[torch.Tensor, torch.Tensor | None]], samples: int, norm: float) -> None:
        """Count an update; `parts` are the terms and noise levels of its micro-batches, empty for a skipped update."""
        self._samples, self._norm = self._samples + samples, norm
        for terms, sigma in parts:
            cpu = terms.to("cpu", torch.float64)
            self._by_variable += cpu.sum(dim=0)
            self._count += len(cpu)
            if sigma is not None:
                bins = [min(BINS - 1, int(self._law.cdf(log(level)) * BINS)) for level in sigma.tolist()]
                self._by_sigma[0].index_add_(0, torch.tensor(bins), cpu.mean(dim=1))
                self._by_sigma[1].index_add_(0, torch.tensor(bins), torch.ones(len(bins), dtype=torch.float64))

    def close(self, team: Team, learner: Learner) -> dict[str, Any]:
        """Return the numbers of the window over all processes, and start the next."""
        seconds = time.perf_counter() - self._began
        ours = torch.tensor([self._count, self._samples, self.waited / seconds], dtype=torch.float64)
        parts = torch.cat([self._by_variable, self._by_sigma.flatten(), ours])
        summed = team.total(parts).cpu()
        variables, by_sigma = summed[: len(self._ids)], summed[len(self._ids) : -3].reshape(2, BINS)
        count, samples, waiting = summed[-3:].tolist()
        means = (variables / count if count else torch.full_like(variables, torch.nan)).tolist()
        numbers = {
            "loss": sum(means) / len(means),
            "by_variable": dict(zip(self._ids, means, strict=True)),
            "by_sigma": {
                middle: total / n for middle, total, n in zip(self._middles, *by_sigma.tolist(), strict=True) if n
            },
            "learning_rate": learner.learning_rate,
            "gradient_norm": self._norm,
            "skipped": learner.skipped,
            "samples_per_second": samples / seconds,
            "waiting": waiting / team.world,
        }
        self.restart()
        return numbers


def _read_ahead(samples: Samples, keys: Keys, workers: int) -> Iterator[list[Sample]]:
    """Return micro-batches in the order of their keys, read ahead by `workers` processes, or by a thread if 0."""
    if not workers:
        return _in_a_thread(samples, keys)
    loader: DataLoader[Any] = DataLoader(
        samples,  # type: ignore[arg-type]
        batch_sampler=keys,
        num_workers=workers,
        collate_fn=list,
        multiprocessing_context="spawn",
        worker_init_fn=_ignore_signals,
        generator=torch.Generator(),
    )
    return iter(loader)


def _in_a_thread(samples: Samples, keys: Keys) -> Iterator[list[Sample]]:
    """Yield micro-batches while the next ones are read, which is mostly waiting for a store."""
    every = iter(keys)
    with ThreadPoolExecutor(1, "read-ahead") as pool:

        def begin(count: int) -> list[Future[list[Sample]]]:
            return [pool.submit(lambda keys: [samples[key] for key in keys], micro) for micro in islice(every, count)]

        pending = begin(AHEAD)
        while pending:
            yield pending.pop(0).result()
            pending += begin(1)


def _ignore_signals(_: int) -> None:
    """Let a reading process ignore the signals that ask its trainer to stop; it ends when the trainer does."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
