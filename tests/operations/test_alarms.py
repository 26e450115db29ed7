"""Alarms about inputs: what they say, and that a state is said once."""

from __future__ import annotations

import pytest

from stormcast_tw.cycle import Cycle
from stormcast_tw.inputs.input_set import InputSet
from stormcast_tw.inputs.readiness import Need, look
from stormcast_tw.operations.alarms import is_news, text
from stormcast_tw.storage.store import Store
from stormcast_tw.variables import BACKGROUND_SETS
from tests.inputs.test_readiness import Shelf, everything


def inputs(cycle: str, **changed: Shelf) -> InputSet:
    """What serves 06Z, said of another cycle."""
    need = Need(Cycle.parse("20260611T06Z"), 1, BACKGROUND_SETS["background24"])
    return look(need, everything(**changed)).model_copy(update={"cycle": cycle})


OLD = Shelf("rwrp", (5,))
NO_RADAR = Shelf("qpesums", ())
NOTHING = {"global_ai": Shelf("global_ai", ()), "gfs": Shelf("gfs", ())}


def test_a_state_is_news_once_and_again_when_it_changes(work: Store):
    said = [
        (inputs("20260611T06Z"), False),  # ready, as was supposed
        (inputs("20260611T12Z", rwrp=OLD), True),
        (inputs("20260611T12Z", rwrp=OLD), False),  # the same cycle once more
        (inputs("20260611T18Z", rwrp=OLD), False),
        (inputs("20260612T00Z", rwrp=OLD, qpesums=NO_RADAR), True),
        (inputs("20260612T06Z"), True),  # ready again
        (inputs("20260612T12Z"), False),
        (inputs("20260612T18Z", **NOTHING), True),
        (inputs("20260613T00Z", **NOTHING), True),  # every missing forecast is news
        (inputs("20260613T00Z", **NOTHING), False),
        (inputs("20260611T06Z", rwrp=OLD), False),  # a backfill
    ]
    for found, expected in said:
        assert is_news(work, found, "demo") is expected, (found.cycle, found.status)


def test_experiments_do_not_share_their_state(work: Store):
    assert is_news(work, inputs("20260611T12Z", rwrp=OLD), "demo")
    assert is_news(work, inputs("20260611T12Z", rwrp=OLD), "oper")


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        (
            {"rwrp": OLD},
            ["輸入資料降級", "the forecast goes on", "- state: rwrp is 5 h old, expected are 3 h", "--cycle"],
        ),
        (NOTHING, ["缺少輸入資料", "there is no forecast", "- background (global_ai-6: not there yet", "--follow"]),
        ({}, ["輸入資料正常"]),
    ],
)
def test_an_alarm_names_cycle_inputs_stand_ins_and_what_to_do(changed: dict[str, Shelf], parts: list[str]):
    said = text(inputs("20260611T06Z", **changed))
    assert said.startswith("stormcast-tw 20260611T06Z: ")
    for part in parts:
        assert part in said
    assert ("What to do: " in said) == bool(changed)
