"""The page's borders and fixtures are what the scripts beside them make."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import require
from tests.viewer.conftest import ROOT, script

borders = script("viewer/borders.py")


def test_the_fixture_is_what_python_encodes():
    made = script("viewer/tests/make_fixture.py")
    assert made.FIXTURE.read_text() == made.text()


def test_lines_keep_their_ends_and_what_is_off_them():
    line = [(0, 0), (50, 1), (100, 0), (100, 100)]
    assert borders.simplified(line) == [(0, 0), (100, 0), (100, 100)]
    assert borders.simplified([(0, 0), (50, 20), (100, 0)]) == [(0, 0), (50, 20), (100, 0)]


def test_every_zone_in_the_domain_is_drawn_and_rings_close(tmp_path: Path):
    borders.write(tmp_path / "borders.json")
    made = json.loads((tmp_path / "borders.json").read_text())
    counties = [code for code in made["zones"] if len(code) == 5]
    assert len(counties) == 19
    assert len(made["zones"]) - len(counties) == 352
    ends = []
    for arc in made["arcs"]:
        xs, ys = arc[::2], arc[1::2]
        ends.append(((xs[0], ys[0]), (sum(xs), sum(ys))))
    for polygons in made["zones"].values():
        for ring in (ring for polygon in polygons for ring in polygon):
            begins = [ends[arc][0] if arc >= 0 else ends[~arc][1] for arc in ring]
            finishes = [ends[arc][1] if arc >= 0 else ends[~arc][0] for arc in ring]
            assert finishes == [*begins[1:], begins[0]], "each arc begins where the one before ends"
    named = json.loads(gzip.decompress(borders.ZONES.read_bytes()))["objects"]["county"]["geometries"]
    assert set(counties) < {zone["properties"]["code"] for zone in named}


def test_what_cannot_be_built_is_one_line_that_says_how(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path):
    build = script("infra/build_page.py")
    monkeypatch.setattr(build, "DIST", tmp_path)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert build.main([]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert build.HOW in said


def test_units_of_typescript():
    build = script("infra/build_page.py")
    try:
        build.build()
        node, _ = build._node()
    except build.NotBuilt as error:
        require(False, f"the page ({error})", build.HOW)
    tests = [node, "node_modules/vitest/vitest.mjs", "run"]
    done = subprocess.run(tests, cwd=ROOT / "viewer", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]
