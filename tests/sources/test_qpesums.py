"""QPESUMS binary: round trip, where its rows lie, and every header number that is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.sources.qpesums import Qpesums, path
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
RAIN = variable_set("rain", "tp01")


@pytest.fixture
def raw() -> np.ndarray:
    values = np.random.default_rng(3).integers(0, 300, (40, 30)).astype(np.int16)
    values[0, 0], values[39, 29], values[5, 6] = 40, 80, -4
    return values


def read(root: Path, *times: datetime):
    source = Qpesums(Folder(str(root)))
    return source.read(source.find(times or (T,), RAIN)).dataset


def test_the_path_carries_the_end_of_the_hour():
    assert path(T) == "20260611/CB_GC_PCP_1H_RAD.20260611.0600.gz"


def test_round_trip(raw, write_qpesums, tmp_path: Path):
    write_qpesums(tmp_path / path(T), raw, T)
    dataset = read(tmp_path)
    rain = dataset["tp01"]
    assert rain.dims == ("valid_time", "latitude", "longitude")
    assert rain.dtype == np.float32
    assert rain.attrs["cell_methods"] == "time: sum"
    expected = np.where(raw == -4, np.nan, raw / 4)
    np.testing.assert_array_equal(rain.values[0], expected.astype(np.float32))
    assert dataset.attrs == {"source": "qpesums", "simulated": 0, "datum": "wgs84"}
    assert rain.attrs["clipped_negatives"] == 0


def test_the_header_gives_the_north_west_corner_and_rows_run_south_to_north(raw, write_qpesums, tmp_path: Path):
    write_qpesums(tmp_path / path(T), raw, T)
    dataset = read(tmp_path)
    grid = Grid.of(dataset)
    south = 26.0 - 39 * 0.0125
    assert (grid.y_first, grid.y_last) == pytest.approx((south, 26.0), abs=1e-12)
    assert (grid.x_first, grid.x_last) == pytest.approx((119.5, 119.5 + 29 * 0.0125), abs=1e-12)
    assert float(dataset["tp01"].sel(latitude=south, longitude=119.5, method="nearest")[0]) == 10.0
    assert float(dataset["tp01"].sel(latitude=26.0, longitude=grid.x_last, method="nearest")[0]) == 20.0


def test_several_hours(raw, write_qpesums, tmp_path: Path):
    for hours_ago in (1, 0):
        time = T - timedelta(hours=hours_ago)
        write_qpesums(tmp_path / path(time), np.abs(raw) + hours_ago, time)
    rain = read(tmp_path, T - timedelta(hours=1), T)["tp01"].values
    assert rain.shape == (2, 40, 30)
    assert rain[0, 0, 0] - rain[1, 0, 0] == 0.25


def test_simulated_files_say_so(raw, write_qpesums, tmp_path: Path):
    write_qpesums(tmp_path / path(T), raw, T, nradar=2, radars=b"RCWFSIMU")
    assert read(tmp_path).attrs["simulated"] == 1


def test_absent_is_not_ready(tmp_path: Path):
    with pytest.raises(NotReady, match=r"CB_GC_PCP_1H_RAD\.20260611\.0600\.gz: not there yet"):
        Qpesums(Folder(str(tmp_path))).find((T,), RAIN)


def test_other_variables_are_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="qpesums: does not provide t2m; it provides tp01"):
        Qpesums(Folder(str(tmp_path))).find((T,), variable_set("asked", "tp01", "t2m"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            {"clock": (2026, 6, 11, 5, 50, 0)},
            r"header time is 2026-06-11 05:50:00 UTC; allowed 2026-06-11 06:00:00 UTC",
        ),
        ({"clock": (2026, 13, 11, 5, 50, 0)}, r"header time \(2026, 13, 11, 5, 50, 0\) is not a time"),
        ({"nz": 2}, r"nz is 2; allowed 1"),
        ({"nz": 0}, r"nz is 0; allowed 1"),
        ({"proj": b"LCC "}, r"proj is b'LCC '; allowed b'LL'"),
        ({"nx": 31}, r"2570 bytes unpacked; its header \(31 x 40\) allows 2650"),
        ({"nx": -30}, r"nx is -30; allowed 2 to 4096"),
        ({"ny": 1 << 30}, r"ny is 1073741824; allowed 2 to 4096"),
        ({"cut": 1}, r"2569 bytes unpacked; its header \(30 x 40\) allows 2570"),
        ({"cut": 2450}, r"120 bytes unpacked; allowed no fewer than the header's 166"),
        ({"map_scale": 0}, r"map_scale is 0; allowed above 0"),
        ({"xy_scale": 1000}, r"xy_scale is 1000; allowed map_scale, 100"),
        ({"dxy_scale": 0}, r"dxy_scale is 0; allowed above 0"),
        ({"dx": 0}, r"dx is 0; allowed above 0"),
        ({"dy": -1250}, r"dy is -1250; allowed above 0"),
        ({"alat": 9100}, r"covers 90\.5125 to 91 N, 119\.5 to 119\.862 E; allowed -90 to 90 N, -180 to 360 E"),
        ({"var_scale": 0}, r"var_scale is 0; allowed 1 to 1000"),
        ({"var_scale": 1, "missing": -4}, r"tp01 spans 0 to 9999 kg m-2; allowed 0 to 300"),
        ({"missing": 0}, r"missing is 0; allowed below 0"),
        ({"missing": -99}, r"tp01 falls to -1 kg m-2; allowed no lower than -0\.1"),
        ({"nradar": -1}, r"nradar is -1; allowed 0 to 1000"),
        ({"unit": b"dBZ\0\0\0"}, r"varunit is b'dBZ.*; allowed b'mm'"),
    ],
)
def test_every_header_number_is_checked(raw, write_qpesums, tmp_path: Path, header, message: str):
    raw[1, 1] = 9999 if "var_scale" in header else 1196
    raw[2, 2] = 0
    write_qpesums(tmp_path / path(T), raw, T, **header)
    with pytest.raises(BadInput, match=r"CB_GC_PCP_1H_RAD\.20260611\.0600\.gz: (header's )?" + message):
        read(tmp_path)


def test_what_is_not_a_whole_gzip_is_refused(raw, write_qpesums, truncate, tmp_path: Path):
    written = write_qpesums(tmp_path / path(T), raw, T)
    truncate(written, 20)
    with pytest.raises(BadInput, match=r"\d+ bytes are not a whole gzip file \(Compressed file ended"):
        read(tmp_path)
    written.write_bytes(b"<html>403 Forbidden</html>")
    with pytest.raises(BadInput, match="26 bytes are not a whole gzip file"):
        read(tmp_path)
    written.write_bytes(b"")
    with pytest.raises(BadInput, match="0 bytes unpacked; allowed no fewer than the header's 166"):
        read(tmp_path)


def test_a_bomb_is_not_unpacked(tmp_path: Path):
    import gzip

    written = tmp_path / path(T)
    written.parent.mkdir(parents=True)
    written.write_bytes(gzip.compress(b"\0" * (9 << 20)))
    with pytest.raises(BadInput, match="unpacks to more than 8388608 bytes; allowed 8388608"):
        read(tmp_path)
