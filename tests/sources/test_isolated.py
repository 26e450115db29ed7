"""Reading in a child process: what comes back, and what becomes of children that crash, swell or hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady, StormcastError, Unreachable
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, on_grid
from stormcast_tw.sources.isolated import Isolated, read_isolated
from stormcast_tw.storage.provider_files import SourceFile, Used
from stormcast_tw.variables import VARIABLES, VariableSet, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
LOCATED = Located("odd", (SourceFile("file://odd", "1", 7),), (T,), variable_set("asked", "t2m"))


@dataclass(frozen=True)
class Odd:
    """A source whose decoder does what it is told."""

    what: str
    name: str = "odd"

    def find(self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None):
        return LOCATED

    def read(self, located: Located) -> Reading:
        if self.what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.what == "exit":
            os._exit(9)
        if self.what == "swell":
            np.ones(8 << 30, np.uint8)
        if self.what == "hang":
            time.sleep(600)
        if self.what == "refuse":
            raise BadInput("file://odd: t2m spans 22 to 22 K; allowed 220 to 330")
        if self.what == "vanish":
            raise NotReady("file://odd: not there yet")
        values = np.full((1, *TAIWAN_2KM.shape), 290.0 + os.getpid() % 7)
        dataset = on_grid(TAIWAN_2KM, (T,), {VARIABLES["t2m"]: values}, {"pid": os.getpid()})
        return Reading(dataset, (Used("file://odd", "sha256:0", 7, 0),))


def test_a_reading_comes_back_from_another_process():
    reading = read_isolated(Odd("read"), LOCATED)
    pid = reading.dataset.attrs["pid"]
    assert pid != os.getpid()
    assert float(reading.dataset["t2m"].max()) == 290.0 + pid % 7
    assert reading.used == (Used("file://odd", "sha256:0", 7, 0),)


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("crash", BadInput, r"file://odd: the decoder was killed by SIGSEGV; the file cannot be decoded"),
        ("exit", StormcastError, r"file://odd: not read: the decoder exited with code 9, which no file can cause"),
        ("swell", BadInput, r"file://odd: cannot be decoded in 6 GiB of memory"),
        ("hang", Unreachable, r"file://odd: not read within 3 s"),
        ("refuse", BadInput, r"file://odd: t2m spans 22 to 22 K; allowed 220 to 330"),
        ("vanish", NotReady, r"file://odd: not there yet"),
    ],
)
def test_what_goes_wrong_in_the_child_is_one_clear_error(what: str, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        read_isolated(Odd(what), LOCATED, seconds=3.0 if what == "hang" else 240.0, memory_gib=6.0)


def test_children_are_used_again_until_one_dies():
    first, second = (read_isolated(Odd("read"), LOCATED).dataset.attrs["pid"] for _ in range(2))
    assert first == second
    with pytest.raises(Unreachable):
        read_isolated(Odd("hang"), LOCATED, seconds=0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert read_isolated(Odd("read"), LOCATED).dataset.attrs["pid"] != first


def test_a_source_that_is_isolated_is_still_that_source():
    source = Isolated(Odd("read"))
    assert (source.name, source.find((T,), LOCATED.variables)) == ("odd", LOCATED)
    assert source.read(LOCATED).dataset.attrs["pid"] != os.getpid()


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path: Path):
    """The child imports nothing of the program that started it."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "from tests.sources.test_isolated import LOCATED, Odd\n"
        "from stormcast_tw.sources.isolated import read_isolated\n"
        "read_isolated(Odd('read'), LOCATED)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=240, check=False, env=environment
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "once\n", "")
