"""The choice between packages: the rule, in its order, and only by differences that are real."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput, NotReady, Refused
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.variables import BACKGROUND_SETS, VariableSet
from stormcast_tw.verification import choice as document
from stormcast_tw.verification.choice import (
    FEWEST_DAYS,
    HAZARDS,
    RULE,
    Choice,
    ScoreRow,
    Side,
    compare,
    cost,
    drivers,
    side_by_side,
)
from stormcast_tw.verification.scores.sums import score_cycle
from tests.conftest import CYCLE, NOW
from tests.verification.small_world import random_system, strata, system

LIVE = {"global_ai": ""}


def side(name: str, *, seconds: float | None = 1.0, live: dict[str, str] | None = None) -> Side:
    return Side(name=name, version="1", digest=name * 64, trained=True, members=4, seconds_per_member_hour=seconds,
                drivers=LIVE if live is None else live)  # fmt: skip


def rows(about: str, winners: Iterable[str | None]) -> list[ScoreRow]:
    return [
        ScoreRow(about=about, score="csi", what=f"event {n}", a=0.1, b=0.2, gain=0.1, low=0.0, high=0.2, winner=winner)
        for n, winner in enumerate(winners)
    ]


def decide(a: Side, b: Side, *several: list[ScoreRow]) -> tuple[str, str]:
    return document._decide(a, b, [row for group in several for row in group], days=FEWEST_DAYS)


def test_a_package_that_nothing_can_drive_is_out_whatever_its_scores():
    out = side("b", live={"global_ai": "global_ai: does not provide tcwv"})
    assert decide(side("a"), out, rows("hazards", "BBB")) == ("A", "no live global model can drive B")
    assert decide(out, side("a"), rows("hazards", "AAA"))[0] == "B"


def test_hazards_decide_before_calibration_before_accuracy_before_cost():
    a, b = side("a", seconds=1.0), side("b", seconds=0.5)
    hazards, even = rows("hazards", ["A", None, None]), rows("hazards", ["A", "B", None])
    calibration, accuracy = rows("calibration", ["B", "B", "A"]), rows("accuracy", ["A"])
    assert decide(a, b, hazards, calibration) == ("A", "hazards: 1 real differences for A, 0 for B")
    assert decide(a, b, even, calibration, accuracy) == ("B", "calibration: 1 real differences for A, 2 for B")
    assert decide(a, b, even, rows("calibration", [None]), accuracy)[0] == "A"
    assert decide(a, b, even) == ("B", "cost: 0.50 against 1.00 s a member-hour, else even")


def test_a_few_days_decide_nothing():
    won = rows("hazards", "BBB")
    assert document._decide(side("a"), side("b"), won, days=9)[0] == "A"
    assert document._decide(side("a"), side("b"), won, days=10)[0] == "B"
    assert choose(statistics(1.0, count=2), statistics(0.5, count=2)).because.startswith("2 days that both forecast")


def test_without_a_reason_what_is_in_service_stays():
    assert decide(side("a", seconds=1.0), side("b", seconds=0.95))[0] == "A"
    assert decide(side("a", seconds=None), side("b", seconds=0.1)) == ("A", "nothing tells them apart")


class Provider:
    """A source that has these variables, and no files."""

    name = "one"

    def __init__(self, provides: Iterable[str]) -> None:
        self._provides = set(provides)

    def find(self, valid_times: object, variables: VariableSet, init_time: object = None) -> object:
        if lacking := set(variables.ids) - self._provides:
            raise BadInput(f"does not provide {', '.join(sorted(lacking))}")
        raise NotReady("no file")


def test_global_models_are_asked_for_their_variables_not_for_their_files():
    small, large = BACKGROUND_SETS["background24"], BACKGROUND_SETS["background26"]
    found = {"global_ai": Provider(small.ids), "gfs": Provider(large.ids), "qpesums": Provider(())}
    assert drivers(small, found) == {"global_ai": "", "gfs": ""}
    assert drivers(large, found) == {"global_ai": "does not provide sp, tcwv", "gfs": ""}


def test_cost_is_the_median_of_what_manifests_say():
    def run(details: dict[str, float]) -> Artifact:
        address = Address(kind="published", experiment="demo", cycle=str(CYCLE), run="0" * 12)
        return Artifact(address=address, root="", plan={}, grid={}, variables=(), parents=(), simulated=True,
                        trained=True, written_at=NOW, details=details)  # fmt: skip

    assert cost([run({"seconds_per_member_hour": s}) for s in (1.0, 9.0, 2.0)] + [run({})]) == 2.0
    assert cost([run({})]) is None


def statistics(errors: float, count: int = 10, seed: int = 5) -> dict[str, xr.Dataset]:
    """Cycles of an ensemble whose error and spread are `errors`, against one truth a cycle."""
    found = {}
    for number in range(count):
        truth = random_system(np.random.default_rng(number), 1, 2)
        noise = np.random.default_rng((number, seed)).standard_normal((9, *truth["t2m"].shape[1:]))
        members, centre = errors * noise[:8], errors * noise[8]
        fields = {name: truth[name].values + centre + members for name in ("t2m", "u10m", "v10m")}
        rain = truth["tp01"].values * np.exp(0.2 * (centre + members))
        forecast = system(2, **fields, tp01=rain)
        found[f"202606{10 + number}T00Z"] = score_cycle({"forecast": forecast}, truth.isel(member=0), strata(number))
    return found


def choose(of_a: dict[str, xr.Dataset], of_b: dict[str, xr.Dataset]) -> Choice:
    return compare("demo", "simulated", side("a"), side("b"), side_by_side(of_a, of_b))


@pytest.fixture(scope="module")
def made() -> Choice:
    return choose(statistics(1.0), statistics(0.5))


def test_the_sharper_package_wins_by_real_differences(made: Choice):
    crps = {row.what: row for row in made.rows if row.score == "crps"}
    assert set(crps) == {"t2m", "wind", "tp01"}
    for row in crps.values():
        assert row.winner == "B"
        assert row.a == pytest.approx(2 * row.b, rel=0.15)
        assert row.gain == pytest.approx(row.a - row.b, rel=1e-6)
        assert 0 < row.low < row.gain < row.high
    assert made.winner == "B"
    assert [row.what for row in made.rows if row.score == "csi"] == list(HAZARDS)


def test_two_draws_of_one_package_are_even():
    twice = choose(statistics(1.0), statistics(1.0))
    assert all(row.winner is None and row.gain == 0 for row in twice.rows if row.gain is not None)
    assert (twice.winner, twice.because) == ("A", "nothing tells them apart")


def test_only_cycles_that_both_have_count():
    of_a, of_b = statistics(1.0, count=3), statistics(1.0, count=2)
    assert set(side_by_side(of_a, of_b)) == set(of_b)
    with pytest.raises(Refused, match=r"no scored cycle in common \(3 and 0 cycles\)"):
        side_by_side(of_a, {})


def test_the_document_states_the_rule_before_the_numbers(made: Choice):
    text = document.markdown(made)
    assert all(sentence in text for sentence in RULE)
    places = [text.index(part) for part in ("## The rule", RULE[-1], "**B wins", "## Hazards", "## Accuracy")]
    assert places == sorted(places)
    assert "| driven by global_ai | yes | yes |" in text
    assert "| seconds a member-hour | 1.00 | 1.00 |" in text
    assert Choice.model_validate_json(made.model_dump_json()) == made
