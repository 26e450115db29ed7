"""The rolling skill, its band, and that a drop is told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import datetime64
from stormcast_tw.storage.store import Store
from stormcast_tw.verification import skill
from stormcast_tw.verification.skill import JUDGED, Skill, band, note_changes, rolling_skill

FIRST = datetime(2026, 6, 1, tzinfo=UTC)


def cycle(number: int, forecast: float, reference: float = 2.0, points: int = 100) -> xr.Dataset:
    """Statistics of one cycle of two leads: CRPS a point of forecast and persistence, the same of all variables."""
    dims = ("system", "variable", "lead_time", "region")
    crps = np.array([forecast, reference])[:, None, None, None] * points * np.ones((2, 3, 2, 1))
    count = np.full((2, 3, 2, 1), points)
    axes = {"system": ["forecast", "persistence"], "variable": list(JUDGED), "lead_time": [1, 2], "region": ["all"]}
    when = {"init_time": datetime64(FIRST + timedelta(hours=6 * number))}
    return xr.Dataset({"crps": (dims, crps), "count": (dims, count)}, {**axes, **when})


def five_weeks(recent: float, rng: np.random.Generator, noise: float = 0.1) -> list[xr.Dataset]:
    before = [cycle(n, 1.0 + noise * rng.standard_normal()) for n in range(112)]
    return before + [cycle(n, recent) for n in range(112, 140)]


def test_skill_is_one_minus_the_ratio_of_sums():
    """A week of CRPS 0.5 on half of the cycles and 1.5 on the other, against 2: 1 - 1.0 / 2.0."""
    cycles = [cycle(n, 1.0) for n in range(112)] + [cycle(n, 0.5 + n % 2) for n in range(112, 140)]
    found = rolling_skill(cycles[::-1])
    assert [one.variable for one in found] == list(JUDGED)
    assert found[0].recent == pytest.approx(0.5)
    assert found[0].mean == pytest.approx(0.5)
    assert found[0].std == pytest.approx(0.0, abs=1e-12)
    assert found[0].cycles == (28, 112)
    assert found[0].until == FIRST + timedelta(hours=6 * 139)


def test_a_week_with_more_points_weighs_more():
    cycles = [cycle(n, 1.0) for n in range(126)]
    cycles += [cycle(n, 2.0, points=300) if n % 2 else cycle(n, 0.0, points=100) for n in range(126, 140)]
    heavy = (14 * 1.0 * 100 + 7 * 2.0 * 300) / (14 * 2.0 * 100 + 7 * 2.0 * 300 + 7 * 2.0 * 100)
    assert rolling_skill(cycles)[0].recent == pytest.approx(1 - heavy)


def test_the_band_is_that_of_weekly_means():
    """Independent cycles of standard deviation s: weeks of 28 have s / sqrt(28), over the reference of 2."""
    rng, stds = np.random.default_rng(1), []
    for _ in range(50):
        sums = np.stack([1.0 + 0.2 * rng.standard_normal(112), np.full(112, 2.0)], axis=-1)
        stds.append(band(sums, 28, rng)[1])
    assert np.mean(stds) == pytest.approx(0.2 / 2 / np.sqrt(28), rel=0.05)


def test_days_that_share_their_weather_widen_the_band():
    """Four equal cycles a day are one: the band of weeks of 7 independent days."""
    rng = np.random.default_rng(1)
    daily = np.repeat(1.0 + 0.2 * rng.standard_normal(28), 4)
    sums = np.stack([daily, np.full(112, 2.0)], axis=-1)
    expected = daily.std() / 2 / np.sqrt(7)
    assert 0.75 * expected < band(sums, 28, rng)[1] < 1.1 * expected


def test_a_worse_week_has_dropped_and_an_equal_one_has_not():
    rng = np.random.default_rng(0)
    assert not any(one.dropped for one in rolling_skill(five_weeks(1.0, rng)))
    worse = rolling_skill(five_weeks(1.5, rng))
    assert all(one.dropped for one in worse)
    assert "t2m: skill against persistence 0.250, below its band from 0.4" in worse[0].text
    better = rolling_skill(five_weeks(0.5, rng))
    assert not any(one.dropped for one in better), "better than its band is no alarm"


def test_false_alarms_are_rare():
    """Weeks like those before: of 300, three standard deviations let few through."""
    rng, alarms = np.random.default_rng(2), 0
    for _ in range(300):
        values = 1.0 + 0.2 * rng.standard_normal(140)
        sums = np.stack([values, np.full(140, 2.0)], axis=-1)
        mean, std = band(sums[:112], 28, rng)
        alarms += 1 - values[112:].mean() / 2 < mean - skill.WIDTH * std
    assert alarms <= 6


def test_nothing_is_said_of_too_few_cycles():
    whole = [cycle(n, 1.0) for n in range(140)]
    assert rolling_skill([]) == ()
    assert rolling_skill(whole[: 56 + 27]) == ()
    assert rolling_skill(whole[:56] + whole[130:]) == (), "a week with 10 cycles"
    without = [one.sel(system=["forecast"]) for one in whole]
    assert rolling_skill(without) == ()


def seen(dropped: bool, variable: str = "t2m") -> Skill:
    recent = 0.2 if dropped else 0.5
    return Skill(variable=variable, until=FIRST, recent=recent, mean=0.5, std=0.05, cycles=(28, 112))


def test_a_drop_is_told_once_until_it_was_back(tmp_path: Path):
    store, path = Store(str(tmp_path)), "published/demo/verification/skill.json"
    assert note_changes(store, path, [seen(False)]) == []
    assert note_changes(store, path, [seen(True), seen(False, "wind")]) == [seen(True)]
    assert note_changes(store, path, [seen(True), seen(False, "wind")]) == []
    assert note_changes(store, path, [seen(True), seen(True, "wind")]) == [seen(True, "wind")]
    assert note_changes(store, path, [seen(False), seen(True, "wind")]) == []
    assert note_changes(store, path, [seen(True), seen(True, "wind")]) == [seen(True)]


def test_of_two_at_once_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store, path = Store(str(tmp_path)), "skill.json"
    note_changes(store, path, [seen(False)])
    read, told = store.read_pointer, []

    def read_and_be_overtaken(where: str):
        pointer = read(where)
        if not told:
            told.append("other")
            monkeypatch.setattr(store, "read_pointer", read)
            assert note_changes(store, path, [seen(True)]) == [seen(True)]
        return pointer

    monkeypatch.setattr(store, "read_pointer", read_and_be_overtaken)
    assert note_changes(store, path, [seen(True)]) == []
