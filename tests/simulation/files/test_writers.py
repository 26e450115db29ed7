"""The three writers: no file knows the future, and each is the provider's own format."""

import gzip
import struct
from datetime import UTC, datetime, timedelta

import eccodes
import netCDF4
import numpy as np
import pytest

from stormcast_tw.grid import to_earth_relative
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.files import global_ai, qpesums, rwrp
from stormcast_tw.simulation.world.box import BOX, Sampler
from stormcast_tw.simulation.world.climate import LEVELS_HPA
from stormcast_tw.simulation.world.weather import FORESIGHT_HOURS, World

TIME = datetime(2025, 6, 8, 6, tzinfo=UTC)


def after(hours: int) -> datetime:
    return TIME + timedelta(hours=hours)


FILES = {
    "rwrp, run of T-3 at T": lambda world: rwrp.encode(world, after(-3), 3),
    "rwrp, run of T-1 beyond T": lambda world: rwrp.encode(world, after(-1), 3),
    "rwrp, run of T": lambda world: rwrp.encode(world, TIME, 2),
    "qpesums, hour ending at T": lambda world: qpesums.encode(world, TIME),
    "global, run of T-12 beyond T": lambda world: global_ai.encode(world, after(-12), 18),
    "global, run of T": lambda world: global_ai.encode(world, TIME, 6),
}
LATER_FILES = {
    "rwrp, run of T+1": lambda world: rwrp.encode(world, after(1), 0),
    "qpesums, hour ending at T+1": lambda world: qpesums.encode(world, after(1)),
    "global, run of T+1": lambda world: global_ai.encode(world, after(1), 0),
}


@pytest.mark.parametrize("name", FILES)
def test_no_file_knows_the_future(world: World, name: str):
    """Change every innovation after T: files initialised at or before T keep their bytes, whatever their valid time.

    For a global run, all but what upstream shows by T.
    """
    seen = FORESIGHT_HOURS if name.startswith("global") else 0
    assert FILES[name](world) == FILES[name](world.branch(TIME, "another future", seen))


@pytest.mark.parametrize("name", LATER_FILES)
def test_later_files_do_change(world: World, name: str):
    assert LATER_FILES[name](world) != LATER_FILES[name](world.branch(TIME, "another future"))


@pytest.mark.parametrize("name", FILES)
def test_bytes_are_a_function_of_seed_and_time(name: str, forget):
    first = FILES[name](World(5))
    forget()
    assert FILES[name](World(5)) == first


def wrfout(world: World, lead_hours: int) -> netCDF4.Dataset:
    return netCDF4.Dataset("wrfout", memory=rwrp.encode(world, TIME, lead_hours))


def test_wrfout_says_what_it_is(world: World):
    file = wrfout(world, 3)
    assert "SIMULATED" in file.TITLE
    assert file.START_DATE == file.SIMULATION_START_DATE == "2025-06-08_06:00:00"
    assert (file.MAP_PROJ, file.TRUELAT1, file.TRUELAT2, file.STAND_LON) == (1, 10.0, 40.0, 120.0)
    assert file.BUCKET_MM == 100.0
    assert netCDF4.chartostring(file["Times"][:])[0] == "2025-06-08_09:00:00"
    assert file["T2"].dimensions == ("Time", "south_north", "west_east")
    assert file["T2"].units == "K"
    assert file["XTIME"][0] == 180.0


def test_wrfout_grid_lies_in_the_box_and_covers_taiwan():
    j, i = BOX.index_of(*rwrp.grid().latlon())
    assert j.min() >= 0
    assert i.min() >= 0
    assert j.max() <= BOX.ny - 1
    assert i.max() <= BOX.nx - 1
    j, i = rwrp.grid().index_of(*TAIWAN_2KM.latlon())
    assert min(j.min(), i.min()) >= 3
    assert j.max() <= rwrp.NY - 4
    assert i.max() <= rwrp.NX - 4


