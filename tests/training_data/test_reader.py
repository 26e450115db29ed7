from __future__ import annotations

import pickle
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import prepare_background, prepare_state
from stormcast_tw.model.description import Scale
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.regrid import bilinear
from stormcast_tw.settings import Settings
from stormcast_tw.sources.base import on_grid
from stormcast_tw.sources.translate.time_steps import bracketing_leads
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.training_data.archive import KmScale, LargeScale
from stormcast_tw.training_data.archives import archive_of
from stormcast_tw.training_data.day import Reference, find_reference, make_day
from stormcast_tw.training_data.finish import pairs
from stormcast_tw.training_data.provider_hours import Feed
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.training_data.recipe import RECIPES, DataRecipe, Providers, Simulated, Span, run_serving
from stormcast_tw.training_data.simulated_archive import SimulatedArchive, around
from stormcast_tw.variables import BACKGROUND_SETS, variable_set
from tests.training_data import archives
from tests.training_data.archives import BACKGROUND, COARSE, FIRST, STATE, TINY, NumbersArchive, at
from tests.training_data.test_build import made


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    archive = NumbersArchive(missing=(at(0, 5),))
    return TrainingData.open(made(tmp_path_factory.mktemp("data"), archives.recipe(2, 1), archive).uri)


def test_a_sample_is_an_hour_and_the_next(data):
    assert len(data) == 47 - 2
    archive = NumbersArchive()
    for number in (0, 4, 44):
        place = int(data.starts()[number])
        sample = data[number]
        np.testing.assert_array_equal(sample.state, archive.values(at(0, place)))
        np.testing.assert_array_equal(sample.state_next, archive.values(at(0, place + 1)))
        np.testing.assert_array_equal(sample.observed, archive.rain_source() == 1)
        assert sample.background.shape == (24, *TINY.shape)
        assert sample.background.dtype == sample.state.dtype == np.float32
    assert data.starts()[4] == 6  # hours 4-5 and 5-6 are no samples
    with pytest.raises(IndexError):
        data[len(data)]


def test_the_background_is_what_operations_prepare(data):
    """The same hourly field on the coarse grid, through prepare.prepare_background."""
    time = at(1, 8)
    archive = NumbersArchive()
    ends = [archive.background(at(1, hour)).astype(np.float64) for hour in (6, 12)]
    hourly = (ends[0] * 4 + ends[1] * 2) / 6
    fields = {v: hourly[n][None] for n, v in enumerate(BACKGROUND)}
    given = on_grid(COARSE, (time,), fields, {"source": "test", "simulated": 1})
    expected = prepare_background(given, TINY, BACKGROUND)
    found = data.background(32)[0]
    for n, variable_id in enumerate(BACKGROUND.ids):
        np.testing.assert_allclose(found[n], expected[variable_id].values[0], rtol=2e-7)


def test_scales_are_those_of_a_package(data):
    residual = {"t2m": 0.3, "u10m": 0.4, "v10m": 0.5, "tp01": 0.2}
    scales = data.state_scales(residual)
    assert list(scales) == list(STATE.ids)
    assert {v: scale.residual_std for v, scale in scales.items()} == residual
    hours_ = [hour for hour in range(48) if hour != 5]
    t2m = np.stack([NumbersArchive().values(at(0, hour))[0] for hour in hours_]).astype(np.float64)
    assert scales["t2m"].std == pytest.approx(t2m.std(), rel=1e-9)
    rain = np.stack([NumbersArchive().values(at(0, hour))[3, 3:] for hour in hours_]).astype(np.float64)
    assert scales["tp01"].mean == pytest.approx(np.log1p(rain).mean(), rel=1e-9)
    assert list(data.background_scales()) == list(BACKGROUND.ids)
    assert isinstance(data.background_scales()["msl"], Scale)
    np.testing.assert_array_equal(data.invariants["coverage"][:, 0], [0] * 3 + [1] * 9)


