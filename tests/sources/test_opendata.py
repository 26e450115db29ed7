"""CWA open data: every schema it has had, keys overwritten in place, and every document that is refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.sources.opendata import RAIN_KEY, REFLECTIVITY_KEY, OpenData, archived_path
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
RAIN, REFC = variable_set("rain", "tp01"), variable_set("radar", "refc")
NX, NY = 4, 3
NUMBERS = [0, 0.25, 12.5, 3, -1, 1.5, 0, 0, 7.75, 0, -1, 120]
"""South-west corner first, west to east fastest."""
OLD_TIME = "201803280400"
T_2018 = datetime(2018, 3, 27, 20, tzinfo=UTC)
XML_RAIN_KEY = "Observation/O-B0045-001.xml"


def scientific(numbers, newline: str = "") -> str:
    text = [f"{number:.2E}" if isinstance(number, int | float) else number for number in numbers]
    return ",".join(("\n" if newline and k and k % NX == 0 else "") + one for k, one in enumerate(text))


def entries(**changed: str) -> dict[str, object]:
    return {
        "StartPointLongitude": "118.0",
        "StartPointLatitude": "20.5",
        "GridResolution": "0.0125",
        "DateTime": "2026-06-11T14:00:00+08:00",
        "GridDimensionX": "4",
        "GridDimensionY": "3",
        "Precipitation": "mm",
    } | changed


def document(
    content: str | None = None, *, root: str = "cwaopendata", wrapped: bool = False, **changed: object
) -> dict:
    """Today's schema; keywords replace entries of the parameter set or, in lower case, of the root."""
    text: object = scientific(NUMBERS) if content is None else content
    top = {name: value for name, value in changed.items() if name.islower()}
    return {
        root: {
            "@xmlns": "urn:cwa:gov:tw:cwacommon:0.1",
            "identifier": "0b7c",
            "sent": "2026-06-11T14:08:01+08:00",
            "dataid": "O-B0045-001",
            "dataset": {
                "datasetInfo": {
                    "datasetDescription": "降雨估計資料",
                    "parameterSet": entries(**{n: v for n, v in changed.items() if n not in top}),
                },
                "contents": {
                    "contentDescription": "資料無效值為-1",
                    "content": {"@units": "mm", "#text": text} if wrapped else text,
                },
            },
        }
        | top
    }


def as_json(**changed: object) -> bytes:
    return json.dumps(document(**changed), ensure_ascii=False).encode()


def as_xml(head: str = "", root: str = "cwaopendata", **changed: str) -> bytes:
    named = "".join(f"<{name}>{value}</{name}>" for name, value in entries(**changed).items())
    return f"""<?xml version="1.0" encoding="UTF-8"?>
{head}<{root} xmlns="urn:cwa:gov:tw:cwacommon:0.1"><identifier>0b7c</identifier><sent>2026-06-11T14:08:01+08:00</sent>
<dataid>O-B0045-001</dataid><dataset><datasetInfo><datasetDescription>降雨估計資料</datasetDescription>
<parameterSet>{named}</parameterSet></datasetInfo>
<contents><contentDescription>資料無效值為-1</contentDescription><content>{scientific(NUMBERS, "yes")}
</content></contents></dataset></{root}>
""".encode()


def old_parameters(**changed: str) -> list[tuple[str, str]]:
    texts = {"左下角": "117.975,19.975", "解析度": "0.075", "時間": OLD_TIME, "維度": "4*3", "單位": "mm"} | changed
    return [(name, text) for name, text in texts.items() if text]


