"""A few hundred of the damaged GRIB files and indexes of `soak/fuzz_grib.py`, which makes many thousands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("parser", "cases"), [("decode", 300), ("index", 500), ("idx", 500)])
def test_damaged_bytes_are_read_or_refused(parser: str, cases: int):
    """In a process of its own, which forks; both outcomes occur, and nothing else."""
    command = [sys.executable, "soak/fuzz_grib.py", parser, "--cases", str(cases), "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) BadInput, (\d+) read; slowest ([\d.]+) s, peak memory (\d+) MiB, findings 0", done.stdout)
    assert found, done.stdout
    refused, read, slowest, memory = (float(number) for number in found.groups())
    assert refused + read == cases
    assert min(refused, read) > 0.03 * cases
    assert slowest < 1.0
    assert memory < 512
