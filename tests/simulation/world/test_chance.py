"""Innovations: what a time may use, and what a branch changes."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stormcast_tw.simulation.world.chance import Chance, hour_index, hour_time, moving_average_kernel
from stormcast_tw.simulation.world.synoptic import synopsis
from stormcast_tw.simulation.world.weather import World

TIME = datetime(2026, 6, 11, 6, tzinfo=UTC)


def test_hours_are_whole_and_reversible():
    assert hour_time(hour_index(TIME)) == TIME
    with pytest.raises(ValueError, match="not a whole hour"):
        hour_index(TIME + timedelta(minutes=1))
    with pytest.raises(ValueError, match="no time zone"):
        hour_index(TIME.replace(tzinfo=None))


def test_innovations_are_standard_and_differ_between_hours_streams_and_seeds():
    drawn = [
        Chance(seed).normals(stream, hour, 40000)
        for seed, stream, hour in ((1, "fine", 10), (1, "fine", 11), (1, "cells", 10), (2, "fine", 10))
    ]
    for values in drawn:
        assert abs(values.mean()) < 0.02
        assert abs(values.std() - 1.0) < 0.02
    assert np.abs(np.corrcoef(drawn) - np.eye(4)).max() < 0.03


def test_a_branch_keeps_the_past_and_changes_what_follows():
    world = World(7)
    other = world.branch(TIME, "other")
    hour = hour_index(TIME)
    for lag in range(3):
        np.testing.assert_array_equal(
            world.chance.normals("synoptic", hour - lag, 5), other.chance.normals("synoptic", hour - lag, 5)
        )
    after = world.chance.normals("synoptic", hour + 1, 5), other.chance.normals("synoptic", hour + 1, 5)
    assert not np.any(after[0] == after[1])


def test_with_foresight_a_branch_keeps_for_longer_what_comes_from_upstream():
    world, hour = World(7), hour_index(TIME)
    other = world.branch(TIME, "other", foresight_hours=3)
    for stream, same_until in (("synoptic", hour + 3), ("local", hour), ("mesoscale", hour), ("cells", hour)):
        draw = "uniforms" if stream == "cells" else "normals"
        for at in range(hour - 1, hour + 6):
            ours, theirs = (getattr(one.chance, draw)(stream, at, 5) for one in (world, other))
            assert np.array_equal(ours, theirs) == (at <= same_until)
    later, again = (world.branch(TIME, "other", foresight).chance for foresight in (0, 3))
    np.testing.assert_array_equal(later.normals("synoptic", hour + 4, 5), again.normals("synoptic", hour + 4, 5))


def test_foresight_is_of_what_comes_from_upstream_not_of_what_is_local():
    world, hour = World(7), hour_index(TIME)
    for foresight, known in ((0, set()), (12, {"monsoon", "moisture", "air_mass", "convection"})):
        other = world.branch(TIME, "other", foresight)
        ours, theirs = (synopsis(one.chance, hour + 1).index for one in (world, other))
        assert {name for name in ours if ours[name] == theirs[name]} >= known
        assert all(ours[name] != theirs[name] for name in ("local_u", "local_v", "local_t"))
        assert synopsis(world.chance, hour).index == synopsis(other.chance, hour).index


def test_a_branch_of_a_branch_forgets_what_comes_after_it():
    later = World(7).branch(TIME, "later")
    assert later.branch(TIME - timedelta(hours=3), "run") == World(7).branch(TIME - timedelta(hours=3), "run")
    assert len(later.branch(TIME + timedelta(hours=3), "run").branches) == 2


@pytest.mark.parametrize(("memory", "smooth"), [(6.0, False), (6.0, True), (22.0, True)])
def test_kernels_have_unit_variance_and_end(memory: float, smooth: bool):
    kernel = moving_average_kernel(memory, smooth)
    assert np.sum(kernel**2) == pytest.approx(1.0)
    assert kernel.size == np.ceil(4.0 * memory)
    assert kernel[-1] < 0.02 * kernel.max()