def test_it_can_be_pickled_and_torch_loads_it(data):
    from torch.utils.data import DataLoader

    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy[7].state, data[7].state)
    batch = next(iter(DataLoader(data, batch_size=3, num_workers=0)))
    assert batch.state.shape == (3, 4, *TINY.shape)
    assert batch.background_next.shape == (3, 24, *TINY.shape)
    np.testing.assert_array_equal(batch.state_next[1], data[1].state_next)


def test_what_is_not_there_or_no_training_data_is_refused(data, tmp_path):
    with pytest.raises(NotReady, match="not sealed"):
        TrainingData.open(str(tmp_path / "training/tiny/20210701T00Z/000000000000"))
    with pytest.raises(BadInput, match="is of kind forecast; allowed training"):
        TrainingData.open(str(tmp_path / "forecast/demo/20210701T00Z/000000000000"))
    assert TrainingData.open(f"{data.artifact.uri}/manifest.json").artifact == data.artifact


# --- a day ---------------------------------------------------------------------------------------------------------


class Other(NumbersArchive):
    """An archive with one bad background."""

    def __init__(self, bad: datetime, how: str) -> None:
        super().__init__()
        object.__setattr__(self, "bad", bad)
        object.__setattr__(self, "how", how)

    def large_scale(self, times):
        found = super().large_scale(times)
        if self.bad in found:
            before = super().large_scale([self.bad - hours(6)])[self.bad - hours(6)]
            found[self.bad] = {
                "missing": NotReady("era5/x: not there yet"),
                "copy": before,
                "grid": LargeScale(found[self.bad].values[:, 1:], archives.Grid("G", 23, 23.75, 4, 120.25, 121.25, 5)),
            }[self.how]
        return found


@pytest.mark.parametrize(
    ("how", "said"),
    [("missing", "not there yet"), ("copy", "msl equals the analysis before"), ("grid", "background grid")],
)
def test_a_bad_analysis_spoils_the_hours_interpolated_from_it(how, said):
    recipe = archives.recipe()
    reference = find_reference(NumbersArchive(), recipe)
    day = make_day(Other(at(0, 12), how), recipe, reference, FIRST)
    assert sorted(day.reasons) == [at(0, hour) for hour in range(7, 18)]
    assert all(said in str(reason) for reason in day.reasons.values())
    at_midnight = make_day(Other(at(1, 0), how), recipe, reference, FIRST)
    assert sorted(at_midnight.reasons) == [at(0, hour) for hour in range(19, 24)]


def test_hourly_backgrounds_are_not_interpolated():
    recipe = archives.recipe(background_step_hours=1)
    archive = NumbersArchive()
    day = make_day(archive, recipe, find_reference(archive, recipe), FIRST)
    np.testing.assert_array_equal(day.background[7], archive.background(at(0, 7)))
    assert day.reasons == {}


def test_terrain_of_another_grid_is_refused():
    recipe, archive = archives.recipe(), NumbersArchive()
    ground = {name: np.full(TINY.shape, 500.0, np.float32) for name in ("orog", "lsm")}
    day = make_day(archive, recipe, Reference(ground, COARSE), FIRST)
    assert len(day.reasons) == 24
    assert "numbers/20210701T00: orog differs from the package's orography by 500.0 m RMS" in str(day.reasons[at(0, 0)])


def test_an_hour_before_midnight_that_jumps_does_not_take_the_next_with_it():
    class Jumps(NumbersArchive):
        def values(self, time):
            return super().values(time) + np.float32(20.0 if time == at(0, 23) else 0.0) * (np.arange(4) == 0)[
                :, None, None
            ].astype(np.float32)

    recipe = archives.recipe()
    reference = find_reference(NumbersArchive(), recipe)
    assert set(make_day(Jumps(), recipe, reference, FIRST).reasons) == {at(0, 23)}
    # the day after cannot know which of the two is wrong: its first hour is refused too, and says so
    after = make_day(Jumps(), recipe, reference, FIRST + timedelta(days=1)).reasons
    assert set(after) == {at(1, 0)}
    assert "t2m changed by" in str(after[at(1, 0)])


# --- archives and recipes ------------------------------------------------------------------------------------------


