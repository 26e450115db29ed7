"""Each export takes what the table says it needs, and each file has a path of its own below the export's folder."""

import inspect

import pytest
import xarray as xr

from stormcast_tw.exports.series import Place
from stormcast_tw.exports.table import EXPORTS, VIEWS, Export
from stormcast_tw.products import make_products
from tests.conftest import NOW, SMALL
from tests.exports.test_cap import board
from tests.products.by_hand import random_forecast


@pytest.fixture(scope="module")
def given() -> dict[str, object]:
    members = random_forecast(members=2, leads=2, grid=SMALL).assign_attrs(experiment="demo", run="0123456789ab")
    products: xr.Dataset = make_products(members)[["tp01_mean", "t2m_quantile"]].assign_attrs(experiment="demo")
    return {"members": members, "products": products, "sent": NOW, "board": board(),
            "places": [Place("A", "甲", "A", 23.2, 120.7)], "assets": {"a.tif": "a"}}  # fmt: skip


@pytest.mark.parametrize("export", [*EXPORTS.values(), *VIEWS.values()], ids=lambda export: export.name)
def test_an_export_is_made_of_what_it_needs(export: Export, given: dict[str, object]):
    parameters = inspect.signature(export.write).parameters
    assert tuple(parameters) == export.needs
    paths = [path for path, data in export.files(**given) if isinstance(data, bytes)]
    assert paths
    assert len(set(paths)) == len(paths)
    assert all(path.startswith(f"{export.name}/") for path in paths)


def test_names_are_unique():
    assert all(name == export.name for name, export in (EXPORTS | VIEWS).items())
    assert not set(EXPORTS) & set(VIEWS)
