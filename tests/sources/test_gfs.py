"""GFS by `.idx`: every hour from its own file, the last message too, instants only, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.settings import settings
from stormcast_tw.simulation.files import gfs as simulated_gfs
from stormcast_tw.simulation.files.global_ai import points, run_fields
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.gfs import Gfs, index_path, path
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import BACKGROUND_SETS, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
START = T - timedelta(hours=6)
HOURS = tuple(T + timedelta(hours=lead) for lead in range(3))
BACKGROUND = BACKGROUND_SETS["background26"]
T500 = variable_set("asked", "t500")

WORDS = {
    ("2t", None): "TMP:2 m above ground",
    ("10u", None): "UGRD:10 m above ground",
    ("10v", None): "VGRD:10 m above ground",
    ("prmsl", None): "PRMSL:mean sea level",
    ("sp", None): "PRES:surface",
    ("pwat", None): "PWAT:entire atmosphere (considered as a single layer)",
}
PLACES = {"pwat": {"typeOfFirstFixedSurface": 200}, "prmsl": {"typeOfFirstFixedSurface": 101}}
LETTERS = {"t": "TMP", "u": "UGRD", "v": "VGRD", "q": "SPFH", "gh": "HGT", "r": "RH"}


def words(key) -> str:
    return WORDS.get(key) or f"{LETTERS[key[0]]}:{key[1]} mb"


def message(pangu, key, lead: int, init_time: datetime = START, **keys) -> bytes:
    """A message of NCEP with complex packing; values as the EC-pangu writer has them, gh as heights."""
    like = {"gh": ("z", key[1]), "prmsl": ("msl", None), "pwat": ("tcwv", None), "r": ("t", key[1])}.get(key[0], key)
    factor = keys.pop("factor", 1.0) * {"gh": 1 / 9.80665, "r": 0.25}.get(key[0], 1.0)
    settings = {"centre": "kwbc", "shortName": key[0], **PLACES.get(key[0], {})}
    packing = {"packingType": "grid_complex_spatial_differencing"}
    return pangu.message(like, init_time, lead, factor=factor, **{**settings, **packing, **keys})


def write(root: Path, lead: int, messages: list[tuple[str, bytes]], *, data=None, edit=lambda text: text) -> None:
    """Write the file and the index of a lead: messages in order, each with its words and forecast."""
    lines, start = "", 0
    for number, (said, content) in enumerate(messages, 1):
        lines += f"{number}:{start}:d={START:%Y%m%d%H}:{said}:\n"
        start += len(content)
    whole = b"".join(content for _, content in messages) if data is None else data
    for name, content in ((path, whole), (index_path, edit(lines).encode())):
        file = root / name(START, lead)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def run(pangu, lead: int, keys=None, **more) -> list[tuple[str, bytes]]:
    keys = keys or [*WORDS, *((name, level) for name in ("t", "u", "v", "q", "gh") for level in (1000, 850, 500, 250))]
    return [(f"{words(key)}:{lead} hour fcst", message(pangu, key, lead, **more)) for key in keys]


def reading(root: Path, variables=T500, times=(T,)):
    source = Gfs(Folder(str(root)))
    return source.read(source.find(times, variables, START))


def expected(pangu, key, hour: float, dataset) -> np.ndarray:
    return pangu.value(key, hour, *np.meshgrid(dataset["latitude"], dataset["longitude"], indexing="ij"))


def test_runs_are_laid_out_as_in_noaa_s_bucket():
    assert path(START, 6) == "gfs.20260611/00/atmos/gfs.t00z.pgrb2.0p25.f006"
    assert index_path(START, 120) == "gfs.20260611/00/atmos/gfs.t00z.pgrb2.0p25.f120.idx"


def test_a_run_serves_when_every_hour_is_there(pangu, tmp_path: Path):
    source = Gfs(Folder(str(tmp_path)))
    for lead in (6, 7):
        write(tmp_path, lead, run(pangu, lead, [("t", 500)]))
    with pytest.raises(NotReady, match=r"f008: not there yet"):
        source.find(HOURS, T500, START)
    assert len(source.find(HOURS[:2], T500, START).files) == 4
    (tmp_path / index_path(START, 7)).unlink()
    with pytest.raises(NotReady, match=r"f007\.idx: not there yet"):
        source.find(HOURS[:2], T500, START)
    with pytest.raises(BadInput, match=r"gfs: lead 121 h is asked for; allowed up to 120 h, hourly"):
        source.find((START + timedelta(hours=121),), T500, START)
    with pytest.raises(BadInput, match=r"source gfs is refused for this package: cannot give tp01"):
        source.find(HOURS, variable_set("asked", "tp01"), START)


def test_every_hour_is_its_own_file_not_an_interpolation(pangu, tmp_path: Path):
    """An odd hour that is off the straight line of its neighbours comes out as it is."""
    for lead in (6, 7, 8):
        write(tmp_path, lead, run(pangu, lead, factor=1.001 if lead == 7 else 1.0))
    read = reading(tmp_path, BACKGROUND, HOURS)
    keys = {"t500": ("t", 500), "z250": ("z", 250), "q850": ("q", 850), "u10m": ("10u", None)}
    keys |= {variable_id: (variable_id, None) for variable_id in ("tcwv", "msl", "sp")}
    for variable_id, key in keys.items():
        for hour in range(3):
            values = expected(pangu, key, hour, read.dataset) * (1.001 if hour == 1 else 1.0)
            np.testing.assert_allclose(read.dataset[variable_id].values[hour], values, rtol=4e-7, atol=2e-6)
    assert tuple(read.dataset.data_vars) == BACKGROUND.ids
    assert read.dataset.attrs["simulated"] == 0


def test_only_wanted_bytes_are_read_and_the_last_message_is_one(pangu, tmp_path: Path):
    messages = run(pangu, 6, [("u", 500), ("t", 850), ("t", 500)])
    write(tmp_path, 6, messages)
    read = reading(tmp_path)
    file, index = read.used
    assert (file.bytes_used, file.bytes_of_index) == (len(messages[2][1]), 0)
    assert (index.bytes_used, index.bytes_of_index) == (0, (tmp_path / index_path(START, 6)).stat().st_size)
    np.testing.assert_allclose(read.dataset["t500"].values[0], expected(pangu, ("t", 500), 0, read.dataset), rtol=4e-7)


def test_means_and_sums_are_never_taken_for_instants(pangu, tmp_path: Path):
    """The same parameter and level twice: the mean of six hours first, then the instant."""
    mean = {"productDefinitionTemplateNumber": 8, "typeOfStatisticalProcessing": 0, "stepRange": "0-6", "factor": 1.01}
    t2m = message(pangu, ("2t", None), 6)
    messages = [("TMP:2 m above ground:0-6 hour ave fcst", message(pangu, ("2t", None), 6, **mean))]
    write(tmp_path, 6, [*messages, ("TMP:2 m above ground:6 hour fcst", t2m)])
    read = reading(tmp_path, variable_set("asked", "t2m"))
    assert read.used[0].bytes_used == len(t2m)
    np.testing.assert_allclose(read.dataset["t2m"].values[0], expected(pangu, ("2t", None), 0, read.dataset), rtol=4e-7)
    write(tmp_path, 6, messages)
    with pytest.raises(BadInput, match=r"f006\.idx: has no message for t2m; found 0, allowed 1"):
        reading(tmp_path, variable_set("asked", "t2m"))
    # an index that calls the mean an instant
    write(tmp_path, 6, [("TMP:2 m above ground:6 hour fcst", messages[0][1])])
    with pytest.raises(BadInput, match=r"f006: the message at byte 0 is avg_2t; the index says 2t"):
        reading(tmp_path, variable_set("asked", "t2m"))


def test_the_analysis_is_lead_zero(pangu, tmp_path: Path):
    write(tmp_path, 0, [("TMP:500 mb:anl", message(pangu, ("t", 500), 0))])
    assert reading(tmp_path, T500, (START,)).dataset["t500"].shape == (1, 6, 5)
    write(tmp_path, 0, [("TMP:500 mb:0 hour fcst", message(pangu, ("t", 500), 0))])
    with pytest.raises(BadInput, match=r"f000\.idx: has no message for t500"):
        reading(tmp_path, T500, (START,))


def test_humidity_follows_from_relative_humidity_where_there_is_no_other(pangu, tmp_path: Path):
    """Bolton's (1980) saturation over water is another formula for the same: within 0.3 % above freezing."""
    write(tmp_path, 6, run(pangu, 6, [("t", 850), ("r", 850)]))
    dataset = reading(tmp_path, variable_set("asked", "q850")).dataset
    t = expected(pangu, ("t", 850), 0, dataset)
    relative = 0.25 * t / 100
    vapour = relative * 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65))
    np.testing.assert_allclose(dataset["q850"].values[0], 0.622 * vapour / (85000 - 0.378 * vapour), rtol=3e-3)
    write(tmp_path, 6, run(pangu, 6, [("r", 850)]))
    with pytest.raises(BadInput, match=r"f006\.idx: has no message for q850; found 0, allowed 1"):
        reading(tmp_path, variable_set("asked", "q850"))
    write(
        tmp_path,
        6,
        [*run(pangu, 6, [("t", 850)]), ("RH:850 mb:6 hour fcst", message(pangu, ("r", 850), 6, factor=4.0))],
    )
    with pytest.raises(BadInput, match=r"f006: r850 spans 28\d\.?\d* to 29\d\.?\d* %; allowed -5 to 180"):
        reading(tmp_path, variable_set("asked", "q850"))


