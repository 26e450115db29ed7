"""Run a published plan again, from the prepared inputs it started from, and compare every value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.forecast.job import FORECAST, Progress, Rolled, RolloutJob
from stormcast_tw.forecast.process import run_in_child
from stormcast_tw.plan import Frozen, Plan, ProductsPlan
from stormcast_tw.settings import Settings
from stormcast_tw.storage.artifact import MANIFEST, Address, Artifact
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.store import Store
from stormcast_tw.variables import VARIABLES
from stormcast_tw.version import code_version

TOLERANCE = {"K": 0.02, "m s-1": 0.02, "kg m-2": 0.1}
"""Largest difference that counts as rounding, by units. Convolutions differ by about 1e-6 per call between machines,
and hundreds of calls amplify that; anything larger is another forecast."""

Verdict = Literal["identical", "equal within tolerance", "different"]


class Reproduction(Frozen):
    """The result: the verdict, the largest difference of each variable, and differences in code and machine."""

    verdict: Verdict
    largest: dict[str, float]
    around: dict[str, tuple[str, str]]
    """Code, machine, threads, versions: then and now, where they differ."""

    @property
    def text(self) -> str:
        """The comparison in one line or a few."""
        if self.verdict == "identical":
            lines = ["identical"]
        else:
            sizes = ", ".join(f"{v} {d:.3g} {VARIABLES[v].units}" for v, d in self.largest.items())
            lines = [f"{'equal within' if self.verdict != 'different' else 'different: largest difference'} {sizes}"]
        return "\n".join([*lines, *(f"  {name}: then {a}, now {b}" for name, (a, b) in self.around.items())])


def read_manifest(address: str) -> Artifact:
    """Return the artifact of a manifest file or of its folder; raises BadInput if it is none, or was moved."""
    folder = address.removesuffix(MANIFEST).rstrip("/") or "."
    manifest = objects(folder).read(MANIFEST)
    if manifest is None:
        raise BadInput(f"{folder}/{MANIFEST}: there is no manifest here")
    try:
        artifact = Artifact.model_validate_json(manifest.data)
    except ValidationError as error:
        raise BadInput(f"{folder}/{MANIFEST}: is not a manifest: {error.errors()[0]['msg']}") from error
    root, suffix = objects(folder).root, f"/{artifact.address}"
    if not root.endswith(suffix):
        raise BadInput(f"{root}: the manifest belongs to {artifact.address}; keep that path below any root")
    return artifact.model_copy(update={"root": root.removesuffix(suffix)})


def reproduce(
    published: Artifact, where: Settings, scratch: Path, now: datetime, report: Callable[[Progress], None]
) -> Reproduction:
    """Run the plan of `published` again into `scratch` and compare every value.

    Raises Refused naming the parent that was pruned, BadPackage if the package is not the plan's.
    """
    return compare(published, carry_out_again(published, where, scratch, now, report))


def carry_out_again(
    published: Artifact, where: Settings, scratch: Path, now: datetime, report: Callable[[Progress], None]
) -> Artifact:
    """Carry the plan of a published run out again, below `scratch`; raises as `reproduce` does."""
    plan = _plan(published)
    prepared = Address(kind="prepared", experiment=plan.experiment, cycle=plan.inputs.cycle, run=plan.inputs.run)
    if Store(where.work_root).find(prepared) is None:
        raise Refused(
            f"{published.address}: its parent {where.work_root}/{prepared} was pruned; it cannot be reproduced"
        )
    job = RolloutJob(
        plan=plan,
        prepared=prepared,
        prepared_root=where.work_root,
        work_root=str(scratch),
        package=where.package.absolute(),
        device=where.device,
        threads=where.threads,
        now=now,
    )
    return run_in_child(job, where.rollout_deadline_seconds, report)


def compare(published: Artifact, again: Artifact) -> Reproduction:
    """Compare every value of two forecasts of one plan."""
    then = Store(published.root).open(published, FORECAST)
    now = Store(again.root).open(again, FORECAST)
    pairs = {v: (then[v].values, now[v].values) for v in again.variables}
    largest = {v: float(np.max(np.abs(a.astype(np.float64) - b))) for v, (a, b) in pairs.items()}
    return Reproduction(
        verdict=_verdict(all(np.array_equal(a, b) for a, b in pairs.values()), largest),
        largest=largest,
        around=_around(published, _plan(published), again),
    )


def _plan(published: Artifact) -> Plan:
    try:
        return ProductsPlan.read(published.plan).forecast
    except ValidationError as error:
        raise BadInput(f"{published.address}: holds no forecast plan: {error.errors()[0]['msg']}") from error


def _verdict(identical: bool, largest: dict[str, float]) -> Verdict:
    if identical:
        return "identical"
    close = all(difference <= TOLERANCE[VARIABLES[v].units] for v, difference in largest.items())
    return "equal within tolerance" if close else "different"


def _around(published: Artifact, plan: Plan, again: Artifact) -> dict[str, tuple[str, str]]:
    then = {"code": plan.code_version or plan.inputs.code_version, **Rolled.of(published).machine}
    now = {"code": code_version("forecast"), **Rolled.of(again).machine}
    return {name: (str(then.get(name)), str(now[name])) for name in now if then.get(name) != now[name]}
