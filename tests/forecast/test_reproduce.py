"""A published plan carried out again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.forecast.reproduce import Reproduction, compare, read_manifest, reproduce
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from tests.conftest import NOW, Made


@pytest.fixture
def published(made: Made, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(made.job.package))
    monkeypatch.setenv("STORMCAST_TW_THREADS", "1")
    settings.cache_clear()
    return made.run


def again(artifact: Artifact, scratch: Path) -> Reproduction:
    return reproduce(read_manifest(f"{artifact.uri}/manifest.json"), settings(), scratch, NOW, lambda _: None)


def test_the_same_plan_gives_the_same_bits(published: Artifact, tmp_path: Path):
    result = again(published, tmp_path / "scratch")
    assert result.verdict == "identical"
    assert result.text.splitlines()[:4] == [
        "identical",
        "  forecast: equal bit for bit",
        "  products: equal bit for bit",
        "  products.nc: equal bit for bit",
    ]
    assert result.around["code"][0] == "test", "the plan of the fixture was made by another code"
    assert "products.nc, packed by" not in result.around, "the same libraries give the same bytes"


class Repeated(NamedTuple):
    """A copy of what was published, free to be changed, which stands for the same plan carried out elsewhere."""

    published: Artifact
    copy: Artifact

    def compared(self) -> Reproduction:
        return compare(self.published, self.copy, self.copy)


@pytest.fixture
def repeated(published: Artifact, tmp_path: Path) -> Repeated:
    shutil.copytree(published.root, tmp_path / "copy")
    return Repeated(published, published.model_copy(update={"root": str(tmp_path / "copy"), "checksums": None}))


def test_differences_are_measured(repeated: Repeated):
    assert repeated.compared().verdict == "identical"

    spoil(repeated.copy, "forecast", "t2m", 0.001)
    assert repeated.compared().verdict == "identical", "less than what is published"
    spoil(repeated.copy, "forecast", "t2m", 2.0**-5 - 0.001)
    result = repeated.compared()
    assert result.verdict == "equal within tolerance"
    first = (
        r"forecast: equal within tolerance: t2m\[member 1, lead_time 1, latitude 3, longitude 4\]: then \d+\.\d+, now "
    )
    assert re.search(first, result.text)
    assert re.search(r"1 of 4096 values differ, by at most 0\.0312 K", result.text)

    spoil(repeated.copy, "forecast", "u10m", 1.0)
    result = repeated.compared()
    assert result.verdict == "different"
    assert re.search(
        r"forecast: different: u10m\[.*1 of 4096 values differ, by at most 1 m s-1 \(and 1 more\)", result.text
    )


def test_a_product_that_differs_is_named(repeated: Repeated):
    spoil(repeated.copy, "products", "t2m_mean", 0.5)
    result = repeated.compared()
    assert result.verdict == "different"
    named = r"products: different: t2m_mean\[lead_time 1, latitude 3, longitude 4\]: then .*by at most 0\.5 K"
    assert re.search(named, result.text)
    assert [part.verdict for part in result.parts] == ["identical", "different", "identical", "identical"]


def test_a_view_that_differs_is_named(repeated: Repeated):
    board = Path(repeated.copy.uri, "zones.json")
    board.write_text(board.read_text().replace('"simulated":true', '"simulated":false'))
    Path(repeated.copy.uri, "places/nowhere.json").write_text("{}")
    views = repeated.compared().parts[-1]
    assert views.text == "views: different: places/nowhere.json is only now there (and 1 more)"
    assert views.differences[1].text == "zones.json has other bytes"


def test_of_an_old_layout_the_values_are_compared(repeated: Repeated):
    """Before 0.2 thresholds and quantiles came before the lead times, and members were not rounded."""
    path = f"{repeated.copy.uri}/products.zarr"
    products = xr.open_zarr(path).load().drop_encoding().drop_attrs()
    products = products.transpose("quantile", *(d for d in products.dims if str(d).endswith("threshold")), ...)
    shutil.rmtree(path)
    products.to_zarr(path, consolidated=True)
    spoil(repeated.copy, "forecast", "t2m", 0.001)
    old = repeated.copy.model_copy(update={"details": {**repeated.copy.details, "rounded": False}})
    result = compare(old, repeated.published, repeated.published)
    assert [part.text for part in result.parts] == ["forecast: equal bit for bit", "products: equal bit for bit"]
    assert result.around["layout"][0] == "before 0.2"
    spoil(repeated.copy, "forecast", "u10m", 1.0)
    assert compare(old, repeated.published, repeated.published).verdict == "different"


CHANGES: dict[str, tuple[Callable[[netCDF4.Dataset], None], str]] = {
    "a value": (lambda file: set_value(file["t2m_mean"], 1.0), r"t2m_mean\[time 1.*by at most 1 K"),
    "a unit": (lambda file: file["t2m_mean"].setncattr("units", "C"), r"t2m_mean, attribute units: then 'K', now 'C'"),
    "the title": (lambda file: file.setncattr("title", "x"), r"dataset, attribute title: then 'SIMULATED .*, now 'x'"),
    "a variable": (lambda file: file.renameVariable("t2m_mean", "t"), r"t2m_mean is only then there \(and 1 more\)"),
}


def set_value(variable: netCDF4.Variable, difference: float) -> None:
    variable[1, 3, 4] = variable[1, 3, 4] + np.float32(difference)


@pytest.mark.parametrize("change", CHANGES)
def test_a_netcdf_file_is_compared_by_what_is_in_it(repeated: Repeated, change: str):
    spoil_netcdf, said = CHANGES[change]
    with netCDF4.Dataset(f"{repeated.copy.uri}/products.nc", "r+") as file:
        spoil_netcdf(file)
    result = repeated.compared()
    assert result.verdict == "different"
    assert re.search(f"products.nc: different: {said}", result.text), result.text


def test_other_bytes_of_the_same_content_are_said_and_no_difference(repeated: Repeated):
    path = Path(repeated.copy.uri, "products.nc")
    with xr.open_dataset(path, decode_cf=False) as packed:
        content = packed.load()
    unfilled = {name: {"_FillValue": None} for name, v in content.variables.items() if "_FillValue" not in v.attrs}
    content.to_netcdf(path, engine="netcdf4", encoding=unfilled)  # nothing is compressed
    result = repeated.compared()
    assert result.verdict == "identical", result.text
    then, now = result.around["products.nc, packed by"]
    assert "hdf5=" in then
    assert then != now


def spoil(artifact: Artifact, dataset: str, variable: str, difference: float) -> None:
    array = zarr.open_group(f"{artifact.uri}/{dataset}.zarr", mode="r+")[variable]
    values = np.asarray(array[:])
    values[..., 1, 3, 4][-1 if values.ndim == 4 else ...] += np.float32(difference)
    array[:] = values


def test_a_pruned_parent_is_named(published: Artifact, work: Store, tmp_path: Path):
    shutil.rmtree(f"{work.root}/prepared")
    with pytest.raises(Refused, match=r"its parent .*/prepared/demo/20260611T06Z/[0-9a-f]{12} was pruned"):
        again(published, tmp_path / "scratch")


def test_what_is_no_manifest_is_refused(published: Artifact, tmp_path: Path):
    with pytest.raises(BadInput, match=r"nowhere/manifest\.json: there is no manifest here"):
        read_manifest(str(tmp_path / "nowhere"))
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BadInput, match=r"manifest\.json: is no whole manifest: Field required"):
        read_manifest(str(tmp_path))
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(f"{published.uri}/manifest.json", moved)
    with pytest.raises(BadInput, match="keep that path below any root"):
        read_manifest(str(moved))
