"""A published plan carried out again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.forecast.reproduce import Reproduction, compare, read_manifest, reproduce
from stormcast_tw.forecast.rollout import carry_out
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.publication import catalogue
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from tests.conftest import NOW, rollout_job


@pytest.fixture
def published(
    work: Store,
    small_package: ModelPackage,
    small_package_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Artifact:
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(small_package_folder))
    monkeypatch.setenv("STORMCAST_TW_THREADS", "1")
    settings.cache_clear()
    job = rollout_job(small_package, small_package_folder, work.root, members=2, lead_hours=2)
    forecast = carry_out(job, lambda _: None)
    return catalogue.publish(Store(str(tmp_path)), work, forecast, catalogue.make_products(work, forecast, NOW), NOW)


def again(artifact: Artifact, scratch: Path) -> Reproduction:
    return reproduce(read_manifest(f"{artifact.uri}/manifest.json"), settings(), scratch, NOW, lambda _: None)


def test_the_same_plan_gives_the_same_numbers(published: Artifact, tmp_path: Path):
    result = again(published, tmp_path / "scratch")
    assert result.verdict == "identical"
    assert result.text.splitlines()[0] == "identical"
    assert set(result.largest.values()) == {0.0}
    assert result.around["code"][0] == "test", "the plan of the fixture was made by another code"


def test_differences_are_measured(published: Artifact, tmp_path: Path):
    shutil.copytree(published.root, tmp_path / "copy", ignore=shutil.ignore_patterns("work", "copy"))
    repeated = published.model_copy(
        update={"root": str(tmp_path / "copy"), "variables": ("t2m", "u10m"), "checksums": None}
    )
    assert compare(published, repeated).verdict == "identical"

    spoil(repeated, "t2m", 0.001)
    result = compare(published, repeated)
    assert result.verdict == "equal within tolerance"
    assert result.largest["t2m"] == pytest.approx(0.001, rel=0.05)
    assert result.text.startswith("equal within t2m 0.00")

    spoil(repeated, "u10m", 1.0)
    result = compare(published, repeated)
    assert result.verdict == "different"
    assert "u10m 1 m s-1" in result.text


def spoil(artifact: Artifact, variable: str, difference: float) -> None:
    array = zarr.open_group(f"{artifact.uri}/forecast.zarr", mode="r+")[variable]
    values = np.asarray(array[:])
    values[1, 1, 3, 4] += np.float32(difference)
    array[:] = values


def test_a_pruned_parent_is_named(published: Artifact, work: Store, tmp_path: Path):
    shutil.rmtree(f"{work.root}/prepared")
    with pytest.raises(Refused, match=r"its parent .*/prepared/demo/20260611T06Z/[0-9a-f]{12} was pruned"):
        again(published, tmp_path / "scratch")


def test_what_is_no_manifest_is_refused(published: Artifact, tmp_path: Path):
    with pytest.raises(BadInput, match=r"nowhere/manifest\.json: there is no manifest here"):
        read_manifest(str(tmp_path / "nowhere"))
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BadInput, match=r"manifest\.json: is not a manifest: Field required"):
        read_manifest(str(tmp_path))
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(f"{published.uri}/manifest.json", moved)
    with pytest.raises(BadInput, match="keep that path below any root"):
        read_manifest(str(moved))
