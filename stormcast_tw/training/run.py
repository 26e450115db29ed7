"""A whole training: the stages in order, the residual measured between them, and the package at the end.

A run is a folder: `run.json` describes it, `<stage>.pt` are checkpoints, `residual.json` is the scale of the residual,
`calibration.json` the correction of its samples, `best.pt` the best diffusion so far, `log.jsonl` and `tensorboard/`
the log, `result.json` the outcome, `package/` the package. The same command in the same folder resumes the run.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.metadata import distributions
from math import inf
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from stormcast_tw.errors import BadInput, Conflict
from stormcast_tw.model import package as packages
from stormcast_tw.model.description import Role
from stormcast_tw.model.network import for_inference
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.plan import Frozen, digest_of
from stormcast_tw.training import checkpoint, model_card
from stormcast_tw.training.calibration import calibration
from stormcast_tw.training.health import RECORD, Limits, Stop, TrainingIll, Watch, no_stall, on_signals, record
from stormcast_tw.training.learner import Switches
from stormcast_tw.training.log import LOG, Journal, read
from stormcast_tw.training.processes import Team, team_of
from stormcast_tw.training.recipes import ROLES, Recipe, StageName
from stormcast_tw.training.stage import Halt, StageRun, train
from stormcast_tw.training.starting_package import CALIBRATED, first_package, rescaled
from stormcast_tw.training.validation import Scores, residual_std, validate
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.version import code_version

RUN, RESULT, BEST, PACKAGE = "run.json", "result.json", "best.pt", "package"
RESIDUAL, CALIBRATION = "residual.json", "calibration.json"


class Begun(Frozen):
    """`run.json`: what a run is, and on which machine and code each of its attempts ran."""

    recipe: Recipe
    data: str
    """Digest of the training data."""
    base: str | None
    """Digest of the package that the networks are added to."""
    attempts: tuple[dict[str, Any], ...]


class Result(Frozen):
    """`result.json`: how a run ended."""

    package: str
    """Digest of the package."""
    residual_std: dict[str, float]
    best_stage: StageName | None
    best_update: int
    scores: Scores | None
    skipped: dict[StageName, int]


@dataclass
class _Best:
    """The best validated weights so far."""

    skill: float = inf
    stage: StageName | None = None
    update: int = 0
    weights: dict[str, torch.Tensor] | None = None
    scores: str = ""

    @classmethod
    def of(cls, path: Path, device: torch.device) -> Self:
        contents = checkpoint.read(path, device)
        return cls(**contents) if contents else cls()


def carry_out(
    recipe: Recipe,
    data: TrainingData,
    folder: Path,
    switches: Switches,
    now: datetime,
    base: ModelPackage | None = None,
    limits: Limits | None = None,
) -> Path:
    """Train a recipe on data, or resume, and return the package's folder; as one process of a torchrun, or alone.

    `base` is the package whose networks the recipe continues, or to which it adds background-only networks. Raises
    Conflict if the folder holds another run, BadInput for data of other variables, BadPackage for a base that does not
    fit, TrainingIll, or Interrupted after SIGTERM or SIGUSR1.
    """
    watched = limits or Limits()
    folder.mkdir(parents=True, exist_ok=True)
    if switches.threads:
        torch.set_num_threads(switches.threads)
    if switches.tf32:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    with team_of(switches.device) as team, on_signals() as stop, no_stall(folder, watched.stall_seconds) as beat:
        run = _Run(recipe, data, folder, switches, team, Journal(folder if team.is_main else None), stop, beat, watched)
        try:
            return run.complete(base, now)
        except TrainingIll as illness:
            if team.is_main:
                record(folder, illness.what, str(illness))
            raise
        finally:
            run.journal.close()


@dataclass(frozen=True)
class _Run:
    recipe: Recipe
    data: TrainingData
    folder: Path
    switches: Switches
    team: Team
    journal: Journal
    stop: Stop
    beat: Callable[[], None]
    limits: Limits

    def complete(self, base: ModelPackage | None, now: datetime) -> Path:
        self._check_data()
        package = first_package(self.recipe, self.data, base)
        begun = self._begin(base, now)
        best = _Best.of(self.folder / BEST, self.team.device)
        skipped: dict[StageName, int] = {}
        for stage in self.recipe.stages:
            role, model = ROLES[stage], StormCast(package, self.team.device)
            validation = self._validation(stage, model, best) if role.endswith("diffusion") else None
            skipped[stage] = train(self._stage(stage, model, validation)).skipped
            if role.endswith("regression"):
                package = self._scaled(role, package, model)
        diffusion = ROLES[stage]
        if best.weights is not None and diffusion.endswith("diffusion"):
            package.networks[diffusion].load_state_dict(best.weights)
        for network in package.networks.values():
            for_inference(network)
        if self.recipe.calibrated:
            package = self._calibrated(package, best)
        if self.team.is_main:
            self._ship(package, begun, best, skipped)
        self.team.wait()
        return self.folder / PACKAGE

    def _check_data(self) -> None:
        variable_sets = (self.data.state_set.name, self.data.background_set.name)
        wanted = (self.recipe.state_set, self.recipe.background_set)
        if variable_sets != wanted:
            raise BadInput(f"{self.data.artifact.uri}: holds {variable_sets}; recipe {self.recipe.name} needs {wanted}")
        crop, shape = self.recipe.crop or (0, 0), self.data.grid.shape
        if crop[0] > shape[0] or crop[1] > shape[1]:
            raise BadInput(f"{self.data.artifact.uri}: a grid of {shape} points; crops of {crop} do not fit")

    def _begin(self, base: ModelPackage | None, now: datetime) -> Begun:
        """Write run.json, or add this attempt to it; raises Conflict if it describes another run."""
        path = self.folder / RUN
        what = {"recipe": self.recipe, "data": self.data.digest, "base": base.digest if base else None}
        before: tuple[dict[str, Any], ...] = ()
        if path.exists():
            existing = Begun.model_validate_json(path.read_text())
            for name, value in what.items():
                if getattr(existing, name) != value:
                    raise Conflict(f"{path}: the folder holds a run of another {name}; give a new folder")
            before = existing.attempts
        begun = Begun(**what, attempts=(*before, _attempt(self.switches, self.team, now)))
        self.team.wait()
        if self.team.is_main:
            path.write_text(begun.model_dump_json(indent=1) + "\n")
            (self.folder / RECORD).unlink(missing_ok=True)
        return begun

    def _stage(self, stage: StageName, model: StormCast, validation: Callable[[int, Halt], None] | None) -> StageRun:
        return StageRun(
            name=stage,
            recipe=self.recipe,
            model=model,
            data=self.data.of("training"),
            team=self.team,
            switches=self.switches,
            folder=self.folder,
            watch=Watch(self.limits, self.folder),
            journal=self.journal,
            stop=self.stop,
            beat=self.beat,
            validate=validation,
        )

    def _validation(self, stage: StageName, model: StormCast, best: _Best) -> Callable[[int, Halt], None]:
        """Return a function that validates the mean weights by ensemble rollouts and keeps the best."""
        role, held_out = ROLES[stage], self.data.of("held_out")

        def score(update: int, halt: Halt) -> None:
            scores = validate(
                model, held_out, self.recipe.validation, self.team, halt, alone=role.startswith("background_only")
            )
            told = scores.model_dump(mode="json") if scores else {"skill": None}
            self.journal.write(stage, update, {"validation": told})
            if scores is None or scores.skill >= best.skill:
                return
            best.skill, best.stage, best.update = scores.skill, stage, update
            best.scores = scores.model_dump_json()
            best.weights = {k: v.detach().cpu().clone() for k, v in model.package.networks[role].state_dict().items()}
            if self.team.is_main:
                checkpoint.write(self.folder / BEST, vars(best))

        return score

    def _scaled(self, role: Role, package: ModelPackage, model: StormCast) -> ModelPackage:
        """Return the package with the residual scale of its regression, measured once on held-out hours."""
        alone = role.startswith("background_only")
        diffusion: Role = "background_only_diffusion" if alone else "diffusion"
        measured_on = (self.data.of("held_out"), self.recipe.residual_hours, self.team)
        std = self._measured(RESIDUAL, lambda: residual_std(model, diffusion, *measured_on))
        return rescaled(package, "background_only_residual_std" if alone else "residual_std", std)

    def _calibrated(self, package: ModelPackage, best: _Best) -> ModelPackage:
        """Return the finished package with calibrated residuals, and put its new scores into `best`."""
        held_out, count = self.data.of("held_out"), max(self.recipe.residual_hours // 4, 2)
        model = StormCast(package, self.team.device)
        measured = self._measured(CALIBRATION, lambda: calibration(model, held_out, count, self.team, self.beat))
        for name in CALIBRATED:
            package = rescaled(package, name, {variable: scale[name] for variable, scale in measured.items()})
        model = StormCast(package, self.team.device)
        scores = validate(model, held_out, self.recipe.validation, self.team, self.beat, alone=False)
        best.scores = scores.model_dump_json() if scores else ""
        return package

    def _measured(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the contents of a file of the run; if it does not exist, measure them and write it."""
        path = self.folder / name
        if path.exists():
            kept: dict[str, Any] = json.loads(path.read_text())
            return kept
        measured = measure()
        self.team.wait()
        if self.team.is_main:
            aside = path.with_suffix(".aside")
            aside.write_text(json.dumps(measured) + "\n")
            aside.replace(path)
        return measured

    def _ship(self, package: ModelPackage, begun: Begun, best: _Best, skipped: dict[StageName, int]) -> None:
        scores = Scores.model_validate_json(best.scores) if best.scores else None
        saved = packages.save(package, self.folder / PACKAGE)
        residual = json.loads((self.folder / RESIDUAL).read_text())
        result = Result(
            package=saved.digest,
            residual_std=residual,
            best_stage=best.stage,
            best_update=best.update,
            scores=scores,
            skipped=skipped,
        )
        (self.folder / RESULT).write_text(result.model_dump_json(indent=1) + "\n")
        text = model_card.card(saved, self.recipe, self.data, begun.attempts, scores, read(self.folder / LOG))
        (self.folder / PACKAGE / model_card.NAME).write_text(text)


def _attempt(switches: Switches, team: Team, now: datetime) -> dict[str, Any]:
    cuda = team.device.type == "cuda"
    return {
        "at": now.isoformat(timespec="seconds"),
        "code": code_version("training"),
        "installed": installed(),
        "device": torch.cuda.get_device_name(team.device) if cuda else platform.machine(),
        "processes": team.world,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "switches": switches.model_dump(mode="json"),
    }


@lru_cache(maxsize=1)
def installed() -> str:
    """Return 12 hex digits of the sha256 of all installed distributions and versions: the lock as installed."""
    versions = sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions()})
    return digest_of(versions)[:12]
