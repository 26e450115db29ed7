"""AIFS by `.index`: where runs are kept, which bytes are read, what is derived, and what is refused."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import eccodes
import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.settings import settings
from stormcast_tw.simulation.files import aifs as simulated_aifs
from stormcast_tw.simulation.files.global_ai import points, run_fields
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.aifs import Aifs, index_path, path
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import BACKGROUND_SETS, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
START = T - timedelta(hours=6)
HOURS = tuple(T + timedelta(hours=lead) for lead in range(13))
BACKGROUND = BACKGROUND_SETS["background26"]
T500 = variable_set("asked", "t500")
CCSDS = {"packingType": "grid_ccsds"}
QUANTUM = 2e-7


def entry(key, data: bytes, offset: int, **more) -> str:
    """One line of an index, by the words of ECMWF's documentation."""
    name, level = key
    said = {"domain": "g", "levtype": "pl" if level else "sfc", "param": name, "_offset": offset, "_length": len(data)}
    return json.dumps(said | ({"levelist": str(level)} if level else {}) | more) + "\n"


def write(root: Path, lead: int, messages: dict, *, extra: str = "", init_time: datetime = START, data=None) -> bytes:
    """Write the file and the index of a lead, `messages` by (shortName, level)."""
    whole, lines = b"", ""
    for key, message in messages.items():
        lines += entry(key, message, len(whole))
        whole += message
    for name, content in ((path, data or whole), (index_path, (lines + extra).encode())):
        file = root / name(init_time, lead)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return whole


def all_messages(pangu, lead: int, **factors: float) -> dict:
    keys = [key for key in pangu.keys if key[0] != "tcwv"] + [("q", 700), ("q", 300)]
    messages = {}
    for key in keys:
        if key in (("q", 700), ("q", 300)):
            like = ("q", 500)
            messages[key] = pangu.message(like, START, lead, level=key[1], **CCSDS)
        else:
            messages[key] = pangu.message(key, START, lead, factor=factors.get(key[0], 1.0), **CCSDS)
    messages["tcw", None] = pangu.message(("tcwv", None), START, lead, shortName="tcw", **CCSDS)
    messages["z", None] = pangu.message(("z", 1000), START, lead, typeOfLevel="surface", level=0, shortName="z")
    return messages


def reading(root: Path, variables=T500, times=(T,), init_time: datetime = START):
    source = Aifs(Folder(str(root)))
    return source.read(source.find(times, variables, init_time))


def expected(pangu, key, hour: float, dataset) -> np.ndarray:
    return pangu.value(key, hour, *np.meshgrid(dataset["latitude"], dataset["longitude"], indexing="ij"))


@pytest.mark.parametrize(
    ("init_time", "folder"),
    [
        ("2026-06-11T06", "20260611/06z/aifs-single/0p25/oper/20260611060000-12h-oper-fc"),
        ("2025-02-25T06", "20250225/06z/aifs-single/0p25/oper/20250225060000-12h-oper-fc"),
        ("2025-02-25T00", "20250225/00z/aifs-single/0p25/experimental/oper/20250225000000-12h-oper-fc"),
        ("2025-02-10T00", "20250210/00z/aifs-single/0p25/experimental/oper/20250210000000-12h-oper-fc"),
        ("2025-02-08T18", "20250208/18z/aifs/0p25/oper/20250208180000-12h-oper-fc"),
    ],
)
def test_runs_are_where_ecmwf_kept_them_then(init_time: str, folder: str):
    time = datetime.fromisoformat(f"{init_time}:00+00:00")
    assert (path(time, 12), index_path(time, 12)) == (f"{folder}.grib2", f"{folder}.index")


