"""Keeping what is overwritten in place: once, under its date, known by version and internal time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.sources.opendata import RAIN_KEY, OpenData, archived_path
from stormcast_tw.sources.opendata_archive import archive_document
from stormcast_tw.storage.objects import Objects, objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
RAIN = variable_set("rain", "tp01")
PATH = "O-B0045-001/20260611/O-B0045-001.20260611.0600.json"


def document(time: datetime, first: float = 0.5, content: str | None = None) -> bytes:
    entries = {"StartPointLongitude": "118", "StartPointLatitude": "20", "GridResolution": "0.0125"} | {
        "DateTime": time.isoformat(),
        "GridDimensionX": "2",
        "GridDimensionY": "2",
        "Precipitation": "mm",
    }
    contents = {"content": content or f"{first},1,2,-1"}
    dataset = {"datasetInfo": {"datasetDescription": "x", "parameterSet": entries}, "contents": contents}
    return json.dumps({"cwaopendata": {"dataid": "O-B0045-001", "dataset": dataset}}).encode()


@pytest.fixture(params=["disk", "s3"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Objects, Objects]:
    """The provider's bucket and the archive."""
    if request.param == "disk":
        return objects(str(tmp_path / "bucket")), objects(str(tmp_path / "archive"))
    root = request.getfixturevalue("s3").bucket()
    return objects(root), objects(f"{root}/archive")


@pytest.fixture
def kept(places: tuple[Objects, Objects]) -> Callable:
    return lambda: archive_document(Folder(places[0].root), RAIN_KEY, places[1])


def source(places: tuple[Objects, Objects]) -> OpenData:
    return OpenData(Folder(places[0].root), kept=Folder(places[1].root))


def first_value(places: tuple[Objects, Objects], time: datetime) -> float:
    opendata = source(places)
    return float(opendata.read(opendata.find((time,), RAIN)).dataset["tp01"].values[0, 0, 0])


def test_the_dated_name():
    assert archived_path(RAIN_KEY, T) == PATH
    assert archived_path("MSC/O-A0059-001.xml", T) == "O-A0059-001/20260611/O-A0059-001.20260611.0600.xml"


def test_an_hour_is_still_read_after_it_was_overwritten(places, kept):
    bucket, archive = places
    bucket.replace(RAIN_KEY, document(T, 0.5))
    first = kept()
    assert (first.path, first.valid_time, first.status) == (PATH, T, "kept")
    bucket.replace(RAIN_KEY, document(T + timedelta(hours=1), 7.5))
    assert kept().status == "kept"
    opendata = source(places)
    both = opendata.find((T, T + timedelta(hours=1)), RAIN)
    assert [file.address.rsplit("/", 1)[-1] for file in both.files] == [
        "O-B0045-001.20260611.0600.json",
        "O-B0045-001.20260611.0700.json",
    ]
    values = opendata.read(both).dataset["tp01"].values
    assert values[:, 0, 0].tolist() == [0.5, 7.5]
    assert np.isnan(values[:, 1, 1]).all()
    assert archive.read(PATH).data == document(T, 0.5)


def test_what_is_kept_is_known_by_version_and_internal_time(places, kept):
    bucket, archive = places
    bucket.replace(RAIN_KEY, document(T))
    found = kept()
    origin = json.loads(archive.read(f"{PATH}.origin.json").data)
    assert origin == {
        "address": f"{bucket.root}/{RAIN_KEY}",
        "version": Folder(bucket.root).find(RAIN_KEY).version,
        "size": len(document(T)),
        "sha256": hashlib.sha256(document(T)).hexdigest(),
        "valid_time": "2026-06-11T06:00:00+00:00",
    }
    assert found.version == origin["version"]


def test_again_changes_nothing_and_reads_the_head_only(places, kept, monkeypatch: pytest.MonkeyPatch):
    bucket, archive = places
    bucket.replace(RAIN_KEY, document(T, content="0.5,1,2," + " " * 10_000 + "-1"))
    kept()
    files, before = archive.files(""), archive.read(PATH)
    lengths = []
    from stormcast_tw.storage.provider_files import Reader

    monkeypatch.setattr(
        Reader, "read", lambda self, start, length, index=False, read=Reader.read: (
            lengths.append(length) or read(self, start, length, index=index)
        )
    )  # fmt: skip
    for _ in range(2):
        assert kept().status == "known"
    assert lengths == [4096, 4096]
    assert archive.files("") == files
    assert archive.read(PATH) == before


def test_a_revision_lies_beside_and_the_first_stays_what_is_read(places, kept):
    bucket, archive = places
    bucket.replace(RAIN_KEY, document(T, 0.5))
    kept()
    bucket.replace(RAIN_KEY, document(T, 99.5))
    revised = kept()
    assert revised.status == "revised"
    assert revised.path.startswith("O-B0045-001/20260611/O-B0045-001.20260611.0600.")
    assert archive.read(revised.path).data == document(T, 99.5)
    assert archive.read(PATH).data == document(T, 0.5)
    assert kept().status == "known"
    assert first_value(places, T) == 0.5


def test_the_same_bytes_delivered_anew_are_known(places, kept):
    bucket, archive = places
    bucket.replace(RAIN_KEY, document(T))
    kept()
    files = archive.files("")
    bucket.replace(RAIN_KEY, document(T))
    assert kept().status == "known"
    assert archive.files("") == files


def test_interrupted_between_copy_and_origin_it_is_completed(places, kept):
    bucket, archive = places
    bucket.replace(RAIN_KEY, document(T))
    archive.create(PATH, document(T))
    assert kept().status == "known"
    assert archive.read(f"{PATH}.origin.json") is not None


def test_two_at_once_keep_one(places, kept):
    bucket, archive = places
    bucket.replace(RAIN_KEY, document(T))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: kept(), range(4)))
    assert {one.path for one in found} == {PATH}
    assert sorted(archive.files("")) == [PATH, f"{PATH}.origin.json"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>503</html>", r"its root is 'html'; allowed cwaopendata"),
        (b"", r"begins with ''; allowed"),
        (document(T)[:-1], r"not a whole JSON document"),
        (document(T, content="0.5,1,2"), r"content holds 3 numbers; allowed 4"),
        (document(T + timedelta(minutes=7)), r"time is 2026-06-11T06:07:00\+00:00; allowed multiples of 10 minutes"),
        (document(T.replace(tzinfo=None)), r"DateTime is '2026-06-11T06:00:00', without a time zone"),
    ],
)
def test_what_cannot_be_read_is_not_kept(places, kept, data: bytes, message: str):
    bucket, archive = places
    bucket.replace(RAIN_KEY, data)
    with pytest.raises(BadInput, match=rf"O-B0045-001\.json: {message}"):
        kept()
    assert archive.files("") == []


def test_an_absent_key_is_not_ready(kept):
    with pytest.raises(NotReady, match=r"O-B0045-001\.json: not there yet"):
        kept()
