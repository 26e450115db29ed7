"""How fast futures part: the perfect ensemble of branches, and the errors of the simulated RWRP."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest

from stormcast_tw.simulation.files import rwrp
from stormcast_tw.simulation.world.box import INNER
from stormcast_tw.simulation.world.weather import SURFACE_IDS, World
from tests.simulation.yardsticks import ERRORS

MEMBERS = 4
CYCLES = {"quiet": 8, "northeast_monsoon": 5, "cold_surge": 4, "thunderstorms": 4, "meiyu_front": 4,
          "typhoon_periphery": 4, "typhoon": 4}  # fmt: skip
"""Cycles drawn from each regime; means are weighted by how often the regime occurs."""


@pytest.fixture(scope="module")
def cycles(
    hours_of: dict[str, list[datetime]], sample: Callable[[list[datetime], int], list[datetime]]
) -> list[tuple[datetime, float]]:
    """Cycles of all regimes with their weights, which sum to one."""
    total = sum(len(times) for times in hours_of.values())
    return [
        (time, len(hours_of[regime]) / total / count)
        for regime, count in CYCLES.items()
        for time in sample(hours_of[regime], count)
    ]


def spread(world: World, init_time: datetime, lead_hours: int) -> dict[str, float]:
    """Mean ensemble variance of branches at `init_time`; unbiased, however few they are."""
    valid_time = init_time + timedelta(hours=lead_hours)
    members = [world.branch(init_time, f"member {n}").box(valid_time) for n in range(MEMBERS)]
    return {
        name: float(np.stack([member[name][INNER] for member in members]).var(axis=0, ddof=1).mean())
        for name in SURFACE_IDS
    }


@pytest.mark.parametrize("lead_hours", ERRORS)
def test_spread_of_the_perfect_ensemble(world: World, cycles: list[tuple[datetime, float]], lead_hours: int):
    """Between half and the whole of the errors that a trained model makes: neither hopeless nor already known."""
    found = [(spread(world, time, lead_hours), weight) for time, weight in cycles]
    for name, published in ERRORS[lead_hours].items():
        value = np.sqrt(sum(weight * variances[name] for variances, weight in found))
        assert 0.5 * published <= value <= 1.0 * published, (name, value)


def error(world: World, init_time: datetime, lead_hours: int) -> dict[str, float]:
    forecast = rwrp.run_on_box(world, init_time, lead_hours)
    truth = world.box(init_time + timedelta(hours=lead_hours))
    return {name: float(((forecast[name] - truth[name])[INNER] ** 2).mean()) for name in SURFACE_IDS}


def test_rwrp_starts_near_the_truth_and_reaches_the_errors_of_twelve_hours(
    world: World, cycles: list[tuple[datetime, float]]
):
    leads = (0, 1, 3, 12)
    found = [({lead: error(world, time, lead) for lead in leads}, weight) for time, weight in cycles]
    rms = {lead: {name: np.sqrt(sum(w * e[lead][name] for e, w in found)) for name in SURFACE_IDS} for lead in leads}
    for name in ("t2m", "u10m", "v10m"):
        assert rms[0][name] == pytest.approx(ERRORS[1][name] / 3.0, rel=0.15)
        assert rms[0][name] < rms[1][name] < rms[3][name] < rms[12][name]
        assert rms[12][name] == pytest.approx(ERRORS[12][name], rel=0.3), (name, rms[12][name])
    # One run a cycle: a single typhoon of the sample decides the error of the rain.
    assert 0.6 < rms[12]["tp01"] / ERRORS[12]["tp01"] < 1.8