def test_a_damaged_file_or_index_is_refused(pangu, tmp_path: Path):
    (_, good), (_, wind) = run(pangu, 6, [("t", 500), ("u", 500)])
    size, said = len(good), "TMP:500 mb:6 hour fcst"
    one, celsius = [(said, good)], message(pangu, ("t", 500), 6, factor=0.01)
    late, old = message(pangu, ("t", 500), 7), message(pangu, ("t", 500), 12, START - timedelta(hours=6))
    submessage = f"1.1:0:d=2026061100:{said}:\n1.2:0:d=2026061100:UGRD:500 mb:6 hour fcst:\n"
    gh = [("HGT:500 mb:6 hour fcst", message(pangu, ("gh", 500), 6, factor=9.80665))]
    cases = [
        (T500, one, {"edit": lambda text: text[:-8]}, r"\.idx: line 1 is '1:0:d=2026061100:TMP:500 mb:6 hou'"),
        (T500, one, {"edit": lambda _: ""}, r"\.idx: 0 bytes; allowed an index of 1 to"),
        (T500, one, {"edit": lambda _: "<html>503</html>"}, r"\.idx: line 1 is '<html>503</html>'"),
        (T500, one, {"edit": lambda _: submessage}, r"\.idx: line 1 is '1\.1:0:d=2026061100"),
        (T500, [(said, good), (said, good)], {}, rf"\.idx: t500 appears twice, at bytes 0 and {size}; allowed o"),
        (T500, [(said, good), ("x:y:z", b"")], {}, rf"\.idx: points at bytes {size} to {size} after {size}; allow"),
        (T500, [(said, good), ("x:y:z", wind)], {"data": good[:-9]}, rf"\.idx: points at bytes 0 to {size}; the fi"),
        (T500, one, {"data": good[:-9]}, rf": the message at byte 0 says that it is {size} bytes long; the"),
        (T500, one, {"data": b""}, r"\.idx: points at bytes 0 to 0 after 0; allowed messages of 16 bytes"),
        (T500, one, {"data": b"<html>" + good}, r": the message at byte 0 begins with b'<html>GR'; allowed"),
        (T500, one, {"data": good[:-4] + b"0000"}, r": the message at byte 0 ends with b'0000'; allowed b'77"),
        (T500, [(said, wind)], {}, r": the message at byte 0 is u at 500 hPa; the index says t at 500 hPa"),
        (T500, [(said, late)], {}, r": t500 has valid time 20260611T0700Z; allowed 20260611T0600Z"),
        (T500, [(said, old)], {}, r": t500 has init time 20260610T1800Z; allowed 20260611T0000Z"),
        (T500, [(said, celsius)], {}, r": t500 spans 2\.6\d* to 2\.6\d* K; allow"),
        (variable_set("asked", "z500"), gh, {}, r": gh at 500 hPa averages 57\d\d\d\.?\d*; allowed a height in m"),
        (variable_set("asked", "sp"), run(pangu, 6, [("sp", None)], factor=0.01), {}, r": sp spans 98\d.* Pa; allow"),
        (T500, [(said, pangu.message(("t", 500), START, 6, holes=2))], {}, r": t500 has 2 missing values; allowed 0"),
    ]  # fmt: skip
    for variables, messages, more, problem in cases:
        write(tmp_path, 6, messages, **more)
        with pytest.raises(BadInput, match=r"gfs\.t00z\.pgrb2\.0p25\.f006" + problem):
            reading(tmp_path, variables)


