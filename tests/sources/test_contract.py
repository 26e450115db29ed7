"""One contract for every source: names, units, grid, times, ranges, absence, and the bytes it reads, on disk and on S3.

The simulation writes each provider's own format; what the requested messages or chunks weigh is counted here, without
the readers: by eccodes over the whole file, by the lines of an index, by HDF5's own account of its chunks.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import eccodes
import h5py
import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.errors import NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.settings import settings
from stormcast_tw.simulation.files import aifs as simulated_aifs
from stormcast_tw.simulation.files import cwa_wrf as simulated_cwa_wrf
from stormcast_tw.simulation.files import era5 as simulated_era5
from stormcast_tw.simulation.files import gfs as simulated_gfs
from stormcast_tw.simulation.files import global_ai as simulated_global_ai
from stormcast_tw.simulation.files import mlwp as simulated_mlwp
from stormcast_tw.simulation.files import opendata as simulated_opendata
from stormcast_tw.simulation.files import qpepre as simulated_qpepre
from stormcast_tw.simulation.files import qpesums as simulated_qpesums
from stormcast_tw.simulation.files import rwrp as simulated_rwrp
from stormcast_tw.simulation.files import rwrp_training as simulated_rwrp_training
from stormcast_tw.simulation.files import rwrp_upper as simulated_rwrp_upper
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources import aifs, cwa_wrf, gfs, global_ai, mlwp, qpepre, qpesums, rwrp, rwrp_training
from stormcast_tw.sources.aifs import Aifs
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.cwa_wrf import CwaWrf
from stormcast_tw.sources.era5 import Era5
from stormcast_tw.sources.era5_cds import Era5Cds
from stormcast_tw.sources.gfs import Gfs
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.isolated import read_isolated
from stormcast_tw.sources.mlwp import Mlwp
from stormcast_tw.sources.opendata import RAIN_KEY, REFLECTIVITY_KEY, OpenData
from stormcast_tw.sources.qpepre import Qpepre
from stormcast_tw.sources.qpesums import REFLECTIVITY, Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.rwrp_training import RwrpTraining
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import STATE_SETS, VARIABLES, variable_set
from tests.servers import S3Server

CYCLE = Cycle.parse("20240815T06Z")
T = CYCLE.init_time
HOUR = timedelta(hours=1)
WORLD = World(7)
LARGE_SCALE = ("msl", "t2m", "u10m", "v10m", "q850", "t500", "u250", "z1000")
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Row:
    """One source: how it is made, its files, what is asked of it, and what the asked-for bytes and the index weigh.

    `index` is the most that may be read to find them: index files whole, 512 bytes of head a GRIB message, the header
    of a NetCDF file in blocks of 64 KiB, a Zarr store's metadata.
    """

    source: Callable[[Folder], Source]
    files: Callable[[], Files]
    ids: tuple[str, ...]
    valid_times: tuple[datetime, ...]
    init_time: datetime | None
    requested: Callable[[Files], int]
    index: Callable[[Files], int] = lambda _: 0


def everything(files: Files) -> int:
    return sum(map(len, files.values()))


def messages(*keys: tuple[str, int | None]) -> Callable[[Files], int]:
    """The messages of these shortNames and levels, in all files."""

    def weigh(files: Files) -> int:
        total = 0
        for data in files.values():
            start = 0
            while start < len(data):
                length = int.from_bytes(data[start + 8 : start + 16], "big")
                handle = eccodes.codes_new_from_message(data[start : start + length])
                level = eccodes.codes_get(handle, "level")
                on_pressure = eccodes.codes_get(handle, "typeOfLevel") == "isobaricInhPa"
                key = eccodes.codes_get(handle, "shortName"), level if on_pressure else None
                eccodes.codes_release(handle)
                total += length if key in keys else 0
                start += length
        return total

    return weigh


def of_ecmwf_index(files: Files) -> int:
    """The lines of the indexes that were asked for, and the indexes themselves are counted apart."""
    wanted = {("msl", None), ("2t", None), ("10u", None), ("10v", None), ("q", "850"), ("t", "500"), ("u", "250")}
    wanted |= {("z", "1000"), ("z", "500")}
    lines = [json.loads(line) for p, d in files.items() if p.endswith(".index") for line in d.decode().splitlines()]
    return sum(line["_length"] for line in lines if (line["param"], line.get("levelist")) in wanted)


def of_ncep_index(files: Files) -> int:
    wanted = ("PRMSL:mean", "TMP:2 m", "UGRD:10 m", "VGRD:10 m", "SPFH:850 mb", "TMP:500 mb", "UGRD:250 mb")
    wanted += ("HGT:1000 mb", "HGT:500 mb")
    total = 0
    for path, data in files.items():
        if path.endswith(".idx"):
            lines = [line.split(":", 3) for line in data.decode().splitlines()]
            ends = [int(line[1]) for line in lines[1:]] + [len(files[path.removesuffix(".idx")])]
            sizes = [end - int(line[1]) for line, end in zip(lines, ends, strict=True)]
            total += sum(size for line, size in zip(lines, sizes, strict=True) if line[3].startswith(wanted))
    return total


def of_hdf5_chunks(files: Files) -> int:
    """Pangu's maps of two steps, by HDF5's own account; z500 tells geopotential from height."""
    total = 0
    with h5py.File(io.BytesIO(next(iter(files.values())))) as file:
        for name in ("msl", "t2", "u10", "v10"):
            total += sum(file[name].id.get_chunk_info_by_coord((step, 0, 0)).size for step in (2, 3))
        levels = list(mlwp.LEVELS_HPA)
        for name, level in (("q", 850), ("t", 500), ("u", 250), ("z", 1000), ("z", 500)):
            place = levels.index(level)
            total += sum(file[name].id.get_chunk_info_by_coord((step, place, 0, 0)).size for step in (2, 3))
        total += sum(file[name].nbytes for name in ("time", "latitude", "longitude", "level") if name in file)
    return total


def blocks(count: int) -> Callable[[Files], int]:
    return lambda files: len(files) * min(count * 65536 + 16, max(map(len, files.values())) + 16)


def heads(files: Files) -> int:
    return sum(512 * data.count(b"GRIB") for data in files.values())


def index_files(files: Files) -> int:
    return sum(len(data) for path, data in files.items() if path.endswith((".index", ".idx")))


def metadata(files: Files) -> int:
    """Everything but the chunks that hold fields: documents and axes."""
    return everything(files) - of_arco(files)


def of_floats(count: int, *, files_of: int = 1) -> Callable[[Files], int]:
    """Maps of four-byte numbers on RWRP's simulated grid, and the stamp of the time in each file."""
    return lambda _: files_of * (4 * count * simulated_rwrp.NY * simulated_rwrp.NX + 19)


