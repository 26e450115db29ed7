"""QPEPRE text: what its name may mean, rows of any order, and every row that is refused."""

from __future__ import annotations

import io
import os
import pickle
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.regrid import conservative
from stormcast_tw.sources import qpepre
from stormcast_tw.sources.qpepre import Qpepre, decode, path
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
RAIN = variable_set("rain", "tp01")
NX, NY = 162, 275


def some_rain(seed: int = 3) -> np.ndarray:
    """(275, 162) quarters of a millimetre, different at every corner."""
    rain = np.random.default_rng(seed).integers(0, 400, (NY, NX)) / 4
    rain[0, 0], rain[0, -1], rain[-1, 0], rain[-1, -1], rain[100, 50] = 1.25, 2.5, 3.75, 123.0, 0.0
    return rain


def rows_of(rain: np.ndarray, *, row: str = "{} {:.4f} {:.4f} {:.2f}", north_first: bool = False) -> list[str]:
    """A row a point, west to east fastest, written with plain arithmetic."""
    order = range(NY - 1, -1, -1) if north_first else range(NY)
    points = [(j, i) for j in order for i in range(NX)]
    return [row.format(number, 120.0 + i / 80, 21.8875 + j / 80, rain[j, i]) for number, (j, i) in enumerate(points, 1)]


def as_text(rows: list[str]) -> bytes:
    return ("\n".join(rows) + "\n").encode()


@pytest.fixture(scope="module")
def rows() -> list[str]:
    return rows_of(some_rain())


def values(data: bytes) -> np.ndarray:
    return decode(data, "f").values


@pytest.mark.parametrize(
    ("clock", "stamp", "name"),
    [
        ("utc", "end", "qpepre_202606110500-202606110600_1_h.txt"),
        ("utc", "start", "qpepre_202606110600-202606110700_1_h.txt"),
        ("taipei", "end", "qpepre_202606111300-202606111400_1_h.txt"),
        ("taipei", "start", "qpepre_202606111400-202606111500_1_h.txt"),
    ],
)
def test_the_four_readings_of_a_name(clock, stamp, name: str, rows, tmp_path: Path):
    assert path(T, clock, stamp) == name
    (tmp_path / name).write_bytes(as_text(rows))
    source = Qpepre(Folder(str(tmp_path)), clock, stamp)
    reading = source.read(source.find((T,), RAIN))
    rain = reading.dataset["tp01"]
    assert rain.dims == ("valid_time", "latitude", "longitude")
    assert rain.dtype == np.float32
    assert rain["valid_time"].values[0] == np.datetime64("2026-06-11T06:00")
    np.testing.assert_array_equal(rain.values[0], some_rain().astype(np.float32))
    assert reading.dataset.attrs == {"source": "qpepre", "simulated": 0, "datum": "wgs84"}
    assert reading.used[0].bytes_used == len(as_text(rows))
    assert reading.used[0].bytes_of_index == 0


def test_midnight_in_taipei():
    assert path(datetime(2026, 12, 31, 16, tzinfo=UTC), "taipei", "end") == "qpepre_202612312300-202701010000_1_h.txt"


def test_clock_and_stamp_have_no_default_and_are_not_guessed(tmp_path: Path):
    folder = Folder(str(tmp_path))
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'clock' and 'stamp'"):
        Qpepre(folder)
    for clock, stamp in ((None, "end"), ("utc", None), ("UTC+8", "end"), ("taipei", "middle")):
        with pytest.raises(ValueError, match=r"qpepre: clock .*; allowed utc, taipei and end, start: say which"):
            Qpepre(folder, clock, stamp)


def test_a_source_can_be_sent_to_another_process(tmp_path: Path):
    source = Qpepre(Folder(str(tmp_path)), "utc", "end", "twd67")
    assert pickle.loads(pickle.dumps(source)) == source


