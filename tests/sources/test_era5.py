"""ERA5 in ARCO's Zarr: which objects are read, what is not filled yet, and what is refused."""

from __future__ import annotations

import hashlib
import pickle
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.settings import settings
from stormcast_tw.simulation.files import era5 as simulated
from stormcast_tw.simulation.files.global_ai import points
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.era5 import Era5
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import BACKGROUND_SETS, variable_set
from tests.sources.globes import HOUR, Arco, T, value

EVERYTHING = variable_set("asked", *BACKGROUND_SETS["background26"].ids, "tp01")
T2M, DEEP = variable_set("asked", "t2m"), variable_set("asked", "t500", "t850")
TIMES = (T, T + HOUR)


def source(root: Path, **more) -> Era5:
    return Era5(Folder(str(root)), "arco", **more)


def read(root: Path, variables=T2M, times=(T,), **more):
    chosen = source(root, **more)
    return chosen.read(chosen.find(times, variables))


def expected(variable_id: str, time: datetime, dataset) -> np.ndarray:
    return value(variable_id, time, *np.meshgrid(dataset["latitude"], dataset["longitude"], indexing="ij"))


@pytest.mark.parametrize("compressor", [True, False], ids=["blosc", "bare"])
def test_every_variable_comes_in_our_units(tmp_path: Path, compressor: bool):
    Arco(tmp_path / "arco", compressor=compressor).write(EVERYTHING.ids, TIMES)
    dataset = read(tmp_path, EVERYTHING, TIMES).dataset
    assert tuple(dataset.data_vars) == EVERYTHING.ids
    assert (dataset.attrs["source"], dataset.attrs["simulated"], "init_time" in dataset.attrs) == ("era5", 0, False)
    assert dataset["z500"].attrs["units"] == "m2 s-2"
    np.testing.assert_array_equal(dataset["latitude"], np.arange(21.0, 27.0))
    np.testing.assert_array_equal(dataset["longitude"], np.arange(119.0, 124.0))
    for number, time in enumerate(TIMES):
        for variable_id in EVERYTHING.ids:
            there = expected(variable_id, time, dataset)
            np.testing.assert_allclose(dataset[variable_id][number], there, rtol=1e-6)
    assert 1.9 < float(dataset["tp01"].mean()) < 2.1