def of_volumes(_: Files) -> int:
    """Temperature, pressure, humidity and geopotential on 34 layers and 35 faces, winds on their staggered faces."""
    ny, nx = simulated_rwrp.NY, simulated_rwrp.NX
    return 4 * ((8 + 4 * 34 + 2 * 35) * ny * nx + 34 * ny * (nx + 1) + 34 * (ny + 1) * nx) + 19


def of_arco(files: Files) -> int:
    """The chunks of the hour: one object a variable."""
    return sum(len(data) for path, data in files.items() if path.rsplit("/", 1)[-1][0].isdigit() and ".0.0" in path)


def _rwrp(*leads: int) -> Callable[[], Files]:
    init = T - HOUR
    return lambda: {rwrp.path(init, init + hours(n)): simulated_rwrp.encode(WORLD, init, n) for n in leads}


def _indexed(module, simulated, leads: range, init: datetime) -> Callable[[], Files]:
    def files() -> Files:
        made: dict[str, bytes] = {}
        for lead in leads:
            made[module.path(init, lead)], made[module.index_path(init, lead)] = simulated.encode(WORLD, init, lead)
        return made

    return files


SIX_HOURS = tuple(T + n * HOUR for n in range(7))
ROWS: dict[str, Row] = {
    # wrfout: XLAT, XLONG and the rotation come with the winds; rain is three kinds and two counters of buckets
    "rwrp": Row(RwrpState, _rwrp(1), ("t2m", "u10m", "v10m", "sp", "orog"), (T,), T - HOUR, of_floats(9), blocks(1)),
    "rwrp, upper": Row(
        RwrpState,
        lambda: {rwrp.path(T - HOUR, T): simulated_rwrp_upper.encode(WORLD, T - HOUR, 1)},
        tuple(v for v in STATE_SETS["upper"].ids if v != "tp01"),
        (T,),
        T - HOUR,
        of_volumes,
        blocks(1),
    ),
    "rwrp, training": Row(
        RwrpTraining,
        lambda: {rwrp_training.path(T): simulated_rwrp_training.encode(WORLD, T - HOUR, 1)},
        ("t2m", "u10m", "v10m", "sp", "msl", "tcwv"),
        (T,),
        None,
        lambda _: 4 * 8 * simulated_rwrp.NY * simulated_rwrp.NX + 19,
        blocks(1),
    ),
    "rwrp_rain": Row(RwrpRain, _rwrp(0, 1), ("tp01",), (T,), T - HOUR, of_floats(7, files_of=2), blocks(1)),
    "qpesums": Row(
        Qpesums, lambda: {qpesums.path(T): simulated_qpesums.encode(WORLD, T)}, ("tp01",), (T,), None, everything
    ),
    "compref": Row(
        lambda folder: Qpesums(folder, REFLECTIVITY),
        lambda: {qpesums.path(T, REFLECTIVITY): simulated_qpesums.encode_reflectivity(WORLD, T)},
        ("refc",),
        (T,),
        None,
        everything,
    ),
    "qpepre": Row(
        lambda folder: Qpepre(folder, "taipei", "end"),
        lambda: {qpepre.path(T, "taipei", "end"): simulated_qpepre.encode(WORLD, T)},
        ("tp01",),
        (T,),
        None,
        everything,
    ),
    "open data, JSON": Row(
        OpenData, lambda: {RAIN_KEY: simulated_opendata.rain_json(WORLD, T)}, ("tp01",), (T,), None, everything
    ),
    "open data, XML": Row(
        lambda folder: OpenData(folder, RAIN_KEY.replace("json", "xml")),
        lambda: {RAIN_KEY.replace("json", "xml"): simulated_opendata.rain_xml(WORLD, T)},
        ("tp01",),
        (T,),
        None,
        everything,
    ),
    "open data, 2018": Row(
        lambda folder: OpenData(folder, RAIN_KEY.replace("json", "xml")),
        lambda: {RAIN_KEY.replace("json", "xml"): simulated_opendata.old_rain_xml(WORLD, T)},
        ("tp01",),
        (T,),
        None,
        everything,
    ),
    "open data, reflectivity": Row(
        lambda folder: OpenData(folder, REFLECTIVITY_KEY),
        lambda: {REFLECTIVITY_KEY: simulated_opendata.reflectivity_json(WORLD, T)},
        ("refc",),
        (T,),
        None,
        everything,
    ),
    "global_ai": Row(
        GlobalAI,
        lambda: {
            global_ai.path(T - 12 * HOUR, n): simulated_global_ai.encode(WORLD, T - 12 * HOUR, n) for n in (12, 18)
        },
        LARGE_SCALE,
        SIX_HOURS,
        T - 12 * HOUR,
        messages(
            *(("msl", None), ("2t", None), ("10u", None), ("10v", None)),
            *(("q", 850), ("t", 500), ("u", 250), ("z", 1000), ("z", 500)),
        ),
        heads,
    ),
    "aifs": Row(
        Aifs,
        _indexed(aifs, simulated_aifs, range(12, 19, 6), T - 12 * HOUR),
        LARGE_SCALE,
        SIX_HOURS,
        T - 12 * HOUR,
        of_ecmwf_index,
        index_files,
    ),
    "gfs": Row(
        Gfs,
        _indexed(gfs, simulated_gfs, range(6, 8), T - 6 * HOUR),
        LARGE_SCALE,
        (T, T + HOUR),
        T - 6 * HOUR,
        of_ncep_index,
        index_files,
    ),
    "mlwp": Row(
        Mlwp,
        lambda: {mlwp.path("PANG", "IFS", T - 6 * HOUR): simulated_mlwp.encode(WORLD, "PANG", T - 6 * HOUR, 18)},
        LARGE_SCALE,
        tuple(T + n * HOUR for n in range(6, 13)),
        T - 6 * HOUR,
        of_hdf5_chunks,
        blocks(16),
    ),
    "cwa_wrf": Row(
        CwaWrf,
        lambda: {cwa_wrf.path(n): simulated_cwa_wrf.encode(WORLD, T - 6 * HOUR, n) for n in (6, 12)},
        ("msl", "t2m", "u10m", "v10m", "q850", "t500", "u250", "z1000"),
        SIX_HOURS,
        T - 6 * HOUR,
        messages(
            *(("prmsl", None), ("2t", None), ("10u", None), ("10v", None), ("r", 850), ("t", 850), ("t", 500)),
            *(("u", 250), ("v", 250), ("gh", 1000), ("gh", 500)),
        ),
        heads,
    ),
    "era5, ARCO": Row(
        Era5,
        lambda: {
            f"full_37-1h-0p25deg-chunk-1.zarr-v3/{p}": d
            for p, d in simulated_era5.arco(WORLD, (T,), ("t2m", "msl"), T).items()
        },
        ("t2m", "msl"),
        (T,),
        None,
        of_arco,
        metadata,
    ),
    "era5, CDS": Row(
        lambda folder: Era5Cds(folder, ("%Y%m%d.zip",)),
        lambda: {f"{T:%Y%m%d}.zip": simulated_era5.cds_zip(WORLD, (T,), LARGE_SCALE)},
        LARGE_SCALE,
        (T,),
        None,
        everything,
        lambda _: 8,
    ),
}


