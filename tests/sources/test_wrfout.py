"""One wrfout file: its projection, times and wind rotation, against pyproj and WRF's own definitions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pyproj import Geod, Proj

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import to_earth_relative
from stormcast_tw.sources.wrfout import Wrfout, open_wrfout
from stormcast_tw.storage.provider_files import Folder
from tests.sources.conftest import WrfoutWriter

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


@contextmanager
def wrfout_at(path: Path) -> Iterator[Wrfout]:
    folder = Folder(str(path.parent))
    with folder.open(folder.find(path.name)) as reader, open_wrfout(reader) as wrfout:
        yield wrfout


def test_the_grid_is_found_from_the_corner_not_from_cen_lat(lambert, tmp_path: Path):
    with wrfout_at(lambert.write(tmp_path / "w", T, [T])) as wrfout:
        grid = wrfout.grid(0)
    assert grid.shape == (lambert.ny, lambert.nx)
    # float32 degrees are worth 0.5 m
    np.testing.assert_allclose(grid.y, lambert.y, atol=1.0)
    np.testing.assert_allclose(grid.x, lambert.x, atol=1.0)
    latitude, longitude = grid.latlon()
    np.testing.assert_allclose(latitude, lambert.latitude, atol=1e-5)
    np.testing.assert_allclose(longitude, lambert.longitude, atol=1e-5)


def test_two_times_of_one_run_have_the_same_grid(lambert, tmp_path: Path):
    grids = []
    for name, time in (("a", T), ("b", T + HOUR)):
        with wrfout_at(lambert.write(tmp_path / name, T, [time])) as wrfout:
            grids.append(wrfout.grid(0))
    assert grids[0] == grids[1]
    assert hash(grids[0]) == hash(grids[1])


def test_another_earth_radius_is_refused(lambert, tmp_path: Path):
    scale = 6371229 / 6370000
    x, y = np.meshgrid(
        lambert.x[0] + (lambert.x - lambert.x[0]) / scale, lambert.y[0] + (lambert.y - lambert.y[0]) / scale
    )
    longitude, latitude = lambert.proj(x, y, inverse=True)
    path = lambert.write(tmp_path / "w", T, [T], fields={"XLAT": latitude, "XLONG": longitude})
    with (
        pytest.raises(
            BadInput, match=r"w: XLAT and XLONG lie up to 0\.021\d? cells from the projection.*allowed 0\.01"
        ),
        wrfout_at(path) as wrfout,
    ):
        wrfout.grid(0)


@pytest.fixture
def polar() -> WrfoutWriter:
    """WRF's polar stereographic grid: cone 1, alpha as WPS has it; true at 60 N, along 120 E."""
    writer = WrfoutWriter(2)
    writer.proj = Proj({"proj": "stere", "lat_0": 90, "lat_ts": 60, "lon_0": 120, "R": 6370000})
    x0, y0 = writer.proj(121.0, 23.6)
    writer.x = x0 + writer.spacing * (np.arange(writer.nx) - writer.nx // 2)
    writer.y = y0 + writer.spacing * (np.arange(writer.ny) - writer.ny // 2)
    writer.longitude, writer.latitude = writer.proj(*np.meshgrid(writer.x, writer.y), inverse=True)
    alpha = np.radians(120.0 - writer.longitude)
    writer.cos_alpha, writer.sin_alpha = np.cos(alpha), np.sin(alpha)
    return writer


def test_a_polar_grid_and_its_winds(polar, tmp_path: Path):
    file = polar.write(tmp_path / "w", T, [T], attributes={"TRUELAT1": np.float32(60)})
    with wrfout_at(file) as wrfout:
        grid = wrfout.grid(0)
        eastward, northward = wrfout.earth_relative_wind(0, grid)
    latitude, longitude = grid.latlon()
    np.testing.assert_allclose(latitude, polar.latitude, atol=1e-5)
    np.testing.assert_allclose(longitude, polar.longitude, atol=2e-5)
    assert_is_earth_relative(polar, eastward, northward)


def latitude_longitude(tmp_path: Path, **attributes: object) -> tuple[WrfoutWriter, Path]:
    writer = WrfoutWriter(6)
    writer.longitude, writer.latitude = np.meshgrid(118.5 + 0.05 * np.arange(90), 21.0 + 0.05 * np.arange(110))
    writer.cos_alpha, writer.sin_alpha = np.ones((110, 90)), np.zeros((110, 90))
    more = {"POLE_LAT": np.float32(90), "DX": np.float32(5559.0), **attributes}
    return writer, writer.write(tmp_path / "w", T, [T], attributes=more)


def test_a_latitude_longitude_grid_needs_no_turning(tmp_path: Path):
    writer, file = latitude_longitude(tmp_path)
    with wrfout_at(file) as wrfout:
        grid = wrfout.grid(0)
        eastward, northward = wrfout.earth_relative_wind(0, grid)
    assert grid.is_geographic
    assert grid.dims == ("latitude", "longitude")
    assert (grid.x_first, grid.dx, grid.y_first, grid.dy) == pytest.approx((118.5, 0.05, 21.0, 0.05), abs=1e-5)
    np.testing.assert_allclose(eastward, writer.fields()["U10"], rtol=1e-6)
    np.testing.assert_allclose(northward, writer.fields()["V10"], rtol=1e-6)


@pytest.mark.parametrize("name", ["XLAT", "XLONG"])
def test_a_point_that_is_nowhere_is_refused(tmp_path: Path, name: str):
    writer, _ = latitude_longitude(tmp_path)
    values = {"XLAT": writer.latitude, "XLONG": writer.longitude}[name].copy()
    values[3, 4] = np.nan
    writer.write(tmp_path / "holed", T, [T], fields={name: values})
    with (
        pytest.raises(BadInput, match=r"holed: XLAT and XLONG lie up to nan cells from the projection .*; allowed"),
        wrfout_at(tmp_path / "holed") as wrfout,
    ):
        wrfout.grid(0)


def test_a_rotated_pole_is_refused(tmp_path: Path):
    _, file = latitude_longitude(tmp_path, POLE_LAT=np.float32(66.4))
    with pytest.raises(BadInput, match=r"POLE_LAT is 66\.4; allowed 90"), wrfout_at(file) as wrfout:
        wrfout.grid(0)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"MAP_PROJ": "Lambert"}, r"MAP_PROJ is 'Lambert'; allowed one number"),
        ({"MAP_PROJ": np.array([1, 1], np.int32)}, r"MAP_PROJ is '\[1 1\]'; allowed one number"),
        ({"STAND_LON": np.float32(np.nan)}, r"STAND_LON is 'nan'; allowed one number"),
        ({"DX": np.float32(-6000)}, r"grid spacing is -6000 by 6000; allowed above 0"),
        ({"DX": np.float32(2000)}, r"XLAT and XLONG lie up to \d+ cells from the projection .*; allowed 0\.01"),
        ({"TRUELAT1": np.float32(45), "TRUELAT2": np.float32(-45)}, r"there is no projection \{.*'lat_1': 45\.0"),
        ({"TRUELAT1": np.float32(30)}, r"XLAT and XLONG lie up to .* cells from the projection"),
    ],
)
def test_a_grid_that_is_none_is_refused(lambert, tmp_path: Path, attributes, message: str):
    file = lambert.write(tmp_path / "w", T, [T], attributes=attributes)
    with pytest.raises(BadInput, match="w: " + message), wrfout_at(file) as wrfout:
        wrfout.grid(0)