def test_a_run_serves_when_files_and_indexes_are_there(pangu, tmp_path: Path):
    source = Aifs(Folder(str(tmp_path)))
    for lead in (6, 12, 18):
        write(tmp_path, lead, {("t", 500): pangu.message(("t", 500), START, lead)})
    found = source.find(HOURS, T500, START)
    assert [Path(file.address).name for file in found.files[:3]] == [
        "20260611000000-6h-oper-fc.grib2",
        "20260611000000-6h-oper-fc.index",
        "20260611000000-12h-oper-fc.grib2",
    ]
    assert len(found.files) == 6
    (tmp_path / index_path(START, 18)).unlink()
    with pytest.raises(NotReady, match=r"20260611000000-18h-oper-fc\.index: not there yet"):
        source.find(HOURS, T500, START)
    with pytest.raises(BadInput, match=r"source aifs is refused for this package: cannot give tp01; refc"):
        source.find(HOURS, variable_set("asked", "tp01", "refc"), START)


def test_hours_are_straight_lines_and_only_the_wanted_bytes_are_read(pangu, tmp_path: Path):
    messages = {lead: all_messages(pangu, lead) for lead in (6, 12, 18)}
    for lead, these in messages.items():
        write(tmp_path, lead, these)
    read = reading(tmp_path, BACKGROUND_SETS["background24"], HOURS)
    wanted = {(letter, level) for letter in "qtuvz" for level in (1000, 850, 500, 250)}
    wanted |= {(name, None) for name in ("msl", "2t", "10u", "10v")}
    for account, lead in zip(read.used[::2], (6, 12, 18), strict=True):
        assert account.bytes_used == sum(len(message) for key, message in messages[lead].items() if key in wanted)
        assert account.bytes_of_index == 0
    assert [account.bytes_of_index for account in read.used[1::2]] == [
        (tmp_path / index_path(START, lead)).stat().st_size for lead in (6, 12, 18)
    ]
    dataset = read.dataset
    assert dataset.attrs["source"] == "aifs"
    assert dataset.attrs["simulated"] == 0
    for variable_id, key in (
        ("t500", ("t", 500)),
        ("u10m", ("10u", None)),
        ("z1000", ("z", 1000)),
        ("q250", ("q", 250)),
    ):
        for hour in range(13):
            values = expected(pangu, key, hour, dataset)
            np.testing.assert_allclose(dataset[variable_id].values[hour], values, rtol=QUANTUM, atol=1e-6)


def test_column_vapour_is_integrated_and_column_water_is_not_taken_for_it(pangu, tmp_path: Path):
    """All levels at the ground's pressure or above it: trapezia of q dp / g by hand."""
    write(tmp_path, 6, all_messages(pangu, 6))
    dataset = reading(tmp_path, variable_set("asked", "tcwv")).dataset
    q = {level: expected(pangu, ("q", level), 0, dataset) for level in (1000, 850, 500, 250)}
    q |= {700: q[500], 300: q[500]}  # as written
    ground = expected(pangu, ("sp", None), 0, dataset)
    assert 85000 < ground.min() < ground.max() < 100000
    bottom = q[850] + (q[1000] - q[850]) * (ground - 85000) / 15000
    total = (bottom + q[850]) / 2 * (ground - 85000)
    for lower, upper in ((850, 700), (700, 500), (500, 300), (300, 250)):
        total = total + 100 * (lower - upper) * (q[lower] + q[upper]) / 2
    np.testing.assert_allclose(dataset["tcwv"].values[0], total / 9.80665, rtol=1e-6)
    water = all_messages(pangu, 6)
    del water["q", 850]
    write(tmp_path, 6, water)
    with pytest.raises(BadInput, match=r"6h-oper-fc\.index: has no message for tcwv; found 0, allowed 1"):
        reading(tmp_path, variable_set("asked", "tcwv"))


def test_heights_are_known_by_name_and_by_magnitude(pangu, tmp_path: Path):
    z850 = variable_set("asked", "z850")

    def run(name: str, factor: float) -> dict:
        return {
            (name, level): pangu.message(("z", level), START, 6, factor=factor, shortName=name) for level in (850, 500)
        }

    for name, factor in (("z", 1.0), ("gh", 1 / 9.80665), ("z", 1 / 9.80665)):
        write(tmp_path, 6, run(name, factor))
        dataset = reading(tmp_path, z850).dataset
        np.testing.assert_allclose(dataset["z850"].values[0], expected(pangu, ("z", 850), 0, dataset), rtol=1e-6)
    write(tmp_path, 6, run("gh", 1.0))
    with pytest.raises(
        BadInput, match=r"fc\.grib2: gh at 500 hPa averages 57\d\d\d\.?\d*; allowed a height in m, about 5800"
    ):
        reading(tmp_path, z850)
    write(tmp_path, 6, run("z", 0.3))
    with pytest.raises(BadInput, match=r"fc\.grib2: z500 averages 172\d\d\.?\d*; allowed 45000 to 65000"):
        reading(tmp_path, z850)
    write(tmp_path, 6, run("z", 1.0) | run("gh", 1.0))
    with pytest.raises(BadInput, match=r"fc\.index: z850 appears twice, at bytes 0 and \d+; allowed once"):
        reading(tmp_path, z850)


