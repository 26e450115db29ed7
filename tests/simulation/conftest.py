"""What the tests of the simulation share: its worlds, and how to make them forget what they computed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from stormcast_tw.simulation.world import chance, convection, synoptic, weather
from stormcast_tw.simulation.world.weather import World


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture
def forget() -> Callable[[], None]:
    """Empty every cache between hours, so that what follows is computed alone."""

    def clear() -> None:
        for cached in (
            weather._surface,
            synoptic._synopsis,
            convection._births,
            chance._few_normals,
            chance._many_normals,
            chance._uniforms,
        ):
            cached.cache_clear()

    return clear


@pytest.fixture(scope="session")
def hours_of(world: World) -> dict[str, list[datetime]]:
    """Six-hourly times of two years by regime."""
    found: dict[str, list[datetime]] = {}
    start = datetime(2021, 1, 1, tzinfo=UTC)
    for hour in range(0, 2 * 8766, 6):
        time = start + timedelta(hours=hour)
        found.setdefault(world.regime(time), []).append(time)
    return found


def spread_over(times: list[datetime], count: int) -> list[datetime]:
    """Return `count` of the times, evenly spread."""
    return [times[int((number + 0.5) * len(times) / count)] for number in range(count)]


@pytest.fixture(scope="session")
def sample() -> Callable[[list[datetime], int], list[datetime]]:
    return spread_over
