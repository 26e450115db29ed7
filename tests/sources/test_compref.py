"""COMPREF, composite reflectivity in QPESUMS's binary: "no echo" is an observation, "no coverage" is none."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.sources.qpesums import REFLECTIVITY, Qpesums, path
from stormcast_tw.sources.translate.observation import NO_ECHO_DBZ
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import VARIABLES, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
REFC, RAIN = variable_set("radar", "refc"), variable_set("rain", "tp01")
OUTSIDE, NO_ECHO = -9990, -990


@pytest.fixture
def write(write_qpesums: Callable[..., Path]) -> Callable[..., Path]:
    """Write a COMPREF, tenths of dBZ (ny, nx), with the header numbers of the real files."""

    def build(file: Path, raw: np.ndarray, time: datetime = T, **header: object) -> Path:
        real = {"map_scale": 1000, "xy_scale": 1000, "alon": 119500, "alat": 26000, "unit": b"dBZ\0\0\0"}
        real |= {"var_scale": 10, "missing": -999, "nradar": 2, "radars": b"RCWFRCCG"}
        return write_qpesums(file, raw, time, **(real | header))

    return build


@pytest.fixture
def raw() -> np.ndarray:
    values = np.random.default_rng(3).integers(-300, 700, (40, 30)).astype(np.int16)
    values[0, :4], values[1, :5] = OUTSIDE, NO_ECHO
    values[39, 29], values[2, 2] = 555, 0
    return values


def read(root: Path, valid_time: datetime = T):
    source = Qpesums(Folder(str(root)), REFLECTIVITY)
    return source.read(source.find((valid_time,), REFC)).dataset


def test_no_echo_is_not_no_coverage(raw, write, tmp_path: Path):
    write(tmp_path / path(T, REFLECTIVITY), raw)
    dataset = read(tmp_path)
    refc = dataset["refc"].values[0]
    assert np.isnan(refc[0, :4]).all()
    assert np.isnan(refc).sum() == 4
    assert (refc[1, :5] == NO_ECHO_DBZ).all()
    assert refc[2, 2] == 0.0
    expected = np.where(raw == OUTSIDE, np.nan, np.where(raw == NO_ECHO, -35.0, raw / 10))
    np.testing.assert_allclose(refc, expected, rtol=1e-6)
    assert dataset["refc"].attrs["standard_name"] == "equivalent_reflectivity_factor"
    assert dataset["refc"].attrs["units"] == "dBZ"
    assert "clipped_negatives" not in dataset["refc"].attrs


def test_no_echo_lies_in_the_valid_range_below_every_echo():
    low, high = VARIABLES["refc"].valid_range
    assert low <= NO_ECHO_DBZ < high
    assert low == NO_ECHO_DBZ


def test_its_name_grid_and_time(raw, write, tmp_path: Path):
    assert path(T, REFLECTIVITY) == "20260611/COMPREF.20260611.0600.gz"
    write(tmp_path / path(T, REFLECTIVITY), raw)
    dataset = read(tmp_path)
    grid = Grid.of(dataset)
    assert (grid.x_first, grid.y_last) == pytest.approx((119.5, 26.0), abs=1e-9)
    assert float(dataset["refc"].sel(latitude=26.0, longitude=grid.x_last, method="nearest")[0]) == 55.5
    with pytest.raises(NotReady, match=r"COMPREF\.20260611\.0610\.gz: not there yet"):
        read(tmp_path, T + timedelta(minutes=10))


def test_each_product_is_only_itself(raw, write, write_qpesums, tmp_path: Path):
    folder = Folder(str(tmp_path))
    with pytest.raises(BadInput, match="qpesums: does not provide tp01; it provides refc"):
        Qpesums(folder, REFLECTIVITY).find((T,), RAIN)
    write_qpesums(tmp_path / path(T, REFLECTIVITY), np.abs(raw), T)
    with pytest.raises(BadInput, match=r"COMPREF\S+: header's varunit is b'mm.*; allowed b'dBZ'"):
        read(tmp_path)
    write(tmp_path / path(T), raw)
    source = Qpesums(folder)
    with pytest.raises(BadInput, match=r"CB_GC_PCP_1H_RAD\S+: header's varunit is b'dBZ.*; allowed b'mm'"):
        source.read(source.find((T,), RAIN))


@pytest.mark.parametrize(
    ("value", "message"),
    [(850, r"refc spans -\S+ to 85 dBZ; allowed -35 to 80"), (-360, r"refc spans -36 to \S+ dBZ; allowed -35 to 80")],
)
def test_what_no_radar_sees_is_refused(value: int, message: str, raw, write, tmp_path: Path):
    raw[5, 5] = value
    write(tmp_path / path(T, REFLECTIVITY), raw)
    with pytest.raises(BadInput, match=r"COMPREF\.20260611\.0600\.gz: " + message):
        read(tmp_path)


def test_a_missing_value_of_the_header_that_is_no_echo_is_missing(raw, write, tmp_path: Path):
    """The header has the last word: what it calls missing is not an observation."""
    raw[0, :4] = 0
    write(tmp_path / path(T, REFLECTIVITY), raw, missing=-99)
    assert np.isnan(read(tmp_path)["refc"].values[0, 1, :5]).all()


def test_it_is_sent_to_another_process_and_read_from_s3(raw, write, s3, tmp_path: Path):
    root = s3.bucket()
    objects(root).replace(path(T, REFLECTIVITY), write(tmp_path / "x", raw).read_bytes())
    source = pickle.loads(pickle.dumps(Qpesums(Folder(root), REFLECTIVITY, "twd67", "radar")))
    dataset = source.read(source.find((T,), REFC)).dataset
    assert dataset.attrs == {"source": "radar", "simulated": 0, "datum": "twd67"}
    assert float(dataset["longitude"][0]) == pytest.approx(119.508, abs=1e-3)
    assert np.isnan(dataset["refc"].values).sum() == 4


def test_rain_of_2000_mm_negative_rain_and_clipping(write_qpesums, tmp_path: Path):
    source = Qpesums(Folder(str(tmp_path)))
    for value, message in (
        (8000, r"tp01 spans 0 to 2000 kg m-2; allowed 0 to 300"),
        (-1, r"tp01 falls to -0\.25 kg m-2; allowed no lower than -0\.1"),
    ):
        write_qpesums(tmp_path / path(T), np.full((4, 5), value, np.int16) * np.eye(4, 5, dtype=np.int16), T)
        with pytest.raises(BadInput, match=r"CB_GC_PCP_1H_RAD\.20260611\.0600\.gz: " + message):
            source.read(source.find((T,), RAIN))
    tenths = np.zeros((4, 5), np.int16)
    tenths[1, 1:3] = -5
    write_qpesums(tmp_path / path(T), tenths, T, var_scale=100)
    rain = source.read(source.find((T,), RAIN)).dataset["tp01"]
    assert rain.attrs["clipped_negatives"] == 2
    assert not rain.values.any()


def test_future_naive_odd_and_repeated_times(raw, write, tmp_path: Path):
    write(tmp_path / path(T, REFLECTIVITY), raw)
    source = Qpesums(Folder(str(tmp_path)), REFLECTIVITY)
    for other in (datetime(2056, 1, 1, tzinfo=UTC), T + timedelta(minutes=7)):
        with pytest.raises(NotReady, match=rf"COMPREF\.{other:%Y%m%d\.%H%M}\.gz: not there yet"):
            source.find((other,), REFC)
    with pytest.raises(ValueError, match="has no time zone"):
        source.find((T.replace(tzinfo=None),), REFC)
    with pytest.raises(ValueError, match="must be ascending"):
        source.find((T, T), REFC)
