"""The record: one small sealed artifact per run and truth, made once the truth is complete; a month is their sum.

An artifact of kind `verification` holds `statistics.nc`, the sums of one cycle (sums.py). Its plan names the forecast
and the truth but not the files of the truth, so that a cycle once scored stays as it was scored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.plan import Frozen, digest_of
from stormcast_tw.publication.catalogue import Published, plan_of
from stormcast_tw.storage.artifact import Address, Artifact, Details
from stormcast_tw.storage.packed import pack, unpack
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.verification.scores.sums import score_cycle
from stormcast_tw.verification.systems import baselines
from stormcast_tw.verification.systems.dressing import (
    MEMBERS,
    Errors,
    TrainingSpan,
    collect_errors,
    errors_of_system,
    spread_evenly,
    year_before,
)
from stormcast_tw.verification.systems.pairs import FORECAST, gather
from stormcast_tw.verification.systems.start import Invariants, Start, start_of
from stormcast_tw.verification.systems.truth import Truth

KIND = "verification"
ARCHIVE = "errors"
STATISTICS = "statistics.nc"

FORMAT = 1
"""Increased whenever the sums or the making of a baseline change: records of two formats are never added."""


class Record(Details):
    """What the manifest of a record says: the package, the systems compared, why others are absent, and the truth."""

    package: dict[str, Any]
    systems: tuple[str, ...]
    absent: dict[str, str]
    regime: str
    truth_files: dict[str, str]


class Scoring(Frozen):
    """What determines a record besides run and truth: where dressing errors come from, and the seed of all chance."""

    training: TrainingSpan | None = None
    """None: the calendar year before that of each cycle."""
    seed: int = 0

    def training_of(self, cycle: Cycle) -> TrainingSpan:
        """Return the span whose errors dress the baselines of a cycle."""
        return self.training or year_before(cycle)


@dataclass(frozen=True)
class Bench:
    """What records are made with: the stores, the truth, the package's invariants; `report` is told of slow steps."""

    published: Store
    work: Store
    truth: Truth
    invariants: Invariants
    report: Callable[[str], None] = field(default=lambda _: None)


def address(run: Artifact, truth: Truth, scoring: Scoring) -> Address:
    """Return where the record of a published run against a truth is kept."""
    return run.address.model_copy(update={"kind": KIND, "run": digest_of(_plan(run, truth, scoring))[:12]})


def _plan(run: Artifact, truth: Truth, scoring: Scoring) -> dict[str, Any]:
    span = scoring.training_of(Cycle.parse(run.address.cycle))
    return {
        "format": FORMAT,
        "run": str(run.address),
        "package": plan_of(run).inputs.package,
        "truth": truth.name,
        "training": span.model_dump(mode="json"),
        "seed": scoring.seed,
    }


def score(bench: Bench, run: Artifact, scoring: Scoring, now: datetime) -> Artifact:
    """Return the record of a published run, unchanged if it is already sealed.

    Raises NotReady while the truth or the forecast's start is missing, BadInput if either fails a check or a simulated
    truth is of another world. Nothing is kept of a cycle that was not scored completely.
    """
    cycle = Cycle.parse(run.address.cycle)
    span = scoring.training_of(cycle)
    span.require_apart(cycle, cycle, plan_of(run).lead_hours)

    def fill(draft: Draft) -> Artifact:
        start = start_of(bench.work, run)
        bench.truth.require_start(start)
        truth_fields = bench.truth.surface(cycle, start.lead_hours, start.grid, now)
        archive = _archive_if_it_can_be_made(bench, start, run.address.experiment, span, now)
        names = () if archive is None else Errors.of(archive).systems
        errors = {name: errors_of_system(bench.work, archive, name) for name in names if archive is not None}
        published = bench.published.open(run, FORECAST)
        forecast = published[[name for name in baselines.SURFACE if name in published]].load()
        pairs = gather(start, forecast, truth_fields, bench.truth, bench.invariants, errors, scoring.seed)
        sums = score_cycle(pairs.systems, pairs.truth, pairs.strata, seed=scoring.seed)
        draft.put(STATISTICS, pack(sums))
        return draft.seal(
            grid=run.grid,
            variables=tuple(map(str, sums["variable"].values)),
            parents=(run, *(() if archive is None else (archive,))),
            simulated=run.simulated or bool(truth_fields.attrs["simulated"]),
            trained=run.trained,
            now=now,
            details=Record(
                package=Published.of(run).package,
                systems=tuple(pairs.systems),
                absent=pairs.absent,
                regime=pairs.strata.regime,
                truth_files=json.loads(truth_fields.attrs["files"]),
            ),
        )

    return bench.published.make(address(run, bench.truth, scoring), _plan(run, bench.truth, scoring), fill)


