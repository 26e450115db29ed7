"""What is damaged is named, and made again from the work root or from its plan; nothing else is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.forecast.rollout import carry_out
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.publication import catalogue, integrity
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from tests.conftest import NOW, rollout_job


@pytest.fixture
def published(
    work: Store, small_package: ModelPackage, small_package_folder: Path, tmp_path: Path
) -> tuple[Store, Artifact, integrity.RollOut]:
    job = rollout_job(small_package, small_package_folder, work.root, members=2, lead_hours=1)
    forecast = carry_out(job, lambda _: None)
    store = Store(str(tmp_path / "published"))
    run = catalogue.publish(store, work, forecast, catalogue.make_products(work, forecast, NOW), NOW)

    def roll_out(_: Artifact, folder: Path) -> Artifact:
        return carry_out(job.model_copy(update={"work_root": str(folder)}), lambda _: None)

    return store, run, roll_out


def contents(store: Store) -> dict[str, bytes]:
    return {path: store.objects.read(path).data for path in store.objects.files("published")}


def spoil(store: Store, run: Artifact, *names: str) -> None:
    for name in names:
        path = Path(store.root, str(run.address), name)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)


FILES = ("forecast.zarr/t2m/c/0/0/0/0", "products.zarr/zarr.json", "products.nc")


def test_what_is_sound_has_no_damage(published, work: Store):
    store, _, _ = published
    assert list(integrity.check(store, "demo")) == []
    assert list(integrity.check(work, "demo")) == []


@pytest.mark.parametrize("kept", ["work root", "prepared inputs only"])
def test_damage_is_named_and_made_again(published, work: Store, tmp_path: Path, kept: str):
    store, run, roll_out = published
    before = contents(store)
    spoil(store, run, *FILES)
    Path(store.root, str(run.address), "forecast.zarr/u10m/c/0/0/0/0").unlink()
    (damage,) = integrity.check(store, "demo")
    assert damage.where == run.uri
    assert set(damage.files) == {*FILES, "forecast.zarr/u10m/c/0/0/0/0"}
    assert damage.files["products.nc"] == "has other bytes than were sealed"
    assert damage.files["forecast.zarr/u10m/c/0/0/0/0"] == "is missing"
    with pytest.raises(BadInput, match="catalogue check --repair` makes it again"):
        catalogue.publish(store, work, *_made(work, run), NOW)
    if kept != "work root":
        for kind in ("forecast", "products"):
            shutil.rmtree(Path(work.root, kind))
    (mended,) = integrity.repair(store, work, "demo", roll_out, tmp_path / "scratch", NOW)
    assert (mended.repaired, mended.remark) == (True, "")
    assert contents(store) == before
    assert list(integrity.check(store, "demo")) == []


def _made(work: Store, run: Artifact) -> tuple[Artifact, Artifact]:
    forecast, products = integrity._parents(run)
    return work.get(forecast), work.get(products)


def test_what_cannot_be_made_again_is_said_and_left(published, work: Store, tmp_path: Path):
    store, run, _ = published
    spoil(store, run, FILES[0])
    for kind in ("forecast", "products", "prepared"):
        shutil.rmtree(Path(work.root, kind))
    before = contents(store)

    def pruned(*_: object) -> Artifact:
        raise BadInput("its parent was pruned")

    (left,) = integrity.repair(store, work, "demo", pruned, tmp_path / "scratch", NOW)
    assert (left.repaired, left.remark) == (False, "its parent was pruned")
    spoil(store, run, "checksums.json")
    (left,) = integrity.repair(store, work, "demo", pruned, tmp_path / "scratch", NOW)
    assert "nothing says what is right" in left.remark
    assert {path for path, data in contents(store).items() if data != before[path]} == {f"{run.address}/checksums.json"}
