"""Score published runs whose truth has arrived, publish the scorecard, watch the skill, compare packages."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Literal

from prefect.logging import get_run_logger

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.model.description import Description, describe, load_invariants
from stormcast_tw.names import ExperimentName
from stormcast_tw.operations.events import Event
from stormcast_tw.plan import CycleText, Frozen
from stormcast_tw.publication.catalogue import plan_of
from stormcast_tw.schema import labels
from stormcast_tw.settings import WORLD_SEED, settings
from stormcast_tw.sources.table import all_sources
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import emit, show_markdown
from stormcast_tw.tasks.policy import task_under
from stormcast_tw.variables import BACKGROUND_SETS
from stormcast_tw.verification import TruthKind, choice, record, skill
from stormcast_tw.verification.record import Bench, Scoring
from stormcast_tw.verification.scorecard import publication
from stormcast_tw.verification.systems.truth import OperationalTruth, Truth


class Judging(Frozen):
    """What is judged, against which truth, and how."""

    experiment: ExperimentName
    package: Path
    truth: TruthKind
    world_seed: int = WORLD_SEED
    """The seed that the simulated inputs were made from; a wrong one is detected."""
    scoring: Scoring = Scoring()

    @property
    def described(self) -> Description:
        """The description of the package."""
        return describe(self.package)

    def bench(self) -> Bench:
        """Return the stores, truth and invariants with which its records are made."""
        where, described = settings(), self.described
        truth = self._truth(described.grid)
        invariants = load_invariants(self.package, described)
        return Bench(Store(where.published_root), Store(where.work_root), truth, invariants, get_run_logger().info)

    def _truth(self, grid: Grid) -> Truth:
        if self.truth == "operational":
            return OperationalTruth(all_sources(settings(), grid))
        from stormcast_tw.verification.systems.simulated import simulated_truth

        return simulated_truth(self.world_seed)

    def records(self, bench: Bench, first: Cycle, last: Cycle) -> dict[str, Artifact]:
        """Return, by cycle, what has been scored of the package from `first` to `last`."""
        return record.records(bench.published, self.experiment, bench.truth.name, self.described.digest, first, last)


class Outcome(Frozen):
    """What became of a cycle: scored now, scored before, late (why), or corrupt (what)."""

    cycle: CycleText
    outcome: Literal["scored", "done", "late", "corrupt", "failed"]
    text: str


@task_under("verify")
def score_run(judging: Judging, run: Artifact, now: datetime) -> Outcome:
    """Score one published run once: a late truth is left for another day, a corrupt one for a human."""
    bench, cycle = judging.bench(), run.address.cycle
    if (sealed := bench.published.find(record.address(run, bench.truth, judging.scoring))) is not None:
        return Outcome(cycle=cycle, outcome="done", text=sealed.address.run)
    try:
        made = record.score(bench, run, judging.scoring, now)
    except NotReady as error:
        outcome = Outcome(cycle=cycle, outcome="late", text=str(error))
    except BadInput as error:
        outcome = Outcome(cycle=cycle, outcome="corrupt", text=str(error))
    else:
        outcome = Outcome(cycle=cycle, outcome="scored", text=made.address.run)
    get_run_logger().info("%s: %s, %s", outcome.cycle, outcome.outcome, outcome.text)
    return outcome


@task_under("verify")
def publish_scorecard(judging: Judging, first: Cycle, last: Cycle, name: str, now: datetime) -> str | None:
    """Draw the scorecard of what has been scored from `first` to `last`; None if that is nothing."""
    bench, described = judging.bench(), judging.described
    records = judging.records(bench, first, last)
    package = f"{described.name} {described.version} ({described.digest[:12]})"
    address = publication.publish_scorecard(bench, judging.experiment, name, package, records, now)
    if address is not None:
        words = labels(simulated=any(r.simulated for r in records.values()), trained=described.trained)
        text = f"{words}scorecard of {len(records)} cycles, {first} to {last}, truth {bench.truth.name}: `{address}`"
        show_markdown(text, f"scorecard-{judging.truth}-{judging.experiment}")
        get_run_logger().info("%s", text)
    return address


@task_under("verify")
def watch_skill(judging: Judging, last: Cycle) -> list[skill.Skill]:
    """Compare the newest week before `last` with its band; emit an event for each skill that has dropped since."""
    bench = judging.bench()
    records = judging.records(bench, Cycle.at_or_before(last.init_time - skill.RECENT - skill.BEFORE), last)
    skills = skill.rolling_skill([record.statistics_of(bench.published, artifact) for artifact in records.values()])
    for current in skills:
        get_run_logger().info("%s", current.text)
    if not skills:
        get_run_logger().info("skill: %d scored cycles in five weeks are too few to judge the last week", len(records))
        return []
    where = publication.folder(bench, judging.experiment, judging.described.digest[:12])
    dropped = skill.note_changes(bench.published, f"{where}/skill.json", skills)
    for current in dropped:
        emit(
            Event.SKILL_DROPPED,
            last,
            experiment=judging.experiment,
            package=judging.described.digest[:12],
            truth=bench.truth.name,
            text=current.text,
            skill=current.model_dump(mode="json"),
        )
    return dropped


@task_under("verify")
def compare_packages(of_a: Judging, of_b: Judging, first: Cycle, last: Cycle) -> tuple[choice.Choice, str]:
    """Compare two packages on the cycles that both have been scored on; return the document and its address."""
    bench, statistics, sides = of_a.bench(), [], []
    for judging in (of_a, of_b):
        records = judging.records(bench, first, last)
        runs = [record.run_of(bench.published, artifact) for artifact in records.values()]
        statistics.append({cycle: record.statistics_of(bench.published, a) for cycle, a in records.items()})
        sides.append(_side(judging.described, runs))
    cycles = choice.side_by_side(*statistics)
    made = choice.compare(of_a.experiment, bench.truth.name, sides[0], sides[1], cycles)
    name = f"{sides[0].digest[:12]}-or-{sides[1].digest[:12]}_{first}_{last}"
    where, objects = publication.folder(bench, of_a.experiment, name), bench.published.objects
    objects.replace(f"{where}/comparison.json", made.model_dump_json(indent=1).encode())
    objects.replace(f"{where}/comparison.md", choice.markdown(made).encode())
    show_markdown(choice.markdown(made), f"comparison-{of_a.truth}-{of_a.experiment}")
    return made, f"{bench.published.root}/{where}/comparison.md"


def _side(described: Description, runs: list[Artifact]) -> choice.Side:
    """Return a package's identity, cost and drivers. A driver counts by its variables, whether or not files exist."""
    with tempfile.TemporaryDirectory(prefix="stormcast-tw-") as nowhere:
        elsewhere = settings().model_copy(update={"inputs_root": nowhere, "providers": {}})
        live = choice.drivers(BACKGROUND_SETS[described.background_set], all_sources(elsewhere, described.grid))
    return choice.Side(
        name=described.name,
        version=described.version,
        digest=described.digest,
        trained=described.trained,
        members=plan_of(runs[-1]).members if runs else described.members,
        seconds_per_member_hour=choice.cost(runs),
        drivers=live,
    )
