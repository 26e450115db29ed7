"""Real provider files, against facts worked out without our readers."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import eccodes
import netCDF4
import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.regrid import cell_areas, conservative
from stormcast_tw.sources.formats import grib, grib_index
from stormcast_tw.sources.global_ai import GlobalAI
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.wrfout import Wrfout, open_wrfout
from stormcast_tw.storage.provider_files import Folder

pytestmark = pytest.mark.samples

SOUDELOR = datetime(2015, 8, 8, 8, 50, tzinfo=UTC)
KATRINA = datetime(2005, 8, 28, tzinfo=UTC)
DOMAIN = {"latitude": slice(21.6, 25.6), "longitude": slice(119.75, 122.25)}


@pytest.fixture
def soudelor(samples: Path, located):
    path = samples / "CB_GC_PCP_1H_RAD.20150808.0850.gz"
    return Qpesums(Folder(str(samples))).read(located("qpesums", [path], [SOUDELOR], ["tp01"])).dataset


def plain_rain(path: Path) -> tuple[list[float | None], int, int]:
    """One number after another with `struct`, no numpy: values south to north, None where missing; nx, ny."""
    data = gzip.decompress(path.read_bytes())
    nx, ny = struct.unpack_from("<2i", data, 24)
    (radars,) = struct.unpack_from("<i", data, 162)
    start = 166 + 4 * radars
    assert len(data) == start + 2 * nx * ny == 494972
    raw = [value for (value,) in struct.iter_unpack("<h", data[start:])]
    return [None if value == -4 else value / 4 for value in raw], nx, ny


def test_qpesums_values_are_those_of_a_plain_decoder(soudelor, samples: Path):
    values, nx, ny = plain_rain(samples / "CB_GC_PCP_1H_RAD.20150808.0850.gz")
    assert (ny, nx) == soudelor["tp01"].shape[1:] == (561, 441)
    flat = soudelor["tp01"].values[0].ravel()
    assert [None if math.isnan(v) else v for v in flat.tolist()] == values
    assert sum(v is None for v in values) == 145


def test_qpesums_header_places_it_on_the_globe(soudelor):
    grid = Grid.of(soudelor)
    assert (grid.y_first, grid.y_last) == pytest.approx((20.0, 27.0), abs=1e-9)
    assert (grid.x_first, grid.x_last) == pytest.approx((118.0, 123.5), abs=1e-9)
    assert soudelor.attrs["simulated"] == 0


def test_qpesums_statistics_of_the_domain_are_the_published_ones(soudelor):
    """realism.md, typhoon Soudelor."""
    rain = np.sort(soudelor["tp01"].sel(DOMAIN).values.ravel().astype(np.float64))
    assert rain.size == 201 * 321
    assert [round(float(np.mean(rain >= limit)), 3) for limit in (0.25, 1, 10)] == [0.767, 0.613, 0.195]
    assert float(np.mean(rain >= 40)) == pytest.approx(0.0097, abs=5e-5)
    assert rain.mean() == pytest.approx(5.73, abs=5e-3)
    assert rain[rain > 0].mean() == pytest.approx(7.46, abs=5e-3)
    assert np.percentile(rain, [99, 99.9, 100]) == pytest.approx([39.8, 56.1, 75.8], abs=0.06)


def test_qpesums_regridded_keeps_the_typhoon_s_rain(soudelor):
    rain = soudelor["tp01"].values[0]
    there = conservative(Grid.of(soudelor), TAIWAN_2KM)(rain)
    assert np.isfinite(there).all()
    # the area mean of the source points in the domain, which regridding may only move across its edge
    areas = cell_areas(TAIWAN_2KM)
    mean = np.sum(there * areas) / areas.sum()
    plain = soudelor["tp01"].sel(DOMAIN)
    weights = np.cos(np.radians(plain["latitude"].values))[:, None] * np.ones(plain.shape[1:])
    assert mean == pytest.approx(float(np.sum(plain.values[0] * weights) / weights.sum()), rel=5e-3)
    assert 60 < there.max() < np.nanmax(rain)


def test_qpesums_of_another_time_is_refused(samples: Path, located):
    path = samples / "CB_GC_PCP_1H_RAD.20150808.0850.gz"
    with pytest.raises(BadInput, match="header time is 2015-08-08 08:50:00 UTC; allowed 2015-08-08 09:00:00 UTC"):
        Qpesums(Folder(str(samples))).read(located("qpesums", [path], [SOUDELOR + timedelta(minutes=10)], ["tp01"]))


@pytest.fixture
def wrfout(samples: Path) -> Path:
    return samples / "wrfout_mercator_sample.nc"


@contextmanager
def wrfout_at(path: Path) -> Iterator[Wrfout]:
    folder = Folder(str(path.parent))
    with folder.open(folder.find(path.name)) as reader, open_wrfout(reader) as opened:
        yield opened


def test_wrfout_projection_closes_on_every_point(wrfout: Path):
    with wrfout_at(wrfout) as opened:
        grid = opened.grid(3)
    with netCDF4.Dataset(wrfout) as plain:
        latitude, longitude = plain["XLAT"][3].data.astype(float), plain["XLONG"][3].data.astype(float)
        central = (plain.CEN_LAT, plain.CEN_LON)
    # Snyder 1987, eq. 7-1, 7-2 on a sphere of 6370 km, true at the equator, from 89 W
    x = 6370000 * np.radians(longitude + 89.0)
    y = 6370000 * np.log(np.tan(np.pi / 4 + np.radians(latitude) / 2))
    assert np.abs(x - grid.x).max() / 10000 < 5e-4
    assert np.abs(y - grid.y[:, None]).max() / 10000 < 5e-4
    j, i = grid.index_of(*central)
    assert (float(j), float(i)) != pytest.approx((23.5, 23.5), abs=1.0)


def test_wrfout_state_is_what_the_file_holds(wrfout: Path, located):
    time = KATRINA + timedelta(hours=15)
    wanted = located("rwrp", [wrfout], [time], ["t2m", "u10m", "v10m", "sp", "orog"], KATRINA)
    dataset = RwrpState(Folder(str(wrfout.parent))).read(wanted).dataset
    with netCDF4.Dataset(wrfout) as plain:
        names = {"t2m": "T2", "u10m": "U10", "v10m": "V10", "sp": "PSFC", "orog": "HGT"}
        for variable_id, name in names.items():
            np.testing.assert_array_equal(dataset[variable_id].values[0], plain[name][1].data)
    assert dataset.attrs["init_time"] == "2005-08-28T00:00:00Z"


def test_wrfout_is_three_hourly_so_it_has_no_hourly_rain(wrfout: Path, located):
    time = KATRINA + timedelta(hours=15)
    with pytest.raises(BadInput, match=r"Times holds 2005-08-28_14:00:00 0 times; allowed once; found .*12:00.*15:00"):
        RwrpRain(Folder(str(wrfout.parent))).read(located("rwrp", [wrfout, wrfout], [time], ["tp01"], KATRINA))


def test_wrfout_rain_of_three_hours_point_by_point(wrfout: Path):
    """The sample is a nest that follows the vortex: grids move by whole cells, accumulations stay with the ground."""
    with netCDF4.Dataset(wrfout) as plain, wrfout_at(wrfout) as opened:
        assert plain.BUCKET_MM == -1
        for index, rows, columns in ((0, 3, -6), (1, 6, -3), (2, 3, -6)):
            before, after = opened.grid(index), opened.grid(index + 1)
            assert (after.y_first - before.y_first) / before.dy == pytest.approx(rows, abs=1e-3)
            assert (after.x_first - before.x_first) / before.dx == pytest.approx(columns, abs=1e-3)
            plain_totals = [
                sum(plain[name][i].data.astype(float) for name in ("RAINC", "RAINNC", "RAINSH"))
                for i in (index, index + 1)
            ]
            np.testing.assert_array_equal(opened.accumulated_rain(index), plain_totals[0])
            rain = opened.accumulated_rain(index + 1)[:-rows, -columns:] - plain_totals[0][rows:, :columns]
            assert rain.min() == 0.0
            assert 8.0 < rain.mean() < 10.0


def test_wrfout_of_a_moving_nest_is_not_one_grid(wrfout: Path, located):
    times = [KATRINA + timedelta(hours=12), KATRINA + timedelta(hours=15)]
    with pytest.raises(BadInput, match=r"moves from 48 x 48 .* \(-294999, 2484829\) m to .*\(-355002,"):
        RwrpState(Folder(str(wrfout.parent))).read(located("rwrp", [wrfout, wrfout], times, ["t2m"], KATRINA))


def test_wrfout_of_another_run_or_without_a_land_mask_is_refused(wrfout: Path, located):
    time = KATRINA + timedelta(hours=12)
    with pytest.raises(BadInput, match="SIMULATION_START_DATE is 2005-08-28_00:00:00; allowed 2005-08-28_06:00:00"):
        RwrpState(Folder(str(wrfout.parent))).read(
            located("rwrp", [wrfout], [time], ["t2m"], KATRINA + timedelta(hours=6))
        )
    with pytest.raises(BadInput, match="has no variable LANDMASK"):
        RwrpState(Folder(str(wrfout.parent))).read(located("rwrp", [wrfout], [time], ["lsm"], KATRINA))


@pytest.fixture
def aifs(samples: Path) -> Path:
    return samples / "aifs-single-t500.grib2"


def test_aifs_global_mean_and_orientation(aifs: Path):
    folder = Folder(str(aifs.parent))
    with folder.open(folder.find(aifs.name)) as reader:
        (entry,) = grib_index.scan(reader)
        assert entry == grib_index.Entry(("t", 500), 0, 599680)
        assert reader.used.bytes_used == 0
        assert reader.used.bytes_of_index == 512
        message = grib_index.message(reader, entry)
    with grib.opened(message, "aifs") as handle:
        assert grib.identity(handle) == ("t", 500)
        assert not grib.simulated(handle, message)
        grib.check_time(handle, datetime(2026, 3, 10, 12, tzinfo=UTC), timedelta(0), "t500", "aifs")
        values, grid = grib.field(handle, grib.Box(-90, 90, 0, 359.99), "t500", "aifs")
    assert grid.shape == (721, 1440)
    assert (grid.y_first, grid.y_last, grid.x_first, grid.x_last) == (-90, 90, 0, 359.75)
    # data-formats.md's global mean is the plain mean of the points, not the mean over the sphere
    assert values.mean() == pytest.approx(252.368, abs=1e-3)
    weights = np.cos(np.radians(np.linspace(-90, 90, 721)))[:, None] * np.ones(1440)
    assert np.sum(values * weights) / weights.sum() == pytest.approx(258.169, abs=1e-3)


def test_aifs_around_taiwan_is_the_nearest_point_of_eccodes(aifs: Path, located):
    time = datetime(2026, 3, 10, 12, tzinfo=UTC)
    dataset = GlobalAI(Folder(str(aifs.parent))).read(located("global_ai", [aifs], [time], ["t500"], time)).dataset
    assert float(dataset["longitude"].min()) == pytest.approx(118.75)
    assert float(dataset["latitude"].max()) == pytest.approx(26.5)
    with aifs.open("rb") as stream:
        handle = eccodes.codes_grib_new_from_file(stream)
    for latitude, longitude in ((21.75, 119.75), (23.5, 121.0), (25.5, 122.25)):
        (nearest,) = eccodes.codes_grib_find_nearest(handle, latitude, longitude)
        assert nearest["distance"] < 1e-6
        there = dataset["t500"].sel(latitude=latitude, longitude=longitude, method="nearest")
        assert float(there[0]) == pytest.approx(nearest["value"], abs=1e-4)
    eccodes.codes_release(handle)


def test_aifs_with_a_flipped_byte_is_refused_before_it_can_crash(aifs: Path, located, tmp_path: Path):
    """Found by fuzzing: this block size makes libaec write outside its memory and ends the process."""
    data = bytearray(aifs.read_bytes())
    assert data[182] == 32
    data[182] = 245
    path = tmp_path / "flipped.grib2"
    path.write_bytes(bytes(data))
    time = datetime(2026, 3, 10, 12, tzinfo=UTC)
    with pytest.raises(BadInput, match=r"t500's ccsdsBlockSize is 245; allowed \(8, 16, 32, 64\)"):
        GlobalAI(Folder(str(tmp_path))).read(located("global_ai", [path], [time], ["t500"], time))
