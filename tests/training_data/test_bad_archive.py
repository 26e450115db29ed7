"""Providers' files of three days, written by hand and then damaged: the report names each, and numbers stay right."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from stormcast_tw.errors import NotReady
from stormcast_tw.training_data import build
from stormcast_tw.training_data.finish import Report, finish, read_report
from stormcast_tw.training_data.reader import TrainingData
from tests.conftest import NOW
from tests.training_data import archives
from tests.training_data.archives import BACKGROUND, ERA5_LATITUDE, ERA5_LONGITUDE, FIRST, TINY, at, contents

START = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)


def damage(root: Path) -> dict[datetime, str]:
    """Spoil the second day, and ERA5 of the fourth; return what must be said of which hour."""
    wrf, rain = root / "rwrp", root / "qpepre"

    def wrf_path(hour: int) -> Path:
        return wrf / f"wrfout_d01_{at(1, hour):%Y-%m-%d_%H}_interp"

    def rain_path(hour: int) -> Path:
        return rain / f"qpepre_{at(1, hour - 1):%Y%m%d%H%M}-{at(1, hour):%Y%m%d%H%M}_1_h.txt"

    wrf_path(1).unlink()
    wrf_path(3).write_bytes(wrf_path(3).read_bytes()[:5000])
    holed = archives.air(at(1, 5))["t2m"].copy()
    holed[4, 7] = np.nan
    archives.write_wrf(wrf, at(1, 5), T2=holed)
    shutil.copy(wrf_path(6), wrf_path(7))  # a duplicate under another name
    archives.write_wrf(wrf, at(1, 9), HGT=archives.height()[::-1])  # of another grid
    archives.write_rain(rain, at(1, 11), 150.0)  # gross
    rain_path(13).unlink()
    lines = rain_path(15).read_text().splitlines(keepends=True)
    rain_path(15).write_text("".join([lines[1], *lines[1:]]))  # a row twice
    before = archives.air(at(1, 16))
    archives.write_wrf(wrf, at(1, 17), T2=before["t2m"], umet10=before["u10m"], vmet10=before["v10m"])  # stuck
    jumped = archives.air(at(1, 19))["t2m"] + 12.0
    archives.write_wrf(wrf, at(1, 19), T2=jumped)
    archives.write_wrf(wrf, at(1, 21), XLAT=np.full((36, 36), 23.0))
    (root / "era5" / f"era5_{at(3, 0):%Y%m%d}.nc").unlink()
    return {
        at(1, 1): "wrfout_d01_2021-07-02_01_interp: not there yet",
        at(1, 3): "wrfout_d01_2021-07-02_03_interp",
        at(1, 5): "t2m has 1 of 1296 values that are not finite; allowed 0",
        at(1, 7): "Times holds 2021-07-02_07:00:00 0 times; allowed once",
        at(1, 9): "a file of the wrong grid",
        at(1, 11): "99th percentile of 150 kg m-2; allowed 120",
        at(1, 13): "qpepre_202107021200-202107021300_1_h.txt: not there yet",
        at(1, 15): "times; allowed once",
        at(1, 17): "t2m equals the hour before at all of 120 points",
        at(1, 19): "t2m changed by",
        at(1, 21): "wrfout_d01_2021-07-02_21_interp",
        **{at(2, hour): "era5_20210704.nc: not there yet" for hour in range(19, 24)},
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingData, Report, dict[datetime, str]]:
    root = tmp_path_factory.mktemp("archive")
    archives.write_archive(root, 3)
    said = damage(root)
    recipe = archives.recipe(training=3, held_out=0, archive=archives.PROVIDERS)
    job = build.plan(str(tmp_path_factory.mktemp("work")), recipe, archives.provider_archive(root))
    build.begin(job)
    for day in recipe.days:
        build.make_part(job, day)
    artifact = finish(job, NOW)
    return TrainingData.open(artifact.uri), read_report(artifact), said


def test_the_report_names_each_hour_and_its_reason(built):
    _, report, said = built
    assert {hour.time for hour in report.unusable} == {f"{time:%Y-%m-%dT%HZ}" for time in said}
    for hour in report.unusable:
        expected = said[datetime.strptime(hour.time, "%Y-%m-%dT%HZ").replace(tzinfo=UTC)]
        assert expected in hour.reason, hour
        assert hour.status == ("missing" if "not there yet" in expected else "refused"), hour
    assert (report.hours, report.usable, report.missing, report.refused) == (72, 56, 7, 9)


def test_pairs_are_usable_hours_that_follow_each_other(built):
    data, report, said = built
    good = [START + timedelta(hours=hour) not in said for hour in range(72)]
    expected = [hour for hour in range(71) if good[hour] and good[hour + 1]]
    assert data.starts().tolist() == expected
    assert report.pairs == {"training": len(expected), "held_out": 0}
    twelve = [hour for hour in range(60) if all(good[hour : hour + 13])]
    assert data.starts(12).tolist() == twelve
    assert twelve


def test_unusable_hours_are_empty_and_say_why(built):
    data, _, said = built
    for time in said:
        place = int((time - START).total_seconds() // 3600)
        assert np.isnan(data.state(place)).all()
        assert np.isnan(data.background(place)).all()
        assert not data.observed(place).any()
        assert data._read("reason")[place]
        assert data._read("status")[place] > 0


def expected_state(time: datetime) -> np.ndarray:
    """The three linear fields at TINY's points and the uniform rain, NaN where not observed."""
    points = np.stack(np.meshgrid(TINY.y, TINY.x, indexing="ij"), axis=-1)
    axes = (archives.LATITUDE, archives.LONGITUDE)
    fields = [RegularGridInterpolator(axes, field)(points) for field in archives.air(time).values()]
    # cells are observed where their southern edge lies north of the last unobserved QPEPRE cell's northern edge
    rows = TINY.y - TINY.dy / 2 >= 23.1 - 0.0125 + 0.00625 - 1e-9
    rain = np.where(rows[:, None], archives.rain_of(time), np.nan) * np.ones(TINY.shape)
    return np.stack([*fields, rain])


