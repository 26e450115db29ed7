"""Every parameter that shapes an artifact of the inputs is in its plan: each is varied, and each makes another run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import NotReady
from stormcast_tw.inputs.fetch import fetch
from stormcast_tw.inputs.input_set import Input, InputSet
from stormcast_tw.inputs.prepare import observed_rain, plan_inputs
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, Reading, on_grid
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.storage.provider_files import Folder, SourceFile, Used
from stormcast_tw.storage.store import Store
from stormcast_tw.variables import VARIABLES
from tests.conftest import CYCLE, NOW

HOUR = timedelta(hours=1)


class Shelf:
    """A source of one value everywhere, at whatever times are asked for."""

    name = "shelf"

    def find(self, valid_times, variables, init_time=None):
        raise NotReady("nothing to compare with")

    def read(self, located: Located) -> Reading:
        shape = (len(located.valid_times), *TAIWAN_2KM.shape)
        fields = {VARIABLES[v]: np.full(shape, np.mean(VARIABLES[v].valid_range)) for v in located.variables.ids}
        used = tuple(Used(file.address, f"sha256:{file.version}", 7, 0) for file in located.files)
        return Reading(on_grid(TAIWAN_2KM, located.valid_times, fields, {"source": "shelf", "simulated": 1}), used)


BACKGROUND = Input(
    name="background",
    source="shelf",
    required=True,
    status="ready",
    files=(SourceFile("a", "1", 7), SourceFile("b", "1", 7)),
    valid_times=tuple(CYCLE.init_time + hour * HOUR for hour in range(5)),
    variables=("t2m", "u10m"),
    init_time=CYCLE.init_time - 12 * HOUR,
    expected_age_hours=12,
)


def run_of(store: Store, request: Request, served: Input, source: object) -> str:
    inputs = InputSet(cycle=str(CYCLE), inputs=(served,))
    return fetch(store, request, inputs, ("background",), {served.source: source}).address.run


@pytest.fixture
def request_(small_package: ModelPackage, small_package_folder: Path) -> Request:
    return Request(CYCLE, 4, "demo", small_package_folder, small_package.description, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"files": (SourceFile("a", "2", 7), SourceFile("b", "1", 7))},
        {"files": (SourceFile("a", "1", 7),)},
        {"valid_times": BACKGROUND.valid_times[:3]},
        {"valid_times": tuple(time + HOUR for time in BACKGROUND.valid_times)},
        {"variables": ("t2m",)},
        {"init_time": CYCLE.init_time - 6 * HOUR},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_fetched_otherwise_is_another_run(work: Store, request_: Request, change: dict):
    ours = run_of(work, request_, BACKGROUND, Shelf())
    assert run_of(work, request_, BACKGROUND.model_copy(update=change), Shelf()) != ours
    assert run_of(work, request_, BACKGROUND, Shelf()) == ours


def test_two_lengths_of_one_cycle_stand_beside_each_other(work: Store, request_: Request):
    """4 h, then 2 h from the same files: each has its own hours."""
    found = []
    for lead_hours in (4, 2):
        served = BACKGROUND.model_copy(update={"valid_times": BACKGROUND.valid_times[: lead_hours + 1]})
        inputs = InputSet(cycle=str(CYCLE), inputs=(served,))
        request = replace(request_, lead_hours=lead_hours)
        artifact = fetch(work, request, inputs, ("background",), {"shelf": Shelf()})
        assert work.open(artifact, "background").sizes["valid_time"] == lead_hours + 1
        found.append(plan_inputs(request, inputs, (artifact,)).run)
    assert found[0] != found[1]


def test_a_datum_is_another_run(work: Store, request_: Request, tmp_path: Path):
    class Rain(Qpesums):
        def read(self, located: Located) -> Reading:
            return Shelf().read(located)

    runs, plans = set(), set()
    for datum in ("wgs84", "twd67"):
        served = BACKGROUND.model_copy(update={"source": "qpesums"})
        inputs = InputSet(cycle=str(CYCLE), inputs=(served,))
        source = Rain(Folder(str(tmp_path)), datum=datum)
        artifact = fetch(work, request_, inputs, ("background",), {"qpesums": source})
        runs.add(artifact.address.run)
        plans.add(plan_inputs(request_, inputs, (artifact,)).run)
    assert (len(runs), len(plans)) == (2, 2)


def test_the_observed_rain_of_what_was_fetched(work: Store, request_: Request):
    hours = tuple(CYCLE.init_time - hour * HOUR for hour in (3, 1))
    past = BACKGROUND.model_copy(
        update={"name": "past_rain", "valid_times": hours, "variables": ("tp01",), "init_time": None}
    )
    inputs = InputSet(cycle=str(CYCLE), inputs=(BACKGROUND, past))
    fetched = [fetch(work, request_, inputs, (name,), {"shelf": Shelf()}) for name in ("background", "past_rain")]
    made = observed_rain(work, request_, fetched)
    assert made is not None
    assert made["tp01"].shape == (2, *request_.description.grid.shape)
    assert made["valid_time"].dt.hour.values.tolist() == [3, 5]
    assert made.attrs["source"] == "shelf"
    assert observed_rain(work, request_, fetched[:1]) is None
