import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput, Conflict, NotReady
from stormcast_tw.schema import forecast_spec, global_attributes
from stormcast_tw.storage.artifact import Address, Artifact, Pointer
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.storage.zarr_arrays import array_of
from stormcast_tw.variables import STATE_SETS
from tests.conftest import CYCLE, NOW, SMALL

ADDRESS = Address(kind="prepared", experiment="demo", cycle=str(CYCLE), run="0123456789ab")
PLAN = {"what": "this"}
ROOT = Path(__file__).parents[2]


def dataset() -> xr.Dataset:
    values = np.arange(SMALL.ny * SMALL.nx, dtype=np.float32).reshape(SMALL.shape)
    return SMALL.coordinates().assign(t2m=(SMALL.dims, values, {"units": "K"}))


def seal(draft: Draft) -> Artifact:
    return draft.seal(grid={}, variables=("t2m",), parents=("file",), simulated=True, trained=False, now=NOW)


def test_sealed_and_exists_are_one_question(work: Store):
    draft = work.begin(ADDRESS, PLAN)
    draft.write("state", dataset())
    assert work.find(ADDRESS) is None
    with pytest.raises(NotReady, match="not sealed"):
        work.get(ADDRESS)
    artifact = seal(draft)
    assert work.get(ADDRESS) == artifact
    xr.testing.assert_identical(work.open(artifact, "state").load(), dataset())
    assert {p.name for p in Path(artifact.uri).iterdir()} == {"checksums.json", "manifest.json", "state.zarr"}


def test_sealed_artifacts_never_change(work: Store):
    first = seal(work.begin(ADDRESS, PLAN))
    with pytest.raises(Conflict, match="is sealed already"):
        work.begin(ADDRESS, PLAN)
    assert seal(Draft(work, ADDRESS, PLAN)) == first
    with pytest.raises(Conflict, match="sealed by another plan"):
        seal(Draft(work, ADDRESS, {"what": "that"}))


def test_draft_is_continued_by_its_plan_and_refused_to_another(work: Store):
    work.begin(ADDRESS, PLAN).mark("m0000-l01")
    assert work.begin(ADDRESS, PLAN).parts() == {"m0000-l01"}
    with pytest.raises(Conflict, match=r"draft\.json: is the draft of another plan; remove that folder"):
        work.begin(ADDRESS, {"what": "that"})
    assert work.begin(ADDRESS, PLAN).parts() == {"m0000-l01"}


def test_what_a_seal_that_was_killed_left_of_its_draft_goes(work: Store, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as killed:
        killed.setattr(work, "tidy", lambda _: None)
        draft = work.begin(ADDRESS, PLAN)
        draft.mark("m0000-l01")
        artifact = seal(draft)
    assert {"draft.json", "parts/m0000-l01"} <= set(work.below(ADDRESS))
    assert work.make(ADDRESS, PLAN, lambda _: pytest.fail("made again")) == artifact
    assert set(work.below(ADDRESS)) == {"checksums.json", "manifest.json"}


def test_late_beginner_deletes_nothing_of_what_was_sealed_meanwhile(work: Store):
    draft = work.begin(ADDRESS, PLAN)
    draft.write("state", dataset())
    artifact = seal(draft)
    with pytest.raises(Conflict, match="is sealed already"):
        work.begin(ADDRESS, PLAN)
    xr.testing.assert_identical(work.open(artifact, "state").load(), dataset())
    assert not Path(artifact.uri, "draft.json").exists()


def test_forecast_layout_is_one_map_a_chunk_and_every_chunk_is_written(work: Store):
    variables = STATE_SETS["surface"]
    spec = forecast_spec(CYCLE, SMALL, variables, 2, 3, global_attributes("f", simulated=True, trained=False))
    draft = work.begin(ADDRESS, PLAN)
    draft.create("forecast", spec)
    array = array_of(draft.arrays("forecast"), "tp01")
    assert array.chunks == (1, 1, *SMALL.shape)
    assert array.shards is None
    array[0:2, 0] = np.zeros((2, *SMALL.shape), np.float32)
    chunks = {str(p.relative_to(draft.uri)) for p in Path(draft.uri, "forecast.zarr/tp01/c").rglob("*") if p.is_file()}
    assert chunks == {f"forecast.zarr/tp01/c/{m}/0/0/0" for m in (0, 1)}
    draft.create("forecast", spec)
    assert float(np.asarray(array_of(draft.arrays("forecast"), "tp01")[0, 0]).max()) == 0.0
    opened = work.open(seal(draft), "forecast")
    assert opened["tp01"].dims == ("member", "lead_time", "latitude", "longitude")
    assert opened["lead_time"].dtype == np.dtype("timedelta64[ns]")
    assert opened["valid_time"].values[0] == np.datetime64("2026-06-11T07")
    assert opened.attrs["title"] == "SIMULATED UNTRAINED f"
    assert np.isnan(opened["t2m"]).all(), "what was not written is NaN, not zero"


def test_missing_dataset_of_a_sealed_artifact_is_named(work: Store):
    artifact = seal(work.begin(ADDRESS, PLAN))
    with pytest.raises(BadInput, match=r"background\.zarr: there is no such dataset in prepared/demo"):
        work.open(artifact, "background")


def test_artifacts_can_be_moved_with_their_folder(work: Store, tmp_path: Path):
    draft = work.begin(ADDRESS, PLAN)
    draft.write("state", dataset())
    seal(draft)
    Path(work.root).rename(tmp_path / "elsewhere")
    moved = Store(str(tmp_path / "elsewhere"))
    xr.testing.assert_identical(moved.open(moved.get(ADDRESS), "state").load(), dataset())


def test_pointer_moves_only_from_what_was_seen(work: Store):
    nothing = work.read_pointer("latest.json")
    assert nothing == Pointer(None, None)
    work.move_pointer("latest.json", nothing, {"run": "a"})
    seen = work.read_pointer("latest.json")
    work.move_pointer("latest.json", seen, {"run": "b"})
    with pytest.raises(Conflict, match="moved by somebody else"):
        work.move_pointer("latest.json", seen, {"run": "c"})
    assert work.read_pointer("latest.json").value == {"run": "b"}


def test_no_move_is_lost_between_processes(work: Store):
    script = "import sys; from tests.counting import count_up; count_up(sys.argv[1], 25)"
    processes = [subprocess.Popen([sys.executable, "-c", script, work.root], cwd=ROOT) for _ in range(3)]
    assert [process.wait(240) for process in processes] == [0, 0, 0]
    assert work.read_pointer("count.json").value == {"n": 75}