def test_the_provider_archive_is_what_operations_prepare(tmp_path):
    archives.write_archive(tmp_path, 1, hour_before=False)
    archive, time = archives.provider_archive(tmp_path), at(0, 6)
    found = archive.km_scale([time])[time]
    assert isinstance(found, KmScale)
    air, rain = (
        feed.source.read(feed.source.find((time,), variable_set("x", *ids)))
        for feed, ids in ((archive.atmosphere, ("t2m", "u10m", "v10m", "orog")), (archive.rain, ("tp01",)))
    )
    expected = prepare_state(air.dataset, rain.dataset, None, TINY, found.terrain, gaps_allowed=True)
    for n, variable_id in enumerate(STATE.ids):
        np.testing.assert_array_equal(found.values[n], expected[variable_id].values)
    np.testing.assert_array_equal(found.rain_source, expected["rain_source"].values)


def test_runs_of_a_feed():
    source = NumbersArchive()
    assert Feed(source).run_of(at(0, 7)) is None
    assert Feed(source, (0,), 1).run_of(at(0, 7)) == at(0, 7)
    assert [Feed(source, (6,), 6).run_of(at(1, hour)) for hour in (5, 6, 11, 12)] == [
        at(0, 18),
        at(1, 0),
        at(1, 0),
        at(1, 6),
    ]


