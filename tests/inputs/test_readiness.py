"""What serves an input: the table's order, ages, stand-ins, what was rejected, and what people read of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.errors import NotReady, Refused
from stormcast_tw.inputs.input_set import InputName, InputSet
from stormcast_tw.inputs.readiness import ALONE, ROWS, Need, look
from stormcast_tw.sources.base import Located, Reading
from stormcast_tw.sources.table import NAMES
from stormcast_tw.storage.provider_files import SourceFile
from stormcast_tw.variables import BACKGROUND_SETS, VariableSet

CYCLE = Cycle.parse("20260611T06Z")
T = CYCLE.init_time
NEED = Need(CYCLE, 12, BACKGROUND_SETS["background24"])


@dataclass
class Shelf:
    """A provider that has the runs of some ages in hours (observations: of some hours before T), each one file."""

    name: str
    ages: tuple[int, ...]
    version: str = "1"
    asked: list[tuple[datetime, ...]] = field(default_factory=list)

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        self.asked.append(valid_times)
        age = (T - (init_time or valid_times[0])) // timedelta(hours=1)
        if age not in self.ages:
            raise NotReady(f"{self.name}-{age}: not there yet")
        file = SourceFile(f"{self.name}-{age}", self.version, 7)
        return Located(self.name, (file,), valid_times, variables, init_time)

    def read(self, located: Located) -> Reading:
        raise AssertionError("readiness only looks")


def everything(**changed: Shelf) -> dict[str, Shelf]:
    shelves = {
        "rwrp": Shelf("rwrp", (3,)),
        "rwrp_rain": Shelf("rwrp_rain", (3,)),
        "qpesums": Shelf("qpesums", tuple(range(24))),
        "global_ai": Shelf("global_ai", (12,)),
        "gfs": Shelf("gfs", (6, 12)),
    }
    return shelves | changed


def served(inputs: InputSet, name: InputName) -> tuple[str, int | None, str]:
    found = next(i for i in inputs.inputs if i.name == name)
    return found.source, found.age_hours(CYCLE), found.status


def test_at_the_expected_ages_everything_is_ready():
    found = look(NEED, everything())
    assert found.status == "ready"
    assert found.degraded == found.missing == ()
    assert served(found, "state") == ("rwrp", 3, "ready")
    assert served(found, "rain") == ("qpesums", None, "ready")
    assert served(found, "background") == ("global_ai", 12, "ready")
    assert served(found, "past_rain") == ("qpesums", None, "ready")
    assert found.require_complete() is found


def test_what_is_asked_for():
    shelves = everything()
    look(NEED, shelves)
    assert shelves["global_ai"].asked[0] == tuple(T + hours(lead) for lead in range(13))
    assert shelves["rwrp"].asked[0] == (T,)
    assert [times[0] for times in shelves["qpesums"].asked] == [T, *(T - hours(h) for h in range(23, 0, -1))]


@pytest.mark.parametrize("age", range(7))
def test_rwrp_serves_from_its_analysis_to_lead_six(age: int):
    found = look(NEED, everything(rwrp=Shelf("rwrp", (age, 6))))
    assert served(found, "state") == ("rwrp", age, "ready" if age <= 3 else "degraded")


def test_an_old_run_is_degraded_and_says_why():
    found = look(NEED, everything(rwrp=Shelf("rwrp", (5,))))
    assert found.status == "degraded"
    why = "state: rwrp is 5 h old, expected are 3 h because rwrp-0: not there yet (and 4 more)"
    assert found.degraded == (why,)
    assert look(NEED, everything(rwrp=Shelf("rwrp", (7,)))).status == "missing"


def test_background_goes_through_ages_then_providers():
    def of(global_ai: tuple[int, ...], gfs: tuple[int, ...]) -> tuple[str, int | None, str]:
        shelves = everything(global_ai=Shelf("global_ai", global_ai), gfs=Shelf("gfs", gfs))
        return served(look(NEED, shelves), "background")

    assert of((6, 12, 18), (6,)) == ("global_ai", 6, "ready")
    assert of((18,), (6,)) == ("global_ai", 18, "degraded")
    assert of((24,), (12,)) == ("gfs", 12, "degraded")
    assert of((), ())[2] == "missing"


def test_rain_of_rwrp_stands_in_and_both_absent_is_missing():
    found = look(NEED, everything(qpesums=Shelf("qpesums", ())))
    assert served(found, "rain") == ("rwrp_rain", 3, "degraded")
    why = "qpesums-0: not there yet; rwrp_rain-1: not there yet (and 1 more)"
    assert found.degraded == (f"rain: rwrp_rain stands in for qpesums because {why}",)
    assert served(found, "past_rain") == ("qpesums", None, "missing")
    nothing = look(NEED, everything(qpesums=Shelf("qpesums", ()), rwrp_rain=Shelf("rwrp_rain", ())))
    with pytest.raises(
        NotReady, match=r"20260611T06Z: rain \(qpesums-0: not there yet; rwrp_rain-1: .* \(and 5 more\)\)"
    ):
        nothing.require_complete()


def test_past_hours_are_optional_and_counted():
    found = look(NEED, everything(qpesums=Shelf("qpesums", (0, 1, 2, 5))))
    past = next(i for i in found.inputs if i.name == "past_rain")
    assert found.status == "ready"
    assert past.valid_times == (T - hours(5), T - hours(2), T - hours(1))
    assert past.reason == "3 of 23 hours are there"


def test_a_rejected_version_does_not_serve_again_but_a_new_delivery_does():
    rejected = {"global_ai-12@1": "global_ai-12: the message at byte 0 is cut"}
    found = look(NEED, everything(), rejected)
    assert served(found, "background") == ("gfs", 6, "degraded")
    assert found.degraded == (
        "background: gfs stands in for global_ai because global_ai-12: the message at byte 0 is cut (and 2 more)",
    )
    only = look(NEED, everything(gfs=Shelf("gfs", ()), global_ai=Shelf("global_ai", (6,))), {"global_ai-6@1": "cut"})
    assert only.missing[0].startswith("background (cut")
    again = look(NEED, everything(global_ai=Shelf("global_ai", (12,), version="2")), rejected)
    assert served(again, "background") == ("global_ai", 12, "ready")


def test_a_provider_that_refuses_or_is_not_configured_is_passed_over():
    class Closed(Shelf):
        def find(self, *_: object, **__: object) -> Located:
            raise Refused("s3://global_ai: access denied")

    shelves = everything(global_ai=Closed("global_ai", ()))
    assert served(look(NEED, shelves), "background") == ("gfs", 6, "degraded")
    del shelves["gfs"]
    assert look(NEED, shelves).missing == ("background (s3://global_ai: access denied (and 2 more))",)


def test_a_package_that_begins_alone_needs_neither_state_nor_rain():
    alone = Need(CYCLE, 12, BACKGROUND_SETS["background24"], begins_alone=True)
    gone = {name: Shelf(name, ()) for name in ("rwrp", "rwrp_rain", "qpesums")}
    found = look(alone, everything(**gone))
    assert found.status == "degraded"
    assert served(found, "state") == (ALONE, None, "degraded")
    assert found.degraded[0].startswith("state: made from the background alone because rwrp-0: not there yet")
    assert look(NEED, everything(**gone)).status == "missing"


def test_people_read_a_row_an_input():
    rows = {row["input"]: row for row in look(NEED, everything()).table()}
    assert set(rows) == {row.input for row in ROWS}
    assert rows["background"] == {
        "input": "background",
        "served by": "global_ai",
        "status": "ready",
        "initialised (UTC)": "2026-06-10 18:00",
        "age": "12 h",
        "expected": "12 h",
        "files": "global_ai-12",
        "remark": "",
    }
    assert rows["past_rain"]["files"] == "qpesums-23 to qpesums-1 (23 files)"
    assert look(NEED, everything()).served()["inputs"].startswith("state: rwrp 20260611T03Z ready; rain: qpesums ready")


def test_the_table_is_ordered_by_input_and_knows_its_providers():
    order = [row.input for row in ROWS]
    assert order == sorted(order, key=order.index), "rows of an input stand together"
    backgrounds = [row.provider for row in ROWS if row.input == "background"]
    assert backgrounds[0] == "global_ai"
    assert backgrounds.index("aifs") < backgrounds.index("gfs") < backgrounds.index("cwa_wrf")
    assert {row.provider for row in ROWS} <= set(NAMES)
    assert {row.expected_age for row in ROWS if row.provider == "rwrp"} == {3}


def test_model_rain_is_needed_where_radars_do_not_see():
    without = everything(rwrp_rain=Shelf("rwrp_rain", ()))
    assert look(NEED, without).status == "ready", "radars see all of the grid"
    gaps = replace(NEED, radar_sees_all=False)
    assert look(gaps, everything()).status == "ready"
    missing = look(gaps, without)
    assert missing.status == "missing"
    assert missing.missing == ("model_rain (rwrp_rain-1: not there yet (and 5 more))",)
    assert look(replace(gaps, begins_alone=True), without).status == "ready", "the package makes what is missing"
