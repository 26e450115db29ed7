from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from stormcast_tw.cycle import Cycle, datetime64, to_datetime
from stormcast_tw.errors import Refused

TAIPEI = timezone(timedelta(hours=8))


def test_text_form_is_its_own_inverse():
    assert str(Cycle.parse("20261122T06Z")) == "20261122T06Z"


@pytest.mark.parametrize("text", ["20261122T05Z", "20261322T06Z", "2026-11-22T06", "20261122T06Z "])
def test_other_text_is_refused(text: str):
    with pytest.raises(ValueError, match=r"cycle|month"):
        Cycle.parse(text)


def test_naive_and_uneven_times_are_refused():
    with pytest.raises(ValueError, match="no time zone"):
        Cycle(datetime(2026, 11, 22, 6))
    with pytest.raises(ValueError, match="is not a cycle"):
        Cycle(datetime(2026, 11, 22, 6, 1, tzinfo=UTC))


def test_taiwan_time_is_the_same_instant():
    assert Cycle(datetime(2026, 11, 22, 14, tzinfo=TAIPEI)) == Cycle.parse("20261122T06Z")
    assert datetime64(datetime(2026, 11, 22, 14, tzinfo=TAIPEI)) == np.datetime64("2026-11-22T06")


def test_newest_cycle_at_or_before():
    assert str(Cycle.at_or_before(datetime(2026, 11, 22, 5, 59, 59, tzinfo=UTC))) == "20261122T00Z"
    assert str(Cycle.at_or_before(datetime(2026, 11, 22, 6, tzinfo=UTC))) == "20261122T06Z"


def test_span_crosses_midnight():
    first, last = Cycle.parse("20261231T12Z"), Cycle.parse("20270101T06Z")
    assert [str(c) for c in first.until(last)] == ["20261231T12Z", "20261231T18Z", "20270101T00Z", "20270101T06Z"]


def test_a_cycle_of_the_future_is_refused():
    now = datetime(2026, 6, 11, 9, tzinfo=UTC)
    Cycle.parse("20260611T12Z").require_not_after(now)
    for text in ("20260611T18Z", "20990101T00Z"):
        with pytest.raises(Refused, match=rf"cycle {text} begins after 2026-06-11T15:00Z, 6 h from now"):
            Cycle.parse(text).require_not_after(now)


def test_numpys_times_there_and_back():
    noon = datetime(2026, 6, 11, 4, 30, 15, tzinfo=UTC)
    assert to_datetime(datetime64(noon)) == noon
    assert to_datetime(np.datetime64("2026-06-11T12", "h")) == datetime(2026, 6, 11, 12, tzinfo=UTC)