def test_values_are_those_of_the_files(built):
    data, _, _said = built
    for place in (0, 5, 30, 60):
        state = data.state(place)[0]
        expected = expected_state(START + timedelta(hours=place))
        np.testing.assert_allclose(state[:3], expected[:3], atol=2e-4)
        np.testing.assert_allclose(state[3], expected[3], atol=1e-4)
        np.testing.assert_array_equal(data.observed(place)[0], np.isfinite(expected[3]))
    assert data.invariants["orog"].max() > 1000
    np.testing.assert_allclose(data.invariants["coverage"], np.isfinite(expected_state(START)[3]))


def test_statistics_are_those_of_the_usable_hours(built):
    data, _, said = built
    usable = [hour for hour in range(72) if START + timedelta(hours=hour) not in said]
    states = {hour: expected_state(START + timedelta(hours=hour)) for hour in usable}
    for fields in states.values():
        fields[3] = np.log1p(fields[3])
    scales = data.state_scales(dict.fromkeys(data.state_set.ids, 1.0))
    changes = np.stack([states[hour + 1] - states[hour] for hour in data.starts()])
    for n, name in enumerate(data.state_set.ids):
        values = np.stack([fields[n] for fields in states.values()])
        assert scales[name].mean == pytest.approx(np.nanmean(values), abs=2e-5)
        assert scales[name].std == pytest.approx(np.nanstd(values), rel=1e-4)
        assert scales[name].tendency_std == pytest.approx(np.nanstd(changes[:, n]), rel=1e-4)


def test_the_background_is_six_hourly_linear_between_and_bilinear(built):
    data, _, said = built
    points = np.stack(np.meshgrid(TINY.y, TINY.x, indexing="ij"), axis=-1)

    def expected(hour: int, variable_id: str) -> np.ndarray:
        before, rest = divmod(hour, 6)
        ends = [archives.drivers(START + timedelta(hours=6 * (before + n)), variable_id) for n in (0, 1)]
        field = (1 - rest / 6) * ends[0] + rest / 6 * ends[1]
        return RegularGridInterpolator((ERA5_LATITUDE[::-1], ERA5_LONGITUDE), field[::-1])(points)

    for hour in (0, 4, 6, 47, 66):
        found = data.background(hour)[0]
        for variable_id in ("msl", "q850", "z500", "u250"):
            np.testing.assert_allclose(
                found[BACKGROUND.ids.index(variable_id)], expected(hour, variable_id), rtol=3e-7, atol=1e-4
            )
    usable = [hour for hour in range(72) if START + timedelta(hours=hour) not in said]
    z500 = np.stack([expected(hour, "z500") for hour in usable])
    assert data.background_scales()["z500"].mean == pytest.approx(z500.mean(), rel=1e-6)
    assert data.background_scales()["z500"].std == pytest.approx(z500.std(), rel=1e-3)


def test_inputs_are_accounted_for(built):
    data, report, _ = built
    import hashlib

    account = build.Account.model_validate_json((Path(data.artifact.uri) / "days" / f"{FIRST}.json").read_bytes())
    listed = dict(account.inputs)
    rain = [address for address in listed if "qpepre" in address]
    assert len(rain) == 25  # the day's, and the hour before
    for address in rain:
        assert listed[address] == "sha256:" + hashlib.sha256(Path(address).read_bytes()).hexdigest()
    # two files of every state that could be read (73 hours were looked at, 7 are absent or damaged), four days of ERA5
    assert report.inputs == 2 * (73 - 7) + 4


def test_days_in_a_row_share_reading_and_come_out_the_same(built, tmp_path):
    data, _, _ = built
    recipe = data.recipe
    listed = build.Account.model_validate_json((Path(data.artifact.uri) / "days" / f"{FIRST}.json").read_bytes()).inputs
    archive = archives.provider_archive(Path(listed[0][0]).parents[1])
    job = build.plan(str(tmp_path), recipe, archive)
    build.begin(job)
    accounts = build.make_run(job, recipe.days)
    assert [account.day for account in accounts] == list(recipe.days)
    assert contents(finish(job, NOW)) == contents(data.artifact)


def test_an_archive_with_nothing_says_so(tmp_path):
    for name in ("rwrp", "qpepre", "era5"):
        (tmp_path / name).mkdir()
    recipe = archives.recipe(1, 0, archive=archives.PROVIDERS)
    job = build.plan(str(tmp_path / "work"), recipe, archives.provider_archive(tmp_path))
    with pytest.raises(NotReady, match="gives no hour of the training days of recipe tiny"):
        build.begin(job)
