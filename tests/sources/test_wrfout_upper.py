"""The upper set from raw wrfout: a staggered hydrostatic atmosphere over Taiwan's terrain, and a real file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
import xwrf
from pyproj import Geod
from scipy.ndimage import maximum_filter

from stormcast_tw.errors import BadInput
from stormcast_tw.simulation.world.geography import orography
from stormcast_tw.sources.rwrp import UPPER_VARIABLES, RwrpState, path
from stormcast_tw.sources.translate.pressure_levels import above_ground, on_pressure_levels
from stormcast_tw.sources.wrfout import open_wrfout
from stormcast_tw.sources.wrfout_upper import read_atmosphere
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import LEVELS_HPA, STATE_SETS, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
R, G, EPSILON = 287.0, 9.81, 287.0 / 461.6
P0, T0, Q0, TOP = 101_200.0, 299.0, 0.018, 5000.0
STATE = variable_set("upper without rain", *(v for v in STATE_SETS["upper"].ids if v != "tp01"))


@dataclass(frozen=True)
class Analytic:
    """Virtual temperature falls by `lapse` K per m from T0 at sea level, where pressure is P0; q goes with p cubed."""

    lapse: float

    def pressure(self, height):
        return P0 * (1 - self.lapse * height / T0) ** (G / (R * self.lapse))

    def height(self, pressure):
        return T0 / self.lapse * (1 - (pressure / P0) ** (R * self.lapse / G))

    def virtual_temperature(self, pressure):
        return T0 * (pressure / P0) ** (R * self.lapse / G)

    def q(self, pressure):
        return Q0 * (pressure / P0) ** 3

    def t(self, pressure):
        return self.virtual_temperature(pressure) / (1 + (1 / EPSILON - 1) * self.q(pressure))

    def eastward(self, pressure):
        return -5 + 12 * np.log(P0 / pressure)

    def northward(self, pressure):
        return 8 - 3 * np.log(P0 / pressure)

    def water(self, surface_pressure):
        return Q0 * (surface_pressure**4 - TOP**4) / (4 * G * P0**3)


def eta_faces(count: int = 50) -> np.ndarray:
    """Faces of `count` layers 50 m deep at the ground and some 500 m above 3 km, as real.exe spreads them."""
    depth = np.minimum(50 * 1.14 ** np.arange(count), 510.0)
    height = np.concatenate([[0.0], np.cumsum(depth)])
    standard = Analytic(0.0065)
    pressure = standard.pressure(height * standard.height(TOP) / height[-1])
    return (pressure - TOP) / (P0 - TOP)


def lowest_pressure(surface: np.ndarray) -> np.ndarray:
    return TOP + 0.5 * (1 + eta_faces()[1]) * (surface - TOP)


def azimuth_of_grid_north(proj, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Radians clockwise from true north, by 200 m walked along the y axis."""
    ends = [proj(x, y + step, inverse=True) for step in (-100.0, 100.0)]
    azimuth, _, _ = Geod(a=6370000, b=6370000).inv(*ends[0], *ends[1])
    return np.radians(azimuth)


