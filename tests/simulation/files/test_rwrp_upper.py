"""Simulated RWRP aloft: WRF's staggering, hydrostatic balance, and the two forms of one atmosphere read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from stormcast_tw.simulation.files import rwrp, rwrp_training, rwrp_upper
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.rwrp import RwrpState
from stormcast_tw.sources.rwrp import path as rwrp_path
from stormcast_tw.sources.rwrp_training import RwrpTraining
from stormcast_tw.sources.rwrp_training import path as training_path
from stormcast_tw.sources.translate.pressure_levels import above_ground
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import LEVELS_HPA, STATE_SETS, VARIABLES, variable_set

INIT = datetime(2025, 6, 8, 6, tzinfo=UTC)
VALID = INIT + timedelta(hours=1)
STATE = variable_set("upper without rain", *(v for v in STATE_SETS["upper"].ids if v != "tp01"))
NZ, NY, NX = rwrp_upper.COUNT, *rwrp.grid().shape


@pytest.fixture(scope="module")
def root(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upper")
    raw = folder / rwrp_path(INIT, VALID)
    raw.parent.mkdir()
    raw.write_bytes(rwrp_upper.encode(world, INIT, 1))
    (folder / training_path(VALID)).write_bytes(rwrp_training.encode(world, INIT, 1))
    return folder


@pytest.fixture(scope="module")
def raw(root: Path) -> netCDF4.Dataset:
    return netCDF4.Dataset(root / rwrp_path(INIT, VALID))


@pytest.fixture(scope="module")
def read_raw(root: Path) -> xr.Dataset:
    source = RwrpState(Folder(str(root)))
    return source.read(source.find((VALID,), STATE, INIT)).dataset


@pytest.fixture(scope="module")
def read_training(root: Path) -> xr.Dataset:
    source = RwrpTraining(Folder(str(root)))
    return source.read(source.find((VALID,), STATE)).dataset


def test_volumes_are_staggered_as_wrf_s(raw):
    shapes = {name: raw[name].shape for name in ("T", "P", "PB", "QVAPOR", "PH", "PHB", "U", "V")}
    assert shapes == {
        **dict.fromkeys(("T", "P", "PB", "QVAPOR"), (1, NZ, NY, NX)),
        **dict.fromkeys(("PH", "PHB"), (1, NZ + 1, NY, NX)),
        "U": (1, NZ, NY, NX + 1),
        "V": (1, NZ, NY + 1, NX),
    }
    assert raw["U"].dimensions == ("Time", "bottom_top", "south_north", "west_east_stag")
    assert (raw["U"].stagger, raw["V"].stagger, raw["PH"].stagger, raw["T"].stagger) == ("X", "Y", "Z", "")
    assert "SIMULATED" in raw.TITLE


def test_the_surface_files_have_no_volumes_and_the_same_surface(world: World, raw):
    plain = netCDF4.Dataset("wrfout", memory=rwrp.encode(world, INIT, 1))
    assert set(raw.variables) - set(plain.variables) == {"T", "P", "PB", "QVAPOR", "PH", "PHB", "U", "V"}
    for name in plain.variables:
        np.testing.assert_array_equal(plain[name][:], raw[name][:])


def test_the_atmosphere_stands_on_the_terrain_in_balance(raw):
    phi = raw["PH"][0].data.astype(float) + raw["PHB"][0].data
    np.testing.assert_allclose(phi[0] / 9.81, raw["HGT"][0].data, atol=0.01)
    p = raw["P"][0].data.astype(float) + raw["PB"][0].data
    ratio = raw["QVAPOR"][0].data.astype(float)
    virtual = (raw["T"][0].data + 300) * (p / 1e5) ** (2 / 7) * (1 + ratio * 461.6 / 287) / (1 + ratio)
    surface = raw["PSFC"][0].data.astype(float)
    assert (p[0] < surface).all()
    assert (np.diff(p, axis=0) < 0).all()
    # weight of the air: faces from the centres' pressures, from the ground up
    face = surface
    for k in range(NZ - 1):
        above = 2 * p[k] - face
        depth = 287 * virtual[k] * np.log(face / above)
        np.testing.assert_allclose(phi[k + 1] - phi[k], depth, rtol=5e-3)
        face = above


def test_it_is_the_global_model_aloft_and_the_surface_below(world: World, read_raw):
    latitude, longitude = rwrp.grid().latlon()
    some = (slice(None, None, 24), slice(None, None, 24))
    free = world.branch(INIT, "rwrp").background(VALID, latitude[some], longitude[some])
    for variable_id, tolerance in (("t500", 0.3), ("t250", 0.3), ("u500", 0.3), ("v250", 0.3), ("z500", 200.0)):
        np.testing.assert_allclose(read_raw[variable_id].values[0][some], free[variable_id], atol=tolerance)
    air = rwrp_upper.aloft(world, INIT, 1)
    at_ground = air.at(air.surface_pressure)
    fields = rwrp.run_fields(world, INIT, 1)
    np.testing.assert_allclose(at_ground["t"], fields["T2"], atol=1e-3)
    assert np.std(at_ground["t"] - air.at(0.7 * air.surface_pressure)["t"]) > 0.5


def test_both_forms_say_the_same(read_raw, read_training):
    """One atmosphere, from 34 staggered layers and from 31 pressure levels; winds suffer from WRF's destaggering."""
    tolerances = {"u": 0.5, "v": 0.5, "t": 0.25, "q": 1.5e-4, "z": 5.0}
    for level in LEVELS_HPA:
        weather = above_ground(read_raw["sp"].values, level)
        for letter, tolerance in tolerances.items():
            here, there = (dataset[f"{letter}{level}"].values[weather] for dataset in (read_raw, read_training))
            assert np.abs(here - there).max() < tolerance, f"{letter}{level}"
            assert np.std(here) > 0
    for variable_id in ("t2m", "u10m", "v10m", "sp"):
        np.testing.assert_allclose(read_raw[variable_id], read_training[variable_id], atol=1e-5, rtol=1e-6)
    np.testing.assert_allclose(read_raw["tcwv"], read_training["tcwv"], rtol=5e-3)
    sea = read_raw["sp"].values > 100_500
    assert np.abs(read_raw["msl"].values - read_training["msl"].values)[sea].max() < 60
    assert read_raw.attrs["simulated"] == read_training.attrs["simulated"] == 1


def test_under_the_ground_the_raw_form_has_air_and_the_archive_s_has_none(root: Path, read_raw):
    with netCDF4.Dataset(root / training_path(VALID)) as archive:
        archive.set_auto_mask(False)
        buried = archive["PSFC"][0] < 85_000
        assert buried.sum() > 100
        assert (archive["tk_p"][0, 6][buried] > 9e36).all()
        assert (archive["tk_p"][0, 6][~buried] < 310).all()
        assert archive["slp"].units == "hPa"
        assert 980 < archive["slp"][0].min() < 1030
        assert 5000 < archive["z_p"][0, 15].mean() < 6200
    low, high = VARIABLES["t850"].valid_range
    assert low < read_raw["t850"].values[0][buried].min() < read_raw["t850"].values[0][buried].max() < high


@pytest.mark.parametrize("encode", [rwrp_upper.encode, rwrp_training.encode], ids=["raw", "training"])
def test_no_file_knows_the_future_and_bytes_are_a_function_of_seed_and_time(root: Path, world: World, encode, forget):
    name = rwrp_path(INIT, VALID) if encode is rwrp_upper.encode else training_path(VALID)
    forget()
    assert encode(world.branch(INIT, "another future"), INIT, 1) == (root / name).read_bytes()
