"""The tests within their budget: pytest as a child, then one line that says what it cost, children included.

`python -m tests.budget -n 2 --dist loadfile`: all arguments are pytest's. The exit code is pytest's, or 1 where the
tests pass but cost far more than they may.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

CEILING_MINUTES = 20.0
"""CPU of the whole suite. Two cores then need ten minutes: what takes longer is no longer run before every commit."""
ALLOWED = 1.25
"""How much above the ceiling is no failure yet: busy processors count more seconds for the same work."""


def main(arguments: list[str]) -> int:
    """Run pytest, say what it cost, and return the exit code."""
    started = time.monotonic()
    code = subprocess.run([sys.executable, "-m", "pytest", "--durations=10", *arguments], check=False).returncode
    wall = (time.monotonic() - started) / 60
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (used.ru_utime + used.ru_stime) / 60
    said = f"CPU: {cpu:.1f} of at most {CEILING_MINUTES:g} minutes (children included), wall {wall:.1f} min\n"
    sys.stdout.write(said)
    return code or int(cpu > ALLOWED * CEILING_MINUTES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
