"""Write docs/LICENCES.md: name, release and licence of every package in requirements.lock, from its own metadata.

    .venv/bin/python infra/licences.py

Needs the packages installed. `--check` writes nothing and exits with 1 where the page is not what would be written.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LOCK, PAGE = ROOT / "requirements.lock", ROOT / "docs/LICENCES.md"

REMARKS = (
    (re.compile(r"\bA?GPL|Affero|(?<!Lesser )General Public License"), "**copyleft**"),
    (re.compile(r"\bLGPL|Lesser General Public|\bMPL|Mozilla|\bEPL|Eclipse|EUPL|CeCILL"), "weak copyleft"),
    (re.compile(r"Propriet|NVIDIA"), "proprietary"),
    (re.compile(r"^not stated$"), "look at its files"),
)
"""What a reader should know of a licence; the first that is found holds."""
CHOICE = re.compile(r"^(?!.* AND )[^()]* OR |, ")
"""One of several by choice, or several classifiers, which do not say whether they are a choice."""

HEAD = """# Licences of what is installed

What a forecast needs: `requirements.lock`, {count} packages, as their own metadata state it. Written by
`infra/licences.py`; a test compares it with the lock. stormcast-tw itself is Apache-2.0.

Metadata speak of the package, not of libraries inside its wheel: shapely's has GEOS (LGPL-2.1), scipy's and numpy's
have libgfortran (GPL-3.0 with the runtime exception). Whoever passes an image on passes these on too.

## To look at

{remarked}

## All

| package | release | licence |
|---|---|---|
{rows}
"""


class Package(NamedTuple):
    """One line of the lock, and what its metadata say."""

    name: str
    release: str
    licence: str

    @property
    def remark(self) -> str:
        """What a reader should know, or nothing."""
        found = next((text for pattern, text in REMARKS if pattern.search(self.licence)), "")
        return f"{found}, perhaps by choice" if found and CHOICE.search(self.licence) else found


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    text = page([described(name, release) for name, release in locked(LOCK.read_text())])
    if "--check" in arguments:
        same = PAGE.exists() and PAGE.read_text() == text
        print(f"{PAGE.name}: {'as the lock says' if same else 'is old: run infra/licences.py'}")
        return int(not same)
    PAGE.write_text(text)
    print(PAGE)
    return 0


def locked(lock: str) -> list[tuple[str, str]]:
    """Return name and release of every line of a lock file, markers aside."""
    return [(line.split("==")[0], re.split(r"==|\s|;", line)[1]) for line in lock.splitlines() if "==" in line]


def described(name: str, release: str) -> Package:
    """Read an installed package's metadata; the program ends where it is not installed or of another release."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        sys.exit(f"{name} is not installed: make run")
    if found.version != release:
        sys.exit(f"{name} is of release {found.version}; locked {release}")
    expression, text = (found.metadata.get_all(field, [None])[0] for field in ("License-Expression", "License"))
    return Package(name, release, licence(expression, found.metadata.get_all("Classifier", []), text))


def licence(expression: str | None, classifiers: Iterable[str], text: str | None) -> str:
    """Return what is stated: the SPDX expression, else the classifiers, else a first line that reads like a name."""
    if expression:
        return expression
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    named = [name for name in named if name != "OSI Approved"]
    first = (text or "").strip().partition("\n")[0].strip()
    if named:
        return ", ".join(sorted(named))
    return first if 0 < len(first) <= 60 and not first.startswith("Copyright") else "not stated"


def page(packages: list[Package]) -> str:
    """Return the page: what needs a look first, then all."""
    remarked = [f"| {p.name} | {p.licence} | {p.remark} |" for p in packages if p.remark]
    rows = [f"| {p.name} | {p.release} | {p.licence} |" for p in packages]
    table = "\n".join(["| package | licence | |", "|---|---|---|", *remarked])
    return HEAD.format(count=len(packages), remarked=table, rows="\n".join(rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
