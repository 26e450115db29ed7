"""Global AI GRIB: which run serves, orientation, hourly interpolation, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import TAIWAN_2KM, Grid
from stormcast_tw.sources.global_ai import GlobalAI, address, bracketing_leads
from stormcast_tw.variables import BACKGROUND_SETS, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = tuple(T + lead * HOUR for lead in range(13))
BACKGROUND = BACKGROUND_SETS["background26"]
T500 = variable_set("asked", "t500")


def write_run(pangu, root: Path, init_time: datetime, *leads: int, **more) -> None:
    for lead in leads:
        pangu.write(Path(address(str(root), init_time, lead)), init_time, lead, **more)


def read(root: Path, variables=BACKGROUND, times=HOURS, grid: Grid = TAIWAN_2KM):
    source = GlobalAI(str(root), grid)
    return source.read(source.find(times, variables))


def expected(pangu, key, hour: float, dataset) -> np.ndarray:
    longitude, latitude = np.meshgrid(dataset["longitude"].values, dataset["latitude"].values)
    return pangu.value(key, hour, latitude, longitude)


def test_leads_bracket_every_time():
    assert bracketing_leads(T - 6 * HOUR, HOURS) == (6, 12, 18)
    assert bracketing_leads(T - 6 * HOUR, (T + HOUR,)) == (6, 12)
    assert bracketing_leads(T - 6 * HOUR, (T,)) == (6,)
    assert bracketing_leads(T - 12 * HOUR, (T, T + 30 * HOUR)) == (12, 42)


def test_the_newest_run_that_brackets_all_times_serves(pangu, tmp_path: Path):
    source = GlobalAI(str(tmp_path))
    write_run(pangu, tmp_path, T, 0, 6, 12)  # the run of T is not out at T
    with pytest.raises(
        NotReady, match=r"no run brackets 20260611T0600Z to 20260611T1800Z; absent: .*2026061100-6\.grb and 2 more"
    ):
        source.find(HOURS, BACKGROUND)
    write_run(pangu, tmp_path, T - 18 * HOUR, 18, 24, 30)
    assert source.find(HOURS, BACKGROUND).init_time == T - 18 * HOUR
    write_run(pangu, tmp_path, T - 6 * HOUR, 6, 12)
    assert source.find(HOURS, BACKGROUND).init_time == T - 18 * HOUR
    assert source.find(HOURS[:7], BACKGROUND).init_time == T - 6 * HOUR
    write_run(pangu, tmp_path, T - 6 * HOUR, 18)
    found = source.find(HOURS, BACKGROUND)
    assert found.init_time == T - 6 * HOUR
    assert [file.address.rsplit("-", 1)[1] for file in found.files] == ["6.grb", "12.grb", "18.grb"]


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
    path = Path(address(str(tmp_path), T - 6 * HOUR, 6))
    path.parent.mkdir(parents=True)
    keys = {"latitude": latitude, "longitude": longitude, "edition": edition}
    path.write_bytes(pangu.message(("t", 500), T - 6 * HOUR, 6, **keys))
    dataset = read(tmp_path, T500, (T,))
    np.testing.assert_array_equal(dataset["latitude"], np.arange(21.0, 27.0))
    np.testing.assert_array_equal(dataset["longitude"], np.arange(119.0, 124.0))
    np.testing.assert_allclose(dataset["t500"].values[0], expected(pangu, ("t", 500), 0, dataset), atol=1e-3)


def test_rows_that_run_east_to_west_are_turned(pangu, tmp_path: Path):
    path = Path(address(str(tmp_path), T - 6 * HOUR, 6))
    path.parent.mkdir(parents=True)
    path.write_bytes(pangu.message(("t", 500), T - 6 * HOUR, 6, longitude=pangu.longitude[::-1], iScansNegatively=1))
    dataset = read(tmp_path, T500, (T,))
    np.testing.assert_array_equal(dataset["longitude"], np.arange(119.0, 124.0))
    np.testing.assert_allclose(dataset["t500"].values[0], expected(pangu, ("t", 500), 0, dataset), atol=1e-3)


def test_a_grid_across_the_date_line_is_whole(pangu, tmp_path: Path):
    path = Path(address(str(tmp_path), T - 6 * HOUR, 6))
    path.parent.mkdir(parents=True)
    keys = {"latitude": np.arange(90.0, -91.0, -1.0), "longitude": np.arange(180.0, 540.0)}
    path.write_bytes(pangu.message(("t", 500), T - 6 * HOUR, 6, factor=0.9, **keys))
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
    path = Path(address(str(tmp_path), T - 6 * HOUR, 6))
    path.parent.mkdir(parents=True)
    marks = {"setLocalDefinition": 1, "experimentVersionNumber": "simu"}
    path.write_bytes(pangu.message(("t", 500), T - 6 * HOUR, 6, **marks))
    assert read(tmp_path, T500, (T,)).attrs["simulated"] == 1
    path.write_bytes(pangu.message(("t", 500), T - 6 * HOUR, 6))
    assert read(tmp_path, T500, (T,)).attrs["simulated"] == 0


def test_bad_files_are_refused(pangu, tmp_path: Path):
    init_time = T - 6 * HOUR
    path = Path(address(str(tmp_path), init_time, 6))
    path.parent.mkdir(parents=True)
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
        good + b"\0\0": rf"byte {end} begins with b'\\x00\\x00'",
        good[:8] + b"\0" * 7 + b"\x05" + good[16:]: r"the message at byte 0 is 5 bytes long",
        good + good: r"t500 appears twice; allowed once",
        pangu.message(("2t", None), init_time, 6): r"has no message for t500; found 0, allowed 1",
        pangu.message(("t", 500), init_time, 12): r"t500 has valid time 20260611T1200Z; allowed 20260611T0600Z",
        pangu.message(
            ("t", 500), init_time - 6 * HOUR, 12
        ): r"t500 has init time 20260610T1800Z; allowed 20260611T0000Z",
        warm: r"t500 spans 13\d\.\d+ to 13\d\.\d+ K; allowed 210 to 300",
        far: r"t500: has \d+ x 0 points in Box\(.*; allowed 2 x 2 or more",
    }
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(BadInput, match=r"EC-pangu_2026061100-6\.grb: " + message):
            read(tmp_path, T500, (T,))
    path.write_bytes(good + other)
    with pytest.raises(BadInput, match=r"t850 is on .*119\.5.*; allowed .*119\.0"):
        read(tmp_path, variable_set("asked", "t500", "t850"), (T,))


def test_a_message_with_holes_is_refused(pangu, tmp_path: Path):
    path = Path(address(str(tmp_path), T - 6 * HOUR, 6))
    path.parent.mkdir(parents=True)
    path.write_bytes(pangu.message(("t", 500), T - 6 * HOUR, 6, holes=3))
    with pytest.raises(BadInput, match=r"t500 has 3 missing values; allowed 0"):
        read(tmp_path, T500, (T,))


def test_damage_inside_a_message_is_refused(pangu, tmp_path: Path):
    path = Path(address(str(tmp_path), T - 6 * HOUR, 6))
    path.parent.mkdir(parents=True)
    good = bytearray(pangu.message(("t", 500), T - 6 * HOUR, 6))
    good[16:21] = b"\xff" * 5  # length and number of section 1
    path.write_bytes(bytes(good))
    with pytest.raises(BadInput, match=r"-6\.grb: eccodes cannot read a message of \d+ bytes"):
        read(tmp_path, T500, (T,))


def test_what_the_model_does_not_have_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="global_ai: does not provide refc, tp01; it provides t2m, u10m"):
        GlobalAI(str(tmp_path)).find(HOURS, variable_set("asked", "refc", "tp01"))
