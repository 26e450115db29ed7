"""A few hundred damaged zips and Zarr objects: read or refused, nothing else. `soak.fuzz_zip_zarr` has the many."""

from __future__ import annotations

import random

import pytest

from soak.fuzz_zip_zarr import PARSERS, damaged, reworded
from soak.fuzzing import fuzz


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # h5netcdf's own clean-up
@pytest.mark.parametrize("name", ["zip", "zarr"])
def test_damaged_archives_are_read_or_refused(name: str):
    outcome = fuzz(PARSERS[name](), 200, seed=2026)
    assert outcome.findings == []
    assert outcome.counts.total() == 200
    assert outcome.counts["BadInput"] > 50


def test_cases_are_a_function_of_the_seed_and_do_damage():
    good = b'{"shape": [3, 4], "dtype": "<f4"}' * 1
    for change in (damaged, reworded):
        made = [change(good, random.Random(f"1 {number}")) for number in range(200)]
        assert made == [change(good, random.Random(f"1 {number}")) for number in range(200)]
        assert sum(one != good for one in made) > 150
