"""Install a lock file with pip and say on one line how far it is: `python infra/install.py PYTHON LOCK...`.

Needs nothing but the standard library: it runs before anything is installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

SECONDS_BETWEEN_LINES = 15.0
"""Where nobody looks at a terminal, a line so often."""
LAST_LINES = 20
"""Of what pip said, shown where it fails."""


def main() -> int:
    """Install every lock file that is named; return pip's exit code."""
    python, *locks = sys.argv[1:]
    wanted = sum(bool(line.strip()) for lock in locks for line in Path(lock).read_text().splitlines())
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command += [word for lock in locks for word in ("-r", lock)]
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert pip.stdout is not None
    said: list[str] = []
    collected, megabytes, shown = 0, 0.0, 0.0
    for line in pip.stdout:
        said = [*said[-LAST_LINES:], line]
        name = re.match(r"(?:Collecting|Requirement already satisfied:) ([^\s=<>(]+)", line)
        collected += name is not None
        if size := re.search(r"\(([\d.]+) (kB|MB|GB)\)", line):
            megabytes += float(size[1]) * {"kB": 0.001, "MB": 1.0, "GB": 1000.0}[size[2]]
        doing = "unpacking" if line.startswith("Installing collected") else name[1] if name else None
        if doing is None:
            continue
        text = f"installing: {min(collected, wanted)} of {wanted} packages, {megabytes / 1000:.1f} GB; {doing}"
        shown = _show(text, shown, last=doing == "unpacking")
    code = pip.wait()
    if sys.stdout.isatty():
        print()
    if code:
        print("".join(said), file=sys.stderr)
    return code


def _show(text: str, shown: float, *, last: bool) -> float:
    """Print the line where it is time to, and return when that was."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text[:100]}", end="", flush=True)
    elif last or time.monotonic() - shown >= SECONDS_BETWEEN_LINES:
        print(text, flush=True)
        return time.monotonic()
    return shown


if __name__ == "__main__":
    sys.exit(main())