def test_a_simulated_run_from_a_real_s3_server_is_the_simulated_run(s3):
    world, root = World(7), f"{s3.bucket()}/noaa"
    init_time = datetime(2025, 6, 8, 6, tzinfo=UTC)
    index_bytes, times = [], tuple(init_time + timedelta(hours=lead) for lead in (6, 7))
    for lead in (6, 7):
        grib2, index = simulated_gfs.encode(world, init_time, lead)
        objects(root).create(path(init_time, lead), grib2)
        objects(root).create(index_path(init_time, lead), index)
        index_bytes.append(len(index))
    source = Gfs(Folder(root, settings().s3_options()))
    read = source.read(source.find(times, BACKGROUND, init_time))
    assert read.dataset.attrs["simulated"] == 1
    latitude, longitude = points()
    rows = np.isin(latitude[:, 0], read.dataset["latitude"])
    columns = np.isin(longitude[0], read.dataset["longitude"])
    for number, lead in enumerate((6, 7)):
        fields = run_fields(world, init_time, lead, simulated_gfs.GFS)
        for variable_id in BACKGROUND.ids:
            values, quantum = fields[variable_id], np.ptp(fields[variable_id]) / 2**15
            found = read.dataset[variable_id].values[number]
            np.testing.assert_allclose(found, values[rows][::-1][:, columns], atol=quantum, rtol=2e-7)
    assert [account.bytes_of_index for account in read.used] == [0, index_bytes[0], 0, index_bytes[1]]