def test_a_run_serves_three_times_on_end_and_every_age_meets_every_hour_of_the_day():
    times = [at(0, 0) + timedelta(hours=6 * n) for n in range(24)]
    ages = [(time - run_serving(time, (6, 12, 18), 6)) // timedelta(hours=1) for time in times]
    first = ages.index(6)
    assert ages[first : first + 6] == [6, 12, 18, 6, 12, 18]
    assert len({run_serving(times[n], (6, 12, 18), 6) for n in range(first, first + 3)}) == 1
    assert len({(time.hour, age) for time, age in zip(times, ages, strict=True)}) == 12


def test_no_pair_goes_from_one_run_of_the_background_to_another():
    forecasts = Simulated(seed=1, background_ages_hours=(6, 12, 18))
    recipe = archives.recipe(3, 0, archive=forecasts, background_step_hours=1)
    found = pairs(recipe, np.zeros(72, np.int8))
    runs = [recipe.background_run(time) for time in recipe.times]
    assert [runs[t] for t in found] == [runs[t + 1] for t in found]
    first = [t for t in range(1, 72) if runs[t] != runs[t - 1]]
    assert set(range(71)) - set(found) == {t - 1 for t in first}
    assert {(recipe.times[t] - runs[t]) for t in first} == {hours(6)}
    assert np.diff(first).tolist() == [18] * (len(first) - 1)
    with pytest.raises(ValueError, match="background_step_hours is 6; allowed 1 for forecasts"):
        archives.recipe(3, 0, archive=forecasts)


@pytest.mark.parametrize("hour", [12, 16])
def test_a_simulated_background_of_forecasts_is_what_operations_read(tmp_path: Path, hour: int):
    """The archive's fields are those of the provider's files of the run that serves the hour, between them linear."""
    from stormcast_tw.simulation.files import global_ai
    from stormcast_tw.simulation.world.weather import World
    from stormcast_tw.sources import global_ai as global_ai_source

    background = BACKGROUND_SETS["background24"]
    archive = SimulatedArchive(1, TINY, STATE, background, (6, 12, 18))
    time = at(0, hour)
    found = archive.large_scale([time])[time]
    run = run_serving(time, (6, 12, 18), 6)
    for lead in bracketing_leads(run, (time,), 6):
        path = tmp_path / global_ai_source.path(run, lead)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(global_ai.encode(World(1), run, lead))
    source = global_ai_source.GlobalAI(Folder(str(tmp_path)), TINY)
    read = source.read(source.find((time,), background, run)).dataset
    grid = Grid.of(read)
    for v, values in zip(background.ids, found.values, strict=True):
        ours, theirs = bilinear(found.grid, TINY)(values), bilinear(grid, TINY)(read[v].values[0])
        np.testing.assert_allclose(ours, theirs, atol=2e-3 * float(np.ptp(values)) + 1e-6, err_msg=v)
    assert "forecasts 6, 12, 18 h old" in archive.describe()


def test_the_simulated_archive_is_the_simulated_world():
    from stormcast_tw.simulation.world.weather import World

    archive = SimulatedArchive(5, TAIWAN_2KM, STATE, BACKGROUND)
    time = at(0, 3)
    state, background = archive.km_scale([time])[time], archive.large_scale([time])[time]
    truth = World(5).surface(time)
    for n, variable_id in enumerate(STATE.ids):
        np.testing.assert_array_equal(state.values[n], truth[variable_id].values)
    assert state.simulated
    assert background.simulated
    assert 0.5 < np.mean(state.rain_source == 1) < 1
    latitude, longitude = background.grid.latlon()
    assert latitude.min() <= 21.35
    assert latitude.max() >= 25.85
    assert set(np.unique(np.round(np.diff(background.grid.x), 9))) == {0.25}
    expected = World(5).background(time, latitude, longitude)["z500"]
    np.testing.assert_allclose(background.values[BACKGROUND.ids.index("z500")], expected, rtol=1e-6)


def test_around_covers_with_a_cell_to_spare():
    coarse = around(TINY)
    assert (coarse.y_first, coarse.y_last, coarse.ny) == (22.75, 23.75, 5)
    assert (coarse.x_first, coarse.x_last, coarse.nx) == (120.25, 121.25, 5)


def test_named_recipes_make_sense():
    for name, recipe in RECIPES.items():
        made_ = recipe()
        assert made_.name == name
        assert len(made_.times) == 24 * len(made_.days)
        assert list(made_.days) == sorted(made_.days)
    assert len(RECIPES["surface_2y5"]().times) == 21_216 + 8_760  # the published archive (science.md 1.3)
    assert sum(len(span.days) for span in RECIPES["demo"]().training) * 24 == 4_032


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"training": ()}, "no training days"),
        ({"held_out": (Span(first=FIRST, last=FIRST),)}, "2021-07-01 and 0 more days are there twice"),
        ({"state_set": "nothing"}, "state set 'nothing' is not one of"),
        ({"background_set": "nothing"}, "background set 'nothing' is not one of"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        DataRecipe(**({"name": "x", "archive": Simulated(), "training": (Span(first=FIRST, last=FIRST),)} | wrong))


def test_providers_are_found_by_name_and_undocumented_clocks_are_asked_for():
    recipe = archives.recipe(archive=Providers())
    with pytest.raises(ValueError, match="STORMCAST_TW_QPEPRE_CLOCK"):
        archive_of(recipe, Settings())
    archive = archive_of(recipe, Settings(qpepre_clock="taipei", qpepre_stamp="end"))
    assert "qpepre, clock taipei, stamp end, datum wgs84" in archive.describe()
    with pytest.raises(ValueError, match="'nothing' is not one of era5, era5_cds"):
        archive_of(archives.recipe(archive=Providers(rain="qpesums", background="nothing")), Settings())
    of_runs = Providers(rain="qpesums", background="global_ai", background_ages_hours=(6, 12, 18))
    forecasts = archive_of(archives.recipe(archive=of_runs, background_step_hours=1), Settings())
    for background, ages, said in (
        ("global_ai", None, "is None; allowed for forecasts"),
        ("era5", (6,), "for analyses: N"),
    ):
        wrong = Providers(rain="qpesums", background=background, background_ages_hours=ages)
        with pytest.raises(ValueError, match=said):
            archive_of(archives.recipe(archive=wrong, background_step_hours=1), Settings())
    assert "background global_ai, runs 6, 12, 18 h old" in forecasts.describe()
    with pytest.raises(ValueError, match="the simulated truth has no"):
        archive_of(archives.recipe(state_set="upper"), Settings())


def test_coordinates_are_in_the_dataset(data):
    dataset = xr.open_zarr(f"{data.artifact.uri}/data.zarr", consolidated=True, chunks=None)
    np.testing.assert_allclose(dataset["background_latitude"], COARSE.y)
    np.testing.assert_allclose(dataset["latitude"], TINY.y)
    assert archives.Grid.of(dataset) == TINY
