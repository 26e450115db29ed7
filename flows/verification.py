"""Every day: score forecasts whose truth has arrived, publish the scorecard, and report a drop in skill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run as this_run

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.names import ExperimentName
from stormcast_tw.plan import CycleText, Frozen
from stormcast_tw.settings import WORLD_SEED, settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import report_failure, show_table
from stormcast_tw.tasks.verification import (
    Judging,
    Outcome,
    compare_packages,
    publish_scorecard,
    score_run,
    watch_skill,
)
from stormcast_tw.verification import TruthKind
from stormcast_tw.verification.choice import Choice
from stormcast_tw.verification.record import Scoring
from stormcast_tw.verification.systems.pairs import published_runs

WINDOW = timedelta(days=35)
"""The span of the daily run: the week that is judged, and the four weeks that it is compared with."""


class Verified(Frozen):
    """The outcome of every cycle, and where the scorecard is (None if nothing has been scored yet)."""

    outcomes: tuple[Outcome, ...]
    scorecard: str | None


def _run_name() -> str:
    parameters = this_run.parameters
    return f"verification-{parameters.get('truth')}-{parameters.get('start') or 'newest'}"


@flow(name="verification", flow_run_name=_run_name, on_failure=[report_failure], on_crashed=[report_failure])
def verification(
    start: CycleText | None = None,
    end: CycleText | None = None,
    experiment: ExperimentName = "demo",
    truth: TruthKind = "operational",
    package: Path | None = None,
    world_seed: int = WORLD_SEED,
    scoring: Scoring | None = None,
    now: datetime | None = None,
) -> Verified:
    """Score every published run of a package from `start` to `end` (by default the five weeks up to now), once.

    Cycles that are scored already are skipped; those whose truth is late are left for the next day. Raises Refused at
    the end if a truth was corrupt or a cycle failed; the others are scored and on the scorecard.
    """
    now = now or datetime.now(UTC)
    first, last = _span(start, end, now)
    judging = _judging(experiment, package, truth, world_seed, scoring)
    runs = published_runs(Store(settings().published_root), experiment, first, last, judging.described.digest)
    if not runs:
        raise Refused(
            f"verification: package {judging.described.digest[:12]} has nothing published in experiment {experiment}"
            f" from {first} to {last}; forecast it first: stormcast-tw backfill"
        )
    outcomes = tuple(_scored(judging, run, now) for run in runs.values())
    rows = [{"cycle": o.cycle, "outcome": o.outcome, "record or reason": o.text} for o in outcomes]
    show_table(rows, f"verification-{truth}-{experiment}", f"Verification {first} to {last}")
    daily = start is None and end is None
    name = f"{judging.described.digest[:12]}-latest" if daily else f"{judging.described.digest[:12]}_{first}_{last}"
    scorecard = publish_scorecard(judging, first, last, name, now)
    watch_skill(judging, last)
    if wrong := [f"{o.cycle}: {o.text}" for o in outcomes if o.outcome in ("corrupt", "failed")]:
        raise Refused(f"verification: {len(wrong)} of {len(outcomes)} cycles could not be scored: {'; '.join(wrong)}")
    return Verified(outcomes=outcomes, scorecard=scorecard)


@flow(name="comparison", on_failure=[report_failure], on_crashed=[report_failure])
def comparison(
    package_a: Path,
    package_b: Path,
    start: CycleText,
    end: CycleText,
    experiment: ExperimentName = "demo",
    truth: TruthKind = "operational",
    world_seed: int = WORLD_SEED,
    scoring: Scoring | None = None,
    now: datetime | None = None,
) -> tuple[Choice, str]:
    """Score both packages where that is still to do, and write the choice between them as a document."""
    now = now or datetime.now(UTC)
    of_a, of_b = (_judging(experiment, folder, truth, world_seed, scoring) for folder in (package_a, package_b))
    for judging in (of_a, of_b):
        verification(start, end, experiment, truth, judging.package, world_seed, scoring, now)
    made: tuple[Choice, str] = compare_packages(of_a, of_b, *_span(start, end, now))
    return made


def _span(start: str | None, end: str | None, now: datetime) -> tuple[Cycle, Cycle]:
    last = Cycle.parse(end) if end else Cycle.at_or_before(now)
    first = Cycle.parse(start) if start else Cycle.at_or_before(last.init_time - WINDOW)
    if last < first:
        raise Refused(f"verification: {last} is before {first}")
    return first, last


def _judging(
    experiment: str, package: Path | None, truth: TruthKind, world_seed: int, scoring: Scoring | None
) -> Judging:
    folder = (package or settings().package).absolute()
    return Judging(
        experiment=experiment, package=folder, truth=truth, world_seed=world_seed, scoring=scoring or Scoring()
    )


def _scored(judging: Judging, run: Artifact, now: datetime) -> Outcome:
    """Score one run; a failure is an outcome, so that the other cycles are scored."""
    state = score_run(judging, run, now, return_state=True)
    if state.is_completed():
        outcome: Outcome = state.result()
        return outcome
    return Outcome(cycle=run.address.cycle, outcome="failed", text=str(state.result(raise_on_failure=False)))
