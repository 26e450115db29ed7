"""Global AI GRIB: which run serves, orientation, hourly interpolation, and what is refused."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.global_ai import GlobalAI, path
from stormcast_tw.sources.translate.orography import Orography
from stormcast_tw.sources.translate.time_steps import bracketing_leads
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import BACKGROUND_SETS, variable_set
from tests.sources.conftest import grib_message

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = tuple(T + lead * HOUR for lead in range(13))
BACKGROUND = BACKGROUND_SETS["background26"]
T500 = variable_set("asked", "t500")


def write_run(pangu, root: Path, init_time: datetime, *leads: int, **more) -> None:
    for lead in leads:
        pangu.write(root / path(init_time, lead), init_time, lead, **more)


def write(root: Path, data: bytes) -> Path:
    """Write the file of the run of T-6 that is valid at T."""
    file = root / path(T - 6 * HOUR, 6)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def reading(root: Path, variables=BACKGROUND, times=HOURS, grid: Grid = TAIWAN_2KM):
    source = GlobalAI(Folder(str(root)), grid)
    return source.read(source.find(times, variables, T - 6 * HOUR))


def read(*args):
    return reading(*args).dataset


def expected(pangu, key, hour: float, dataset) -> np.ndarray:
    longitude, latitude = np.meshgrid(dataset["longitude"].values, dataset["latitude"].values)
    return pangu.value(key, hour, latitude, longitude)


def test_leads_bracket_every_time():
    assert bracketing_leads(T - 6 * HOUR, HOURS, 6) == (6, 12, 18)
    assert bracketing_leads(T - 6 * HOUR, (T + HOUR,), 6) == (6, 12)
    assert bracketing_leads(T - 6 * HOUR, (T,), 6) == (6,)
    assert bracketing_leads(T - 12 * HOUR, (T, T + 30 * HOUR), 6) == (12, 42)


def test_a_run_serves_when_all_leads_that_bracket_the_times_are_there(pangu, tmp_path: Path):
    source = GlobalAI(Folder(str(tmp_path)))
    write_run(pangu, tmp_path, T - 6 * HOUR, 6, 12)
    with pytest.raises(NotReady, match=r"2026061100/EC-pangu_2026061100-18\.grb: not there yet"):
        source.find(HOURS, BACKGROUND, T - 6 * HOUR)
    assert source.find(HOURS[:7], BACKGROUND, T - 6 * HOUR).init_time == T - 6 * HOUR
    write_run(pangu, tmp_path, T - 6 * HOUR, 18)
    found = source.find(HOURS, BACKGROUND, T - 6 * HOUR)
    assert [file.address.rsplit("-", 1)[1] for file in found.files] == ["6.grb", "12.grb", "18.grb"]
    with pytest.raises(NotReady, match=r"2026061106-0\.grb"):
        source.find(HOURS, BACKGROUND, T)


def test_every_hour_is_the_straight_line_between_leads(pangu, tmp_path: Path):
    write_run(pangu, tmp_path, T - 6 * HOUR, 6, 12, 18)
    dataset = read(tmp_path)
    assert tuple(dataset.data_vars) == BACKGROUND.ids
    assert dataset["t500"].dims == ("valid_time", "latitude", "longitude")
    assert dataset["t500"].dtype == np.float32
    assert dataset.attrs["time_interpolation"] == "linear in time between leads 6, 12, 18 h"
    assert dataset.attrs["init_time"] == "2026-06-11T00:00:00Z"
    assert dataset["z500"].attrs["units"] == "m2 s-2"
    for variable_id, key in (
        ("t500", ("t", 500)),
        ("u10m", ("10u", None)),
        ("z1000", ("z", 1000)),
        ("msl", ("msl", None)),
    ):
        for hour in range(13):
            values = expected(pangu, key, hour, dataset)
            np.testing.assert_allclose(dataset[variable_id].values[hour], values, rtol=3e-7, atol=1e-6)


def test_only_the_surroundings_of_the_grid_are_kept(pangu, tmp_path: Path):
    write_run(pangu, tmp_path, T - 6 * HOUR, 6)
    dataset = read(tmp_path, T500, (T,))
    # 21.6 to 25.6 N x 119.75 to 122.25 E and one degree on each side
    np.testing.assert_array_equal(dataset["latitude"], np.arange(21.0, 27.0))
    np.testing.assert_array_equal(dataset["longitude"], np.arange(119.0, 124.0))


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (np.arange(90.0, -91.0, -1.0), np.arange(0.0, 360.0)),
        (np.arange(90.0, -91.0, -1.0), np.arange(180.0, 540.0)),
        (np.arange(-90.0, 91.0, 1.0), np.arange(0.0, 360.0)),
        (np.arange(15.0, 31.0), np.arange(110.0, 131.0)),
    ],
    ids=["from 0", "from 180", "south to north", "a window"],
)
@pytest.mark.parametrize("edition", [1, 2])
def test_any_orientation_comes_out_the_same(pangu, tmp_path: Path, latitude, longitude, edition: int):
    keys = {"latitude": latitude, "longitude": longitude, "edition": edition}
    write(tmp_path, pangu.message(("t", 500), T - 6 * HOUR, 6, **keys))
    dataset = read(tmp_path, T500, (T,))
    np.testing.assert_array_equal(dataset["latitude"], np.arange(21.0, 27.0))
    np.testing.assert_array_equal(dataset["longitude"], np.arange(119.0, 124.0))
    np.testing.assert_allclose(dataset["t500"].values[0], expected(pangu, ("t", 500), 0, dataset), atol=1e-3)


def test_rows_that_run_east_to_west_are_turned(pangu, tmp_path: Path):
    write(tmp_path, pangu.message(("t", 500), T - 6 * HOUR, 6, longitude=pangu.longitude[::-1], iScansNegatively=1))
    dataset = read(tmp_path, T500, (T,))
    np.testing.assert_array_equal(dataset["longitude"], np.arange(119.0, 124.0))
    np.testing.assert_allclose(dataset["t500"].values[0], expected(pangu, ("t", 500), 0, dataset), atol=1e-3)


def test_a_grid_across_the_date_line_is_whole(pangu, tmp_path: Path):
    keys = {"latitude": np.arange(90.0, -91.0, -1.0), "longitude": np.arange(180.0, 540.0)}
    write(tmp_path, pangu.message(("t", 500), T - 6 * HOUR, 6, factor=0.9, **keys))
    dataset = read(tmp_path, T500, (T,), Grid("PACIFIC", 20.0, 24.0, 5, 178.0, 183.0, 6))
    np.testing.assert_array_equal(dataset["longitude"], np.arange(177.0, 185.0))


def test_heights_become_geopotential(pangu, tmp_path: Path):
    write_run(pangu, tmp_path, T - 6 * HOUR, 6, factors={"z": 1 / 9.80665})
    dataset = read(tmp_path, variable_set("asked", "z850"), (T,))
    np.testing.assert_allclose(dataset["z850"].values[0], expected(pangu, ("z", 850), 0, dataset), rtol=1e-6)


def test_neither_height_nor_geopotential_is_refused(pangu, tmp_path: Path):
    write_run(pangu, tmp_path, T - 6 * HOUR, 6, factors={"z": 1 / 3})
    with pytest.raises(
        BadInput, match=r"z500 averages 191\d\d\.\d+; allowed 45000 to 65000 .*geopotential.* or 4500 to 6500"
    ):
        read(tmp_path, variable_set("asked", "z850"), (T,))


def test_small_negative_humidity_becomes_zero_and_large_is_refused(pangu, tmp_path: Path):
    write_run(pangu, tmp_path, T - 6 * HOUR, 6, factors={"q": -0.1})
    assert float(read(tmp_path, variable_set("asked", "q250"), (T,))["q250"].max()) == 0.0
    with pytest.raises(BadInput, match=r"-6\.grb: q850 falls to -0\.001\d* kg kg-1; allowed no lower than -5e-05"):
        read(tmp_path, variable_set("asked", "q850"), (T,))


def test_simulated_messages_say_so(pangu, tmp_path: Path):
    marks = {"setLocalDefinition": 1, "experimentVersionNumber": "simu"}
    write(tmp_path, pangu.message(("t", 500), T - 6 * HOUR, 6, **marks))
    assert read(tmp_path, T500, (T,)).attrs["simulated"] == 1
    write(tmp_path, pangu.message(("t", 500), T - 6 * HOUR, 6))
    assert read(tmp_path, T500, (T,)).attrs["simulated"] == 0


def test_bad_files_are_refused(pangu, tmp_path: Path):
    init_time = T - 6 * HOUR
    good = pangu.message(("t", 500), init_time, 6)
    warm = pangu.message(("t", 500), init_time, 6, factor=0.5)
    other = pangu.message(("t", 850), init_time, 6, longitude=pangu.longitude + 0.5)
    far = pangu.message(("t", 500), init_time, 6, longitude=pangu.longitude - 100)
    end = len(good)
    cases = {
        b"": r"0 bytes; allowed at least one GRIB message",
        b"<html>404</html>": r"byte 0 begins with b'<html>40'; allowed GRIB of edition 1 or 2",
        good[:-9]: rf"the message at byte 0 is {end} bytes long; found {end - 9}",
        good[:-4] + b"0000": r"the message at byte 0 ends with b'0000'; allowed b'7777'",
        good + b"tail": rf"byte {end} begins with b'tail'",
        good[:8] + b"\0" * 7 + b"\x05" + good[16:]: r"the message at byte 0 is 5 bytes long",
        good + good: rf"t500 appears twice, at bytes 0 and {end}; allowed once",
        pangu.message(("2t", None), init_time, 6): r"has no message for t500; found 0, allowed 1",
        pangu.message(("t", 500), init_time, 12): r"t500 has valid time 20260611T1200Z; allowed 20260611T0600Z",
        pangu.message(
            ("t", 500), init_time - 6 * HOUR, 12
        ): r"t500 has init time 20260610T1800Z; allowed 20260611T0000Z",
        warm: r"t500 spans 13\d\.\d+ to 13\d\.\d+ K; allowed 210 to 300",
        far: r"t500: has \d+ x 0 points in Box\(.*; allowed 2 x 2 or more",
    }
    for data, message in cases.items():
        write(tmp_path, data)
        with pytest.raises(BadInput, match=r"EC-pangu_2026061100-6\.grb: " + message):
            read(tmp_path, T500, (T,))
    write(tmp_path, good + other)
    with pytest.raises(BadInput, match=r"t850 is on .*119\.5.*; allowed .*119\.0"):
        read(tmp_path, variable_set("asked", "t500", "t850"), (T,))


def test_a_message_with_holes_is_refused(pangu, tmp_path: Path):
    write(tmp_path, pangu.message(("t", 500), T - 6 * HOUR, 6, holes=3))
    with pytest.raises(BadInput, match=r"t500 has 3 missing values; allowed 0"):
        read(tmp_path, T500, (T,))


def test_damage_inside_a_message_is_refused(pangu, tmp_path: Path):
    good = bytearray(pangu.message(("t", 500), T - 6 * HOUR, 6))
    good[16:21] = b"\xff" * 5  # length and number of section 1
    write(tmp_path, bytes(good))
    with pytest.raises(BadInput, match=r"-6\.grb: the message at byte 0: section 255 of 4294967295 bytes at byte 16"):
        read(tmp_path, T500, (T,))


def test_only_the_wanted_messages_are_read_and_only_heads_of_the_others(pangu, tmp_path: Path):
    wide = {"latitude": np.arange(60.0, -30.0, -1.0), "longitude": np.arange(80.0, 160.0)}
    messages = [pangu.message((name, 500), T - 6 * HOUR, 6, **wide) for name in "utv"]
    file = write(tmp_path, b"".join(messages))
    (used,) = reading(tmp_path, T500, (T,)).used
    assert used.address == str(file)
    assert (used.bytes_used, used.bytes_of_index) == (len(messages[1]), 3 * 512)
    part = f"{len(messages[0])} {len(messages[1])} {hashlib.sha256(messages[1]).hexdigest()}"
    assert used.digest == "ranges:" + hashlib.sha256(part.encode()).hexdigest()


@pytest.mark.parametrize("edition", [1, 2])
def test_a_message_whose_bitmap_is_longer_than_a_head_is_known_all_the_same(pangu, tmp_path: Path, edition: int):
    """Read whole to know what it is, as nothing tells where its data begin; refused only if it is asked for."""
    wide = {"latitude": np.arange(60.0, -30.0, -1.0), "longitude": np.arange(80.0, 160.0), "edition": edition}
    holes = pangu.message(("u", 500), T - 6 * HOUR, 6, holes=3, **wide)
    good = pangu.message(("t", 500), T - 6 * HOUR, 6, **wide)
    write(tmp_path, holes + good)
    (used,) = reading(tmp_path, T500, (T,)).used
    assert (used.bytes_used, used.bytes_of_index) == (len(good), len(holes) + 512)
    with pytest.raises(BadInput, match=r"-6\.grb: u500 has 3 missing values; allowed 0"):
        read(tmp_path, variable_set("asked", "u500"), (T,))


def test_a_mean_over_hours_is_not_an_instant(pangu, tmp_path: Path):
    """Edition 1 has one name for both; edition 2 names them apart, so that there is no t500."""
    mean = {"edition": 1, "timeRangeIndicator": 3, "stepRange": "0-6"}
    write(tmp_path, pangu.message(("t", 500), T - 6 * HOUR, 6, **mean))
    with pytest.raises(BadInput, match=r"-6\.grb: t500 is avg over hours 0-6; allowed instant"):
        read(tmp_path, T500, (T,))
    mean = {"productDefinitionTemplateNumber": 8, "typeOfStatisticalProcessing": 0, "stepRange": "0-6"}
    write(tmp_path, pangu.message(("t", 500), T - 6 * HOUR, 6, **mean))
    with pytest.raises(BadInput, match=r"-6\.grb: has no message for t500; found 0, allowed 1"):
        read(tmp_path, T500, (T,))


def test_celsius_and_hectopascals_are_refused(pangu, tmp_path: Path):
    write_run(pangu, tmp_path, T - 6 * HOUR, 6, factors={"t": 0.05, "msl": 0.01})
    for variable_id, message in (
        ("t850", r"t850 spans 14\.\d+ to 14\.\d+ K; allowed 230 to 330"),
        ("msl", r"msl spans 100\d\.\d* to 101\d\.\d* Pa; allowed 86000 to 106000"),
    ):
        with pytest.raises(BadInput, match=r"-6\.grb: " + message):
            read(tmp_path, variable_set("asked", variable_id), (T,))


def test_what_a_file_lacks_is_derived_where_physics_allows(pangu, tmp_path: Path):
    """Constant q up to 250 hPa and none asked above: the column is q (sp - 250 hPa) / g."""
    run = [pangu.message(("sp", None), T - 6 * HOUR, 6)]
    for level in (1000, 925, 850, 700, 600, 500, 400, 300, 250):
        values = np.full((13, 13), 0.004)
        run.append(grib_message(("q", level), values, pangu.latitude, pangu.longitude, T - 6 * HOUR, 6))
    write(tmp_path, b"".join(run))
    dataset = read(tmp_path, variable_set("asked", "tcwv"), (T,))
    pressure = expected(pangu, ("sp", None), 0, dataset)
    np.testing.assert_allclose(dataset["tcwv"].values[0], 0.004 * (pressure - 25000) / 9.80665, rtol=1e-5)
    write(tmp_path, b"".join(run[:1]))
    with pytest.raises(BadInput, match=r"-6\.grb: has no message for tcwv; found 0, allowed 1"):
        read(tmp_path, variable_set("asked", "tcwv"), (T,))


def test_surface_pressure_follows_from_the_orography_where_the_model_has_none(pangu, tmp_path: Path):
    """An atmosphere of 6.5 K a km: sp = msl (T / (T + 0.0065 z))^5.2559 (U.S. Standard Atmosphere 1976, eq. 33a)."""
    keys = [("msl", None), ("2t", None)]
    write(tmp_path, b"".join(pangu.message(key, T - 6 * HOUR, 6) for key in keys))
    surface = {"typeOfLevel": "surface", "level": 0, "shortName": "z", "factor": 8.9}  # about 1000 m
    (tmp_path / "orography.grib").write_bytes(pangu.message(("z", 1000), T, 0, **surface))
    sp = variable_set("asked", "sp")
    with pytest.raises(BadInput, match=r"-6\.grb: has no message for sp; found 0, allowed 1"):
        read(tmp_path, sp, (T,))
    folder = Folder(str(tmp_path))
    source = GlobalAI(folder, orography=Orography(folder, "orography.grib"))
    found = source.find((T,), sp, T - 6 * HOUR)
    assert [Path(file.address).name for file in found.files] == ["EC-pangu_2026061100-6.grb", "orography.grib"]
    read_ = source.read(found)
    t, msl = (expected(pangu, key, 0, read_.dataset) for key in (("2t", None), ("msl", None)))
    height = 8.9 * expected(pangu, ("z", 1000), 0, read_.dataset) / 9.80665
    np.testing.assert_allclose(read_.dataset["sp"].values[0], msl * (t / (t + 0.0065 * height)) ** 5.2559, rtol=1e-4)
    assert [account.address for account in read_.used] == [file.address for file in found.files]
    assert len(source.find((T,), variable_set("asked", "msl"), T - 6 * HOUR).files) == 1
    (tmp_path / "orography.grib").write_bytes(
        pangu.message(("z", 1000), T, 0, longitude=pangu.longitude + 0.5, **surface)
    )
    with pytest.raises(BadInput, match=r"orography\.grib: orography on .*119\.5.*; allowed .*119\.0"):
        source.read(source.find((T,), sp, T - 6 * HOUR))


def test_what_the_model_does_not_have_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="source global_ai is refused for this package: cannot give refc; tp01"):
        GlobalAI(Folder(str(tmp_path))).find(HOURS, variable_set("asked", "refc", "tp01"), T)
