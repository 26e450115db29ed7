"""ERA5 as the Climate Data Store gives it: old and new NetCDF, GRIB and zip, and what is refused."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.simulation.files import era5 as simulated
from stormcast_tw.simulation.files.global_ai import points
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources import era5_cds
from stormcast_tw.sources.era5_cds import Era5Cds
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import BACKGROUND_SETS, variable_set
from tests.sources.conftest import grib_message
from tests.sources.globes import HOUR, LATITUDE, LONGITUDE, T, native, value, write_cds

EVERYTHING = variable_set("asked", *BACKGROUND_SETS["background26"].ids, "tp01")
SURFACE = ("msl", "t2m", "u10m", "v10m", "sp", "tcwv", "tp01")
DEEP = tuple(v for v in EVERYTHING.ids if v not in SURFACE)
T2M = variable_set("asked", "t2m")
TIMES = (T, T + HOUR)


def read(root: Path, variables=T2M, times=TIMES, patterns=("era5.nc",)):
    chosen = Era5Cds(Folder(str(root)), patterns)
    return chosen.read(chosen.find(times, variables))


def check(dataset, ids, times=TIMES, steps: float = 0.0) -> None:
    """Against the formula; `steps` is the packing's share of a variable's mean."""
    for number, time in enumerate(times):
        for variable_id in ids:
            there = value(variable_id, time, *np.meshgrid(dataset["latitude"], dataset["longitude"], indexing="ij"))
            np.testing.assert_allclose(dataset[variable_id][number], there, rtol=1e-6 + steps)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_day_of_two_new_files(tmp_path: Path):
    write_cds(tmp_path / "2026/era5_single_20260611.nc", SURFACE, TIMES)
    write_cds(tmp_path / "2026/era5_pressure_20260611.nc", DEEP, TIMES)
    chosen = Era5Cds(Folder(str(tmp_path)))
    located = chosen.find(TIMES, EVERYTHING)
    assert [file.address.rsplit("/", 1)[1] for file in located.files] == [
        "era5_single_20260611.nc", "era5_pressure_20260611.nc",
    ]  # fmt: skip
    reading = chosen.read(located)
    assert tuple(reading.dataset.data_vars) == EVERYTHING.ids
    assert (reading.dataset.attrs["source"], reading.dataset.attrs["simulated"]) == ("era5", 0)
    assert len(reading.used) == 2
    check(reading.dataset, EVERYTHING.ids)


def test_an_old_file(tmp_path: Path):
    write_cds(tmp_path / "era5.nc", SURFACE, TIMES, old=True)
    check(read(tmp_path, variable_set("asked", *SURFACE)).dataset, SURFACE, steps=1e-6)
    write_cds(tmp_path / "era5.nc", ("t1000", "t850"), TIMES, old=True)
    check(read(tmp_path, variable_set("asked", "t1000", "t850")).dataset, ("t1000", "t850"), steps=1e-5)


@pytest.mark.parametrize("ids", [("t2m",), ("t500", "t850")], ids=["surface", "pressure levels"])
def test_era5_and_era5t_as_layers(tmp_path: Path, ids):
    write_cds(tmp_path / "era5.nc", ids, TIMES, old=True, layers=True, hidden=(T + HOUR,))
    check(read(tmp_path, variable_set("asked", *ids)).dataset, ids, steps=1e-5)


def test_a_zip_whatever_its_name(tmp_path: Path):
    instant = write_cds(tmp_path / "a.nc", ("t2m", "msl"), TIMES).read_bytes()
    accum = write_cds(tmp_path / "b.nc", ("tp01",), TIMES).read_bytes()
    members = {"data_stream-oper_stepType-instant.nc": instant, "data_stream-oper_stepType-accum.nc": accum}
    (tmp_path / "era5.nc").write_bytes(zipped(members))
    reading = read(tmp_path, variable_set("asked", "t2m", "msl", "tp01"))
    check(reading.dataset, ("t2m", "msl", "tp01"))
    (used,) = reading.used
    assert used.bytes_used == (tmp_path / "era5.nc").stat().st_size
    assert used.digest.startswith("sha256:")


@pytest.mark.parametrize("edition", [1, 2])
def test_grib(tmp_path: Path, edition: int):
    keys = {"t2m": ("2t", None), "msl": ("msl", None), "t500": ("t", 500)}
    messages = [
        grib_message(key, native(variable_id, time), LATITUDE, LONGITUDE, time, 0, edition)
        for time in (T - HOUR, *TIMES)
        for variable_id, key in keys.items()
    ]
    # rain of 12 to 13 UTC is hour 6 to 7 of the forecast of 06 UTC
    for time in TIMES:
        lead = (time - T) // HOUR + 6
        rain = {"stepType": "accum", "stepRange": f"{lead - 1}-{lead}"}
        start = T - 6 * HOUR
        messages.append(
            grib_message(("tp", None), native("tp01", time), LATITUDE, LONGITUDE, start, lead, edition, **rain)
        )
    (tmp_path / "era5.nc").write_bytes(b"".join(messages))
    check(read(tmp_path, variable_set("asked", *keys, "tp01")).dataset, (*keys, "tp01"), steps=1e-5)


def test_rain_of_more_than_an_hour_is_refused(tmp_path: Path):
    rain = grib_message(("tp", None), native("tp01", T), LATITUDE, LONGITUDE, T - 6 * HOUR, 6, 1)
    (tmp_path / "era5.nc").write_bytes(rain)
    with pytest.raises(
        BadInput, match=r"era5\.nc: tp is (accum|instant) over hours 0?-?6; allowed accum over one hour"
    ):
        read(tmp_path, variable_set("asked", "tp01"), (T,))


def test_absent_files_and_wrong_requests(tmp_path: Path):
    with pytest.raises(NotReady, match=r"era5_single_20260611\.nc: not there yet"):
        Era5Cds(Folder(str(tmp_path))).find(TIMES, EVERYTHING)
    with pytest.raises(BadInput, match="era5: does not provide refc"):
        Era5Cds(Folder(str(tmp_path))).find(TIMES, variable_set("asked", "refc"))
    with pytest.raises(ValueError, match="is not a full hour"):
        Era5Cds(Folder(str(tmp_path))).find((T + HOUR / 4,), T2M)


def test_what_is_in_none_of_the_files_is_named(tmp_path: Path):
    write_cds(tmp_path / "era5.nc", ("t2m", "t500"), (T,))
    with pytest.raises(BadInput, match=r"era5\.nc: no msl at 2026-06-11T12Z and 0 more; found 1 of 2"):
        read(tmp_path, variable_set("asked", "t2m", "msl"), (T,))
    with pytest.raises(BadInput, match=r"era5\.nc: no t2m at 2026-06-11T13Z and 0 more; found 1 of 2"):
        read(tmp_path)
    with pytest.raises(BadInput, match=r"era5\.nc: no t850 at 2026-06-11T12Z and 0 more; found 1 of 2"):
        read(tmp_path, variable_set("asked", "t500", "t850"), (T,))


def test_twice_the_same_is_refused(tmp_path: Path):
    for name in ("a.nc", "b.nc"):
        write_cds(tmp_path / name, ("t2m",), TIMES)
    with pytest.raises(BadInput, match=r"b\.nc: t2m at 2026-06-11T12Z is there twice"):
        read(tmp_path, patterns=("a.nc", "b.nc"))
    write_cds(tmp_path / "era5.nc", ("t2m",), (T, T))
    with pytest.raises(BadInput, match=r"era5\.nc: valid_time holds 2026-06-11T12Z 2 times; allowed once"):
        read(tmp_path, times=(T,))


def test_two_grids_are_refused(tmp_path: Path):
    write_cds(tmp_path / "a.nc", ("t2m",), TIMES)
    write_cds(tmp_path / "b.nc", ("msl",), TIMES, latitude=LATITUDE[:-1] - 0.5)
    with pytest.raises(BadInput, match=r"b\.nc: grid \{.*; allowed \{.*'y': \[21\.0"):
        read(tmp_path, variable_set("asked", "t2m", "msl"), patterns=("a.nc", "b.nc"))


@pytest.mark.parametrize(
    ("variable_id", "name", "factor", "message"),
    [
        ("t2m", "t2m", 0.05, r"t2m spans 14\.\d+ to 14\.\d+ K; allowed 220 to 330"),
        ("sp", "sp", 0.01, r"sp spans 9\d\d\.\d* to 9\d\d\.\d* Pa; allowed 45000 to 108000"),
        ("z500", "z", 1 / 9.80665, r"z500 spans 58\d\d\.\d+ to 58\d\d\.\d+ m2 s-2; allowed 36000 to 80000"),
        ("tp01", "tp", 1000.0, r"tp01 spans 1\d\d\d.* kg m-2; allowed 0 to 300"),
        ("u10m", "u10", np.nan, r"u10m has 30 of 30 values that are not finite; allowed 0"),
    ],
)
def test_unbelievable_values_are_refused(tmp_path: Path, variable_id, name, factor, message: str):
    write_cds(tmp_path / "era5.nc", (variable_id,), (T,), factors={name: factor})
    with pytest.raises(BadInput, match=r"era5\.nc: " + message):
        read(tmp_path, variable_set("asked", variable_id), (T,))


def test_what_is_none_of_them_is_refused(tmp_path: Path):
    good = write_cds(tmp_path / "good.nc", ("t2m",), TIMES).read_bytes()
    old = write_cds(tmp_path / "old.nc", ("t2m",), TIMES, old=True).read_bytes()
    archive = zipped({"a.nc": good})
    cases = {
        b"": r"era5\.nc: begins with b''; allowed a NetCDF file",
        b"<html>404</html>": r"era5\.nc: begins with b'<html>40'; allowed a NetCDF file",
        good[: len(good) // 2]: r"era5\.nc: not a whole NetCDF-4 file \(.*truncated",
        old[:-9]: r"era5\.nc: t2m ends at byte \d+; the file at \d+: truncated",
        archive[:-30]: r"era5\.nc: not a whole zip \(File is not a zip file\)",
        archive[:200] + bytes(40) + archive[240:]: r"era5\.nc: not a whole zip \(",
        zipped({"readme.txt": good}): r"era5\.nc: a zip of \['readme\.txt'\]; allowed 1 to 16 \.nc files",
        zipped({f"{n}.nc": b"" for n in range(17)}): r"era5\.nc: a zip of \['0\.nc', .*; allowed 1 to 16 \.nc files",
        zipped({"a.nc": b"<html></html>"}): r"era5\.nc!a\.nc: begins with b'<html></'; allowed a NetCDF file",
        zipped({"a.nc": archive}): r"era5\.nc!a\.nc: begins with b'PK.*'; allowed a NetCDF file",
        b"GRIB" + bytes(100): r"era5\.nc: byte 0 begins with b'GRIB.*'; allowed GRIB of edition 1 or 2",
    }
    for data, message in cases.items():
        (tmp_path / "era5.nc").write_bytes(data)
        with pytest.raises(BadInput, match=message):
            read(tmp_path)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "era5.nc").write_bytes(zipped({"a.nc": bytes(200_000)}))
    monkeypatch.setattr(era5_cds, "LARGEST_ZIP", 100_000)
    with pytest.raises(BadInput, match=r"era5\.nc!a\.nc: unpacks to 200000 bytes; allowed 100000"):
        read(tmp_path)
    monkeypatch.setattr(era5_cds, "LARGEST_ZIP", 100)
    with pytest.raises(BadInput, match=r"era5\.nc: a zip of \d+ bytes; allowed 100"):
        read(tmp_path)


@pytest.mark.parametrize("form", ["cds_netcdf", "cds_old_netcdf", "cds_zip", "cds_grib"])
def test_the_simulated_files_come_back(tmp_path: Path, form: str):
    world = World(7)
    data = getattr(simulated, form)(world, TIMES, EVERYTHING.ids)
    assert data == getattr(simulated, form)(World(7), TIMES, EVERYTHING.ids)
    (tmp_path / "era5.nc").write_bytes(data)
    dataset = read(tmp_path, EVERYTHING).dataset
    assert dataset.attrs["simulated"] == 1
    latitude, longitude = points()
    rows, columns = np.isin(latitude[:, 0], dataset["latitude"]), np.isin(longitude[0], dataset["longitude"])
    letters = {v: [w for w in EVERYTHING.ids if w[0] == v[0] and w not in SURFACE] for v in DEEP}
    truths = [simulated.fields(world, time, EVERYTHING.ids) for time in TIMES]
    for variable_id in EVERYTHING.ids:
        together = letters.get(variable_id, [variable_id])  # old files pack all levels of a letter in 16 bits
        everywhere = np.array([truth[v] for truth in truths for v in together])
        step = np.ptp(everywhere) / 2**15 if form in ("cds_old_netcdf", "cds_grib") else 0.0
        for number, truth in enumerate(truths):
            factor = 1000 if variable_id == "tp01" else 1
            there = truth[variable_id][rows][::-1][:, columns]
            np.testing.assert_allclose(
                dataset[variable_id][number], factor * there, rtol=2e-6, atol=factor * step + 1e-6
            )


def test_hours_of_two_days_come_from_two_files(tmp_path: Path):
    late = tuple(datetime(2026, 6, 11, 23, tzinfo=T.tzinfo) + number * HOUR for number in range(2))
    for time in late:
        write_cds(tmp_path / f"era5_{time:%Y%m%d}.nc", ("t2m",), (time,))
    reading = read(tmp_path, times=late, patterns=("era5_%Y%m%d.nc",))
    assert [used.address.rsplit("_", 1)[1] for used in reading.used] == ["20260611.nc", "20260612.nc"]
    check(reading.dataset, ("t2m",), late)