def test_the_grid_is_smaller_than_the_domain_and_the_rest_is_not_zero(rows, tmp_path: Path):
    (tmp_path / path(T, "utc", "end")).write_bytes(as_text(rows))
    source = Qpepre(Folder(str(tmp_path)), "utc", "end")
    dataset = source.read(source.find((T,), RAIN)).dataset
    grid = Grid.of(dataset)
    assert grid.shape == (NY, NX)
    assert (grid.y_first, grid.y_last) == pytest.approx((21.8875, 25.3125))
    assert (grid.x_first, grid.x_last) == pytest.approx((120.0, 122.0125))
    there = conservative(grid, TAIWAN_2KM)(dataset["tp01"].values[0])
    latitude, longitude = TAIWAN_2KM.latlon()
    outside = (latitude < 21.87) | (latitude > 25.33) | (longitude < 119.98) | (longitude > 122.03)
    assert np.isnan(there[outside]).all()
    assert np.isfinite(
        there[(latitude > 21.91) & (latitude < 25.29) & (longitude > 120.03) & (longitude < 121.99)]
    ).all()
    assert outside.sum() > 5000


def test_twd67_moves_the_grid_and_says_so(rows, tmp_path: Path):
    (tmp_path / path(T, "utc", "end")).write_bytes(as_text(rows))
    source = Qpepre(Folder(str(tmp_path)), "utc", "end", "twd67")
    dataset = source.read(source.find((T,), RAIN)).dataset
    assert dataset.attrs["datum"] == "twd67"
    assert float(dataset["longitude"][80]) - 121.0 == pytest.approx(0.00812, abs=2e-5)
    assert float(dataset["latitude"][137]) - 23.6 == pytest.approx(-0.00178, abs=2e-5)
    np.testing.assert_array_equal(dataset["tp01"].values[0], some_rain().astype(np.float32))


REGULAR = {
    "as the provider writes": lambda rain: rows_of(rain),
    "north first": lambda rain: rows_of(rain, north_first=True),
    "one decimal less": lambda rain: rows_of(np.round(rain), row="{} {:.4f} {:.4f} {:.1f}"),
    "six decimals": lambda rain: rows_of(rain, row="{} {:.6f} {:.6f} {:.6f}"),
    "three decimals of a degree": lambda rain: rows_of(rain, row="{} {:.3f} {:.3f} {:.2f}"),
    "latitude fastest": lambda rain: np.array(rows_of(rain)).reshape(NY, NX).T.ravel().tolist(),
}
IRREGULAR = {
    "columns aligned": lambda rain: rows_of(rain, row="{:6d} {:9.4f} {:9.4f} {:8.2f}"),
    "scientific notation": lambda rain: rows_of(rain, row="{} {:.4f} {:.4f} {:.3E}"),
    "shortest decimals": lambda rain: rows_of(rain, row="{} {} {} {}"),
    "tabs": lambda rain: rows_of(rain, row="{}\t{:.4f}\t{:.4f}\t{:.2f}"),
    "commas": lambda rain: rows_of(rain, row="{},{:.4f},{:.4f},{:.2f}"),
    "carriage returns": lambda rain: rows_of(rain, row="{} {:.4f} {:.4f} {:.2f}\r"),
    "any order": lambda rain: list(np.random.default_rng(1).permutation(rows_of(rain))),
}


@pytest.mark.parametrize("form", REGULAR | IRREGULAR)
def test_rows_of_any_order_and_form(form: str):
    rain = np.round(some_rain()) if form == "one decimal less" else some_rain()
    data = as_text((REGULAR | IRREGULAR)[form](rain))
    assert (qpepre._regular_rows(data) is not None) == (form in REGULAR)
    np.testing.assert_array_equal(values(data), rain)


def test_the_last_line_need_not_end(rows):
    np.testing.assert_array_equal(values(as_text(rows)[:-1]), some_rain())


