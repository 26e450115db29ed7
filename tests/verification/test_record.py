"""A cycle is scored once, whole, when its truth is complete; months are sums; truths and packages never mix."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady, Refused
from stormcast_tw.simulation.on_grid import on_grid
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.verification import record
from stormcast_tw.verification.record import ARCHIVE, KIND, Bench, Scoring, address, records, score, statistics_of
from stormcast_tw.verification.scores.statistics import total
from stormcast_tw.verification.systems import baselines
from stormcast_tw.verification.systems import simulated as simulated_truth
from stormcast_tw.verification.systems.baselines import DETERMINISTIC
from stormcast_tw.verification.systems.dressing import TrainingSpan
from stormcast_tw.verification.systems.simulated import SimulatedTruth
from stormcast_tw.verification.systems.truth import SETTLED, OperationalTruth
from tests.conftest import CYCLE, NOW, SMALL
from tests.verification import provider_files as files
from tests.verification.published_runs import LEADS, MEMBERS, Place, direct_start, errors_of_still_rain, publish

pytestmark = pytest.mark.usefixtures("pysteps")

TRAINING = TrainingSpan(start=datetime(2025, 6, 1, tzinfo=UTC), end=datetime(2025, 6, 20, tzinfo=UTC))
SCORING = Scoring(training=TRAINING)
SETTLED_NOW = CYCLE.valid_time(LEADS) + SETTLED
NAMES = ("forecast", *DETERMINISTIC, *(f"{name}_dressed" for name in DETERMINISTIC), "steps", "perfect")


@dataclass(frozen=True)
class Scored:
    """A run that was scored against the simulated truth, and what was said while its archive of errors was made."""

    place: Place
    bench: Bench
    run: Artifact
    record: Artifact
    said: tuple[str, ...]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, small_package) -> Scored:
    place = Place.below(tmp_path_factory.mktemp("scored"), small_package)
    said: list[str] = []
    bench = Bench(place.published, place.work, SimulatedTruth(place.world), small_package.invariants, said.append)
    run = publish(place, CYCLE, noise=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated_truth, "simulated_start", direct_start)
        patch.setattr(baselines, "errors_at", errors_of_still_rain)
        made = score(bench, run, SCORING, NOW)
    return Scored(place, bench, run, made, tuple(said))


@pytest.fixture
def place(tmp_path: Path, scored: Scored) -> Place:
    """A place of the test's own, where the archive of errors is there already."""
    shutil.copytree(f"{scored.place.work.root}/{ARCHIVE}", tmp_path / "work" / ARCHIVE)
    return Place.below(tmp_path, scored.place.package)


@pytest.fixture
def simulated(place: Place) -> Bench:
    return Bench(place.published, place.work, SimulatedTruth(place.world), place.package.invariants)


@pytest.fixture
def operational(place: Place, tmp_path: Path) -> Bench:
    truth = OperationalTruth(files.sources(tmp_path / "inputs"))
    return Bench(place.published, place.work, truth, place.package.invariants)


