"""The writers of AIFS, GFS and CWA's WRF: no file knows the future, and each is the provider's own format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import eccodes
import numpy as np
import pytest

from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.files import aifs, cwa_wrf, gfs, global_ai
from stormcast_tw.simulation.world.box import BOX
from stormcast_tw.simulation.world.climate import LEVELS_HPA
from stormcast_tw.simulation.world.weather import FORESIGHT_HOURS, World

TIME = datetime(2025, 6, 8, 6, tzinfo=UTC)
BEFORE, AFTER = TIME - timedelta(hours=12), TIME + timedelta(hours=FORESIGHT_HOURS + 1)
WRITERS = {"aifs": aifs.encode, "gfs": gfs.encode, "cwa_wrf": cwa_wrf.encode}


@pytest.mark.parametrize("name", WRITERS)
def test_no_file_knows_the_future(world: World, name: str):
    """Change every innovation after T: runs of T and before keep their bytes, whatever their valid time.

    For a global run, all but what upstream shows by T.
    """
    other = world.branch(TIME, "another future", 0 if name == "cwa_wrf" else FORESIGHT_HOURS)
    for init_time, lead in ((BEFORE, 18), (TIME, 6)):
        assert WRITERS[name](world, init_time, lead) == WRITERS[name](other, init_time, lead)
    assert WRITERS[name](world, AFTER, 0) != WRITERS[name](other, AFTER, 0)


@pytest.mark.parametrize("name", WRITERS)
def test_bytes_are_a_function_of_seed_and_time(name: str, forget):
    first = WRITERS[name](World(5), TIME, 3)
    forget()
    assert WRITERS[name](World(5), TIME, 3) == first


def test_every_model_has_weather_and_errors_of_its_own(world: World):
    models = (global_ai.PANGU, aifs.AIFS, gfs.GFS)
    runs = [global_ai.run_fields(world, TIME, 24, model) for model in models]
    truth = world.background(TIME + timedelta(hours=24), *global_ai.points())
    errors = [run["z500"] - truth["z500"] for run in runs]
    for error in errors:
        assert 20 < np.std(error) < 1500
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.std(errors[first] - errors[second]) > 20
    start = [global_ai.run_fields(world, TIME, 0, model)["t850"] for model in models]
    assert min(np.std(start[0] - start[1]), np.std(start[1] - start[2])) > 0.2


def messages(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each message begins, and an eccodes handle of it."""
    start = 0
    while start < len(data):
        length = int.from_bytes(data[start + 8 : start + 16], "big")
        assert data[start : start + 4] == b"GRIB"
        assert data[start + length - 4 : start + length] == b"7777"
        handle = eccodes.codes_new_from_message(data[start : start + length])
        yield start, handle
        eccodes.codes_release(handle)
        start += length


def keys(handle: int, *names: str) -> tuple:
    return tuple(eccodes.codes_get(handle, name) for name in names)


def test_aifs_is_ecmwf_s_open_data(world: World):
    data, index = aifs.encode(world, TIME, 6)
    lines = [json.loads(line) for line in index.decode().splitlines()]
    assert len(lines) == 71
    for (start, handle), line in zip(messages(data), lines, strict=True):
        assert line["_offset"] == start
        assert line["_length"] == eccodes.codes_get(handle, "totalLength")
        assert line["param"] == eccodes.codes_get(handle, "shortName")
        assert line.get("levelist", "0") == str(eccodes.codes_get(handle, "level") if line["levtype"] == "pl" else 0)
        assert (line["date"], line["time"], line["step"]) == ("20250608", "0600", "6")
        assert keys(handle, "packingType", "bitsPerValue") == ("grid_ccsds", 12)
        assert keys(handle, "dataDate", "dataTime", "step") == (20250608, 600, 6)
        assert keys(handle, "class", "expver", "productionStatusOfProcessedData") == ("ai", "SIMU", 2)
    assert "tcw" in {line["param"] for line in lines}
    assert "tcwv" not in {line["param"] for line in lines}
    assert {(line["param"], int(line["levelist"])) for line in lines if line["levtype"] == "pl"} == {
        (letter, level) for letter in "qtuvz" for level in LEVELS_HPA
    }


def test_gfs_is_ncep_s(world: World):
    data, index = gfs.encode(world, TIME, 6)
    lines = [line.split(":") for line in index.decode().splitlines()]
    assert len(lines) == 71
    said = {"TMP": ("t", "2t"), "UGRD": ("u", "10u"), "VGRD": ("v", "10v"), "HGT": ("gh",), "SPFH": ("q",),
            "PRMSL": ("prmsl",), "PRES": ("sp",), "PWAT": ("pwat",)}  # fmt: skip
    for number, ((start, handle), line) in enumerate(zip(messages(data), lines, strict=True), 1):
        assert line[:3] == [str(number), str(start), "d=2025060806"]
        assert eccodes.codes_get(handle, "shortName") in said[line[3]]
        level = eccodes.codes_get(handle, "level")
        column = "entire atmosphere (considered as a single layer)"
        assert line[4] in (f"{level} mb", f"{level} m above ground", "surface", "mean sea level", column)
        assert line[5] == "6 hour fcst"
        assert keys(handle, "centre", "packingType") == ("kwbc", "grid_complex_spatial_differencing")
        assert keys(handle, "productionStatusOfProcessedData", "section2Length") == (2, 14)
    assert data.count(b"\x00\x00\x00\x0e\x02SIMULATED") == 71
    assert gfs.encode(world, TIME, 0)[1].splitlines()[0].endswith(b":anl:")


def test_cwa_wrf_has_the_header_of_m_a0064(world: World):
    data = cwa_wrf.encode(world, TIME, 6)
    found = []
    for _, handle in messages(data):
        found.append(eccodes.codes_get(handle, "shortName"))
        assert keys(handle, "gridType", "Nx", "Ny", "DxInMetres", "LoVInDegrees", "LaDInDegrees", "Latin1InDegrees",
                    "Latin2InDegrees") == ("lambert", cwa_wrf.NX, cwa_wrf.NY, 3000, 120, 10, 10, 40)  # fmt: skip
        assert keys(handle, "shapeOfTheEarth", "radius", "scanningMode", "uvRelativeToGrid") == (6, 6371229, 64, 1)
        assert keys(handle, "packingType", "bitsPerValue") == ("grid_simple", 24)
        assert keys(handle, "dataDate", "dataTime", "endStep") == (20250608, 600, 6)
    assert found == [*("t", "gh", "u", "v", "r") * 11, "10u", "10v", "sp", "prmsl", "2t", "unknown"]
    assert data.count(b"SIMULATED") == 61


def test_cwa_wrf_s_part_of_the_grid_covers_the_domain_inside_the_simulated_box():
    j, i = cwa_wrf.grid().index_of(*TAIWAN_2KM.latlon())
    assert min(j.min(), i.min()) >= 10
    assert j.max() <= cwa_wrf.NY - 11
    assert i.max() <= cwa_wrf.NX - 11
    j, i = BOX.index_of(*cwa_wrf.grid().latlon())
    assert min(j.min(), i.min()) >= 0
    assert j.max() <= BOX.ny - 1
    assert i.max() <= BOX.nx - 1


def test_cwa_wrf_accumulates_rain_since_its_start(world: World):
    three, six = (cwa_wrf.run_fields(world, TIME, lead)["tp"] for lead in (3, 6))
    assert cwa_wrf.run_fields(world, TIME, 0)["tp"].max() == 0.0
    assert (six >= three).all()
    assert six.max() > three.max() > 0.0