def test_missing_is_nan_and_comments_may_say_simulated(rows):
    lines = [*rows]
    lines[7] = lines[7].rsplit(" ", 1)[0] + " -1.00"
    field = decode(as_text(lines), "f")
    assert np.isnan(field.values[0, 7])
    assert np.isfinite(field.values).sum() == NX * NY - 1
    assert not field.simulated
    assert decode(b"# SIMULATED\n# by hand\n" + as_text(lines), "f").simulated
    assert not decode(b"# by hand\n" + as_text(lines), "f").simulated


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-9999, 99999), min_size=5, max_size=5), st.integers(0, 3))
def test_the_fast_parser_is_exact(found: list[int], decimals: int):
    tokens = [f"{number / 10**decimals:.{decimals}f}" if decimals else f"{number}." for number in found]
    text = np.frombuffer((" " * 11 + " ".join([*tokens, ""])).encode(), np.uint8)
    ends = np.flatnonzero(text == 32)[11:]
    parsed, starts, negatives = qpepre._fixed_point(text, ends, tokens[0].encode())
    assert parsed.tolist() == [float(token) for token in tokens]
    assert starts.tolist() == [end - len(token) for end, token in zip(ends, tokens, strict=True)]
    assert negatives == sum(number < 0 for number in found)


def test_it_reads_what_loadtxt_reads(rows):
    data = as_text(rows)
    np.testing.assert_array_equal(values(data).ravel(), np.loadtxt(io.BytesIO(data))[:, 3])


def change(rows: list[str], number: int, row: str) -> bytes:
    return as_text([*rows[:number], row, *rows[number + 1 :]])


