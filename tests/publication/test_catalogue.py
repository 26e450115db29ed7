import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import datetime64
from stormcast_tw.forecast.rollout import carry_out
from stormcast_tw.grid import Grid
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.plan import digest_of
from stormcast_tw.products.rounding import rounded
from stormcast_tw.publication import catalogue, pointers
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW, rollout_job


@pytest.fixture
def made(work: Store, small_package: ModelPackage, small_package_folder: Path) -> tuple[Artifact, Artifact]:
    job = rollout_job(small_package, small_package_folder, work.root, members=2, lead_hours=2)
    forecast = carry_out(job, lambda _: None)
    return forecast, catalogue.make_products(work, forecast, NOW)


def at(artifact: Artifact, cycle: str, run: str) -> Artifact:
    return artifact.model_copy(update={"address": artifact.address.model_copy(update={"cycle": cycle, "run": run})})


def test_published_run_is_whole_and_pointed_at(work: Store, made: tuple[Artifact, Artifact], tmp_path: Path):
    store = Store(str(tmp_path))
    assert pointers.latest(store, "demo") is None
    artifact = catalogue.publish(store, work, *made, NOW)
    folder = tmp_path / "published/demo" / str(CYCLE) / artifact.address.run
    assert {p.name for p in folder.iterdir()} == {
        "checksums.json",
        "manifest.json",
        "forecast.zarr",
        "products.zarr",
        "products.nc",
        "maps",
        "points",
        "places",
        "zones.json",
    }
    assert pointers.latest(store, "demo") == artifact
    forecast, products = made
    xr.testing.assert_identical(
        store.open(artifact, "forecast").load(), rounded(work.open(forecast, "forecast")).load()
    )
    xr.testing.assert_identical(store.open(artifact, "products").load(), work.open(products, "products").load())
    with xr.open_dataset(folder / "products.nc") as netcdf:
        for name, values in store.open(artifact, "products").data_vars.items():
            np.testing.assert_array_equal(netcdf[name].values, values.values)
    pointer = store.read_pointer("published/demo/latest.json").value
    assert pointer == {
        "init_time": "2026-06-11T06:00:00Z",
        "run": artifact.address.run,
        "manifest": f"{CYCLE}/{artifact.address.run}/manifest.json",
        "status": "complete",
    }


def test_nothing_published_says_where_on_this_machine_it_was_made(
    work: Store, made: tuple[Artifact, Artifact], tmp_path: Path
):
    artifact = catalogue.publish(Store(str(tmp_path)), work, *made, NOW)
    for path in Path(artifact.uri).rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes(), path
    manifest = json.loads(Path(artifact.uri, "manifest.json").read_bytes())
    assert manifest["parents"] == [str(part.address) for part in made]
    assert "root" not in manifest
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "published", moved / "published")
    assert Store(str(moved)).get(artifact.address) == artifact.model_copy(update={"root": str(moved)})


def test_a_manifest_that_names_its_root_is_still_read(work: Store, made: tuple[Artifact, Artifact], tmp_path: Path):
    """As manifests were until 0.2: the root was one of the lines that the manifest's sha256 covers."""
    artifact = catalogue.publish(Store(str(tmp_path)), work, *made, NOW)
    path = Path(artifact.uri, "manifest.json")
    old = {**json.loads(path.read_bytes()), "root": "/elsewhere", "parents": [part.uri for part in made]}
    old["sha256"] = digest_of({name: value for name, value in old.items() if name != "sha256"})
    path.write_text(json.dumps(old))
    found = Store(str(tmp_path)).get(artifact.address)
    assert (found.root, found.parents) == (str(tmp_path), tuple(part.uri for part in made))
    assert Store(str(tmp_path)).damage(found) == {}


def test_the_forecast_of_a_lead_is_the_mean_of_its_members(
    work: Store, made: tuple[Artifact, Artifact], tmp_path: Path
):
    store = Store(str(tmp_path))
    assert catalogue.forecast_at(store, "demo", CYCLE, 2) is None, "nothing is published"
    artifact = catalogue.publish(store, work, *made, NOW)
    found = catalogue.forecast_at(store, "demo", CYCLE, 2)
    assert found is not None
    np.testing.assert_allclose(
        found["u10m"].values[0], store.open(artifact, "forecast")["u10m"].values[:, 1].mean(axis=0), rtol=1e-6
    )
    assert found["valid_time"].values.tolist() == [datetime64(CYCLE.valid_time(2)).astype("int64")]
    assert Grid.of(found) == Grid.of(store.open(artifact, "forecast"))
    assert catalogue.forecast_at(store, "demo", CYCLE, 3) is None, "it ends before"


def test_publishing_twice_writes_nothing(work: Store, made: tuple[Artifact, Artifact], tmp_path: Path):
    store = Store(str(tmp_path))
    first = catalogue.publish(store, work, *made, NOW)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "published").rglob("*")}
    assert catalogue.publish(store, work, *made, NOW) == first
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "published").rglob("*")} == before


def test_latest_never_moves_backwards(work: Store, made: tuple[Artifact, Artifact], tmp_path: Path):
    store = Store(str(tmp_path))
    published = catalogue.publish(store, work, *made, NOW)
    newer, older = at(published, "20260611T12Z", "a" * 12), at(published, "20260610T18Z", "b" * 12)
    pointers.point_at(store, newer)
    pointers.point_at(store, older)
    latest = store.read_pointer("published/demo/latest.json").value
    assert latest is not None
    assert latest["run"] == "a" * 12
    chosen = store.read_pointer("published/demo/20260610T18Z/chosen.json").value
    assert chosen is not None
    assert chosen["run"] == "b" * 12


def test_open_with_one_line_of_xarray_and_no_warning(
    work: Store, made: tuple[Artifact, Artifact], tmp_path: Path, recwarn: pytest.WarningsRecorder
):
    artifact = catalogue.publish(Store(str(tmp_path)), work, *made, NOW)
    recwarn.clear()
    for name in ("forecast", "products"):
        dataset = xr.open_dataset(f"{artifact.uri}/{name}.zarr")
        assert dataset["valid_time"].values[0] == datetime64(CYCLE.valid_time(1))
        assert {"init_time", "valid_time", "lead_time"} <= set(dataset.coords)
    assert [str(w.message) for w in recwarn] == []