def volumes(
    writer, air: Analytic, height: np.ndarray, count: int = 50
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """WRF's eight fields: base state apart, potential temperature less 300 K, winds at the sides of cells."""
    surface = air.pressure(height)
    faces = TOP + eta_faces(count)[:, None, None] * (surface - TOP)
    centres = 0.5 * (faces[1:] + faces[:-1])
    q, t = air.q(centres), air.t(centres)
    phi = G * air.height(faces)
    base, phi_base = 0.97 * centres, 0.98 * phi
    mass, x, y = ("bottom_top", "south_north", "west_east"), writer.x, writer.y
    out = {
        "P": (mass, centres - base),
        "PB": (mass, base),
        "T": (mass, t * (1e5 / centres) ** (2 / 7) - 300),
        "QVAPOR": (mass, q / (1 - q)),
        "PH": (("bottom_top_stag", *mass[1:]), phi - phi_base),
        "PHB": (("bottom_top_stag", *mass[1:]), phi_base),
    }
    for name, axis, sides in (
        ("U", 2, np.meshgrid(np.append(x - 3000, x[-1] + 3000), y)),
        ("V", 1, np.meshgrid(x, np.append(y - 3000, y[-1] + 3000))),
    ):
        edge = np.concatenate([np.take(centres, [0], axis), centres, np.take(centres, [-1], axis)], axis)
        at_sides = np.sqrt(
            np.take(edge, range(edge.shape[axis] - 1), axis) * np.take(edge, range(1, edge.shape[axis]), axis)
        )
        turn = azimuth_of_grid_north(writer.proj, *sides)
        east, north = air.eastward(at_sides), air.northward(at_sides)
        along = (
            east * np.cos(turn) - north * np.sin(turn) if name == "U" else east * np.sin(turn) + north * np.cos(turn)
        )
        dimensions = ("bottom_top", *(f"{d}_stag" if number == axis else d for number, d in enumerate(mass) if number))
        out[name] = (dimensions, along)
    return out


def write_upper(
    writer,
    file: Path,
    air: Analytic,
    *,
    fields: Mapping[str, np.ndarray] | None = None,
    without: tuple[str, ...] = (),
    change: Mapping[str, object] | None = None,
    **more,
) -> Path:
    """Write a file with the atmosphere over the simulated orography; `change` maps a volume's values to others."""
    height = orography(writer.latitude, writer.longitude)
    ground = {"HGT": height, "PSFC": air.pressure(height), "T2": air.t(air.pressure(height))}
    writer.write(file, T, [T], fields=ground | dict(fields or {}), without=without, **more)
    with netCDF4.Dataset(file, "a") as out:
        for name, (dimensions, values) in volumes(writer, air, height).items():
            if name in without:
                continue
            for dimension, size in zip(dimensions, values.shape, strict=True):
                if dimension not in out.dimensions:
                    out.createDimension(dimension, size)
            changed = (change or {}).get(name, lambda v: v)(values)
            out.createVariable(name, "f4", ("Time", *dimensions))[0] = changed
    return file


def read(root: Path, *ids: str) -> xr.Dataset:
    source = RwrpState(Folder(str(root)))
    return source.read(source.find((T,), variable_set("asked", *ids) if ids else STATE, T)).dataset


@pytest.fixture(scope="module", params=[0.0065, 0.0050], ids=["standard lapse rate", "5 K per km"])
def proof(request, lambert, tmp_path_factory) -> tuple[Analytic, np.ndarray, xr.Dataset]:
    air = Analytic(request.param)
    root = tmp_path_factory.mktemp("upper")
    write_upper(lambert, root / path(T, T), air)
    return air, orography(lambert.latitude, lambert.longitude), read(root)


def test_the_terrain_is_worth_the_proof(proof):
    _, height, dataset = proof
    assert height.max() > 2500
    assert 0.02 < 1 - above_ground(dataset["sp"].values, 925).mean() < 0.3
    assert not above_ground(dataset["sp"].values, 850).all()


@pytest.mark.parametrize("level", LEVELS_HPA)
def test_above_ground_levels_are_the_analytic_atmosphere(proof, level: int):
    """Geopotential to 1 m, temperature to 0.05 K, humidity to 1 %, wherever there is air."""
    air, height, dataset = proof
    weather = above_ground(dataset["sp"].values[0], level)
    if air.lapse != 0.0065:  # between the ground and the lowest level the standard lapse rate is a convention
        weather &= 100.0 * level < lowest_pressure(air.pressure(height))
    assert weather.mean() > 0.7
    for variable_id, truth, tolerance in (
        (f"z{level}", G * air.height(100.0 * level), G * 1.0),
        (f"t{level}", air.t(100.0 * level), 0.05),
        (f"q{level}", air.q(100.0 * level), 0.01 * air.q(100.0 * level)),
    ):
        error = np.abs(dataset[variable_id].values[0][weather] - truth).max()
        assert error < tolerance, variable_id


@pytest.mark.parametrize("level", [1000, 925, 850])
def test_below_ground_levels_continue_the_lowest_one(proof, level: int):
    air, height, dataset = proof
    buried = ~above_ground(dataset["sp"].values[0], level)
    assert buried.any()
    surface = air.pressure(height)[buried]
    low = lowest_pressure(surface)
    ratio = (100.0 * level / low) ** (R * 0.0065 / G)
    z = G * (air.height(low) - air.virtual_temperature(low) / 0.0065 * (ratio - 1))
    for variable_id, truth, tolerance in (
        (f"z{level}", z, 1.0 * G),
        (f"t{level}", air.t(low) * ratio, 0.05),
        (f"q{level}", air.q(low), 1e-6),
        (f"u{level}", air.eastward(low), 0.5),  # the mean of a cell's sides, over terrain
        (f"v{level}", air.northward(low), 0.2),
    ):
        assert np.abs(dataset[variable_id].values[0][buried] - truth).max() < tolerance, variable_id


def test_sea_level_pressure_is_the_analytic_one(proof):
    air, height, dataset = proof
    if air.lapse == 0.0065:
        np.testing.assert_allclose(dataset["msl"].values[0], P0, atol=10.0)
    else:
        low = lowest_pressure(air.pressure(height))
        warm = 1 + 0.0065 * air.height(low) / air.virtual_temperature(low)
        np.testing.assert_allclose(dataset["msl"].values[0], low * warm ** (G / (R * 0.0065)), atol=10.0)
        assert np.ptp(dataset["msl"].values) > 100


def test_column_water_is_the_analytic_integral(proof):
    air, height, dataset = proof
    np.testing.assert_allclose(dataset["tcwv"].values[0], air.water(air.pressure(height)), rtol=3e-3)
    assert np.ptp(dataset["tcwv"].values) > 20


@pytest.mark.parametrize("level", LEVELS_HPA)
def test_winds_are_turned_after_destaggering(proof, lambert, level: int):
    """Over the sea, where the levels are flat, to 0.005 m/s; without the turn, or the wrong way, 0.09 m/s and more."""
    air, height, dataset = proof
    sea = maximum_filter(height, 5) == 0
    assert 0.3 < sea.mean() < 0.9
    turn = np.arctan2(-lambert.sin_alpha, lambert.cos_alpha)
    u, v = air.eastward(100.0 * level), air.northward(100.0 * level)
    for sign in (0, -1):
        wrong = u * np.cos(2 * turn) - v * np.sin(2 * turn) if sign else u * np.cos(turn) - v * np.sin(turn)
        assert np.abs(wrong - u)[sea].max() > 0.09
    np.testing.assert_allclose(dataset[f"u{level}"].values[0][sea], u, atol=5e-3)
    np.testing.assert_allclose(dataset[f"v{level}"].values[0][sea], v, atol=5e-3)


def test_everything_of_the_upper_set_but_rain_is_served_in_its_order(proof):
    _, _, dataset = proof
    assert tuple(dataset.data_vars) == STATE.ids
    assert set(UPPER_VARIABLES) < set(STATE.ids)
    assert dataset["z500"].attrs["units"] == "m2 s-2"


def test_the_surface_alone_reads_no_volume(lambert, tmp_path: Path):
    """Bytes are those of the surface fields and of the places of points, whatever lies above them."""
    file = write_upper(lambert, tmp_path / path(T, T), Analytic(0.0065), fields={})
    source = RwrpState(Folder(str(tmp_path)))
    wanted = variable_set("surface", "t2m", "u10m", "v10m")
    (used,) = source.read(source.find((T,), wanted, T)).used
    field = 4 * lambert.ny * lambert.nx
    # T2, U10, V10, COSALPHA, SINALPHA, XLAT, XLONG and the stamp
    assert used.bytes_used == 7 * field + 19
    (used,) = source.read(source.find((T,), STATE, T)).used
    assert used.bytes_used > 100 * field
    assert used.bytes_used < file.stat().st_size


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"without": ("QVAPOR",)}, r"has no variable QVAPOR; found"),
        ({"without": ("PHB",)}, r"has no variable PHB; found"),
        ({"change": {"U": lambda v: v + 300}}, r"U spans 29\d\S* to 3\d\d\S*; allowed -150 to 150"),
        ({"change": {"T": lambda v: v * np.nan}}, r"T spans nan to nan; allowed -100 to 2000"),
        ({"change": {"T": lambda v: v - 273.15}}, r"T spans -2\S+ to \S+; allowed -100 to 2000"),
        ({"change": {"T": lambda v: v + 5}}, r"PH\+PHB is \S+ m deep but T, P\+PB and QVAPOR give"),
        ({"change": {"P": lambda v: v / 100, "PB": lambda v: v / 100}}, r"P\+PB spans \S+ to 1\S+; allowed 100 to 1"),
        ({"change": {"P": lambda v: v[::-1], "PB": lambda v: v[::-1]}}, r"PH\+PHB is .* m deep but"),
        ({"change": {"QVAPOR": lambda v: v * 1000}}, r"QVAPOR spans \S+ to 18\S*; allowed -0.0001 to 0.05"),
        ({"fields": {"PSFC": np.full((110, 90), 1012.0)}}, r"sp spans 1012 to 1012 Pa; allowed 45000 to 108000"),
    ],
)
def test_an_unbelievable_atmosphere_is_refused(lambert, tmp_path: Path, more, message: str):
    write_upper(lambert, tmp_path / path(T, T), Analytic(0.0065), **more)
    with pytest.raises(BadInput, match=r"wrfout_d02_2026-06-11_06:00:00: " + message):
        read(tmp_path, "t850")