def test_an_unknown_projection_is_refused(lambert, tmp_path: Path):
    path = lambert.write(tmp_path / "w", T, [T], attributes={"MAP_PROJ": np.int32(4)})
    with (
        pytest.raises(BadInput, match=r"MAP_PROJ is 4; allowed 1 \(lcc\), 2 \(stere\), 3 \(merc\), 6 \(lat"),
        wrfout_at(path) as wrfout,
    ):
        wrfout.grid(0)


def test_times_are_chosen_exactly(lambert, tmp_path: Path):
    path = lambert.write(tmp_path / "w", T, [T, T + HOUR, T + 3 * HOUR, T + 3 * HOUR])
    with wrfout_at(path) as wrfout:
        assert wrfout.index_at(T + HOUR) == 1
        with pytest.raises(BadInput, match=r"2026-06-11_08:00:00 0 times; allowed once"):
            wrfout.index_at(T + 2 * HOUR)
        with pytest.raises(BadInput, match=r"2026-06-11_07:20:00 0 times; allowed once"):
            wrfout.index_at(T + timedelta(minutes=80))
        with pytest.raises(BadInput, match=r"2026-06-11_09:00:00 2 times; allowed once"):
            wrfout.index_at(T + 3 * HOUR)


def test_the_run_is_checked(lambert, tmp_path: Path):
    with wrfout_at(lambert.write(tmp_path / "w", T - HOUR, [T])) as wrfout:
        assert wrfout.init_time == T - HOUR
        with pytest.raises(BadInput, match="SIMULATION_START_DATE is 2026-06-11_05:00:00; allowed 2026-06-11_06:00:00"):
            wrfout.require_run(T)