def as_old_xml(sent: str = "2018-03-28T04:15:34+08:00", twice: str = "", **changed: str) -> bytes:
    listed = old_parameters(**changed) + [(twice, "1")] * bool(twice)
    named = "".join(
        f"<parameter><parameterName>{name}</parameterName><parameterValue>{value}</parameterValue>"
        f"<parameterUnit>{'UTC' if name == '時間' else ''}</parameterUnit></parameter>"
        for name, value in listed
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?><cwbopendata xmlns="urn:cwb:gov:tw:cwbcommon:0.1">
<identifier>1</identifier><sent>{sent}</sent><dataid>CWB_B0045</dataid><dataset><datasetInfo>
<datasetDescription>QPESUMS</datasetDescription><parameterSet>{named}</parameterSet></datasetInfo><contents>
<contentDescription>mm</contentDescription><content>{scientific(NUMBERS)}</content></contents></dataset>
</cwbopendata>""".encode()


def as_old_json(content: str | None = None, *, names: tuple[str, ...] = (), **changed: str) -> bytes:
    """The schema of 2022: a list of parameters, one of them without a value, and the time with its offset."""
    listed: list[dict[str, str]] = [{"parameterName": name, "radarName": "五分山、花蓮"} for name in names]
    texts = old_parameters(**({"時間": "2022-03-23T20:30:00+08:00", "維度": "", "維度(nx*ny)": "4*3"} | changed))
    listed += [{"parameterName": name, "parameterValue": value} for name, value in texts]
    tree = document(content, root="cwbopendata", sent="2022-03-23T20:36:00+08:00")
    tree["cwbopendata"]["dataset"]["datasetInfo"]["parameterSet"] = {"parameter": listed}
    return json.dumps(tree).encode()


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(key: str, data: bytes) -> Path:
        path = tmp_path / "bucket" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def bucket(tmp_path: Path) -> Folder:
    return Folder(f"{tmp_path}/bucket")


def read(bucket: Folder, time: datetime = T, key: str = RAIN_KEY, variables=RAIN):
    source = OpenData(bucket, key)
    return source.read(source.find((time,), variables))


EXPECTED = np.where(np.array(NUMBERS) == -1, np.nan, NUMBERS).reshape(NY, NX).astype(np.float32)

TODAY = {
    "JSON": (RAIN_KEY, as_json()),
    "JSON, rows on lines": (RAIN_KEY, as_json(content=scientific(NUMBERS, "yes"))),
    "JSON, blanks between": (RAIN_KEY, as_json(content=" ".join(map(str, NUMBERS)))),
    "JSON, #text": (RAIN_KEY, as_json(wrapped=True)),
    "JSON, root of before 2023": (RAIN_KEY, as_json(root="cwbopendata")),
    "JSON, numbers unquoted": (RAIN_KEY, as_json(GridDimensionX=4, GridResolution=0.0125)),
    "JSON, UTC": (RAIN_KEY, as_json(DateTime="2026-06-11T06:00:00Z")),
    "JSON, indented, byte order mark": (
        RAIN_KEY,
        b"\xef\xbb\xbf" + json.dumps(json.loads(as_json()), indent=2).encode(),
    ),
    "XML": (XML_RAIN_KEY, as_xml()),
    "XML, root of before 2023": (XML_RAIN_KEY, as_xml(root="cwbopendata")),
}


@pytest.mark.parametrize("form", TODAY)
def test_todays_schema(form: str, put, bucket: Folder):
    key, data = TODAY[form]
    put(key, data)
    reading = read(bucket, key=key)
    rain = reading.dataset["tp01"]
    assert rain.dims == ("valid_time", "latitude", "longitude")
    np.testing.assert_array_equal(rain.values[0], EXPECTED)
    grid = Grid.of(reading.dataset)
    assert (grid.y_first, grid.y_last) == pytest.approx((20.5, 20.525), abs=1e-12)
    assert (grid.x_first, grid.x_last) == pytest.approx((118.0, 118.0375), abs=1e-12)
    assert reading.dataset.attrs == {"source": "qpe_open_data", "simulated": 0, "datum": "wgs84"}
    assert (reading.used[0].bytes_used, reading.used[0].bytes_of_index) == (len(data), 0)


OLD = {
    "XML of 2018": ("MSC/O-B0045-001.xml", as_old_xml(), T_2018),
    "XML, the time with its offset": (
        "MSC/O-B0045-001.xml",
        as_old_xml(時間="2022-03-23T20:30:00+08:00"),
        datetime(2022, 3, 23, 12, 30, tzinfo=UTC),
    ),
    "JSON of 2022": ("MSC/O-B0045-001.json", as_old_json(), datetime(2022, 3, 23, 12, 30, tzinfo=UTC)),
}


@pytest.mark.parametrize("form", OLD)
def test_the_schema_until_2022(form: str, put, bucket: Folder):
    key, data, valid_time = OLD[form]
    put(key, data)
    dataset = read(bucket, valid_time, key).dataset
    np.testing.assert_array_equal(dataset["tp01"].values[0], EXPECTED)
    grid = Grid.of(dataset)
    assert (grid.y_first, grid.x_first, grid.dx) == pytest.approx((19.975, 117.975, 0.075))


def test_the_time_of_2018_is_local_whatever_its_label(put, bucket: Folder):
    """201803280400, labelled UTC, was sent at 04:15+08:00: read as UTC it would be of eight hours later."""
    put("MSC/O-B0045-001.xml", as_old_xml())
    source = OpenData(bucket, "MSC/O-B0045-001.xml")
    assert len(source.find((T_2018,), RAIN).files) == 1
    with pytest.raises(NotReady, match="holds 2018-03-27 20:00 UTC, asked 2018-03-28 04:00 UTC"):
        source.find((datetime(2018, 3, 28, 4, tzinfo=UTC),), RAIN)


def test_all_sizes_come_from_the_file(put, bucket: Folder):
    for nx, ny in ((441, 561), (75, 95), (921, 881)):
        numbers = np.arange(nx * ny) % 100
        text = ",".join(map(str, numbers))
        put(RAIN_KEY, as_json(content=text, GridDimensionX=str(nx), GridDimensionY=str(ny), GridResolution="0.01"))
        rain = read(bucket).dataset["tp01"]
        assert rain.shape == (1, ny, nx)
        np.testing.assert_array_equal(rain.values[0].ravel(), numbers.astype(np.float32))


def test_reflectivity_has_no_echo_that_is_told_apart_from_no_data(put, bucket: Folder):
    """Here -99 is missing or invalid and -999 outside coverage: both are no data (data-formats.md 1.2)."""
    numbers = [35.5, -99, -999, 0, -5.5, 60, -99, -999, -35, 12.5, 0, 1]
    entries_of = {"Precipitation": "mm", "Reflectivity": "dBZ", "dataid": "O-A0059-001"}
    put(REFLECTIVITY_KEY, as_json(content=scientific(numbers), **entries_of))
    dataset = read(bucket, key=REFLECTIVITY_KEY, variables=REFC).dataset
    assert dataset["refc"].attrs["units"] == "dBZ"
    expected = [np.nan if number in (-99, -999) else number for number in numbers]
    np.testing.assert_array_equal(dataset["refc"].values.ravel(), np.array(expected, np.float32))


def test_reflectivity_of_2022_begins_with_the_radars(put, bucket: Folder):
    key = "MSC/O-A0059-001.json"
    put(key, as_old_json(scientific(range(NX * NY)), names=("整合雷達名",), 單位="dBZ"))
    dataset = read(bucket, datetime(2022, 3, 23, 12, 30, tzinfo=UTC), key, REFC).dataset
    np.testing.assert_array_equal(dataset["refc"].values.ravel(), range(NX * NY))


def test_the_word_simulated_is_believed(put, bucket: Folder):
    tree = document()
    tree["cwaopendata"]["dataset"]["datasetInfo"]["datasetDescription"] = "SIMULATED rain"
    put(RAIN_KEY, json.dumps(tree).encode())
    assert read(bucket).dataset.attrs["simulated"] == 1


def test_twd67(put, bucket: Folder):
    put(RAIN_KEY, as_json(StartPointLongitude="121.0", StartPointLatitude="23.6"))
    source = OpenData(bucket, datum="twd67")
    dataset = source.read(source.find((T,), RAIN)).dataset
    assert float(dataset["longitude"][0]) == pytest.approx(121.00812, abs=6e-6)
    assert float(dataset["latitude"][0]) == pytest.approx(23.59822, abs=6e-6)
    assert dataset.attrs["datum"] == "twd67"


def test_a_source_can_be_sent_to_another_process(bucket: Folder):
    source = OpenData(bucket, REFLECTIVITY_KEY, Folder("elsewhere"))
    assert pickle.loads(pickle.dumps(source)) == source
    with pytest.raises(ValueError, match=r"Observation/O-A0001-001\.json: allowed a key of O-B0045-001, O-A0059-001"):
        OpenData(bucket, "Observation/O-A0001-001.json")


def bomb() -> bytes:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return as_xml(f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{laughs}]>\n', Precipitation="&l9;")


def without(*path: str) -> bytes:
    tree: dict = document()
    inner = tree["cwaopendata"]
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return json.dumps(tree).encode()


BAD_JSON = {
    "empty": (b"", r"begins with ''; allowed \{ \(JSON\) or < \(XML\)"),
    "HTML": (b"<html><body><h1>403</h1></body></html>", r"its root is 'html'; allowed cwaopendata or cwbopendata"),
    "HTML that is no XML": (b"<!doctype html><p>503<br>", r"not a whole XML document \("),
    "an answer of S3": (
        b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
        r"its root is 'Error'; allowed cwaopendata or cwbopendata",
    ),
    "an answer of the API": (b'{"message": "Unauthorized"}', r"its root is 'message'; allowed cwaopendata or"),
    "a list": (b"[1, 2]", r"begins with '\[1, 2\]'; allowed"),
    "gzip": (b"\x1f\x8b\x08\0\0", r"byte 1 is not UTF-8; allowed JSON or XML in UTF-8"),
    "truncated": (as_json()[:-300], r"not a whole JSON document \(Unterminated string"),
    "truncated at the end": (as_json()[:-1], r"not a whole JSON document \(Expecting ',' delimiter"),
    "two documents": (as_json() + as_json(), r"not a whole JSON document \(Extra data"),
    "nested without end": (b'{"a":' * 200_000, r"not a whole JSON document \(maximum recursion depth"),
    "a name twice": (
        as_json().replace(b'"GridDimensionX"', b'"DateTime": "2026-06-11T14:00:00+08:00", "GridDimensionX"'),
        r"not a whole JSON document \(a name comes twice among StartPointLongitude",
    ),
    "no dataset": (without("dataset"), r"dataset is absent; allowed an object of names"),
    "no contents": (without("dataset", "contents"), r"contents is absent; allowed an object of names"),
    "no content": (without("dataset", "contents", "content"), r"content is absent; allowed a text"),
    "no time": (
        without("dataset", "datasetInfo", "parameterSet", "DateTime"),
        r"DateTime is absent; allowed a text",
    ),
    "content a list": (as_json(content=NUMBERS), r"content is a list; allowed a text"),
    "another product": (as_json(dataid="F-B0046-001"), r"dataid is 'F-B0046-001'; allowed 'O-B0045-001'"),
    "another unit": (as_json(Precipitation="cm"), r"unit is 'cm'; allowed 'mm'"),
    "a reflectivity": (
        json.dumps(document()).replace("Precipitation", "Reflectivity").encode(),
        r"Precipitation is absent; allowed a text",
    ),
    "a number missing": (as_json(content=scientific(NUMBERS[1:])), r"content holds 11 numbers; allowed 12"),
    "a number too many": (as_json(content=scientific([*NUMBERS, 0])), r"content holds 13 numbers; allowed 12"),
    "another size": (as_json(GridDimensionX="5"), r"content holds 12 numbers; allowed 15"),
    "NaN": (as_json(content=scientific(["NaN", *NUMBERS[1:]])), r"content holds 'NaN'; allowed finite numbers"),
    "infinity": (as_json(content=scientific(["1E999", *NUMBERS[1:]])), r"content holds '1E999'; allowed finite"),
    "a word": (as_json(content=scientific(["--", *NUMBERS[1:]])), r"content holds '--'; allowed decimal numbers"),
    "rain of 2000 mm": (
        as_json(content=scientific([2000, *NUMBERS[1:]])),
        r"tp01 spans 0 to 2000 kg m-2; allowed 0 to 300",
    ),
    "negative rain": (
        as_json(content=scientific([-0.25, *NUMBERS[1:]])),
        r"tp01 falls to -0\.25 kg m-2; allowed no lower than -0\.1",
    ),
    "another code for missing": (
        as_json(content=scientific([-99, *NUMBERS[1:]])),
        r"tp01 falls to -99 kg m-2; allowed no lower than -0\.1",
    ),
    "no dimension": (as_json(GridDimensionY="0"), r"grid's ny is 0; allowed 2 to 4096"),
    "a huge dimension": (as_json(GridDimensionX="999999999"), r"grid's nx is 999999999; allowed 2 to 4096"),
    "a longer number": (as_json(GridDimensionX="9" * 5000), r"nx is '9{40}'; allowed a whole number"),
    "half a point": (as_json(GridDimensionX="4.5"), r"nx is '4\.5'; allowed a whole number"),
    "resolution of zero": (as_json(GridResolution="0"), r"grid's dx is 0; allowed 1e-05 or more"),
    "resolution of nothing": (as_json(GridResolution="1e-300"), r"grid's dx is 1e-300; allowed 1e-05 or more"),
    "resolution no number": (as_json(GridResolution="1/80"), r"resolution is '1/80'; allowed a number"),
    "resolution NaN": (as_json(GridResolution="nan"), r"resolution is 'nan'; allowed a number"),
    "off the globe": (
        as_json(StartPointLatitude="90"),
        r"covers 90 to 90\.025 N, .* E; allowed -90 to 90 N, -180 to 360 E",
    ),
    "naive time": (
        as_json(DateTime="2026-06-11T14:00:00"),
        r"DateTime is '2026-06-11T14:00:00', without a time zone; allowed one such as \+08:00",
    ),
    "no time at all": (as_json(DateTime="14 o'clock"), r"DateTime is \"14 o'clock\"; allowed an ISO 8601 time"),
    "before time began": (
        as_json(DateTime="0001-01-01T00:00:00+08:00"),
        r"DateTime is '0001-01-01T00:00:00\+08:00'; allowed an ISO 8601 time",
    ),
}
BAD_XML = {
    "truncated": (as_xml()[:-60], r"not a whole XML document \((no element found|unclosed)"),
    "an entity bomb": (bomb(), r"declares a document type; allowed none"),
    "a file from outside": (
        as_xml('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', Precipitation="&e;"),
        r"declares a document type; allowed none",
    ),
    "an entity of its own": (as_xml(Precipitation="&e;"), r"not a whole XML document \(undefined entity"),
    "a time twice": (
        as_xml().replace(b"<GridDimensionX>", b"<DateTime>2026-06-11T14:00:00+08:00</DateTime><GridDimensionX>"),
        r"DateTime is a list; allowed a text",
    ),
    "nested without end": (b"<a>" * 100_000 + b"</a>" * 100_000, r"not a whole XML document \(maximum recursion"),
    "another encoding": (
        as_xml().decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        r"byte 0 is not UTF-8; allowed JSON or XML in UTF-8",
    ),
}
BAD_OLD = {
    "in the future of its sending": (
        as_old_xml("2018-03-28T03:59:59+08:00"),
        r"時間 201803280400, local time, lies -1 day, 23:59:59 before sent 2018-03-27T19:59:59\+00:00;"
        r" allowed 0:00:00 to 2:00:00",
    ),
    "truly UTC": (
        as_old_xml("2018-03-28T12:15:34+08:00"),
        r".*, local time, lies 8:15:34 before sent .*; allowed 0:00:00 to 2:00:00",
    ),
    "sent without a time zone": (as_old_xml("2018-03-28T04:15:34"), r"sent is '2018-03-28T04:15:34', without a time"),
    "no such time": (as_old_xml(時間="201813280400"), r"時間 is '201813280400'; allowed YYYYMMDDHHMM"),
    "no unit": (as_old_xml(單位=""), r"has no parameter 單位; allowed all of 左下角, 解析度, 時間, 維度, 單位"),
    "a corner of one number": (
        as_old_xml(左下角="117.975"),
        r"corner '117\.975', dimension '4\*3'; allowed 'lon,lat' and 'nx\*ny'",
    ),
    "a parameter twice": (as_old_xml(twice="解析度"), r"parameter 解析度 comes twice; allowed once"),
    "dBZ": (as_old_xml(單位="dBZ"), r"unit is 'dBZ'; allowed 'mm'"),
}


@pytest.mark.parametrize(
    ("key", "name", "valid_time"),
    [(RAIN_KEY, name, T) for name in BAD_JSON]
    + [(XML_RAIN_KEY, name, T) for name in BAD_XML]
    + [("MSC/O-B0045-001.xml", name, T_2018) for name in BAD_OLD],
)
def test_bad_documents_are_refused_in_one_clear_line(key: str, name: str, valid_time: datetime, put, bucket: Folder):
    tables = {RAIN_KEY: BAD_JSON, XML_RAIN_KEY: BAD_XML, "MSC/O-B0045-001.xml": BAD_OLD}
    data, message = tables[key][name]
    put(key, data)
    with pytest.raises(BadInput, match=rf"^\S+/bucket/{key}: " + message) as caught:
        read(bucket, valid_time, key)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_another_time_under_the_right_name(put, tmp_path: Path, bucket: Folder):
    kept = Folder(f"{tmp_path}/kept")
    path = tmp_path / "kept" / archived_path(RAIN_KEY, T)
    path.parent.mkdir(parents=True)
    path.write_bytes(as_json(DateTime="2026-06-11T14:10:00+08:00"))
    source = OpenData(bucket, kept=kept)
    with pytest.raises(
        BadInput,
        match=r"\.0600\.json: time is '2026-06-11T06:10:00\+00:00'; allowed '2026-06-11T06:00:00\+00:00'",
    ):
        source.read(source.find((T,), RAIN))


@pytest.mark.parametrize("hours_later", [1, -1])
def test_a_key_that_holds_another_hour_is_not_ready_and_says_so(hours_later: int, put, bucket: Folder):
    put(RAIN_KEY, as_json())
    asked = T - timedelta(hours=hours_later)
    with pytest.raises(NotReady, match=rf"O-B0045-001\.json: holds 2026-06-11 06:00 UTC, asked {asked:%Y-%m-%d %H:%M}"):
        OpenData(bucket).find((asked,), RAIN)


def test_only_what_was_overwritten_is_said_not_to_be_kept(put, tmp_path: Path, bucket: Folder):
    put(RAIN_KEY, as_json())
    source = OpenData(bucket, kept=Folder(f"{tmp_path}/kept"))
    with pytest.raises(NotReady, match=r"asked 2026-06-11 05:00 UTC and that time was not kept$"):
        source.find((T - timedelta(hours=1),), RAIN)
    with pytest.raises(NotReady, match=r"asked 2026-06-11 07:00 UTC$"):
        source.find((T + timedelta(hours=1),), RAIN)


def test_a_key_overwritten_between_find_and_read_is_not_ready(put, bucket: Folder):
    put(RAIN_KEY, as_json())
    source = OpenData(bucket)
    located = source.find((T,), RAIN)
    put(RAIN_KEY, as_json(DateTime="2026-06-11T14:10:00+08:00", sent="2026-06-11T14:18:00+08:00 "))
    with pytest.raises(NotReady, match=r"O-B0045-001\.json: changed while it was read"):
        source.read(located)


def test_find_reads_the_head_only_unless_the_time_is_not_in_it(put, bucket: Folder, tmp_path: Path):
    tree = document(content=scientific(NUMBERS * 2000), GridDimensionY="6000")
    path = put(RAIN_KEY, json.dumps(tree).encode())
    path.write_bytes(path.read_bytes()[:5000])
    assert OpenData(bucket).find((T,), RAIN).files[0].size == 5000
    dataset = document()["cwaopendata"]["dataset"]
    late = {"contents": dataset["contents"] | {"padding": "x" * 5000}, "datasetInfo": dataset["datasetInfo"]}
    put(RAIN_KEY, json.dumps(document(dataset=late)).encode())
    np.testing.assert_array_equal(read(bucket).dataset["tp01"].values[0], EXPECTED)


def test_a_document_far_too_large_is_not_read(put, bucket: Folder):
    path = put(RAIN_KEY, b"{")
    os.truncate(path, (64 << 20) + 1)
    with pytest.raises(BadInput, match=r"O-B0045-001\.json: has 67108865 bytes; allowed 67108864"):
        OpenData(bucket).find((T,), RAIN)
    put(RAIN_KEY, as_json())
    os.truncate(path, (64 << 20) + 1)
    source = OpenData(bucket)
    located = source.find((T,), RAIN)
    with pytest.raises(BadInput, match=r"O-B0045-001\.json: has 67108865 bytes; allowed 67108864"):
        source.read(located)


def test_small_negative_rain_becomes_none_and_is_counted(put, bucket: Folder):
    put(RAIN_KEY, as_json(content=scientific([-0.05, -0.01, *NUMBERS[2:]])))
    rain = read(bucket).dataset["tp01"]
    assert rain.attrs["clipped_negatives"] == 2
    assert rain.values[0, 0, :2].tolist() == [0.0, 0.0]


def test_absent_future_naive_odd_and_repeated_times(put, bucket: Folder):
    source = OpenData(bucket)
    with pytest.raises(NotReady, match=r"O-B0045-001\.json: not there yet"):
        source.find((T,), RAIN)
    put(RAIN_KEY, as_json())
    assert source.find((T.astimezone(timezone(timedelta(hours=8))),), RAIN).valid_times == (T,)
    for other in (datetime(2056, 1, 1, tzinfo=UTC), T + timedelta(minutes=7)):
        with pytest.raises(NotReady, match="holds 2026-06-11 06:00 UTC, asked"):
            source.find((other,), RAIN)
    with pytest.raises(ValueError, match="has no time zone"):
        source.find((T.replace(tzinfo=None),), RAIN)
    with pytest.raises(ValueError, match="must be ascending"):
        source.find((T, T), RAIN)
    with pytest.raises(BadInput, match="qpe_open_data: does not provide refc; it provides tp01"):
        source.find((T,), REFC)


def test_from_s3_without_listing(s3, monkeypatch: pytest.MonkeyPatch):
    import s3fs

    root = s3.bucket()
    objects(root).replace(RAIN_KEY, as_json())
    source = OpenData(Folder(root))
    listed = []
    monkeypatch.setattr(s3fs.S3FileSystem, "_lsdir", lambda *_, **__: listed.append(1))
    located = source.find((T,), RAIN)
    reading = source.read(located)
    np.testing.assert_array_equal(reading.dataset["tp01"].values[0], EXPECTED)
    assert located.files[0].version.strip('"')
    assert not listed
    objects(root).replace(RAIN_KEY, as_json(DateTime="2026-06-11T14:10:00+08:00"))
    with pytest.raises(NotReady, match="changed while it was read"):
        source.read(located)
