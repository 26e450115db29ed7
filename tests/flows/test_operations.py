"""The whole cycle on a small grid, from simulated providers' files to what readers open."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from flows.operations import operations
from stormcast_tw import catalogue
from stormcast_tw.errors import NotReady, Refused
from stormcast_tw.store import Artifact, Store
from tests.conftest import CYCLE, NOW


def run(**parameters: object) -> Artifact:
    chosen = {"cycle": str(CYCLE), "lead_hours": 3, "members": 2, "now": NOW} | parameters
    return operations(**chosen)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_cycle_is_published_and_a_second_run_writes_nothing(inputs: Path, tmp_path: Path):
    artifact = run()
    assert artifact.simulated
    assert not artifact.trained
    store = Store(str(tmp_path / "published"))
    assert catalogue.latest(store, "demo") == artifact
    forecast = store.open(artifact, "forecast").load()
    assert dict(forecast["t2m"].sizes) == {"member": 2, "lead_time": 3, "latitude": 32, "longitude": 32}
    assert "SIMULATED" in forecast.attrs["title"]
    assert "UNTRAINED" in forecast.attrs["title"]
    served = {row["input"]: row for row in artifact.details["inputs"]}
    assert set(served) == {"state", "rain", "model_rain", "background"}
    assert served["background"]["age"] == "12 h"

    before = files(tmp_path / "published") | files(tmp_path / "work")
    assert run() == artifact
    assert files(tmp_path / "published") | files(tmp_path / "work") == before

    other = run(members=3)
    assert other.address.run != artifact.address.run
    assert catalogue.latest(store, "demo") == other
    assert store.find(artifact.address) == artifact


def test_initial_state_is_what_the_providers_said(inputs: Path, tmp_path: Path):
    artifact = run(lead_hours=1)
    work = Store(str(tmp_path / "work"))
    prepared = next(a for a in work.list("prepared", "demo") if a.plan["lead_hours"] == 1)
    state = work.open(prepared, "state").load()
    assert set(np.unique(state["rain_source"])) <= {1, 2}
    published = Store(str(tmp_path / "published")).open(artifact, "forecast").load()
    step = published["t2m"].isel(lead_time=0).mean("member") - state["t2m"]
    assert float(np.abs(step).max()) < 0.3, "untrained: an hour later is now, plus noise of 0.04 K"


def test_rain_of_the_model_stands_in_for_radar(inputs: Path, tmp_path: Path):
    for path in (inputs / "qpesums").rglob("*.gz"):
        path.unlink()
    artifact = run(lead_hours=1)
    row = next(row for row in artifact.details["inputs"] if row["input"] == "rain")
    assert row["status"] == "absent (optional)"
    assert "not there" in row["files"] or "qpesums" in row["files"]
    work = Store(str(tmp_path / "work"))
    state = work.open(work.list("prepared", "demo")[0], "state").load()
    assert set(np.unique(state["rain_source"])) == {2}


@pytest.mark.parametrize("provider", ["rwrp", "global_ai"])
def test_missing_required_input_is_named(inputs: Path, tmp_path: Path, provider: str):
    for path in (inputs / provider).rglob("*"):
        if path.is_file():
            path.unlink()
    name = {"rwrp": "state", "global_ai": "background"}[provider]
    with pytest.raises(NotReady, match=rf"{CYCLE}: {name} \(.*{provider}"):
        run()
    assert not (tmp_path / "published").exists()


def test_operational_experiment_refuses_the_demo(inputs: Path, tmp_path: Path):
    with pytest.raises(Refused, match=r"experiment oper: "):
        run(experiment="oper")
    assert not (tmp_path / "published").exists()


def test_one_line_of_xarray(inputs: Path):
    dataset = xr.open_dataset(f"{run(lead_hours=1).uri}/products.zarr")
    assert "tp01_quantile" in dataset
