"""Providers' files on a disk and on real S3 servers: versions, ranges, digests, and stores that fail."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stormcast_tw.errors import BadInput, NotReady, Refused, Unreachable
from stormcast_tw.settings import settings
from stormcast_tw.storage import provider_files
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder, SourceFile, Used
from tests.faults import FaultServer, fault_server
from tests.servers import S3Server

DATA = bytes(range(256)) * 4
PATIENCE = 0.8
"""Seconds a stalling store is waited for in these tests."""


@dataclass(frozen=True)
class Place:
    """A provider's root, and how a file gets there."""

    folder: Folder
    write: Callable[[str, bytes], None]


@pytest.fixture(params=["path", "file URL", "S3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "S3":
        root = request.getfixturevalue("s3").bucket()
        return Place(Folder(root, settings().s3_options()), objects(root).replace)

    def write(path: str, data: bytes) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)

    return Place(Folder(f"{'file://' if request.param == 'file URL' else ''}{tmp_path}"), write)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_found_without_reading_and_read_by_ranges(place: Place):
    folder = place.folder
    place.write("run/a.bin", DATA)
    found = folder.find("run/a.bin")
    assert (found.address, found.size) == (f"{folder.root}/run/a.bin", 1024)
    assert folder.exists("run/a.bin")
    with folder.open(found) as reader:
        assert reader.read(1000, 24) == DATA[1000:]
        assert reader.read(3, 5, index=True) == DATA[3:8]
        assert reader.read(16, 4) == DATA[16:20]
        assert reader.read(16, 4) == DATA[16:20]
        assert reader.read(7, 0) == b""
    # the digest: offset, length and sha256 of each range, in the order of the file
    lines = [f"7 0 {sha256(b'')}", f"16 4 {sha256(DATA[16:20])}", f"1000 24 {sha256(DATA[1000:])}"]
    assert reader.used == Used(found.address, "ranges:" + sha256("\n".join(lines).encode()), 28, 5)


def test_a_file_read_whole_is_known_by_its_sha256(place: Place):
    for name, data in (("a", DATA), ("empty", b"")):
        place.write(name, data)
        with place.folder.open(place.folder.find(name)) as reader:
            assert reader.all() == data
        assert reader.used == Used(f"{place.folder.root}/{name}", "sha256:" + sha256(data), len(data), 0)


def test_a_range_outside_the_file_is_bad_input(place: Place):
    place.write("a", DATA)
    with place.folder.open(place.folder.find("a")) as reader:
        for start, length in ((1000, 25), (-1, 2), (2000, 1), (0, -1)):
            wanted = rf"a: bytes {start} to {start + length} are requested; the file has 1024"
            with pytest.raises(BadInput, match=wanted):
                reader.read(start, length)


def test_what_is_absent_is_not_ready(place: Place):
    place.write("run/a", DATA)
    place.write("run/deep/b", DATA)
    for path in ("run/c", "nowhere/a", "run", "run/deep"):
        assert not place.folder.exists(path)
        with pytest.raises(NotReady, match=rf"{place.folder.root}/{path}: not there yet"):
            place.folder.find(path)
    assert place.folder.names("run") == ["a"]
    assert place.folder.names("nowhere") == []
    gone = SourceFile(place.folder.address("gone"), '"0"', 3)
    with (
        pytest.raises(NotReady, match=rf"{place.folder.root}/gone: not there yet"),
        place.folder.open(gone) as reader,
    ):
        reader.read(0, 3)


def test_names_and_sizes_are_never_old(place: Place):
    place.write("run/a", b"one")
    assert place.folder.names("run") == ["a"]
    place.write("run/b", b"two")
    place.write("run/a", b"longer")
    assert place.folder.names("run") == ["a", "b"]
    assert place.folder.find("run/a").size == 6


def test_a_file_overwritten_since_it_was_found_is_not_ready(place: Place):
    place.write("a", DATA)
    old = place.folder.find("a")
    place.write("a", DATA[::-1])
    new = place.folder.find("a")
    assert old.version != new.version
    changed = rf"{place.folder.root}/a: changed while it was read \(now {new.version}, found as {old.version}\)"
    with pytest.raises(NotReady, match=changed), place.folder.open(old) as reader:
        reader.read(0, 10)
    with place.folder.open(new) as reader:
        assert reader.read(0, 2) == DATA[::-1][:2]


def test_a_file_overwritten_between_two_ranges_is_not_ready(place: Place):
    place.write("a", DATA)
    with place.folder.open(place.folder.find("a")) as reader:
        assert reader.read(0, 10) == DATA[:10]
        place.write("a", DATA + b"more")
        with pytest.raises(NotReady, match=r"a: changed while it was read \(now .*, found as .*\); look again"):
            reader.read(10, 10)
    assert reader.used.bytes_used == 10


def test_a_file_cut_short_while_it_is_read_is_not_ready(tmp_path: Path):
    (tmp_path / "a").write_bytes(DATA)
    folder = Folder(str(tmp_path))
    with folder.open(folder.find("a")) as reader:
        os.truncate(tmp_path / "a", 512)
        with pytest.raises(NotReady, match=r"a: changed while it was read \(now 512-\d+, found as 1024-\d+\)"):
            reader.read(500, 100)


def test_a_folder_goes_to_another_process(place: Place):
    place.write("a", DATA)
    found = place.folder.find("a")
    folder, there = pickle.loads(pickle.dumps((place.folder, found)))
    with folder.open(there) as reader:
        assert reader.read(1, 2) == DATA[1:3]


def test_google_is_read_as_s3(s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    import boto3

    root = s3.bucket()
    objects(root).replace("a", DATA)
    bucket = root.removeprefix("s3://").split("/")[0]
    key, secret = settings().s3_options()["key"], settings().s3_options()["secret"]
    client = boto3.client(
        "s3", endpoint_url=s3.endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
    )
    client.put_object_acl(Bucket=bucket, Key="root/a", ACL="public-read")
    monkeypatch.setattr(provider_files, "_GOOGLE", s3.endpoint)
    folder = Folder(root.replace("s3://", "gs://"))
    found = folder.find("a")
    assert found.address == root.replace("s3://", "gs://") + "/a"
    with folder.open(found) as reader:
        assert reader.all() == DATA


@dataclass(frozen=True)
class Failing:
    """A file in a store that can fail."""

    folder: Folder
    found: SourceFile
    server: FaultServer


@pytest.fixture
def failing(s3: S3Server) -> Iterator[Failing]:
    root = s3.bucket()
    objects(root).replace("a", DATA)
    with fault_server(s3.endpoint) as server:
        options = settings().s3_options() | {"endpoint_url": server.endpoint}
        patience = {"connect_timeout": PATIENCE, "read_timeout": PATIENCE, "retries": {"total_max_attempts": 1}}
        options["config_kwargs"] = {**options["config_kwargs"], **patience}
        folder = Folder(root, options)
        yield Failing(folder, folder.find("a"), server)


def read(failing: Failing) -> bytes:
    with failing.folder.open(failing.found) as reader:
        return reader.read(100, 200)


def test_the_proxy_is_true_to_the_server(failing: Failing):
    assert read(failing) == DATA[100:300]
    assert failing.server.bytes_served == 200
    assert (failing.server.count("HEAD"), failing.server.count("GET")) == (1, 1)


FAULTS = {
    "403": (Refused, r"/a: access denied \(.*\); check the credentials of this provider"),
    "404": (NotReady, r"/a: not there yet"),
    "503": (Unreachable, r"/a: no whole answer \(\w+: .*(Service Unavailable|a fault of the test)"),
    "reset": (Unreachable, r"/a: no whole answer \(\w+: .*"),
    "stall": (Unreachable, r"/a: no whole answer \(\w+: .*[Tt]ime"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_store_is_told_apart_when_a_file_is_looked_for(failing: Failing, fault):
    error, message = FAULTS[fault]
    failing.server.fault = fault
    with pytest.raises(error, match=message):
        failing.folder.find("a")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_store_is_told_apart_when_a_file_is_read(failing: Failing, fault):
    error, message = FAULTS[fault]
    failing.server.fault = fault
    with pytest.raises(error, match=message):
        read(failing)
    assert failing.server.bytes_served < 2000


@pytest.mark.parametrize(("fault", "message"), [("half", "payload"), ("stall in body", "[Tt]imeout")])
def test_half_an_answer_is_no_answer(failing: Failing, fault, message: str):
    failing.server.fault = fault
    with pytest.raises(Unreachable, match=rf"{failing.found.address}: no whole answer \(.*{message}"):
        read(failing)
    assert failing.server.bytes_served == 100


def test_another_etag_between_two_ranges_is_not_ready(failing: Failing):
    """A store that ignores If-Match and whose object changes."""
    failing.server.fault, failing.server.spared = "etag", 1
    with failing.folder.open(failing.found) as reader:
        assert reader.read(0, 10) == DATA[:10]
        now = r'"0123456789abcdef0123456789abcdef"'
        with pytest.raises(
            NotReady, match=rf"/a: changed while it was read \(now {now}, found as {failing.found.version}"
        ):
            reader.read(10, 10)


@pytest.mark.parametrize("fault", ["503", "reset", "stall"])
def test_one_fault_is_survived(failing: Failing, fault):
    failing.server.fault, failing.server.times = fault, 1
    assert read(failing) == DATA[100:300]
    assert failing.server.count("GET") == 2


def test_ten_thousand_keys_do_not_matter(careless_s3: S3Server):
    root = careless_s3.bucket()
    assert careless_s3.folder is not None
    there = careless_s3.folder / root.removeprefix("s3://") / "run"
    there.mkdir(parents=True)
    for number in range(10_000):
        (there / f"{number:05d}").touch()
    (there / "07000").write_bytes(DATA)
    with fault_server(careless_s3.endpoint) as server:
        folder = Folder(root, settings().s3_options() | {"endpoint_url": server.endpoint})
        found = folder.find("run/07000")
        with folder.open(found) as reader:
            assert reader.read(0, 10) == DATA[:10]
        assert [method for method, _ in server.requests] == ["HEAD", "GET"]
        assert server.bytes_served == 10
        with pytest.raises(NotReady, match="run/10000: not there yet"):
            folder.find("run/10000")
        assert len(server.requests) == 4
        assert server.bytes_served < 2000
        assert folder.names("run")[6999:7001] == ["06999", "07000"]
