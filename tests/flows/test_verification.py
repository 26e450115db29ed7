"""The daily flow: once, late, corrupt, on the scorecard, and an alarm when the skill drops."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

import stormcast_tw.tasks.verification
from stormcast_tw.cli.verification import verify_app
from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Refused
from stormcast_tw.flows.verification import Verified, comparison, verification
from stormcast_tw.model import package as packages
from stormcast_tw.operations.events import Event
from stormcast_tw.verification import skill
from stormcast_tw.verification.record import ARCHIVE, KIND, Scoring
from stormcast_tw.verification.systems import baselines, simulated
from stormcast_tw.verification.systems.dressing import TrainingSpan
from stormcast_tw.verification.systems.truth import SETTLED
from tests.conftest import CYCLE
from tests.verification import provider_files as files
from tests.verification.published_runs import LEADS, Place, direct_start, errors_of_still_rain, publish

pytestmark = pytest.mark.usefixtures("pysteps")

LATER = Cycle(CYCLE.init_time + timedelta(days=1))
NOW = LATER.valid_time(LEADS) + SETTLED
SCORING = Scoring(training=TrainingSpan(start=datetime(2025, 6, 1, tzinfo=UTC), end=datetime(2025, 6, 20, tzinfo=UTC)))
SPAN = {"start": str(CYCLE), "end": str(LATER), "now": NOW, "scoring": SCORING}


@pytest.fixture
def place(tmp_path: Path, small_package) -> Place:
    return Place.below(tmp_path, small_package)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the archive of errors is kept between tests of this module."""
    return tmp_path_factory.mktemp("archive") / ARCHIVE


@pytest.fixture
def quick_archive(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch):
    """Training cycles without files, of rain that stands still; the archive of their errors is made once."""
    monkeypatch.setattr(simulated, "simulated_start", direct_start)
    monkeypatch.setattr(baselines, "errors_at", errors_of_still_rain)
    if archive.exists():
        shutil.copytree(archive, tmp_path / "work" / ARCHIVE)
    yield
    if not archive.exists():
        shutil.copytree(tmp_path / "work" / ARCHIVE, archive)


def outcomes(found: Verified) -> dict[str, str]:
    return {one.cycle: one.outcome for one in found.outcomes}


def contents(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_span_is_scored_once_and_put_on_a_scorecard(place: Place, tmp_path: Path, quick_archive):
    for cycle in (CYCLE, LATER):
        publish(place, cycle)
    found = verification(**SPAN, truth="simulated")
    assert outcomes(found) == {str(CYCLE): "scored", str(LATER): "scored"}
    card = json.loads(Path(found.scorecard).with_suffix(".json").read_text())
    assert card["cycles"] == 2
    assert (card["simulated"], card["trained"]) == (True, False)
    assert card["members"]["perfect"] == 16
    html = Path(found.scorecard).read_text()
    assert "SIMULATED" in html
    assert html.count("data:image/png;base64") >= 12, "best and worst cycle as maps"
    before = contents(tmp_path / "published") | contents(tmp_path / "work")
    again = verification(**SPAN, truth="simulated")
    assert outcomes(again) == {str(CYCLE): "done", str(LATER): "done"}
    assert again.scorecard == found.scorecard
    assert contents(tmp_path / "published") | contents(tmp_path / "work") == before, "nothing is written twice"

    asked = ["run", "--start", str(CYCLE), "--end", str(LATER), "--truth", "simulated"]
    said = CliRunner().invoke(verify_app, [*asked, "--training", "2025-06-01..2025-06-20", "--json"])
    assert said.exit_code == 0
    assert Verified.model_validate_json(said.stdout) == again
    shown = CliRunner().invoke(verify_app, [*asked, "--training", "2025-06-01..2025-06-20"])
    assert str(CYCLE) in shown.stdout
    assert "scorecard.html" in shown.stdout.replace("\n", "")
    refused = CliRunner().invoke(verify_app, [*asked, "--training", "2025-06-01"])
    assert refused.exit_code == 2
    assert "two dates" in refused.output


def test_late_is_left_for_another_day_and_corrupt_is_told(place: Place, tmp_path: Path):
    for cycle in (CYCLE, LATER):
        publish(place, cycle)
    files.deliver(tmp_path / "inputs", place.world, CYCLE, range(1, LEADS + 1))
    found = verification(**SPAN)
    assert outcomes(found) == {str(CYCLE): "scored", str(LATER): "late"}
    assert "no RWRP analysis of 2026-06-12T07:00Z" in found.outcomes[1].text
    files.deliver(tmp_path / "inputs", place.world, LATER, range(1, LEADS + 1))
    damaged = files.observed(tmp_path / "inputs", place.world, LATER, 2)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:500])
    with pytest.raises(Refused, match=rf"1 of 2 cycles could not be scored: {LATER}: .*{damaged.name}"):
        verification(**SPAN)
    assert [one.address.cycle for one in place.published.list(KIND, "demo")] == [str(CYCLE)]
    damaged.write_bytes(whole)
    assert outcomes(verification(**SPAN)) == {str(CYCLE): "done", str(LATER): "scored"}


