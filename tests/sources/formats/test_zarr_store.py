"""Zarr stores written by zarr-python, read object by object."""

from __future__ import annotations

import itertools
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.sources.formats.zarr_store import ZarrStore
from stormcast_tw.storage.provider_files import Folder


@pytest.fixture(params=["C", "F"])
def values(request: pytest.FixtureRequest, tmp_path: Path) -> np.ndarray:
    """An array (4, 5, 7) in chunks that do not fit, written to `store` below the test's folder."""
    values = np.arange(140, dtype="<f4").reshape(4, 5, 7)
    group = zarr.create_group(str(tmp_path / "store"), zarr_format=2)
    for name, dtype, separator in (("a", "<f4", "."), ("b", ">i2", "/")):
        array = group.create_array(
            name, shape=values.shape, chunks=(2, 2, 3), dtype=dtype, order=request.param, fill_value=0,
            compressors=numcodecs.Blosc("zstd", 3, 2), attributes={"_ARRAY_DIMENSIONS": ["t", "y", "x"], "units": "K"},
            chunk_key_encoding={"name": "v2", "separator": separator},
        )  # fmt: skip
        array[:] = values
    return values


def test_any_part_of_an_array(tmp_path: Path, values: np.ndarray):
    folder = Folder(str(tmp_path))
    for name in ("a", "b"):
        found = {f.address: f for t in range(4) for f in ZarrStore(folder, "store", {}).files(name, t)}
        assert len(found) == 2 * 3 * 3
        store = ZarrStore(folder, "store", found)
        array = store.array(name)
        assert (array.dimensions, array.shape, array.attributes["units"]) == (("t", "y", "x"), (4, 5, 7), "K")
        np.testing.assert_array_equal(array.read(), values)
        np.testing.assert_array_equal(array.read(3), values[3])
        np.testing.assert_array_equal(array.read(1, 4), values[1, 4])
        assert array.read(2, 4, 6) == values[2, 4, 6]
        for start, stop in itertools.combinations(range(6), 2):
            np.testing.assert_array_equal(array.read(3, rows=slice(start, stop)), values[3, start:stop])
        for outside in ((4,), (0, 5), (-1,), (0, 0, 0, 0)):
            with pytest.raises(BadInput, match=rf"{name}: index \({outside[0]}.* asked for; its shape is \(4, 5, 7\)"):
                array.read(*outside)


def test_only_the_chunks_that_cross_it_are_asked_for(tmp_path: Path, values: np.ndarray):
    store = ZarrStore(Folder(str(tmp_path)), "store", {})
    names = [file.address.removeprefix(f"{tmp_path}/store/") for file in store.files("a", 3, 4)]
    assert names == ["a/1.2.0", "a/1.2.1", "a/1.2.2"]
    assert values.shape == (4, 5, 7)


@pytest.mark.usefixtures("values")
def test_a_chunk_that_was_not_found_before_is_not_read(tmp_path: Path):
    folder = Folder(str(tmp_path))
    found = {file.address: file for file in ZarrStore(folder, "store", {}).files("a", 0)}
    array = ZarrStore(folder, "store", found).array("a")
    assert array.read(1).shape == (5, 7)
    with pytest.raises(NotReady, match=r"store/a/1\.0\.0: is asked for but was not found before; look again"):
        array.read(2)
    (tmp_path / "store/a/0.0.0").unlink()
    with pytest.raises(NotReady, match=r"store/a/0\.0\.0: not there yet"):
        ZarrStore(folder, "store", {}).files("a", 0)
