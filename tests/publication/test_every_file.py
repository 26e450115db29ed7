"""Every kind of file that is published or worked with, flipped, cut and deleted: named, never believed, made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.publication import integrity, pointers
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.packed import pack, unpack
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW, Made

LISTS = ("checksums.json", "manifest.json")
FILES = {
    "inputs": ("state.zarr/t2m/c/0/0", "state.zarr/zarr.json", *LISTS),
    "prepared": ("state.zarr/t2m/c/0/0", "background.zarr/zarr.json", *LISTS),
    "forecast": ("forecast.zarr/t2m/c/1/1/0/0", "forecast.zarr/zarr.json", *LISTS),
    "products": ("products.zarr/t2m_mean/c/0/0/0", "products.zarr/zarr.json", "products.nc", *LISTS),
    "published": ("forecast.zarr/tp01/c/1/0/0/0", "products.zarr/zarr.json", "products.nc", *LISTS),
}
POINTERS = ("latest.json", f"{CYCLE}/chosen.json")
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    "cut": lambda data: data[: len(data) // 2],
    "deleted": lambda data: None,
}


def mended(kind: str, name: str) -> bool:
    """True where there is a plan, a copy or a list to make a file again from."""
    return name == "checksums.json" or (kind in ("forecast", "products", "published") and name != "manifest.json")


def artifacts(made: Made) -> dict[str, tuple[Store, Artifact]]:
    """Return one sealed artifact of every kind; the chain of the fixture begins at prepared inputs."""
    where = Address(kind="inputs", experiment="demo", cycle=str(CYCLE), run="0" * 12)
    fetched = xr.Dataset({"t2m": (("y", "x"), [[280.0, 281.0]])})

    def fill(draft) -> Artifact:
        draft.write("state", fetched)
        draft.put("sums.nc", pack(fetched))
        return draft.seal(grid={}, variables=("t2m",), parents=(), simulated=True, now=NOW)

    made.work.make(where, {"what": "this"}, fill)
    kinds = {kind: made.work.list(kind, "demo")[0] for kind in FILES if kind != "published"}
    return {kind: (made.work, artifact) for kind, artifact in kinds.items()} | {"published": (made.published, made.run)}


def content(store: Store, where: Address, name: str) -> xr.Dataset:
    """Return the dataset that a file belongs to, or the first of the artifact, as whoever uses it reads it."""
    artifact = store.get(where)
    dataset = name if name not in LISTS else min(store.files(artifact) or {})
    if dataset.endswith(".nc"):
        return unpack(store, artifact, dataset)
    return store.open(artifact, dataset.split(".zarr/")[0]).load()


def found(made: Made) -> list[str]:
    reports = [integrity.check(store, "demo") for store in (made.published, made.work)]
    return [f"{damage.where}/{name}" for report in reports for damage in report.damaged for name in damage.files]


def mend(made: Made, path: Path, is_mended: bool, tmp_path: Path) -> None:
    """Hold a repair to what it may do: the bytes that were there before, or nothing and a reason."""
    damaged = path.read_bytes() if path.exists() else None
    (said,) = integrity.repair(made.published, made.work, "demo", made.roll_out, tmp_path / "scratch")
    assert (said.repaired, bool(said.remark)) == (is_mended, not is_mended), said
    if not is_mended:
        assert (path.read_bytes() if path.exists() else None) == damaged


def require_refused(store: Store, where: Address, name: str) -> None:
    """Hold reading to a refusal that names the file; without its manifest nothing is sealed."""
    with pytest.raises((BadInput, NotReady)) as refused:
        content(store, where, name)
    what = f"{store.root}/{where}"
    assert f"{what}/{name}: " in str(refused.value) or str(refused.value) == f"{what}: not sealed"


@pytest.mark.parametrize("how", DAMAGES)
def test_every_file_of_every_kind(made: Made, how: str, tmp_path: Path):
    kinds = artifacts(made)
    assert found(made) == []
    for kind, (store, artifact) in kinds.items():
        for name in FILES[kind]:
            path = Path(artifact.uri, name)
            whole = path.read_bytes()
            damaged = DAMAGES[how](whole)
            path.unlink() if damaged is None else path.write_bytes(damaged)
            unreadable_run = (kind, name) == ("published", "manifest.json")
            assert found(made) == [str(path), *([f"{store.root}/published/demo/latest.json"] if unreadable_run else [])]
            require_refused(store, artifact.address, name)
            if not unreadable_run:
                mend(made, path, mended(kind, name), tmp_path)
            if not mended(kind, name):
                path.write_bytes(whole)
            assert path.read_bytes() == whole
    assert found(made) == []


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", POINTERS)
def test_every_pointer(made: Made, how: str, name: str, tmp_path: Path):
    path = Path(made.published.root, "published/demo", name)
    whole = path.read_bytes()
    damaged = DAMAGES[how](whole)
    path.unlink() if damaged is None else path.write_bytes(damaged)
    assert found(made) == [str(path)]
    if how != "deleted" and name == "latest.json":
        with pytest.raises(BadInput, match=str(path)):
            pointers.latest(made.published, "demo")
    mend(made, path, True, tmp_path)
    assert path.read_bytes() == whole


def test_a_lost_chunk_of_the_prepared_state_is_no_missing_state(made: Made, tmp_path: Path):
    """A package may begin from the background alone; what was there and is lost must not be taken for that."""
    state = Path(made.work.root, str(made.job.prepared), "state.zarr/t2m/c/0/0")
    state.unlink()
    with pytest.raises(BadInput, match=r"state\.zarr/t2m/c/0/0: sealed, but not there"):
        made.roll_out(made.run, tmp_path / "again")
