"""The whole cycle on a small grid, from simulated providers' files to what readers open."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import NotReady, Refused
from stormcast_tw.flows.operations import operations
from stormcast_tw.inputs.fetch import fetch
from stormcast_tw.inputs.prepare import plan_inputs, prepare
from stormcast_tw.inputs.readiness import look
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.publication import pointers
from stormcast_tw.settings import settings
from stormcast_tw.sources.table import all_sources
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW


def run(**parameters: object) -> Artifact:
    chosen = {"cycle": str(CYCLE), "lead_hours": 3, "members": 2, "now": NOW} | parameters
    return operations(**chosen)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_cycle_is_published_and_a_second_run_writes_nothing(inputs: Path, tmp_path: Path, small_package: ModelPackage):
    artifact = run()
    assert artifact.simulated
    assert not artifact.trained
    store = Store(str(tmp_path / "published"))
    assert pointers.latest(store, "demo") == artifact
    forecast = store.open(artifact, "forecast").load()
    assert dict(forecast["t2m"].sizes) == {"member": 2, "lead_time": 3, "latitude": 32, "longitude": 32}
    assert "SIMULATED" in forecast.attrs["title"]
    assert "UNTRAINED" in forecast.attrs["title"]
    served = {row["input"]: row for row in artifact.details["inputs"]}
    assert set(served) == {"state", "rain", "model_rain", "background", "past_rain"}
    assert served["background"]["age"] == "12 h"
    assert served["past_rain"]["status"] == "ready (optional)"
    assert artifact.details["status"] == "complete"

    state = prepared_state(inputs, Store(str(tmp_path / "apart")), small_package)
    step = forecast["t2m"].isel(lead_time=0).mean("member") - state["t2m"]
    assert 0 < float(np.abs(step).max()) < 0.3, "untrained: an hour later is now, plus noise of 0.04 K"

    before = files(tmp_path / "published") | files(tmp_path / "work")
    assert run() == artifact
    assert files(tmp_path / "published") | files(tmp_path / "work") == before

    other = run(members=3)
    assert other.address.run != artifact.address.run
    assert pointers.latest(store, "demo") == other
    assert store.find(artifact.address) == artifact


def prepared_state(inputs: Path, work: Store, package: ModelPackage) -> xr.Dataset:
    """What a forecast starts from, without the model."""
    sources = all_sources(settings(), package.grid)
    request = Request(CYCLE, 1, "demo", settings().package, package.description, NOW)
    found = look(request.need, sources)
    state = fetch(work, request, found, ("state", "rain", "model_rain"), sources)
    background = fetch(work, request, found, ("background",), sources)
    plan = plan_inputs(request, found, (state, background))
    artifact = prepare(work, request, plan, found, (state, background))
    assert artifact.simulated
    assert artifact.parents == (str(state.address), str(background.address))
    return work.open(artifact, "state").load()


def test_rain_of_the_model_stands_in_where_radar_does_not_see(inputs: Path, work: Store, small_package: ModelPackage):
    seen = prepared_state(inputs, work, small_package)
    assert set(np.unique(seen["rain_source"])) == {1}
    assert seen["rain_source"].attrs["flag_meanings"] == "qpesums rwrp background_alone"
    for path in (inputs / "qpesums").rglob("*.gz"):
        path.unlink()
    unseen = prepared_state(inputs, work, small_package)
    assert set(np.unique(unseen["rain_source"])) == {2}
    xr.testing.assert_identical(seen["t2m"], unseen["t2m"])
    assert float(np.abs(seen["tp01"] - unseen["tp01"]).max()) > 0


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