def wind_by_walking(writer, u: np.ndarray, v: np.ndarray, j: int, i: int) -> tuple[float, float]:
    """Eastward and northward wind from the geodesic azimuth of one metre walked along the grid-relative wind."""
    speed = float(np.hypot(u[j, i], v[j, i]))
    # 100 m each way: map scale changes little, and azimuths hold to 1e-6 rad
    step = 100.0 / speed
    ends = [
        writer.proj(writer.x[i] + sign * step * u[j, i], writer.y[j] + sign * step * v[j, i], inverse=True)
        for sign in (-1, 1)
    ]
    azimuth, _, _ = Geod(a=6370000, b=6370000).inv(*ends[0], *ends[1])
    return speed * np.sin(np.radians(azimuth)), speed * np.cos(np.radians(azimuth))


POINTS = ((5, 5), (60, 45), (105, 85))


def assert_is_earth_relative(writer, eastward: np.ndarray, northward: np.ndarray) -> None:
    fields = writer.fields()
    for j, i in POINTS:
        expected = wind_by_walking(writer, fields["U10"], fields["V10"], j, i)
        assert (eastward[j, i], northward[j, i]) == pytest.approx(expected, abs=1e-3)


def test_rotated_winds_agree_with_pyproj_north(lambert, tmp_path: Path):
    with wrfout_at(lambert.write(tmp_path / "w", T, [T])) as wrfout:
        eastward, northward = wrfout.earth_relative_wind(0, wrfout.grid(0))
    assert_is_earth_relative(lambert, eastward, northward)
    fields = lambert.fields()
    np.testing.assert_allclose(np.hypot(eastward, northward), np.hypot(fields["U10"], fields["V10"]), rtol=1e-6)


def test_the_wrong_sign_and_no_rotation_are_told_apart(lambert):
    fields = lambert.fields()
    u, v, cos_alpha, sin_alpha = (fields[name] for name in ("U10", "V10", "COSALPHA", "SINALPHA"))
    assert_is_earth_relative(lambert, *to_earth_relative(u, v, cos_alpha, sin_alpha))
    with pytest.raises(AssertionError):
        assert_is_earth_relative(lambert, *to_earth_relative(u, v, cos_alpha, -sin_alpha))
    with pytest.raises(AssertionError):
        assert_is_earth_relative(lambert, u, v)


def test_a_file_whose_rotation_has_the_wrong_sign_is_refused(lambert, tmp_path: Path):
    path = lambert.write(tmp_path / "w", T, [T], fields={"SINALPHA": -lambert.sin_alpha})
    with (
        pytest.raises(BadInput, match=r"COSALPHA and SINALPHA differ by up to 0\.05\d+ from .*north; allowed 0\.001"),
        wrfout_at(path) as wrfout,
    ):
        wrfout.earth_relative_wind(0, wrfout.grid(0))


@pytest.mark.parametrize("name", ["SINALPHA", "COSALPHA"])
def test_a_rotation_with_a_hole_is_refused(lambert, tmp_path: Path, name: str):
    values = {"SINALPHA": lambert.sin_alpha, "COSALPHA": lambert.cos_alpha}[name].copy()
    values[3, 4] = np.nan
    path = lambert.write(tmp_path / "w", T, [T], fields={name: values})
    with pytest.raises(BadInput, match="COSALPHA and SINALPHA differ by up to nan"), wrfout_at(path) as wrfout:
        wrfout.rotation(0, wrfout.grid(0))


def test_without_alphas_mercator_needs_no_rotation_and_lambert_is_refused(lambert, mercator, tmp_path: Path):
    alphas = ("COSALPHA", "SINALPHA")
    with wrfout_at(mercator.write(tmp_path / "m", T, [T], without=alphas)) as wrfout:
        u, v = wrfout.earth_relative_wind(0, wrfout.grid(0))
    np.testing.assert_allclose(u, mercator.fields()["U10"], rtol=1e-6)
    np.testing.assert_allclose(v, mercator.fields()["V10"], rtol=1e-6)
    path = lambert.write(tmp_path / "l", T, [T], without=alphas)
    with (
        pytest.raises(BadInput, match=r"COSALPHA and SINALPHA are absent; allowed only on Mercator \(MAP_PROJ 3\)"),
        wrfout_at(path) as wrfout,
    ):
        wrfout.earth_relative_wind(0, wrfout.grid(0))


def test_what_is_not_netcdf_is_refused(lambert, truncate, tmp_path: Path):
    page, empty = tmp_path / "wrfout_html", tmp_path / "wrfout_empty"
    page.write_text("<html>503 Service Unavailable</html>")
    empty.write_bytes(b"")
    cut = lambert.write(tmp_path / "wrfout_cut", T, [T])
    truncate(cut, 50_000)
    for path, message in (
        (page, r"begins with b'<html>50'; allowed a NetCDF file"),
        (empty, r"begins with b''; allowed a NetCDF file"),
        (cut, r"not a whole NetCDF-4 file \(.*truncated file: eof = \d+"),
    ):
        with pytest.raises(BadInput, match=rf"{path.name}: {message}"), wrfout_at(path) as wrfout:
            wrfout.grid(0)