def test_one_object_an_hour_and_no_more_of_the_time_axis_than_holds_it(tmp_path: Path):
    arco = Arco(tmp_path / "arco")
    arco.write(("t2m", "t500"), TIMES)
    chosen = source(tmp_path)
    located = chosen.find(TIMES, variable_set("asked", "t500", "t2m", "t850"))
    chunks = [
        arco.key(name, time, deep)
        for time in TIMES
        for name, deep in (("temperature", True), ("2m_temperature", False))
    ]
    assert [file.address for file in located.files] == [f"{tmp_path}/arco/{key}" for key in chunks]
    assert located.init_time is None
    used = {one.address: one for one in chosen.read(pickle.loads(pickle.dumps(located))).used}
    for key in chunks:
        data = (tmp_path / "arco" / key).read_bytes()
        one = used.pop(f"{tmp_path}/arco/{key}")
        assert (one.digest, one.bytes_used) == ("sha256:" + hashlib.sha256(data).hexdigest(), len(data))
        assert one.bytes_of_index == 0
    assert all(one.bytes_used == 0 for one in used.values())
    times = sorted(address.rsplit("/", 1)[1] for address in used if "/time/" in address)
    assert times == [".zarray", ".zattrs", "0", str(arco.index(T) // 100_000)]
    assert len(list((tmp_path / "arco" / "time").glob("[0-9]*"))) == 12


def test_a_store_in_s3_gives_the_same_by_the_same_bytes(tmp_path: Path, s3):
    Arco(tmp_path / "arco").write(("t2m", "t500"), (T,))
    root, wanted = s3.bucket(), variable_set("asked", "t500", "t2m")
    store = objects(root)
    for file in (tmp_path / "arco").rglob("*"):
        if file.is_file():
            store.replace(str(file.relative_to(tmp_path)), file.read_bytes())
    there = Era5(Folder(root, settings().s3_options()), "arco")
    near, far = read(tmp_path, wanted), there.read(there.find((T,), wanted))
    assert far.dataset.identical(near.dataset)
    accounts = [[(u.digest, u.bytes_used, u.bytes_of_index) for u in reading.used] for reading in (near, far)]
    assert accounts[0] == accounts[1]
    assert all(used.address.startswith(f"{root}/arco/") for used in far.used)


def test_hours_that_are_not_filled_are_not_ready(tmp_path: Path):
    arco = Arco(tmp_path / "arco", stop="2026-06-10")
    arco.write(("t2m",), (T, T - 24 * HOUR))
    with pytest.raises(
        NotReady, match=r"arco: is filled until 2026-06-10T23Z \(valid_time_stop\); 2026-06-11T12Z is not"
    ):
        source(tmp_path).find((T,), T2M)
    assert len(read(tmp_path, preliminary=True).used) > 1
    assert read(tmp_path, times=(T - 24 * HOUR,)).dataset["t2m"].shape[0] == 1
    with pytest.raises(NotReady, match=rf"arco/{arco.key('2m_temperature', T + HOUR)}: not there yet"):
        source(tmp_path, preliminary=True).find((T, T + HOUR), T2M)
    arco.chunk(arco.key("2m_temperature", T), np.full((1, 181, 360), np.nan, "<f4"))
    with pytest.raises(NotReady, match=r"arco/2m_temperature: t2m at 2026-06-11T12Z is not filled: all is NaN"):
        read(tmp_path, preliminary=True)
    with pytest.raises(NotReady, match=r"arco/time: has \d+ hours from 1900-01-01T00.*; none is 2026-07-30T00"):
        source(tmp_path, preliminary=True).find((datetime(2026, 7, 30, tzinfo=T.tzinfo),), T2M)


def test_a_chunk_that_changes_is_not_ready(tmp_path: Path):
    arco = Arco(tmp_path / "arco")
    arco.write(("t2m",), (T,))
    chosen = source(tmp_path)
    located = chosen.find((T,), T2M)
    arco.chunk(arco.key("2m_temperature", T), np.full((1, 181, 360), 280, "<f4"))
    with pytest.raises(NotReady, match=r"2m_temperature/\d+\.0\.0: changed while it was read \(now .*, found as "):
        chosen.read(located)


def test_wrong_requests(tmp_path: Path):
    with pytest.raises(BadInput, match="era5: does not provide refc; it provides t2m, "):
        source(tmp_path).find((T,), variable_set("asked", "refc"))
    with pytest.raises(ValueError, match=r"12:30:00\+00:00 is not a full hour"):
        source(tmp_path).find((T + HOUR / 2,), T2M)
    with pytest.raises(NotReady, match=r"arco/\.zattrs: not there yet"):
        source(tmp_path).find((T,), T2M)


def test_one_hole_is_refused(tmp_path: Path):
    arco = Arco(tmp_path / "arco")
    arco.write(("t2m",), (T,))
    values = np.full((1, 181, 360), 290, "<f4")
    values[0, 67, 121] = np.nan
    arco.chunk(arco.key("2m_temperature", T), values)
    with pytest.raises(BadInput, match=r"arco/2m_temperature: t2m has 1 of 30 values that are not finite; allowed 0"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("variable_id", "factor", "message"),
    [
        ("t2m", 0.05, r"t2m spans 14\.\d+ to 14\.\d+ K; allowed 220 to 330"),
        ("msl", 0.01, r"msl spans 10\d\d\.\d* to 10\d\d\.\d* Pa; allowed 86000 to 106000"),
        ("z500", 1 / 9.80665, r"z500 spans 58\d\d\.\d+ to 58\d\d\.\d+ m2 s-2; allowed 36000 to 80000"),
        ("tp01", 1000.0, r"tp01 spans 19\d\d.* kg m-2; allowed 0 to 300"),
        ("tp01", -1.0, r"tp01 falls to -2\.\d+ kg m-2; allowed no lower than -0\.1"),
    ],
)
def test_other_units_are_refused(tmp_path: Path, variable_id: str, factor: float, message: str):
    Arco(tmp_path / "arco").write((variable_id,), (T,), factor)
    with pytest.raises(BadInput, match=r"arco/\w+: " + message):
        read(tmp_path, variable_set("asked", variable_id))


BAD = {
    "no JSON": ("temperature", ".zarray", "<html>404</html>", r"temperature/\.zarray: Invalid JSON: "),
    "empty": ("temperature", ".zarray", "", r"temperature/\.zarray: Invalid JSON: EOF"),
    "a list": ("", ".zattrs", "[]", r"arco/\.zattrs: Input should be "),
    "no stop": ("", ".zattrs", {"title": "x"}, r"arco: has no attribute valid_time_stop: which hours are filled"),
    "odd stop": ("", ".zattrs", {"valid_time_stop": "soon"}, r"valid_time_stop is 'soon'; allowed a date such as 2026"),
    "format 3": ("temperature", {"zarr_format": 3}, r"\.zarray: zarr_format: Input should be 2"),
    "filters": ("temperature", {"filters": [{"id": "delta"}]}, r"\.zarray: filters: Input should be n"),
    "other codec": ("temperature", {"compressor": {"id": "pickle"}}, r"compressor\.id: Input should be 'blosc'"),
    "strings": ("temperature", {"dtype": "|S8"}, r"\.zarray: dtype: Value error, must be integers or floats"),
    "no type": ("temperature", {"dtype": "float33"}, r"\.zarray: dtype: Value error, is not a data type"),
    "huge": ("temperature", {"chunks": [10**6, 4, 181, 360]}, r"Value error, a chunk of 1042560000000 bytes in"),
    "negative": ("temperature", {"shape": [-5, 4, 181, 360]}, r"\.zarray: shape\.0: Input should be greater than 0"),
    "flat": ("temperature", {"chunks": [1, 4]}, r"\.zarray: Value error, chunks and shape differ in length"),
    "other rows": ("temperature", {"shape": [1200000, 4, 180, 360]}, r"re: 180 values along latitude, whose axis is"),
    "many chunks": ("temperature", {"shape": [1200000, 4, 2**31, 360]}, r"re: 11864551 chunks are asked for at"),
    "no names": ("temperature", ".zattrs", {}, r"arco/temperature: _ARRAY_DIMENSIONS is None; allowed 4 names"),
    "turned": (
        "temperature", ".zattrs", {"_ARRAY_DIMENSIONS": ["time", "latitude", "longitude", "level"]},
        r"arco/temperature: has dimensions \('time', 'latitude', .*; allowed \('time', 'level'",
    ),
    "time units": ("time", ".zattrs", {"_ARRAY_DIMENSIONS": ["time"], "units": "hours"}, r"its time is in 'hours' of"),
    "not hourly": (
        "time", ".zattrs", {"_ARRAY_DIMENSIONS": ["time"], "units": "minutes since 1900-01-01"},
        r"arco/time: 1902-.* is at 1108380; allowed 2026-06-11T12",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_store_that_is_not_one_of_ours_is_refused(tmp_path: Path, case: str):
    arco = Arco(tmp_path / "arco")
    arco.write(DEEP.ids, (T,))
    name, *changed, message = BAD[case]
    if len(changed) == 2:
        arco.document(name, *changed)
    else:
        hours = arco.described((1_110_000, 4, 181, 360), (1, 4, 181, 360), "<f4")
        arco.document(name, ".zarray", hours | changed[0])
    with pytest.raises(BadInput, match=message):
        read(tmp_path, DEEP)


def test_chunks_that_are_no_chunks_are_refused(tmp_path: Path):
    arco = Arco(tmp_path / "arco")
    arco.write(("t2m",), (T,))
    path = tmp_path / "arco" / arco.key("2m_temperature", T)
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    cases = {
        b"": r"Blosc says 0 bytes in 0; allowed 260640 in 0",
        b"<html>404 Not Found</html>": r"Blosc says \d+ bytes in \d+; allowed 260640 in 26",
        good[:-9]: rf"Blosc says 260640 bytes in {len(good)}; allowed 260640 in {len(good) - 9}",
        good[:4] + b"\xff\xff\xff\x7f" + good[8:]: rf"Blosc says 2147483647 bytes in {len(good)}; allowed 260640 in",
        good[:16] + b"\xff" * 64 + good[80:]: r"Blosc cannot unpack it \(",
    }
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(BadInput, match=rf"{path.name}: " + message):
            read(tmp_path)
    bare = Arco(tmp_path / "arco", compressor=False)
    bare.write(("t2m",), (T,))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BadInput, match=rf"{path.name}: a chunk of 260636 bytes; allowed 260640"):
        read(tmp_path)


def test_a_level_that_is_not_there_is_named(tmp_path: Path):
    Arco(tmp_path / "arco").write(("t500",), (T,))
    with pytest.raises(
        BadInput, match=r"arco/temperature: has no level for t700; its levels are \[250\.0, 500\.0, 850"
    ):
        read(tmp_path, variable_set("asked", "t500", "t700"))


def test_the_simulated_store_comes_back(tmp_path: Path):
    world = World(7)
    objects = simulated.arco(world, TIMES, EVERYTHING.ids, T)
    assert objects == simulated.arco(World(7), TIMES, EVERYTHING.ids, T)
    for path, data in objects.items():
        (tmp_path / "arco" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "arco" / path).write_bytes(data)
    dataset = read(tmp_path, EVERYTHING, TIMES).dataset
    assert dataset.attrs["simulated"] == 1
    latitude, longitude = points()
    rows, columns = np.isin(latitude[:, 0], dataset["latitude"]), np.isin(longitude[0], dataset["longitude"])
    for number, time in enumerate(TIMES):
        for variable_id, truth in simulated.fields(world, time, EVERYTHING.ids).items():
            there = truth[rows][::-1][:, columns] * (1000 if variable_id == "tp01" else 1)
            np.testing.assert_allclose(dataset[variable_id][number], there, rtol=2e-6, atol=1e-6)
