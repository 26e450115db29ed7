"""Maps and points: what xarray decodes is the products to half a step, in few small files that are all there."""

import json

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.core.buffer import cpu

from stormcast_tw.errors import BadInput
from stormcast_tw.exports.fields import fields, kind_of
from stormcast_tw.exports.web import COLUMN, POINTS, maps, points
from stormcast_tw.grid import Grid
from stormcast_tw.products import make_products
from stormcast_tw.products.rounding import rounded
from tests.conftest import SMALL
from tests.products.by_hand import LAMBERT, random_forecast

MEMBERS = rounded(random_forecast(members=3, grid=Grid("ODD", 23.0, 23.6, 33, 120.5, 121.1, 20)))
LARGEST_DOCUMENT = 760
"""Bytes of the document of an array."""
LARGEST_ENTRY = 300
"""Bytes of `fields.json` for each field: of 200 fields a page reads 60 kB before its first map."""


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    return make_products(random_forecast(members=3, grid=SMALL))


def opened(files: dict[str, bytes]) -> xr.Dataset:
    """The folder as xarray reads it: with one request for all documents."""
    held = {path: cpu.Buffer.from_bytes(data) for path, data in files.items()}
    return xr.open_zarr(zarr.storage.MemoryStore(held), chunks=None, consolidated=True)


@pytest.mark.parametrize("grid", [SMALL, LAMBERT], ids=["geographic", "lambert"])
def test_maps_are_the_products_to_half_a_step(grid: Grid):
    made = make_products(random_forecast(members=3, grid=grid))
    there = opened(dict(maps(products=made)))
    assert {name for name, values in there.data_vars.items() if "kind" in values.attrs} == {
        field.name for field in fields(made)
    }
    for field in fields(made):
        read, true = there[field.name], field.values
        assert read.dims == true.dims
        np.testing.assert_array_equal(np.isnan(read.values), np.isnan(true.values), err_msg=field.name)
        error = np.nanmax(np.abs(read.values.astype(float) - true.values), initial=0)
        assert error <= field.kind.scale / 2 + 1e-6, field.name
        assert read.attrs["units"] == field.kind.units
    for name in ("lead_time", "valid_time", "init_time", *grid.dims):
        np.testing.assert_array_equal(there[name].values, made[name].values, err_msg=name)


def test_a_page_unpacks_a_map_from_the_list_of_fields_and_one_chunk(products: xr.Dataset):
    files = dict(maps(products=products))
    listed = json.loads(files["fields.json"])
    entry = next(entry for entry in listed["fields"] if entry["name"] == "t2m_quantile_p90")
    kind = listed["kinds"][entry["kind"]]
    raw = zarr.codecs.ZstdCodec()._zstd_codec.decode(files["t2m_quantile_p90/c/0/0/0"])
    shape = (len(listed["lead_hours"]), listed["axes"]["latitude"][2], listed["axes"]["longitude"][2])
    numbers = np.frombuffer(raw, np.dtype(kind["dtype"]).newbyteorder("<")).reshape(shape)
    true = products["t2m_quantile"].sel(quantile=0.9).values
    np.testing.assert_allclose(numbers * kind["scale"] + kind["offset"], true, rtol=0, atol=kind["scale"] / 2 + 1e-6)


def test_all_leads_of_a_field_are_one_file_and_none_is_looked_for_in_vain(products: xr.Dataset):
    files = dict(maps(products=products))
    chunks = {field.name: "c/0/0/0" if field.has_leads else "c/0/0" for field in fields(products)}
    assert {path for path in files if path.split("/")[0] in chunks} == {
        f"{name}/{file}" for name, chunk in chunks.items() for file in ("zarr.json", chunk)
    }
    never = opened(files)["t2m_heat_probability_38"].isel(lead_time=0)
    blank = products.assign(tp12_mean=products["tp12_mean"] * np.nan)
    assert "tp12_mean/c/0/0/0" in dict(maps(products=blank)), "all of it is missing, and it is there"
    assert never.notnull().all()


def test_the_document_of_the_group_says_all_and_is_small(products: xr.Dataset):
    files = dict(maps(products=products))
    root = json.loads(files["zarr.json"])
    documents = root["consolidated_metadata"]["metadata"]
    assert documents == {path[:-10]: json.loads(data) for path, data in files.items() if path.endswith("/zarr.json")}
    assert max(len(json.dumps(d, separators=(",", ":"))) for d in documents.values()) <= LARGEST_DOCUMENT
    about = root["attributes"]
    assert about["init_time"] == "2026-06-11T06:00:00Z"
    assert about["lead_hours"] == list(range(1, 13))
    assert about["axes"] == {"latitude": [23.0, 23.6, 32], "longitude": [120.5, 121.1, 32]}
    assert about["simulated"] == 1
    assert about["title"].startswith("SIMULATED")
    listed = json.loads(files["fields.json"])
    assert listed == {**about, "fields": listed["fields"]}
    assert [entry["name"] for entry in listed["fields"]] == [field.name for field in fields(products)]
    assert len(files["fields.json"]) / len(listed["fields"]) < LARGEST_ENTRY
    used = {d["attributes"]["kind"] for d in documents.values() if "kind" in d["attributes"]}
    assert set(about["kinds"]) == used
    assert about["kinds"]["rain"]["shown_units"] == "mm"
    assert documents["tp01_probability_40"]["attributes"]["at"] == {"tp01_threshold": 40.0}
    codecs = [codec["name"] for codec in documents["tp01_mean"]["codecs"]]
    assert codecs == ["bytes", "zstd"], "what a page unpacks without WebAssembly; never sharded"


def test_points_are_the_members_to_half_a_step():
    there = opened(dict(points(members=MEMBERS)))
    for name in POINTS:
        kind = kind_of(name, MEMBERS[name])
        error = float(np.abs(there[name].astype(float) - MEMBERS[name]).max())
        assert 0 < error <= kind.scale / 2 + 1e-6, name
        assert there[name].dims == ("member", "lead_time", "latitude", "longitude")


def test_a_place_is_one_file_a_variable():
    files = dict(points(members=MEMBERS))
    document = json.loads(files["tp01/zarr.json"])
    assert document["chunk_grid"]["configuration"]["chunk_shape"] == [3, 12, *COLUMN]
    assert {path for path in files if path.startswith("tp01/c/")} == {
        f"tp01/c/0/0/{j}/{i}" for j in range(5) for i in range(2)
    }
    raw = zarr.codecs.ZstdCodec()._zstd_codec.decode(files["tp01/c/0/0/4/1"])
    column = np.frombuffer(raw, "<i2").reshape(3, 12, *COLUMN)
    place = MEMBERS["tp01"].values[:, :, 32, 19]
    np.testing.assert_array_equal(column[:, :, 0, 3], np.rint(place.astype(float) * 10))
    assert (column[:, :, 1:, 4:] == -32768).all(), "beyond the grid"


def test_points_need_all_of_their_variables():
    with pytest.raises(BadInput, match="points: the forecast has no tp01, t2m"):
        list(points(members=MEMBERS.drop_vars(["tp01", "t2m"])))


def test_the_same_input_gives_the_same_bytes(products: xr.Dataset):
    for write, given in ((maps, {"products": products}), (points, {"members": MEMBERS})):
        assert list(write(**given)) == list(write(**{k: v.copy(deep=True) for k, v in given.items()}))