def test_a_damaged_file_or_index_is_refused(pangu, tmp_path: Path):
    t500, u500 = (pangu.message((name, 500), START, 6, **CCSDS) for name in "tu")
    size = len(t500)
    late = pangu.message(("t", 500), START, 12)
    old = pangu.message(("t", 500), START - timedelta(hours=6), 12)
    holes = pangu.message(("t", 500), START, 6, holes=2)
    celsius = pangu.message(("t", 500), START, 6, factor=0.01)
    cut, other_length = t500[:-1], t500[:15] + b"\0" + t500[16:]
    says = "grib2: the message at byte 0"
    cases = [
        ({}, '{"param": "t", "levtype"', None, r"index: line 2 is '{\"param\": \"t\", \"levtype\"'"),
        ({}, entry(("t", 500), t500, size), None, rf"index: points at bytes {size} to {2 * size}; the file has {size}"),
        (
            {("t", 500): b"", ("u", 500): u500},
            "",
            None,
            r"index: points at bytes 0 to 0 after 0; allowed messages of 16",
        ),
        ({("u", 500): u500}, "", None, r"index: has no message for t500; found 0, allowed 1"),
        ({("t", 500): u500}, "", None, rf"{says} is u at 500 hPa; the index says t at 500 hPa"),
        ({("t", 500): late}, "", None, r"grib2: t500 has valid time 20260611T1200Z; allowed 20260611T0600Z"),
        ({("t", 500): old}, "", None, r"grib2: t500 has init time 20260610T1800Z; allowed 20260611T0000Z"),
        ({("t", 500): holes}, "", None, r"grib2: t500 has 2 missing values; allowed 0"),
        ({("t", 500): celsius}, "", None, r"grib2: t500 spans 2\.\d+ to 2\.\d+ K; allowed 210 to 300"),
        ({}, "", t500[:-4] + b"0000", rf"{says} ends with b'0000'; allowed b'7777'"),
        ({}, "", b"<html>" + bytes(size), rf"{says} begins with b'<html>.*; allowed b'GRIB'"),
        ({}, "", other_length, rf"{says} says that it is \d+ bytes long; the index says {size}"),
        ({}, "", cut, rf"index: points at bytes 0 to {size}; the file has {size - 1}"),
    ]
    for messages, extra, data, message in cases:
        write(tmp_path, 6, messages or {("t", 500): t500}, extra=extra, data=data)
        with pytest.raises(BadInput, match=r"6h-oper-fc\." + message):
            reading(tmp_path)
    write(tmp_path, 6, {("t", 500): t500, ("u", 500): t500})
    assert reading(tmp_path).dataset["t500"].shape == (1, 6, 5)  # what is not asked for is not looked at
    empty = tmp_path / path(START, 6)
    empty.write_bytes(b"")
    with pytest.raises(BadInput, match=rf"fc\.index: points at bytes 0 to {size}; the file has 0"):
        reading(tmp_path)


def test_pressure_in_hectopascals_and_temperature_in_celsius_are_refused(pangu, tmp_path: Path):
    write(tmp_path, 6, all_messages(pangu, 6, sp=0.01, **{"2t": 0.08}))
    with pytest.raises(BadInput, match=r"fc\.grib2: sp spans 98\d\.\d+ to 99\d\.\d+ Pa; allowed 45000 to 108000"):
        reading(tmp_path, variable_set("asked", "sp"))
    with pytest.raises(BadInput, match=r"fc\.grib2: t2m spans 23\.\d+ to 23\.\d+ K; allowed 220 to 330"):
        reading(tmp_path, variable_set("asked", "t2m"))


