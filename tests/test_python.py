"""The five lines of Python: what they give is what operations give, and what does not fit gets one clear line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import stormcast_tw as st
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.forecast.job import RolloutJob
from stormcast_tw.forecast.rollout import carry_out
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.publication import catalogue
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW, rollout_job
from tests.servers import S3Server


@pytest.fixture
def job(work: Store, small_package: ModelPackage, small_package_folder: Path) -> RolloutJob:
    return rollout_job(small_package, small_package_folder, work.root, members=2, lead_hours=2)


@pytest.fixture
def inputs(job: RolloutJob, work: Store, small_package: ModelPackage) -> tuple[xr.Dataset, xr.Dataset]:
    """State and background of a rollout, its background by valid_time."""
    prepared, axes = work.get(job.prepared), small_package.grid.coordinates().coords
    state, background = (work.open(prepared, name).load().assign_coords(axes) for name in ("state", "background"))
    state = state.assign_coords(valid_time=background["valid_time"].values[0])
    return state, background.swap_dims(lead_time="valid_time")


def test_a_forecast_in_python_is_that_of_operations(
    inputs: tuple[xr.Dataset, xr.Dataset], job: RolloutJob, work: Store, small_package_folder: Path, tmp_path: Path
):
    artifact = carry_out(job, lambda _: None)
    stored = work.open(artifact, "forecast").load()
    model = st.load(str(small_package_folder))
    forecast = model.forecast(*inputs, members=2, hours=2, seed=job.plan.base_seed)
    for name in stored.data_vars:
        np.testing.assert_array_equal(forecast[name].values, stored[name].values)
        assert forecast[name].attrs == stored[name].attrs
    ours, theirs = (dataset.coords.to_dataset().drop_attrs(deep=False) for dataset in (forecast, stored))
    xr.testing.assert_identical(ours, theirs)

    published = Store(str(tmp_path / "open"))
    with pytest.raises(NotReady, match="nothing is published in experiment demo"):
        st.latest(tmp_path / "open" / "published")
    catalogue.publish(published, work, artifact, catalogue.make_products(work, artifact, NOW), NOW)
    latest = st.latest(tmp_path / "open" / "published", "demo")
    made = st.products(latest.forecast)
    for name in latest.products.data_vars:
        np.testing.assert_array_equal(made[name].values, latest.products[name].values)
    assert latest.manifest["address"]["cycle"] == str(CYCLE)


WRONG: list[tuple[str, Callable[[xr.Dataset, xr.Dataset], tuple[xr.Dataset, xr.Dataset]], str]] = [
    ("a name", lambda s, b: (s.rename(t2m="T2"), b), r"state: lacks t2m; found T2, "),
    ("no valid_time", lambda s, b: (s.drop_vars("valid_time"), b), r"state: needs one valid_time"),
    ("no cycle", lambda s, b: (later(s, 1), b), r"state: valid_time 2026-06-11T07:00:00Z is not a cycle"),
    ("another time", lambda s, b: (later(s, 6), b), r"background: has no field valid at 2026-06-11T12:00"),
    ("too few hours", lambda s, b: (s, b.isel(valid_time=slice(2))), r"valid at 2026-06-11T08:00 UTC; found 2 times"),
    (
        "a unit",
        lambda s, b: (s.assign(t2m=s["t2m"].assign_attrs(units="degC")), b),
        r"t2m is in degC; allowed K",
    ),
    ("a scale", lambda s, b: (s.assign(t2m=s["t2m"] - 273.15), b), r"state: t2m spans 1\d\.\d+ to .* K; allowed 220"),
    ("a grid", lambda s, b: (s.isel(latitude=slice(1, None)), b), r"state: latitude has 31 points from .* allowed 32"),
    ("NaN", lambda s, b: (s, b.assign(msl=b["msl"].where(b["msl"].longitude > 120.6))), r"background: msl has \d+ of"),
    (
        "a hole",
        lambda s, b: (s.assign(t2m=s["t2m"].where(s["t2m"].longitude > 120.6)), b),
        r"t2m has \d+ of 1024",
    ),
]


def later(state: xr.Dataset, hours: int) -> xr.Dataset:
    return state.assign_coords(valid_time=state["valid_time"] + np.timedelta64(hours, "h"))


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_does_not_fit_gets_one_line(
    inputs: tuple[xr.Dataset, xr.Dataset], small_package_folder: Path, change: Callable, said: str
):
    with pytest.raises(BadInput, match=said) as caught:
        st.load(small_package_folder).forecast(*change(*inputs), members=1, hours=2)
    assert "\n" not in str(caught.value)


def test_a_package_is_loaded_by_name_and_from_a_store(s3: S3Server, small_package_folder: Path):
    assert st.load("demo").description.name == "demo"
    bucket = s3.bucket()
    root = f"{bucket}/small"
    store = objects(root)
    for path in small_package_folder.iterdir():
        store.create(path.name, path.read_bytes())
    assert st.load(root).package.digest == st.load(small_package_folder).package.digest
    with pytest.raises(NotReady, match=r"/none/package\.json: there is no model package here"):
        st.load(f"{bucket}/none")


def test_nothing_heavy_is_imported_until_it_is_used():
    script = (
        "import sys, stormcast_tw as st; assert st.__version__;"
        "heavy = {'torch', 'xarray', 'numpy', 'prefect', 'pydantic'} & set(sys.modules); assert not heavy, heavy;"
        "st.products; assert 'torch' not in sys.modules; assert callable(st.products)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=240)