BAD = {
    "empty": (lambda rows: b"", r"has 0 rows; allowed 44550"),
    "HTML": (lambda rows: b"<html>\n<h1>503</h1>\n</html>", r"has 3 rows; allowed 44550"),
    "truncated at a row": (lambda rows: as_text(rows[:-1]), r"has 44549 rows; allowed 44550"),
    "truncated in a row": (
        lambda rows: as_text(rows)[:-10],
        r"text of 44550 rows of 4 holds 178199 numbers; allowed 178200",
    ),
    "a row too many": (lambda rows: as_text([*rows, rows[0]]), r"has 44551 rows; allowed 44550"),
    "a column too many": (
        lambda rows: as_text([f"{row} 0" for row in rows]),
        r"holds 222750 numbers; allowed 178200",
    ),
    "a line of names": (lambda rows: change(rows, 0, "idx lon lat mm"), r"holds 'idx'; allowed decimal numbers"),
    "NaN": (lambda rows: change(rows, 3, "4 120.0375 21.8875 NaN"), r"holds 'NaN'; allowed finite numbers"),
    "infinity": (lambda rows: change(rows, 3, "4 120.0375 21.8875 inf"), r"holds 'inf'; allowed finite numbers"),
    "a flipped byte": (lambda rows: change(rows, 3, "4 120.0375 2q.8875 0.25"), r"holds '2q.8875'; allowed decimal"),
    "a flipped byte of the number of a row": (
        lambda rows: change(rows, 3, "$ 120.0375 21.8875 0.25"),
        r"holds '\$'; allowed decimal",
    ),
    "not text": (lambda rows: b"\x89HDF\r\n" + as_text(rows), r"byte 0 is 0x89; allowed plain text"),
    "gzip": (lambda rows: b"\x1f\x8b\x08\0\0" + as_text(rows), r"byte 1 is 0x8b; allowed plain text"),
    "a point twice": (
        lambda rows: change(rows, 3, "4 120.0250 21.8875 0.25"),
        r"120\.0250 E 21\.8875 N comes 2 times; allowed once",
    ),
    "a point between points": (
        lambda rows: change(rows, 3, "4 120.0312 21.8875 0.25"),
        r"longitude 120\.0312 is not a point of the grid; allowed 120 to 122\.013 E and 21\.8875 to 25\.3125 N every",
    ),
    "a point outside": (
        lambda rows: change(rows, 3, "4 119.9875 21.8875 0.25"),
        r"longitude 119\.9875 is not a point of the grid",
    ),
    "another grid": (
        lambda rows: as_text([row.replace(" 21.", " 20.").replace(" 22.", " 21.") for row in rows]),
        r"latitude 20\.8875 is not a point of the grid",
    ),
    "longitude and latitude exchanged": (
        lambda rows: as_text([" ".join(np.array(row.split())[[0, 2, 1, 3]]) for row in rows]),
        r"longitude 21\.8875 is not a point of the grid",
    ),
    "rain of 2000 mm": (
        lambda rows: change(rows, 3, "4 120.0375 21.8875 2000.00"),
        r"tp01 spans 0 to 2000 kg m-2; allowed 0 to 300",
    ),
    "negative rain": (
        lambda rows: change(rows, 3, "4 120.0375 21.8875 -0.25"),
        r"tp01 falls to -0\.25 kg m-2; allowed no lower than -0\.1",
    ),
    "another code for missing": (
        lambda rows: change(rows, 3, "4 120.0375 21.8875 -99.00"),
        r"tp01 falls to -99 kg m-2; allowed no lower than -0\.1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_text_is_refused_in_one_clear_line(name: str, rows, tmp_path: Path):
    spoil, message = BAD[name]
    (tmp_path / path(T, "utc", "end")).write_bytes(spoil(rows))
    source = Qpepre(Folder(str(tmp_path)), "utc", "end")
    with pytest.raises(BadInput, match=r"^\S+/qpepre_202606110500-202606110600_1_h\.txt: .*" + message) as caught:
        source.read(source.find((T,), RAIN))
    assert "\n" not in str(caught.value)


def test_a_file_far_too_large_is_not_read(tmp_path: Path):
    file = tmp_path / path(T, "utc", "end")
    file.touch()
    os.truncate(file, (8 << 20) + 1)
    source = Qpepre(Folder(str(tmp_path)), "utc", "end")
    with pytest.raises(BadInput, match=r"_1_h\.txt: has 8388609 bytes; allowed 8388608"):
        source.read(source.find((T,), RAIN))


def test_small_negative_rain_becomes_none_and_is_counted(rows, tmp_path: Path):
    lines = [*rows]
    for number in (3, 9):
        lines[number] = lines[number].rsplit(" ", 1)[0] + " -0.05"
    (tmp_path / path(T, "utc", "end")).write_bytes(as_text(lines))
    source = Qpepre(Folder(str(tmp_path)), "utc", "end")
    rain = source.read(source.find((T,), RAIN)).dataset["tp01"]
    assert rain.attrs["clipped_negatives"] == 2
    assert rain.values[0, 0, 3] == rain.values[0, 0, 9] == 0.0


def test_absent_future_naive_odd_and_repeated_times(rows, tmp_path: Path):
    (tmp_path / path(T, "utc", "end")).write_bytes(as_text(rows))
    source = Qpepre(Folder(str(tmp_path)), "utc", "end")
    taipei = T.astimezone(timezone(timedelta(hours=8)))
    assert source.find((taipei,), RAIN).valid_times == (T,)
    for other in (T + timedelta(hours=1), datetime(2056, 1, 1, tzinfo=UTC), T + timedelta(minutes=7)):
        with pytest.raises(NotReady, match=rf"qpepre_\d+-{other:%Y%m%d%H%M}_1_h\.txt: not there yet"):
            source.find((other,), RAIN)
    with pytest.raises(ValueError, match="has no time zone"):
        source.find((T.replace(tzinfo=None),), RAIN)
    with pytest.raises(ValueError, match="must be ascending"):
        source.find((T, T), RAIN)
    with pytest.raises(BadInput, match="qpepre: does not provide refc; it provides tp01"):
        source.find((T,), variable_set("asked", "refc"))


def test_from_s3(s3, rows):
    root = s3.bucket()
    objects(root).replace(path(T, "taipei", "end"), as_text(rows))
    source = Qpepre(Folder(root), "taipei", "end")
    reading = source.read(source.find((T,), RAIN))
    np.testing.assert_array_equal(reading.dataset["tp01"].values[0], some_rain().astype(np.float32))
    assert reading.used[0].address == f"{root}/qpepre_202606111300-202606111400_1_h.txt"