def test_nothing_published_is_refused_with_the_cure(place: Place):
    with pytest.raises(Refused, match=r"has nothing published in experiment demo .* stormcast-tw backfill"):
        verification(**SPAN)
    with pytest.raises(Refused, match=f"{CYCLE} is before {LATER}"):
        verification(start=str(LATER), end=str(CYCLE))


def test_a_drop_of_skill_is_an_event_once(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    publish(place, CYCLE)
    files.deliver(tmp_path / "inputs", place.world, CYCLE, range(1, LEADS + 1))
    emitted: list[tuple[Event, Cycle, dict]] = []
    monkeypatch.setattr(
        stormcast_tw.tasks.verification, "emit", lambda event, cycle, **payload: emitted.append((event, cycle, payload))
    )
    dropped = skill.Skill(variable="wind", until=CYCLE.init_time, recent=0.1, mean=0.5, std=0.05, cycles=(28, 112))
    fine = dropped.model_copy(update={"recent": 0.5})
    week = {"start": str(CYCLE), "end": str(CYCLE), "now": NOW, "scoring": SCORING}
    for skills, expected in ((fine, 0), (dropped, 1), (dropped, 1), (fine, 1), (dropped, 2)):
        monkeypatch.setattr(skill, "rolling_skill", lambda _, skills=skills: (skills,))
        verification(**week)
        assert len(emitted) == expected
    event, cycle, payload = emitted[0]
    assert (event, cycle) == (Event.SKILL_DROPPED, CYCLE)
    assert "wind: skill against persistence 0.100, below its band from 0.350" in payload["text"]


def test_the_choice_between_two_packages_is_a_document(place: Place, tmp_path: Path):
    folder = tmp_path / "other"
    description = place.package.description.model_copy(update={"name": "other", "version": "2"})
    other = packages.save(type(place.package)(description, place.package.grid, place.package.invariants,
                                              place.package.networks), folder)  # fmt: skip
    for cycle in (CYCLE, LATER):
        publish(place, cycle, noise=0.8)
        publish(place, cycle, noise=0.2, digest=other.digest)
        files.deliver(tmp_path / "inputs", place.world, cycle, range(1, LEADS + 1))
    mine = tmp_path / "mine"
    packages.save(place.package, mine)
    made, address = comparison(mine, folder, **SPAN)
    assert (made.winner, made.because) == ("A", "2 days that both forecast are too few to decide by")
    assert {row.winner for row in made.rows if row.score == "crps"} == {"B"}
    assert (made.a.members, made.b.members) == (4, 4)
    assert made.a.drivers["global_ai"] == ""
    text = Path(address).read_text()
    assert text.index("## The rule") < text.index("wins:") < text.index("## Hazards")
    assert json.loads(Path(address).with_suffix(".json").read_text())["cycles"] == [str(CYCLE), str(LATER)]
