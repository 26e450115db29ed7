"""Parts in any order and by any number, killed at every write: one dataset, bit for bit."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput, Conflict, NotReady, Refused
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.objects import LocalObjects
from stormcast_tw.training_data import build
from stormcast_tw.training_data.finish import finish, read_report
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.training_data.recipe import DataRecipe, Simulated, Span
from tests.conftest import NOW
from tests.training_data import archives
from tests.training_data.archives import FIRST, TINY, NumbersArchive, at, contents


def made(root: Path | str, recipe: DataRecipe, archive: NumbersArchive, days: list[date] | None = None) -> Artifact:
    job = build.plan(str(root), recipe, archive)
    if (sealed := build.begin(job)) is not None:
        return sealed
    for day in days or recipe.days:
        build.make_part(job, day)
    return finish(job, NOW)


ARCHIVE = NumbersArchive(missing=(at(0, 7),), refused=(at(1, 0),), copies=(at(1, 12), at(1, 13)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return made(tmp_path_factory.mktemp("whole"), archives.recipe(3, 1), ARCHIVE)


def test_days_in_any_order_give_the_same_bytes(tmp_path, whole):
    recipe = archives.recipe(3, 1)
    shuffled = random.Random(5).sample(recipe.days, len(recipe.days))
    assert shuffled != list(recipe.days)
    other = made(tmp_path, recipe, ARCHIVE, shuffled)
    assert contents(other) == contents(whole)
    assert sum(path.startswith("data.zarr/") for path in contents(whole)) > 30


class Killed(BaseException):
    """What no handler of ours catches."""


def test_killed_at_any_write_it_goes_on_to_the_same_bytes(tmp_path, whole, monkeypatch):
    """A process that dies before its fourth new object, again and again, until all is there."""
    real = {name: getattr(LocalObjects, name) for name in ("create", "replace")}
    left, budget = itertools.count(), 3

    def dying(name: str):
        def call(self, path, data):
            if name == "create" and self.exists(path):
                return False
            if next(left) >= budget:
                raise Killed
            return real[name](self, path, data)

        return call

    for name in real:
        monkeypatch.setattr(LocalObjects, name, dying(name))
    lives = 0
    while True:
        left, lives = itertools.count(), lives + 1
        try:
            artifact = made(tmp_path, archives.recipe(3, 1), ARCHIVE)
            break
        except Killed:
            assert lives < 200
    assert lives > 25
    assert contents(artifact) == contents(whole)


def test_a_killed_process_resumes_to_the_same_bytes(tmp_path):
    """A real process, killed by the system when half of its days are there."""
    recipe = DataRecipe(
        name="killed",
        archive=Simulated(seed=3),
        grid=TINY,
        training=(Span(first=FIRST, last=FIRST + timedelta(days=3)),),
    )
    script = (
        "import sys, pathlib; from datetime import UTC, datetime\n"
        "from stormcast_tw.settings import settings\n"
        "from stormcast_tw.training_data import build, finish, archives, recipe\n"
        "recipe = recipe.DataRecipe.model_validate_json(sys.argv[2])\n"
        "job = build.plan(sys.argv[1], recipe, archives.archive_of(recipe, settings()))\n"
        "build.begin(job)\n"
        "for day in recipe.days:\n"
        "    build.make_part(job, day); print(day, flush=True)\n"
        "print(finish.finish(job, datetime(2026, 6, 11, 9, tzinfo=UTC)).uri)\n"
    )

    def start(root: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(root), recipe.model_dump_json()]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    first = start(tmp_path / "killed")
    assert first.stdout is not None
    for _ in range(2):
        assert first.stdout.readline()
    first.kill()
    first.wait(120)
    days = list((tmp_path / "killed").rglob("days/*.json"))
    assert 2 <= len(days) < 4
    assert not list((tmp_path / "killed").rglob("manifest.json"))
    before = {path: path.stat().st_mtime_ns for path in days}
    both = [start(tmp_path / name) for name in ("killed", "whole")]
    uris = [process.communicate(timeout=240)[0].split()[-1] for process in both]
    found = [
        {path.relative_to(uri): path.read_bytes() for path in Path(uri).rglob("*") if path.is_file()} for uri in uris
    ]
    assert {path.name: None for path in found[0]} == {path.name: None for path in found[1]}
    different = [path for path in found[0] if found[0][path] != found[1][path]]
    assert [path.name for path in different] in ([], ["manifest.json"])  # its root
    assert {path: path.stat().st_mtime_ns for path in days} == before  # what was there was not made again


def test_what_is_sealed_is_returned_and_nothing_is_read(tmp_path):
    archive = NumbersArchive()
    sealed = made(tmp_path, archives.recipe(1, 0), archive)
    before, archive.seen[:] = contents(sealed), []
    assert made(tmp_path, archives.recipe(1, 0), archive) == sealed
    assert archive.seen == []
    assert contents(sealed) == before


def test_another_recipe_or_archive_is_another_dataset(tmp_path):
    one = build.plan(str(tmp_path), archives.recipe(), NumbersArchive())
    others = [
        build.plan(str(tmp_path), archives.recipe(), NumbersArchive(seed=1)),
        build.plan(str(tmp_path), archives.recipe(version=2), NumbersArchive()),
        build.plan(str(tmp_path), archives.recipe(background_step_hours=1), NumbersArchive()),
    ]
    assert len({str(job.address) for job in [one, *others]}) == 4


def test_nothing_is_finished_before_all_days_are_made(tmp_path):
    recipe = archives.recipe(2, 0)
    job = build.plan(str(tmp_path), recipe, NumbersArchive())
    build.begin(job)
    build.make_part(job, recipe.days[1])
    with pytest.raises(NotReady, match="1 of 2 days are still to be made"):
        finish(job, NOW)


def test_an_archive_that_changed_between_two_lives_leaves_no_mixture(tmp_path, monkeypatch):
    recipe, real = archives.recipe(1, 0), LocalObjects.create
    job = build.plan(str(tmp_path), recipe, NumbersArchive(missing=(at(0, 3),)))
    build.begin(job)

    def dies_before_the_account(self, path, data):
        if "/days/" in path:
            raise Killed
        return real(self, path, data)

    monkeypatch.setattr(LocalObjects, "create", dies_before_the_account)
    with pytest.raises(Killed):
        build.make_part(job, FIRST)
    monkeypatch.setattr(LocalObjects, "create", real)
    later = build.DatasetJob(job.root, job.address, job.plan, recipe, NumbersArchive())  # the hour has arrived
    account = build.make_part(later, FIRST)
    assert account.reasons == {}
    data = TrainingData.open(finish(later, NOW).uri)
    data.verify()
    assert np.isfinite(data.state(0, 24)).all()


def test_two_workers_that_saw_different_archives_conflict(tmp_path, monkeypatch):
    recipe, real = archives.recipe(1, 0), LocalObjects.create
    job = build.plan(str(tmp_path), recipe, NumbersArchive())
    build.begin(job)

    def other_worker_first(self, path, data):
        monkeypatch.setattr(LocalObjects, "create", real)
        build.make_part(
            build.DatasetJob(job.root, job.address, job.plan, recipe, NumbersArchive(missing=(at(0, 3),))), FIRST
        )
        return real(self, path, data)

    monkeypatch.setattr(LocalObjects, "create", other_worker_first)
    with pytest.raises(Conflict, match="another worker made this day of other inputs"):
        build.make_part(job, FIRST)


def test_statistics_come_from_the_training_days_alone(tmp_path):
    class Shifted(NumbersArchive):
        def values(self, time):
            return super().values(time) + np.float32(2.0 if time >= at(2, 0) else 0.0) * np.array(
                [1, 1, 1, 0], np.float32
            ).reshape(4, 1, 1)

    plain = made(tmp_path / "plain", archives.recipe(2, 1), NumbersArchive())
    shifted = made(tmp_path / "shifted", archives.recipe(2, 1), Shifted())
    ones = dict.fromkeys(archives.STATE.ids, 1.0)
    assert TrainingData.open(plain.uri).state_scales(ones) == TrainingData.open(shifted.uri).state_scales(ones)
    mixed = made(tmp_path / "mixed", archives.recipe(3, 0), Shifted())
    assert TrainingData.open(mixed.uri).state_scales(ones)["t2m"].mean > 295.3


def test_pairs_cross_midnight_but_neither_gaps_nor_splits(tmp_path):
    spans = (archives.days(2), archives.days(1, FIRST + timedelta(days=5)))
    held_out = (archives.days(1, FIRST + timedelta(days=2)),)
    recipe = DataRecipe(name="spans", grid=TINY, archive=Simulated(), training=spans, held_out=held_out)
    data = TrainingData.open(made(tmp_path, recipe, NumbersArchive()).uri)
    assert data.starts().tolist() == [*range(47), *range(72, 95)]
    assert data.of("held_out").starts().tolist() == [*range(48, 71)]
    assert data.of("held_out").starts(12).tolist() == [*range(48, 60)]
    assert np.all(np.diff(data.times)[data.starts()] == np.timedelta64(1, "h"))


def test_a_run_of_stuck_hours_is_refused_to_its_end(whole):
    reasons = {hour.time: hour.reason for hour in read_report(whole).unusable}
    assert "t2m equals the hour before" in reasons["2021-07-02T12Z"]
    assert "t2m equals the hour before" in reasons["2021-07-02T13Z"]
    assert set(reasons) == {"2021-07-01T07Z", "2021-07-02T00Z", "2021-07-02T12Z", "2021-07-02T13Z"}


def test_a_dataset_without_a_pair_is_refused(tmp_path):
    odd = tuple(at(0, hour) for hour in range(1, 24, 2))
    with pytest.raises(Refused, match="no two training hours follow each other; 12 hours are not usable"):
        made(tmp_path, archives.recipe(1, 0), NumbersArchive(missing=odd))


def test_a_bit_that_flips_is_found(tmp_path):
    data = TrainingData.open(made(tmp_path, archives.recipe(1, 0), NumbersArchive()).uri)
    data.verify()
    shard = Path(data.artifact.uri) / "data.zarr/state/c/0/0/0/0"
    spoiled = bytearray(shard.read_bytes())
    spoiled[100] ^= 1
    shard.write_bytes(spoiled)
    with pytest.raises(BadInput, match=r"data\.zarr/state/c/0/0/0/0: sha256 is"):
        data.verify()


def test_the_dataset_describes_itself_and_xarray_opens_it(whole):
    dataset = xr.open_zarr(f"{whole.uri}/data.zarr", consolidated=True)
    assert dataset.attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    assert dataset.attrs["title"].startswith("SIMULATED training data")
    assert DataRecipe.model_validate_json(dataset.attrs["recipe"]) == archives.recipe(3, 1)
    assert dataset["state"].dims == ("time", "state_variable", "latitude", "longitude")
    assert dataset["state_standard_name"].values.tolist() == [v.standard_name for v in archives.STATE]
    assert dataset["background_units"].sel(background_variable="z500").compute().item() == "m2 s-2"
    one = dataset["state"].isel(time=30).sel(state_variable="u10m").values
    np.testing.assert_array_equal(one, ARCHIVE.values(at(1, 6))[1])
    bounds = dataset["time_bounds"].isel(time=5).values
    assert bounds[1] == dataset["time"].values[5]
    assert bounds[1] - bounds[0] == np.timedelta64(1, "h")


def test_an_hour_is_a_chunk_and_a_day_an_object(whole):
    import zarr

    group = zarr.open_group(f"{whole.uri}/data.zarr", mode="r")
    for name in ("state", "background", "rain_source"):
        array = group[name]
        assert array.chunks == (1, *array.shape[1:])
        assert array.shards == (24, *array.shape[1:])
        assert len(list((Path(whole.uri) / "data.zarr" / name / "c").rglob("0"))) >= 4


def test_on_s3_it_is_the_same(s3, tmp_path):
    recipe = archives.recipe(1, 1)
    here, there = made(tmp_path, recipe, NumbersArchive()), made(s3.bucket(), recipe, NumbersArchive())
    assert there.details == here.details
    data = TrainingData.open(there.uri)
    data.verify()
    np.testing.assert_array_equal(data[3].state_next, TrainingData.open(here.uri)[3].state_next)


def test_building_needs_no_torch():
    modules = ", ".join(f"stormcast_tw.training_data.{name}" for name in ("finish", "archives", "workers"))
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=240).returncode == 0
