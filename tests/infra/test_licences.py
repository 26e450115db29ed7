"""The page of licences: it has the lock's packages, and its remarks are those of the licences."""

from __future__ import annotations

import re

import pytest

from stormcast_tw.infra.licences import LOCK, PAGE, Package, licence, locked, page

MPL = "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"
APPROVED = "License :: OSI Approved"


def test_the_page_has_the_packages_of_the_lock():
    rows = re.findall(r"^\| (\S+) \| (\S+) \| [^|]+ \|$", PAGE.read_text().partition("## All")[2], re.MULTILINE)
    assert [row for row in rows if row[0] not in ("package", "---")] == locked(LOCK.read_text())


def test_a_lock_has_names_and_releases():
    assert locked("a-b==1.0\nc==2.0.post1 ; python_version < '3.12'\n\n") == [("a-b", "1.0"), ("c", "2.0.post1")]


@pytest.mark.parametrize(
    ("expression", "classifiers", "text", "stated"),
    [
        ("MIT AND PSF-2.0", [MPL], "BSD", "MIT AND PSF-2.0"),
        (None, [APPROVED, MPL, "Topic :: X"], "BSD", "Mozilla Public License 2.0 (MPL 2.0)"),
        (None, [APPROVED], "  BSD 3-Clause\nmore", "BSD 3-Clause"),
        (None, [], "Copyright (c) 2015, somebody", "not stated"),
        (None, [], None, "not stated"),
    ],
)
def test_what_is_stated(expression: str | None, classifiers: list[str], text: str | None, stated: str):
    assert licence(expression, classifiers, text) == stated


@pytest.mark.parametrize(
    ("stated", "remark"),
    [
        ("MIT", ""),
        ("GPL-3.0-only", "**copyleft**"),
        ("AGPL-3.0", "**copyleft**"),
        ("GNU General Public License v2 (GPLv2)", "**copyleft**"),
        ("Artistic License, GNU General Public License (GPL)", "**copyleft**, perhaps by choice"),
        ("GPL-2.0 OR MIT", "**copyleft**, perhaps by choice"),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", "weak copyleft"),
        ("LGPL-2.1", "weak copyleft"),
        ("GNU Lesser General Public License v3 (LGPLv3)", "weak copyleft"),
        ("LicenseRef-NVIDIA-Proprietary", "proprietary"),
        ("not stated", "look at its files"),
    ],
)
def test_what_a_reader_should_know(stated: str, remark: str):
    package = Package("name", "1.0", stated)
    assert package.remark == remark
    assert (f"| name | {stated} | {remark} |" in page([package])) == bool(remark)