@pytest.fixture(scope="module")
def files() -> Callable[[str], Files]:
    made: dict[str, Files] = {}
    return lambda name: made.setdefault(name, ROWS[name].files())


def put(root: str, files: Files) -> None:
    for path, data in files.items():
        objects(root).replace(path, data)


@pytest.mark.parametrize("name", ROWS)
def test_every_source_keeps_the_contract(
    name: str,
    files: Callable[[str], Files],
    tmp_path: Path,
    s3: S3Server,
    record_property: Callable[[str, object], None],
):
    row, bucket = ROWS[name], s3.bucket()
    asked = row.valid_times, variable_set("asked", *row.ids), row.init_time
    readings = {}
    for root, options in ((f"file://{tmp_path}", {}), (bucket, settings().s3_options())):
        source = row.source(Folder(root, options))
        with pytest.raises(NotReady):
            source.find(*asked)
        put(root, files(name))
        readings[root] = read_isolated(source, source.find(*asked))
    here, there = readings.values()
    xr.testing.assert_identical(here.dataset, there.dataset)
    assert [(u.digest, u.bytes_used, u.bytes_of_index) for u in here.used] == [
        (u.digest, u.bytes_used, u.bytes_of_index) for u in there.used
    ]
    _require_described(here.dataset, row, name)
    requested, used = row.requested(files(name)), sum(u.bytes_used for u in here.used)
    index = sum(u.bytes_of_index for u in here.used)
    sizes = f"{requested} requested, {used} read, {index} of index, {everything(files(name))} in all"
    record_property("bytes", f"{name}: {sizes}")
    assert requested <= used <= 1.02 * requested, sizes
    assert index <= row.index(files(name)), sizes


