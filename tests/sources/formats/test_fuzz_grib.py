"""A few hundred of the damaged GRIB files and indexes of `soak.fuzz_grib`, which makes many thousands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_damaged_bytes_are_read_or_refused():
    """In a process of its own, which forks; for each parser both outcomes occur, and nothing else."""
    command = [sys.executable, "-m", "soak.fuzz_grib", "--cases", "200", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cost = r"slowest ([\d.]+) s of processor time, resident at most (\d+) MiB, findings 0"
    found = re.findall(rf"^(\w+): 200 cases .* (\d+) BadInput, (\d+) read; {cost}$", done.stdout, re.MULTILINE)
    assert [line[0] for line in found] == ["decode", "index", "idx"], done.stdout
    for _, refused, read, slowest, memory in found:
        assert int(refused) + int(read) == 200
        assert min(int(refused), int(read)) >= 5
        assert float(slowest) < 1.0
        assert int(memory) < 512