def moist(theta: np.ndarray) -> np.ndarray:
    """Potential temperature as WRF 3.8 keeps it with USE_THETA_M = 1, near 3 % too warm in the moist layers."""
    return (theta + 300) * (1 + 461.6 / 287 * 0.012) - 300


def test_moist_potential_temperature_is_told_from_dry(lambert, tmp_path: Path):
    write_upper(lambert, tmp_path / path(T, T), Analytic(0.0065), change={"T": moist})
    with pytest.raises(BadInput, match=r"allowed a difference of 0\.5%"):
        read(tmp_path, "t850")


KATRINA = datetime(2005, 8, 28, 15, tzinfo=UTC)


@pytest.fixture
def atmosphere(samples: Path):
    folder = Folder(str(samples))
    with folder.open(folder.find("wrfout_mercator_sample.nc")) as reader, open_wrfout(reader) as wrfout:
        return read_atmosphere(wrfout, 1, wrfout.grid(1))


@pytest.mark.samples
def test_levels_of_a_real_file_are_xwrf_s(atmosphere, samples: Path):
    with xr.open_dataset(samples / "wrfout_mercator_sample.nc") as raw:
        other = raw.isel(Time=[1]).xwrf.postprocess().xwrf.destagger().load()
    pressure = other["air_pressure"].values[0]
    for number in (0, 6, 13):
        level = atmosphere.level(number)
        np.testing.assert_allclose(level.pressure, pressure[number], rtol=1e-6)
        t = other["air_potential_temperature"].values[0, number] * (pressure[number] / 1e5) ** (2 / 7)
        np.testing.assert_allclose(level.t, t, rtol=1e-6)
        np.testing.assert_allclose(level.u, other["U"].values[0, number], atol=1e-5)
        np.testing.assert_allclose(level.v, other["V"].values[0, number], atol=1e-5)
        faces = atmosphere.geopotential[number], atmosphere.geopotential[number + 1]
        assert ((faces[0] < level.z) & (level.z < other["geopotential"].values[0, number])).all()
    assert xwrf.__version__