def test_wrfout_wind_is_relative_to_the_grid(world: World):
    """Rotated with the file's angles it is the run's wind; the angles agree with north as pyproj measures it."""
    file = wrfout(world, 1)
    cosine, sine = file["COSALPHA"][0].data, file["SINALPHA"][0].data
    np.testing.assert_allclose(np.arctan2(-sine, cosine), rwrp.grid().grid_north(), atol=2e-6)
    u, v = to_earth_relative(file["U10"][0].data, file["V10"][0].data, cosine, sine)
    truth = rwrp.run_on_box(world, TIME, 1)
    sample = Sampler(*rwrp.grid().latlon())
    np.testing.assert_allclose(u, sample(truth["u10m"]), atol=1e-4)
    np.testing.assert_allclose(v, sample(truth["v10m"]), atol=1e-4)
    assert np.abs(file["U10"][0].data - u).max() > 0.01


def test_wrfout_rain_accumulates_through_buckets(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rwrp, "BUCKET_MM", 2.0)
    total, sample = np.zeros(rwrp.grid().shape), Sampler(*rwrp.grid().latlon())
    for lead in range(4):
        fields = rwrp.run_fields(world, TIME, lead)
        total += sample(rwrp.run_on_box(world, TIME, lead)["tp01"])
        buckets = fields["I_RAINC"] + fields["I_RAINNC"]
        summed = fields["RAINC"] + fields["RAINNC"] + fields["RAINSH"] + 2.0 * buckets
        np.testing.assert_allclose(summed, total, atol=1e-4)
        assert max(fields["RAINC"].max(), fields["RAINNC"].max()) <= 2.0
    assert buckets.max() > 0


def test_qpesums_layout(world: World):
    data = gzip.decompress(qpesums.encode(world, TIME))
    assert len(data) == 170 + 2 * 441 * 561
    assert struct.unpack("<9i", data[:36]) == (2025, 6, 8, 6, 0, 0, 441, 561, 1)
    assert struct.unpack("<10i", data[40:80])[4:] == (11800, 2700, 100, 1250, 1250, 100000)
    assert data[128:140] == b"CB_1H_GC Acc"
    assert struct.unpack("<3i", data[154:166]) == (4, -1, 1)
    assert data[166:170] == b"SIMU"
    raw = np.frombuffer(data[170:], dtype="<i2").reshape(561, 441)
    assert raw.min() == -4
    assert not np.any((raw < 0) & (raw != -4))
    observed = raw >= 0
    assert observed[300, 240]
    assert not observed[0, 0]


def test_gribs_are_an_ecmwf_ai_forecast(world: World):
    data = global_ai.encode(world, TIME, 6)
    found = []
    for message in data.split(b"7777GRIB"):
        message = (b"" if message.startswith(b"GRIB") else b"GRIB") + message
        message += b"" if message.endswith(b"7777") else b"7777"
        handle = eccodes.codes_new_from_message(message)
        keys = {
            key: eccodes.codes_get(handle, key)
            for key in ("shortName", "level", "dataDate", "dataTime", "step", "gridType", "expver", "Ni", "Nj",
                        "jScansPositively", "bitsPerValue", "typeOfLevel")
        }  # fmt: skip
        found.append((keys["shortName"], keys["level"]))
        assert (keys["dataDate"], keys["dataTime"], keys["step"]) == (20250608, 600, 6)
        assert (keys["gridType"], keys["Ni"], keys["Nj"], keys["jScansPositively"]) == ("regular_ll", 73, 69, 0)
        assert keys["expver"].lower() == "simu"
        eccodes.codes_release(handle)
    expected = {(letter, level) for letter in "zqtuv" for level in LEVELS_HPA}
    assert len(found) == 69
    assert set(found) == expected | {("10u", 10), ("10v", 10), ("2t", 2), ("msl", 0)}


def test_grib_packing_keeps_the_fields(world: World):
    fields = global_ai.run_fields(world, TIME, 6)
    message = global_ai._message(fields["t850"], "t", 850, TIME, 6)
    handle = eccodes.codes_new_from_message(message)
    values = eccodes.codes_get_values(handle).reshape(fields["t850"].shape)
    eccodes.codes_release(handle)
    np.testing.assert_allclose(values, fields["t850"], atol=1e-3)
