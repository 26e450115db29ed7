"""What is damaged is named, and made again from the work root or from its plan; nothing else is written."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from stormcast_tw.cli.__main__ import main
from stormcast_tw.errors import BadInput
from stormcast_tw.publication import catalogue, integrity
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from tests.conftest import NOW, Made


def contents(store: Store) -> dict[str, bytes]:
    return {path: store.objects.read(path).data for path in store.objects.files("published")}


def spoil(store: Store, run: Artifact, *names: str) -> None:
    for name in names:
        path = Path(store.root, str(run.address), name)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)


FILES = ("forecast.zarr/t2m/c/0/0/0/0", "products.zarr/zarr.json", "products.nc")


def test_what_is_sound_has_no_damage(made: Made):
    store, work = made.published, made.work
    assert integrity.check(store, "demo") == integrity.Report([], 0)
    assert integrity.check(work, "demo") == integrity.Report([], 0)


@pytest.mark.parametrize("kept", ["work root", "prepared inputs only"])
def test_damage_is_named_and_made_again(made: Made, tmp_path: Path, kept: str):
    store, work, run = made.published, made.work, made.run
    before = contents(store)
    spoil(store, run, *FILES)
    Path(store.root, str(run.address), "forecast.zarr/u10m/c/0/0/0/0").unlink()
    (damage,) = integrity.check(store, "demo").damaged
    assert damage.where == run.uri
    assert set(damage.files) == {*FILES, "forecast.zarr/u10m/c/0/0/0/0"}
    assert damage.files["products.nc"] == "has other bytes than were sealed"
    assert damage.files["forecast.zarr/u10m/c/0/0/0/0"] == "is missing"
    with pytest.raises(BadInput, match="see `stormcast-tw catalogue check --repair`"):
        catalogue.publish(store, work, *_made(work, run), NOW)
    if kept != "work root":
        for kind in ("forecast", "products"):
            shutil.rmtree(Path(work.root, kind))
    (mended,) = integrity.repair(store, work, "demo", made.roll_out, tmp_path / "scratch")
    assert (mended.repaired, mended.remark) == (True, "")
    assert contents(store) == before
    assert integrity.check(store, "demo") == integrity.Report([], 0)


def _made(work: Store, run: Artifact) -> tuple[Artifact, Artifact]:
    products = run.address.model_copy(update={"kind": "products"})
    return work.get(integrity._forecast(run)), work.get(products)


def test_what_cannot_be_made_again_is_said_and_left(made: Made, tmp_path: Path):
    store, work, run = made.published, made.work, made.run
    spoil(store, run, FILES[0])
    for kind in ("forecast", "products", "prepared"):
        shutil.rmtree(Path(work.root, kind))
    before = contents(store)

    def pruned(*_: object) -> Artifact:
        raise BadInput("its parent was pruned")

    (left,) = integrity.repair(store, work, "demo", pruned, tmp_path / "scratch")
    assert (left.repaired, left.remark) == (False, "its parent was pruned")
    spoil(store, run, "checksums.json")
    (left,) = integrity.repair(store, work, "demo", pruned, tmp_path / "scratch")
    assert "nothing says what is right" in left.remark
    assert {path for path, data in contents(store).items() if data != before[path]} == {f"{run.address}/checksums.json"}


def test_the_verb_names_repairs_and_says_what_is_left(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("STORMCAST_TW_PUBLISHED_ROOT", made.published.root)
    monkeypatch.setenv("STORMCAST_TW_WORK_ROOT", made.work.root)
    settings.cache_clear()

    def verb(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["stormcast-tw", "catalogue", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    assert verb("check") == (0, "experiment demo: nothing is damaged\n")
    spoil(made.published, made.run, "products.nc")
    pointer = f"{made.published.root}/published/demo/latest.json"
    Path(pointer).write_text("{")
    code, said = verb("check")
    assert code == 1
    assert f"DAMAGED {made.run.uri}/products.nc: has other bytes than were sealed\n" in said
    assert f"DAMAGED {pointer}: is no whole pointer: " in said
    assert verb()[0] == 0, "a damaged pointer hides no run"
    code, said = verb("check", "--repair")
    assert (code, said.splitlines()) == (
        0,
        [
            f"{made.run.uri}/products.nc: repaired",
            f"{pointer}: repaired",
            "experiment demo: nothing is damaged",
        ],
    )
    state = Path(made.work.root, str(made.job.prepared), "state.zarr/t2m/c/0/0")
    state.write_bytes(b"")
    code, said = verb("check", "--repair")
    assert code == 1
    assert f"{state}: not repaired: remove the folder of its run and forecast the cycle again\n" in said