def _require_described(dataset: xr.Dataset, row: Row, name: str) -> None:
    assert tuple(dataset.data_vars) == row.ids
    assert dataset.attrs["simulated"] == 1
    assert dataset.attrs["source"]
    if row.init_time is not None:
        assert dataset.attrs["init_time"] == f"{row.init_time:%Y-%m-%dT%H:%M:%SZ}"
    times = [np.datetime64(time.replace(tzinfo=None), "ns") for time in row.valid_times]
    np.testing.assert_array_equal(dataset["valid_time"].values, times)
    grid = Grid.of(dataset)
    for variable_id, array in dataset.data_vars.items():
        variable = VARIABLES[str(variable_id)]
        assert array.dims == ("valid_time", *grid.dims)
        assert array.dtype == np.float32
        assert array.attrs["units"] == variable.units
        assert array.attrs["standard_name"] == variable.standard_name
        low, high = variable.valid_range
        assert low <= float(array.min()) <= float(array.max()) <= high
        assert np.isfinite(array.values).all() or variable_id in ("tp01", "refc"), f"{name}: {variable_id} has gaps"
    latitude, longitude = grid.latlon()
    assert latitude.min() < TAIWAN_2KM.y_last
    assert latitude.max() > TAIWAN_2KM.y_first
    assert longitude.min() < 121 < longitude.max()
