"""Work in a child process ends: in time, within its memory, and without a traceback."""

import os
import time

import pytest

from stormcast_tw.errors import BadPackage
from stormcast_tw.model.bounded import within_limits


def test_work_is_bounded_in_time_and_memory():
    began = time.monotonic()
    with pytest.raises(BadPackage, match="x: not done after 1 s; allowed are 1 s"):
        within_limits("x", time.sleep, 60, seconds=1)
    assert time.monotonic() - began < 30
    with pytest.raises(BadPackage, match="x: needs more memory than the 1 GiB allowed"):
        within_limits("x", bytearray, 2**31, gib=1)
    with pytest.raises(BadPackage, match="x: the process that reads it ended with SIGABRT"):
        within_limits("x", os.abort)
    assert within_limits("x", os.path.join, "a", "b") == "a/b"
