"""A published run in every usual format, as an artifact of its own; a failure does not touch what is published."""

from __future__ import annotations

import json

import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.exports.table import EXPORTS
from stormcast_tw.publication import integrity
from stormcast_tw.publication.exporting import export_run, usual
from stormcast_tw.settings import settings
from tests.conftest import CYCLE, NOW, Made


def test_a_run_in_every_usual_format(made: Made, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("STORMCAST_TW_EXPORTS")
    settings.cache_clear()
    assert set(usual("demo")) == {"grib", "cog", "csv", "cap", "stac"}
    assert set(usual("oper")) == {"grib", "cog", "csv", "stac"}, "drafts of alerts are for exercises"
    names = ("cap", "csv", "stac", "netcdf_members")
    artifact = export_run(made.published, made.run, NOW, names)
    assert (artifact.address.kind, artifact.address.cycle, artifact.simulated) == ("exports", str(CYCLE), True)
    assert artifact.parents == (str(made.run.address),)
    files = made.published.below(artifact.address)
    assert {path.split("/")[0] for path in files} <= {*names, "manifest.json", "checksums.json"}
    item = json.loads(made.published.read(artifact, "stac/item.json"))
    assert item["id"] == f"demo-{CYCLE}-{made.run.address.run}"
    for asset in item["assets"].values():
        path = asset["href"].removeprefix("./../../../../")
        assert made.published.objects.exists(path), path
    assert export_run(made.published, made.run, NOW, names) == artifact, "sealed ones are returned"
    assert not integrity.check(made.published, "demo").damaged


def test_an_unknown_format_is_named(made_once: Made):
    with pytest.raises(BadInput, match=f"exports: shapefile: allowed: {', '.join(EXPORTS)}"):
        export_run(made_once.published, made_once.run, NOW, ["shapefile"])