def contents(folder: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*") if path.is_file()}


def test_a_cycle_is_scored_against_every_baseline(scored: Scored):
    place, made = scored.place, scored.record
    assert sorted(made.details["systems"]) == sorted(NAMES)
    assert made.details["absent"] == {}
    assert made.details["regime"] == place.world.regime(CYCLE.valid_time(1))
    assert (made.simulated, made.trained) == (True, False)
    sums = statistics_of(place.published, made)
    members = dict(zip(sums["system"].values.tolist(), sums["members"].values.tolist(), strict=True))
    assert members == {name: 1 if name in DETERMINISTIC else MEMBERS if name == "forecast" else 16 for name in NAMES}
    mean_square = (sums["squared_error"] / sums["count"]).sel(region="all", variable="t2m")
    np.testing.assert_allclose(mean_square.sel(system="forecast"), 0.25 / MEMBERS, rtol=0.1)
    state = place.work.open(place.work.list("prepared", f"demo/{CYCLE}")[0], "state")["t2m"].values
    truth = place.world.box(CYCLE.valid_time(2))
    by_hand = np.abs(state - on_grid(truth, SMALL)["t2m"]).sum(dtype=np.float64)
    crps = sums["crps"].sel(system="persistence", variable="t2m", region="all").isel(lead_time=1)
    assert float(crps) == pytest.approx(by_hand, rel=1e-4)


def test_scored_twice_is_computed_once(scored: Scored, monkeypatch: pytest.MonkeyPatch):
    before = contents(scored.place.published.root) | contents(scored.place.work.root)
    monkeypatch.setattr(record, "gather", None)
    assert score(scored.bench, scored.run, SCORING, NOW + timedelta(days=9)) == scored.record
    assert contents(scored.place.published.root) | contents(scored.place.work.root) == before


def test_the_archive_of_errors_is_made_once_an_init_hour(scored: Scored, place: Place):
    assert len(scored.said) == 16
    assert all("T06Z, to dress 06 UTC with" in line for line in scored.said)
    said: list[str] = []
    bench = Bench(place.published, place.work, SimulatedTruth(place.world), place.package.invariants, said.append)
    score(bench, publish(place, Cycle(CYCLE.init_time + timedelta(days=1))), SCORING, NOW)
    assert said == []
    (archive,) = place.work.list(ARCHIVE, "demo")
    assert all("20250601" <= cycle < "20250621" for cycle in archive.details["cycles"])


def test_a_training_span_that_holds_the_cycle_is_refused(place: Place, simulated: Bench):
    holds = TrainingSpan(start=datetime(2026, 6, 1, tzinfo=UTC), end=datetime(2026, 6, 30, tzinfo=UTC))
    with pytest.raises(Refused, match="overlaps what is verified"):
        score(simulated, publish(place, CYCLE), Scoring(training=holds), NOW)


def test_the_world_of_another_seed_is_refused(place: Place, simulated: Bench):
    run = publish(place, CYCLE)
    wrong = Bench(place.published, place.work, SimulatedTruth(World(7)), simulated.invariants)
    with pytest.raises(BadInput, match="its inputs were simulated from another seed"):
        score(wrong, run, SCORING, NOW)
    assert place.published.list(KIND, "demo") == []


def test_truth_that_is_late_in_part_or_damaged_is_scored_when_it_is_whole(
    place: Place, operational: Bench, tmp_path: Path
):
    run, root = publish(place, CYCLE), tmp_path / "inputs"

    def attempt(error: type[Exception], match: str, now: datetime = SETTLED_NOW) -> None:
        with pytest.raises(error, match=match):
            score(operational, run, SCORING, now)
        assert place.published.list(KIND, "demo") == [], "never half-scored"

    attempt(NotReady, "no RWRP analysis of 2026-06-11T07:00Z")
    files.deliver(root, place.world, CYCLE, (1,))
    files.analysis(root, place.world, CYCLE, 2)
    attempt(NotReady, r"qpesums/.*20260611\.0800\.gz: not there yet")
    last = files.observed(root, place.world, CYCLE, 2)
    attempt(NotReady, "truth is taken from", SETTLED_NOW - timedelta(seconds=1))
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    attempt(BadInput, last.name)
    last.write_bytes(whole)
    made = score(operational, run, SCORING, SETTLED_NOW)
    assert len(made.details["truth_files"]) == 4
    assert set(made.details["absent"]) >= {"rwrp", "extrapolation", "persistence_dressed"}
    last.write_bytes(whole[:100])
    assert score(operational, run, SCORING, SETTLED_NOW) == made, "what is scored stays, whatever becomes of its files"


def test_records_of_two_truths_and_two_packages_stand_apart(
    place: Place, operational: Bench, simulated: Bench, tmp_path: Path
):
    run = publish(place, CYCLE)
    other = publish(place, CYCLE, digest="f" * 64)
    files.deliver(tmp_path / "inputs", place.world, CYCLE, (1, 2))
    sides = ((operational, run), (operational, other), (simulated, run))
    made = [score(bench, one, SCORING, SETTLED_NOW) for bench, one in sides]
    assert len({record.address for record in made}) == 3
    for (bench, one), expected in zip(sides, made, strict=True):
        digest = one.plan["inputs"]["package"]
        assert records(place.published, "demo", bench.truth.name, digest, CYCLE, CYCLE) == {str(CYCLE): expected}
    for truth, digest in ((simulated.truth, "f" * 64), (SimulatedTruth(World(7)), run.plan["inputs"]["package"])):
        assert records(place.published, "demo", truth.name, digest, CYCLE, CYCLE) == {}
    assert "perfect" in made[2].details["systems"]
    assert "perfect" not in made[0].details["systems"]
    by_truth = [statistics_of(place.published, one) for one in (made[0], made[2])]
    errors = [
        float(sums["squared_error"].sel(system="forecast", variable="u10m", region="all").sum()) for sums in by_truth
    ]
    assert errors[0] > 1.2 * errors[1], "analyses have errors of their own, the simulated truth has none"


def test_a_month_is_a_sum(scored: Scored, place: Place, simulated: Bench):
    second = score(simulated, publish(place, Cycle(CYCLE.init_time + timedelta(days=1))), SCORING, NOW)
    sums = [statistics_of(scored.place.published, scored.record), statistics_of(place.published, second)]
    month = total(sums)
    assert int(month["cycles"]) == 2
    for name in ("crps", "squared_error", "count"):
        np.testing.assert_allclose(month[name].values, sum(one[name].values for one in sums))


def test_operational_baselines_are_dressed_from_what_was_scored(place: Place, operational: Bench, tmp_path: Path):
    """Sixteen scored cycles of the training span make the archive of the seventeenth."""
    training = [Cycle(datetime(2025, 6, 1, 6, tzinfo=UTC) + timedelta(days=day)) for day in range(16)]
    for cycle in training:
        files.deliver(tmp_path / "inputs", place.world, cycle, (1, 2))
        _seal_a_record(operational, publish(place, cycle))
    files.deliver(tmp_path / "inputs", place.world, CYCLE, (1, 2))
    run = publish(place, CYCLE)
    other = Scoring(training=TRAINING, seed=1)
    gone = files.analysis(tmp_path / "inputs", place.world, training[3], 1)
    gone.unlink()
    undressed = score(operational, run, other, SETTLED_NOW)
    assert undressed.details["absent"]["persistence_dressed"] == "there is no archive of its errors"
    files.analysis(tmp_path / "inputs", place.world, training[3], 1)
    made = score(operational, run, SCORING, SETTLED_NOW)
    assert {"persistence_dressed", "global_dressed"} <= set(made.details["systems"])
    made_of = [archive.details["cycles"] for archive in place.work.list(ARCHIVE, "demo")]
    assert [str(cycle) for cycle in training] in made_of


def _seal_a_record(bench: Bench, run: Artifact) -> None:
    draft = bench.published.begin(
        address(run, bench.truth, SCORING), {"truth": bench.truth.name, "run": str(run.address)}
    )
    draft.seal(grid=run.grid, variables=(), parents=(), simulated=True, now=NOW)
