"""The training form of RWRP: units that are not ours, levels that lie under mountains, a grid that it need not name."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.settings import settings
from stormcast_tw.sources.rwrp_training import RwrpTraining, path, window
from stormcast_tw.sources.translate.pressure_levels import above_ground
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import LEVELS_HPA, STATE_SETS, variable_set

T = datetime(2020, 7, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRES_LEVELS = (1000, 975, 950, 925, 900, 875, 850, 825, 800, 775, 750, 700, 650, 600, 550, 500, 450, 400, 350, 300, 250,
               225, 200, 175, 150, 125, 100, 70, 50, 30, 20)  # fmt: skip
R, G, FILL = 287.0, 9.81, 9.96921e36
STATE = variable_set("upper without rain", *(v for v in STATE_SETS["upper"].ids if v != "tp01"), "orog", "lsm")
PROFILES = {
    # theirs: value at a level in hPa; z_p is height, QVAPOR_p mixing ratio
    "umet_p": lambda hpa: 5 + 0.01 * (1000 - hpa),
    "vmet_p": lambda hpa: -3 + 0.005 * hpa,
    "tk_p": lambda hpa: 300 * (hpa / 1000) ** 0.19,
    "z_p": lambda hpa: 100 + 300 / 0.0065 * (1 - (hpa / 1000) ** 0.19),
    "QVAPOR_p": lambda hpa: 0.018 * (hpa / 1000) ** 3,
}


def write(writer, file: Path, time: datetime = T, *, pres_levels=PRES_LEVELS, buried=FILL, change=None, without=()):
    """Write the form as data-formats.md 2.3 has it; what lies under the ground holds `buried`."""
    change = change or {}
    j, i = np.meshgrid(np.linspace(-1, 1, writer.ny), np.linspace(-1, 1, writer.nx), indexing="ij")
    surface = 101_000 - 38_000 * np.exp(-8 * (i**2 + j**2 / 3))
    flat = {
        "XLAT": writer.latitude, "XLONG": writer.longitude, "HGT": 8000 * np.log(101_000 / surface), "PSFC": surface,
        "LANDMASK": (surface < 100_500) * 1.0, "T2": 300 - 20 * (101_000 - surface) / 38_000, "slp": 1008 + 3 * i,
        "pw": 45 + 10 * j, "umet10": 3 + i, "vmet10": -4 + j,
    }  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(file, "w", format="NETCDF3_64BIT_OFFSET") as out:
        sizes = {"Time": None, "pres_bottom_top": len(pres_levels), "south_north": writer.ny, "west_east": writer.nx}
        for name, size in (*sizes.items(), ("DateStrLen", 19)):
            out.createDimension(name, size)
        out.setncatts({name: value for name, value in (("TITLE", "INTERPOLATED"),) if name not in without})
        out.setncatts(change.get("attributes", {}))
        stamp = np.array([list(f"{time:%Y-%m-%d_%H:%M:%S}")], dtype="S1")
        out.createVariable("Times", "S1", ("Time", "DateStrLen"))[:] = stamp
        out.createVariable("pres_levels", "f4", ("pres_bottom_top",))[:] = pres_levels
        for name, values in flat.items():
            if name not in without:
                changed = change.get(name, lambda v: v)(values)
                out.createVariable(name, "f4", ("Time", "south_north", "west_east"))[0] = changed
        for name, profile in PROFILES.items():
            if name not in without:
                values = np.stack([np.where(surface >= 100 * hpa, profile(hpa), buried) for hpa in pres_levels])
                changed = change.get(name, lambda v: v)(values)
                dims = ("Time", "pres_bottom_top", "south_north", "west_east")
                out.createVariable(name, "f4", dims)[0] = changed
    return flat


def read(root: Path, *ids: str):
    source = RwrpTraining(Folder(str(root)))
    return source.read(source.find((T,), variable_set("asked", *ids) if ids else STATE))


def test_the_name_of_a_file_is_the_archive_s(tmp_path: Path):
    assert path(T) == "wrfout_d01_2020-07-01_06_interp"
    with pytest.raises(NotReady, match=r"/wrfout_d01_2020-07-01_06_interp: not there yet"):
        RwrpTraining(Folder(str(tmp_path))).find((T,), STATE)
    with pytest.raises(BadInput, match="rwrp_training: does not provide tp01; it provides t2m, u10m"):
        RwrpTraining(Folder(str(tmp_path))).find((T,), STATE_SETS["surface"])
    with pytest.raises(ValueError, match="rwrp_training: has no runs; asked for the one of 2020-07-01"):
        RwrpTraining(Folder(str(tmp_path))).find((T,), STATE, T)


def test_the_surface_comes_out_in_our_units(lambert, tmp_path: Path):
    flat = write(lambert, tmp_path / path(T))
    dataset = read(tmp_path).dataset
    assert tuple(dataset.data_vars) == STATE.ids
    assert dataset.attrs == {"source": "rwrp_training", "simulated": 0}
    for variable_id, name, factor in (
        ("t2m", "T2", 1), ("u10m", "umet10", 1), ("v10m", "vmet10", 1), ("sp", "PSFC", 1), ("msl", "slp", 100),
        ("tcwv", "pw", 1), ("orog", "HGT", 1), ("lsm", "LANDMASK", 1),
    ):  # fmt: skip
        np.testing.assert_allclose(dataset[variable_id].values[0], factor * flat[name], rtol=1e-6, atol=1e-6)


def test_levels_above_ground_are_the_file_s(lambert, tmp_path: Path):
    write(lambert, tmp_path / path(T))
    dataset = read(tmp_path).dataset
    for level in LEVELS_HPA:
        weather = above_ground(dataset["sp"].values[0], level)
        ratio = PROFILES["QVAPOR_p"](level)
        for variable_id, truth in (
            (f"u{level}", PROFILES["umet_p"](level)),
            (f"v{level}", PROFILES["vmet_p"](level)),
            (f"t{level}", PROFILES["tk_p"](level)),
            (f"z{level}", G * PROFILES["z_p"](level)),
            (f"q{level}", ratio / (1 + ratio)),
        ):
            assert dataset[variable_id].values[0][weather] == pytest.approx(truth, rel=2e-6), variable_id


@pytest.mark.parametrize("buried", [FILL, np.nan, 250.0], ids=["fill", "NaN", "something"])
def test_levels_below_ground_continue_the_lowest_above_it(lambert, tmp_path: Path, buried: float):
    flat = write(lambert, tmp_path / path(T), buried=buried)
    dataset = read(tmp_path).dataset
    covered = 0
    for level in (1000, 925, 850, 700):
        for j, i in np.argwhere(~above_ground(flat["PSFC"], level))[::37]:
            lowest = max(hpa for hpa in PRES_LEVELS if 100 * hpa <= np.float32(flat["PSFC"][j, i]))
            ratio = (level / lowest) ** (R * 0.0065 / G)
            t, mixing = PROFILES["tk_p"](lowest), PROFILES["QVAPOR_p"](lowest)
            virtual = t * (1 + (461.6 / R - 1) * mixing / (1 + mixing))
            found = {letter: float(dataset[f"{letter}{level}"].values[0, j, i]) for letter in "uvtqz"}
            assert found["u"] == pytest.approx(PROFILES["umet_p"](lowest), rel=1e-5)
            assert found["v"] == pytest.approx(PROFILES["vmet_p"](lowest), rel=1e-5)
            assert found["t"] == pytest.approx(t * ratio, rel=1e-5)
            assert found["q"] == pytest.approx(mixing / (1 + mixing), rel=1e-5)
            assert found["z"] / G == pytest.approx(PROFILES["z_p"](lowest) - virtual / 0.0065 * (ratio - 1), abs=0.1)
            covered += 1
    assert covered > 20


def test_only_what_is_needed_is_read(lambert, tmp_path: Path):
    """Levels down to the lowest ground, then those of the set: 19 of 31; five variables; ten surface fields."""
    flat = write(lambert, tmp_path / path(T))
    assert 600 < flat["PSFC"].min() / 100 < 650
    field = 4 * lambert.ny * lambert.nx
    levels = sum(hpa >= 600 for hpa in PRES_LEVELS) + sum(hpa < 600 for hpa in LEVELS_HPA)
    assert levels == 19
    (used,) = read(tmp_path).used
    assert used.bytes_used == 5 * levels * field + 10 * field + 4 * len(PRES_LEVELS) + 19
    (used,) = read(tmp_path, "t2m", "msl").used
    assert used.bytes_used == 4 * field + 19


def test_round_a_grid_the_same_is_read_from_fewer_bytes(lambert, tmp_path: Path):
    write(lambert, tmp_path / path(T))
    whole = Grid.of(read(tmp_path, "t2m").dataset)
    latitude, longitude = whole.latlon()
    inner = Grid("inner", latitude[20, 20], latitude[24, 24], 5, longitude[20, 20], longitude[24, 24], 5)
    source = RwrpTraining(Folder(str(tmp_path)), around=inner)
    (rows, columns), kept = window(whole, inner)
    found = source.read(source.find((T,), STATE))
    assert Grid.of(found.dataset) == kept
    for name, values in read(tmp_path).dataset.data_vars.items():
        np.testing.assert_array_equal(found.dataset[name].values, values.values[:, rows, columns], str(name))
    (used,) = source.read(source.find((T,), variable_set("asked", "t2m"))).used
    height = rows.stop - rows.start
    assert height < lambert.ny / 3
    points_whole = 2 * lambert.ny * lambert.nx  # XLAT and XLONG: the grid is checked
    assert used.bytes_used == 4 * (points_whole + height * lambert.nx) + 19


def test_the_grid_is_the_declared_one_or_the_file_s(lambert, mercator, tmp_path: Path):
    write(lambert, tmp_path / path(T))
    grid = Grid.of(read(tmp_path, "t2m").dataset)
    np.testing.assert_allclose(grid.latlon()[0], lambert.latitude, atol=1e-5)
    np.testing.assert_allclose(grid.latlon()[1], lambert.longitude, atol=1e-5)
    write(mercator, tmp_path / path(T))
    with pytest.raises(BadInput, match=r"_interp: XLAT and XLONG lie up to \S+ cells from the projection .*lcc"):
        read(tmp_path, "t2m")
    named = {"MAP_PROJ": np.int32(3), "DX": 6000.0, "DY": 6000.0, "TRUELAT1": 20.0, "STAND_LON": 120.0}
    write(mercator, tmp_path / path(T), change={"attributes": named})
    grid = Grid.of(read(tmp_path, "t2m").dataset)
    np.testing.assert_allclose(grid.latlon()[0], mercator.latitude, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "ids", "message"),
    [
        ({"change": {"slp": lambda v: 100 * v}}, ("msl",), r"msl spans 1\.00\d+e\+07 to \S+ Pa; allowed 86000 to 106"),
        ({"change": {"PSFC": lambda v: v / 100}}, (), r"sp spans 630\S* to 1009\S* Pa; allowed 45000 to 108000"),
        ({"change": {"T2": lambda v: v - 273.15}}, (), r"t2m spans \S+ to 26\S* K; allowed 220 to 330"),
        ({"change": {"umet10": lambda v: v + 300}}, (), r"u10m spans 302 to 304 m s-1; allowed -90 to 90"),
        ({"change": {"pw": lambda v: v * np.nan}}, (), r"tcwv has 9900 of 9900 values that are not finite; allowed 0"),
        ({"change": {"tk_p": lambda v: v - 273.15}}, ("t500",), r"t500 spans -10\S+ to -10\S+ K; allowed 210 to 300"),
        ({"change": {"z_p": lambda v: v * 9.81}}, ("z500",), r"z500 spans 55\d+ to 55\d+ m2 s-2; allowed 36000 to 80"),
        ({"change": {"umet_p": lambda v: 300 + 0 * v}}, ("u850",), r"u850 spans 300 to 300 m s-1; allowed -130 to 130"),
        ({"change": {"tk_p": lambda v: np.where(v > 1e9, v, FILL)}}, ("t200",), r"t200 spans 9\.969\S+e\+36 to"),
        ({"without": ("QVAPOR_p",)}, ("t500",), r"has no variable QVAPOR_p; found"),
        ({"without": ("pw",)}, (), r"has no variable pw; found"),
        (
            {"pres_levels": PRES_LEVELS[:15]},
            ("t1000",),
            r"pres_levels lacks \[500, 400, 300, 250, 200\] hPa; found \['",
        ),
        ({"pres_levels": [100 * p for p in PRES_LEVELS]}, ("t1000",), r"pres_levels is \[100000.0, .*; allowed hPa"),
        ({"time": T + HOUR}, (), r"Times holds 2020-07-01_06:00:00 0 times; allowed once; found \['2020-07-01_07"),
    ],
)
def test_an_unbelievable_hour_is_refused(lambert, tmp_path: Path, more, ids, message: str):
    write(lambert, tmp_path / path(T), **more)
    with pytest.raises(BadInput, match=r"/wrfout_d01_2020-07-01_06_interp: " + message):
        read(tmp_path, *ids)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", r"begins with b''; allowed a NetCDF file"),
        (lambda data: b"<html>", r"begins with b'<html>'; allowed a NetCDF file"),
        (lambda data: data[:-100_000], r"\w+ ends at byte \d+; the file at \d+: truncated"),
        (lambda data: data[:500], r"its header goes on beyond its 500 bytes"),
    ],
    ids=["empty", "page", "truncated", "cut in the header"],
)
def test_bytes_that_are_no_hour_are_refused(lambert, tmp_path: Path, damage, message: str):
    file = tmp_path / path(T)
    write(lambert, file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(BadInput, match=r"/wrfout_d01_2020-07-01_06_interp: " + message):
        read(tmp_path)


def test_from_a_real_s3_server_it_is_the_same_to_the_digest(lambert, s3, tmp_path: Path):
    write(lambert, tmp_path / path(T))
    root = s3.bucket()
    objects(root).replace(path(T), (tmp_path / path(T)).read_bytes())
    source = pickle.loads(pickle.dumps(RwrpTraining(Folder(root, settings().s3_options()))))
    there, here = source.read(source.find((T,), STATE)), read(tmp_path)
    assert there.dataset.identical(here.dataset)
    assert there.used[0].digest == here.used[0].digest
    assert there.used[0].address == f"{root}/{path(T)}"
