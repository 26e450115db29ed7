"""The STAC item of a run, against the schemas of STAC 1.1.0 that pystac carries; no request is made."""

import json
import socket

import pystac
import pytest
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from stormcast_tw.exports import stac
from stormcast_tw.products import make_products
from tests.conftest import SMALL
from tests.products.by_hand import random_forecast

ASSETS = {"exports/cog/tp01_mean.tif": "rain", "products.nc": "products", "maps": "maps"}


@pytest.fixture(scope="module")
def products() -> xr.Dataset:
    made = make_products(random_forecast(members=2, leads=3, grid=SMALL))
    return made.assign_attrs(experiment="demo", run="0123456789ab", date_created="2026-06-11T09:00:00Z")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("a request to another machine")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_it_is_valid_and_says_where_and_when(products: xr.Dataset, offline: None):
    ((path, data),) = stac.item(products=products, assets=ASSETS)
    assert path == "item.json"
    document = json.loads(data)
    item = pystac.Item.from_dict(document)
    assert item.validate(validator=JsonSchemaSTACValidator())
    assert item.id == "demo-20260611T06Z-0123456789ab"
    assert item.bbox == [120.5, 23.0, 121.1, 23.6]
    about = item.properties
    assert (about["start_datetime"], about["end_datetime"]) == ("2026-06-11T06:00:00Z", "2026-06-11T09:00:00Z")
    assert (about["members"], about["simulated"], about["trained"]) == (2, True, False)
    assert about["title"].startswith("SIMULATED UNTRAINED")
    tif = item.assets["exports/cog/tp01_mean.tif"]
    assert (tif.href, tif.media_type) == ("./exports/cog/tp01_mean.tif", pystac.MediaType.COG)
    assert "rel" not in json.dumps(document["links"])


def test_the_schema_would_say_no(products: xr.Dataset, offline: None):
    ((_, data),) = stac.item(products=products, assets=ASSETS)
    broken = json.loads(data)
    del broken["properties"]["datetime"]
    broken["properties"].pop("start_datetime")
    with pytest.raises(Exception, match=r"(?i)datetime"):
        pystac.validation.validate_dict(broken)


def test_the_same_input_gives_the_same_bytes(products: xr.Dataset):
    again = dict(reversed(ASSETS.items()))
    assert list(stac.item(products=products, assets=ASSETS)) == list(stac.item(products=products.copy(), assets=again))