def _archive_if_it_can_be_made(
    bench: Bench, start: Start, experiment: str, span: TrainingSpan, now: datetime
) -> Artifact | None:
    """Return the archive; None if the start of a training cycle, or its truth, is no longer kept."""
    try:
        return error_archive(bench, start, experiment, span, now)
    except (NotReady, BadInput) as error:
        bench.report(f"baselines of {start.cycle} are not dressed: {error}")
        return None


def error_archive(bench: Bench, start: Start, experiment: str, span: TrainingSpan, now: datetime) -> Artifact | None:
    """Return the archive of errors that dresses the baselines of a cycle, made once per init hour.

    None if there are too few cycles. In a simulated world any cycle of the span can be made; otherwise its cycles are
    those that have been scored.
    """
    truth = bench.truth
    starts = truth.starts(span, start, bench.invariants) or _starts_of_scored_runs(bench, experiment, span, start)
    if not starts:
        return None
    cycles = tuple(starts)
    plan = {
        "format": FORMAT,
        "truth": truth.name,
        "grid": start.grid.fingerprint,
        "lead_hours": start.lead_hours,
        "cycles": [str(cycle) for cycle in cycles],
    }
    where = Address(kind=ARCHIVE, experiment=experiment, cycle=str(cycles[0]), run=digest_of(plan)[:12])
    return collect_errors(
        bench.work,
        where,
        plan,
        cycles,
        lambda cycle: baselines.errors_at(starts[cycle](), truth, now),
        simulated=truth.kind == "simulated",
        now=now,
        progress=lambda cycle: bench.report(
            f"errors of the baselines at {cycle}, to dress {start.cycle.init_time:%H} UTC with"
        ),
    )


def _starts_of_scored_runs(
    bench: Bench, experiment: str, span: TrainingSpan, start: Start
) -> Mapping[Cycle, Callable[[], Start]]:
    """Return the starts of published runs of the span that were scored against this truth; empty if too few were."""
    runs: dict[Cycle, Artifact] = {}
    for record in bench.published.list(KIND, experiment):
        init_time = Cycle.parse(record.address.cycle).init_time
        same = record.plan["truth"] == bench.truth.name and record.grid == start.grid.describe()
        if same and init_time.hour == start.cycle.init_time.hour and span.start <= init_time <= span.end:
            run = run_of(bench.published, record)
            if plan_of(run).lead_hours >= start.lead_hours:
                runs[Cycle(init_time)] = run
    if len(runs) < MEMBERS:
        return {}
    return {cycle: partial(start_of, bench.work, runs[cycle]) for cycle in spread_evenly(sorted(runs))}


def run_of(published: Store, record: Artifact) -> Artifact:
    """Return the published run that a record is of."""
    kind, experiment, cycle, run = record.plan["run"].split("/")
    return published.get(Address(kind=kind, experiment=experiment, cycle=cycle, run=run))


def records(
    published: Store, experiment: str, truth: str, package: str, first: Cycle, last: Cycle
) -> dict[str, Artifact]:
    """Return, by cycle, the newest record of a package (by digest) against a truth (by name)."""
    newest: dict[str, Artifact] = {}
    for cycle in first.until(last):
        for record in published.list(KIND, f"{experiment}/{cycle}"):
            plan = record.plan
            if (plan["truth"], plan["package"], plan["format"]) == (truth, package, FORMAT):
                newest[str(cycle)] = record
    return newest


def statistics_of(published: Store, record: Artifact) -> xr.Dataset:
    """Return the sums of one cycle."""
    return unpack(published, record, STATISTICS)