@pytest.mark.samples
def test_levels_of_a_real_file_at_three_columns_by_hand(atmosphere, samples: Path):
    """Height by the hypsometric equation from the lowest level up, without the file's geopotential above it."""
    with netCDF4.Dataset(samples / "wrfout_mercator_sample.nc") as plain:
        p, pb, theta, ratio, u, v, ph, phb, surface = (
            plain[n][1].data.astype(float) for n in ("P", "PB", "T", "QVAPOR", "U", "V", "PH", "PHB", "PSFC")
        )
    found = on_pressure_levels(atmosphere.levels(), surface, (925, 850, 700), "sample")
    for j, i in ((3, 4), (40, 5), (44, 43)):
        pressure = p[:, j, i] + pb[:, j, i]
        t = (theta[:, j, i] + 300) * (pressure / 1e5) ** (2 / 7)
        q = ratio[:, j, i] / (1 + ratio[:, j, i])
        profiles = {
            "t": t,
            "q": q,
            "u": 0.5 * (u[:, j, i] + u[:, j, i + 1]),
            "v": 0.5 * (v[:, j, i] + v[:, j + 1, i]),
        }
        lowest = 0.5 * sum(x[face, j, i] for x in (ph, phb) for face in (0, 1))
        for level in (925, 850, 700):
            x = np.log(100.0 * level)
            for letter, profile in profiles.items():
                expected = np.interp(-x, -np.log(pressure), profile)
                assert found[f"{letter}{level}"][j, i] == pytest.approx(expected, rel=1e-5)
            steps = np.linspace(np.log(pressure[0]), x, 2001)
            warmth = np.interp(-steps, -np.log(pressure), t * (1 + (1 / EPSILON - 1) * q))
            z = lowest + R * np.sum(0.5 * (warmth[1:] + warmth[:-1]) * -np.diff(steps))
            assert found[f"z{level}"][j, i] / G == pytest.approx(z / G, abs=5.0)  # a hurricane