def test_a_simulated_run_from_a_real_s3_server_is_the_simulated_run(s3):
    """Every variable to the quantum of 12 bits, from S3 as from a disk; the dataset says that it is simulated."""
    world, root = World(7), f"{s3.bucket()}/forecasts"
    init_time = datetime(2025, 6, 8, 6, tzinfo=UTC)
    grib2, index = simulated_aifs.encode(world, init_time, 6)
    place = objects(root)
    place.create(path(init_time, 6), grib2)
    place.create(index_path(init_time, 6), index)
    source = Aifs(Folder(root, settings().s3_options()))
    read = source.read(source.find((init_time + timedelta(hours=6),), BACKGROUND, init_time))
    assert read.dataset.attrs["simulated"] == 1
    assert tuple(read.dataset.data_vars) == BACKGROUND.ids
    fields = run_fields(world, init_time, 6, simulated_aifs.AIFS)
    latitude, longitude = points()
    rows = np.isin(latitude[:, 0], read.dataset["latitude"])
    columns = np.isin(longitude[0], read.dataset["longitude"])
    for variable_id in set(BACKGROUND.ids) - {"tcwv"}:
        values, quantum = fields[variable_id], np.ptp(fields[variable_id]) / 2**11
        np.testing.assert_allclose(
            read.dataset[variable_id].values[0], values[rows][::-1][:, columns], atol=quantum, rtol=2e-7
        )
    lines = [json.loads(line) for line in index.decode().splitlines()]
    letters, levels = "qtuvz", ("1000", "925", "850", "700", "600", "500", "400", "300", "250")
    asked = {(v.id[0], str(v.level_hpa)) for v in BACKGROUND if v.level_hpa} | {("q", level) for level in levels}
    expected_bytes = sum(
        line["_length"]
        for line in lines
        if (line["param"], line.get("levelist")) in asked or line["param"] in ("msl", "2t", "10u", "10v", "sp")
    )
    assert (read.used[0].bytes_used, read.used[1].bytes_of_index) == (expected_bytes, len(index))
    assert set(letters) <= {line["param"] for line in lines}


@pytest.mark.samples
def test_the_real_sample_is_read_by_an_index_written_for_it(samples: Path, tmp_path: Path):
    time = datetime(2026, 3, 10, 12, tzinfo=UTC)
    data = (samples / "aifs-single-t500.grib2").read_bytes()
    write(tmp_path, 0, {("t", 500): data}, init_time=time)
    read = reading(tmp_path, T500, (time,), time)
    assert read.dataset.attrs["simulated"] == 0
    assert (read.used[0].bytes_used, read.used[0].bytes_of_index) == (599680, 0)
    assert read.used[0].digest == "sha256:" + hashlib.sha256(data).hexdigest()
    around = read.dataset["t500"][0]
    assert (float(around["longitude"][0]), float(around["longitude"][-1])) == (118.75, 123.25)
    assert (float(around["latitude"][0]), float(around["latitude"][-1])) == (20.75, 26.5)
    handle = eccodes.codes_new_from_message(data)
    for latitude, longitude in ((20.75, 118.75), (23.5, 121.0), (26.5, 123.25)):
        (nearest,) = eccodes.codes_grib_find_nearest(handle, latitude, longitude)
        assert nearest["distance"] < 1e-6
        there = float(around.sel(latitude=latitude, longitude=longitude))
        assert there == pytest.approx(nearest["value"], abs=1e-4)
    eccodes.codes_release(handle)
    globe = Aifs(Folder(str(tmp_path)), Grid("GLOBE", -89.0, 89.0, 179, 1.0, 358.75, 359))
    whole = globe.read(globe.find((time,), T500, time)).dataset["t500"]
    assert whole.shape == (1, 721, 1440)
    # the plain mean of the points (data-formats.md)
    assert float(whole.values.mean(dtype=np.float64)) == pytest.approx(252.368, abs=1e-3)
