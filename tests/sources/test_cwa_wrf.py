"""CWA's WRF: the sphere its corners close on, winds turned to north, runs mixed under fixed keys, rain of six hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import eccodes
import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.onto_grid import prepare_background
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.settings import settings
from stormcast_tw.simulation.files import cwa_wrf as simulated_cwa_wrf
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.cwa_wrf import RAIN_6H, CwaWrf, CwaWrfRain, path
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import BACKGROUND_SETS, VariableSet, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
START = T - timedelta(hours=6)
SMALL = Grid("SMALL", 23.0, 23.6, 32, 120.5, 121.1, 32)
T500 = variable_set("asked", "t500")
WIND = variable_set("asked", "u10m", "v10m")
RAIN = VariableSet("asked", (RAIN_6H,))

PARALLELS, CENTRE = np.radians([10.0, 40.0]), 120.0
CONE = np.log(np.cos(PARALLELS[0]) / np.cos(PARALLELS[1])) / np.log(
    np.tan(np.pi / 4 + PARALLELS[1] / 2) / np.tan(np.pi / 4 + PARALLELS[0] / 2)
)
"""Snyder (1987), eq. 15-3; data-formats.md says 0.42760."""
CORNER, FAR_CORNER, NX, NY = (14.02224, 105.25), (32.1202, 140.9139), 1158, 673
COLUMN, ROW, COLUMNS, ROWS = 495, 250, 110, 115
"""The part that tests write."""


def project(latitude, longitude, radius: float):
    """x, y in metres on the sphere (Snyder 1987, eq. 14-1, 14-2, 15-1, 15-2), from a common origin."""
    scale = np.cos(PARALLELS[0]) * np.tan(np.pi / 4 + PARALLELS[0] / 2) ** CONE / CONE
    rho = radius * scale / np.tan(np.pi / 4 + np.radians(latitude) / 2) ** CONE
    theta = CONE * np.radians(np.asarray(longitude) - CENTRE)
    return rho * np.sin(theta), -rho * np.cos(theta)


def unproject(x, y, radius: float):
    scale = np.cos(PARALLELS[0]) * np.tan(np.pi / 4 + PARALLELS[0] / 2) ** CONE / CONE
    latitude = 2 * np.arctan((radius * scale / np.hypot(x, y)) ** (1 / CONE)) - np.pi / 2
    return np.degrees(latitude), CENTRE + np.degrees(np.arctan2(x, -y)) / CONE


def points(radius: float = 6_370_000.0):
    """Latitude and longitude (ROWS, COLUMNS) of the part of the grid that tests write."""
    x, y = project(*CORNER, radius)
    return unproject(*np.meshgrid(x + 3000 * (COLUMN + np.arange(COLUMNS)), y + 3000 * (ROW + np.arange(ROWS))), radius)


NAMES = {
    # shortName: category, number, surface, its value
    "2t": (0, 0, 103, 2),
    "10u": (2, 2, 103, 10),
    "10v": (2, 3, 103, 10),
    "prmsl": (3, 1, 101, 0),
    "sp": (3, 0, 1, 0),
    "tp": (1, 8, 1, 0),
    "t": (0, 0, 100, None),
    "u": (2, 2, 100, None),
    "v": (2, 3, 100, None),
    "gh": (3, 5, 100, None),
    "r": (1, 1, 100, None),
}


def message(key, values, lead: int, init_time: datetime = START, *, corner=None, shape=None, holes=0, **more) -> bytes:
    """One message in the form of M-A0064: simple packing of 24 bits, a sphere of 6,371,229 m in the header."""
    name, level = key
    category, number, surface, height = NAMES[name]
    latitude, longitude = corner or (points()[0][0, 0], points()[1][0, 0])
    ny, nx = shape or (ROWS, COLUMNS)
    step = {"step": lead}
    if name == "tp":
        step = {"productDefinitionTemplateNumber": 8, "typeOfStatisticalProcessing": 1, "startStep": 0, "endStep": lead}
    keys = {
        "centre": 255,
        "gridDefinitionTemplateNumber": 30,
        "shapeOfTheEarth": 6,
        "Nx": nx,
        "Ny": ny,
        "latitudeOfFirstGridPointInDegrees": float(latitude),
        "longitudeOfFirstGridPointInDegrees": float(longitude),
        "resolutionAndComponentFlags": 8,
        "LaDInDegrees": 10,
        "LoVInDegrees": 120,
        "Dx": 3_000_000,
        "Dy": 3_000_000,
        "scanningMode": 64,
        "Latin1InDegrees": 10,
        "Latin2InDegrees": 40,
        "dataDate": int(f"{init_time:%Y%m%d}"),
        "dataTime": int(f"{init_time:%H%M}"),
        **step,
        "parameterCategory": category,
        "parameterNumber": number,
        "typeOfFirstFixedSurface": surface,
        "scaleFactorOfFirstFixedSurface": 0,
        "scaledValueOfFirstFixedSurface": 100 * level if height is None else height,
        "bitsPerValue": 24,
        **more,
    }
    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    try:
        for name_, value in keys.items():
            eccodes.codes_set(handle, name_, value)
        packed = np.broadcast_to(values, (ny, nx)).astype(float).ravel()
        if holes:
            eccodes.codes_set(handle, "bitmapPresent", 1)
            eccodes.codes_set(handle, "missingValue", -1e9)
            packed[:holes] = -1e9
        eccodes.codes_set_values(handle, packed)
        return bytes(eccodes.codes_get_message(handle))
    finally:
        eccodes.codes_release(handle)


def sloping(mean: float, hour: float = 0.0) -> np.ndarray:
    """Linear in place and time, so that hours between leads are known."""
    latitude, longitude = points()
    return mean * (1 + 1e-3 * (latitude - 23) + 2e-3 * (longitude - 121) + 5e-4 * hour)


def write(root: Path, lead: int, *messages: bytes) -> Path:
    file = root / path(lead)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(messages))
    return file


def reading(root: Path, variables=T500, times=(T,), grid: Grid = SMALL):
    source = CwaWrf(Folder(str(root)), grid)
    return source.read(source.find(times, variables, START))


def t500(lead: int = 6, **more) -> bytes:
    return message(("t", 500), sloping(267.0, lead), lead, **more)


def test_the_projection_of_the_tests_is_that_of_the_documents():
    """data-formats.md 1.4: the far corner closes on 6,370,000 m, on the header's sphere it misses by 0.22 cells."""
    assert pytest.approx(0.42760, abs=5e-6) == CONE
    for radius, misfit in ((6_370_000.0, 0.001), (6_371_229.0, 0.2241)):
        x0, y0 = project(*CORNER, radius)
        x1, y1 = project(*FAR_CORNER, radius)
        assert (x1 - x0) / 3000 - (NX - 1) == pytest.approx(misfit, abs=2e-4)
        assert abs((y1 - y0) / 3000 - (NY - 1)) < 0.15


def test_points_are_where_the_published_corners_say(tmp_path: Path):
    write(tmp_path, 6, t500())
    dataset = reading(tmp_path).dataset
    latitude, longitude = points()
    assert dataset["t500"].dims == ("valid_time", "y", "x")
    assert Grid.of(dataset).shape[0] < ROWS
    j, i = inside(dataset, latitude, longitude)
    np.testing.assert_allclose(dataset["latitude"], latitude[j, i], atol=2e-6)
    np.testing.assert_allclose(dataset["longitude"], longitude[j, i], atol=2e-6)
    np.testing.assert_allclose(dataset["t500"].values[0], sloping(267.0, 6)[j, i], atol=1e-4)
    # one degree and more around the wanted grid, one row or column more than that at most
    assert dataset["latitude"].values[0].max() < 22.0 < dataset["latitude"].values[2].max()
    assert dataset["latitude"].values[-3].min() < 24.6 < dataset["latitude"].values[-1].max()


def inside(dataset, latitude, longitude):
    """Rows and columns of the written points that came out, by the first one's place."""
    distance = np.hypot(latitude - float(dataset["latitude"][0, 0]), longitude - float(dataset["longitude"][0, 0]))
    row, column = np.unravel_index(distance.argmin(), distance.shape)
    return np.ix_(row + np.arange(dataset.sizes["y"]), column + np.arange(dataset.sizes["x"]))


def test_the_whole_grid_closes_too_and_the_header_s_sphere_where_it_is_true(tmp_path: Path):
    values = 267.0 + np.linspace(0, 1, NX)
    write(tmp_path, 6, message(("t", 500), values, 6, corner=CORNER, shape=(NY, NX)))
    assert dict(Grid.of(reading(tmp_path).dataset).projection)["R"] == 6_370_000.0
    write(tmp_path, 6, message(("t", 500), values, 6, corner=(14.03, 105.25), shape=(NY, NX)))
    misfit = r"miss its points by 0\.\d+ cells on 6370000 m, 0\.\d+ cells on 6371229 m; allowed 0\.02"
    with pytest.raises(BadInput, match=r"M-A0064-006\.grb2: t500: the published corners .* " + misfit):
        reading(tmp_path)


def test_a_grid_made_on_the_header_s_sphere_is_taken_on_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """If CWA one day publishes corners of a grid on 6,371,229 m, that sphere closes."""
    x, y = project(*CORNER, 6_371_229.0)
    far = unproject(x + 3000 * (NX - 1), y + 3000 * (NY - 1), 6_371_229.0)
    monkeypatch.setattr("stormcast_tw.sources.cwa_wrf.CORNERS", (CORNER, far))
    latitude, longitude = points(6_371_229.0)
    write(tmp_path, 6, t500(corner=(latitude[0, 0], longitude[0, 0]), scaledValueOfFirstFixedSurface=50000))
    dataset = reading(tmp_path).dataset
    assert dict(Grid.of(dataset).projection)["R"] == 6_371_229.0
    j, i = inside(dataset, latitude, longitude)
    np.testing.assert_allclose(dataset["latitude"], latitude[j, i], atol=2e-6)


def test_winds_are_turned_to_north(tmp_path: Path):
    """A wind along the grid's y axis blows n (lon - 120) clockwise of north: -0.11 deg at 119.75 E, 0.96 at 122.25."""
    write(tmp_path, 6, message(("10u", None), 0.0, 6), message(("10v", None), np.full((ROWS, COLUMNS), 10.0), 6))
    dataset = reading(tmp_path, WIND).dataset
    angle = CONE * np.radians(dataset["longitude"].values - 120.0)
    np.testing.assert_allclose(dataset["u10m"].values[0], 10 * np.sin(angle), atol=1e-4)
    np.testing.assert_allclose(dataset["v10m"].values[0], 10 * np.cos(angle), atol=1e-4)
    for longitude, degrees in ((119.75, -0.11), (122.25, 0.96)):
        assert np.degrees(CONE * np.radians(longitude - 120)) == pytest.approx(degrees, abs=5e-3)
    only_u = reading(tmp_path, variable_set("asked", "u10m"))
    np.testing.assert_array_equal(only_u.dataset["u10m"], dataset["u10m"])
    assert only_u.used[0].bytes_used == (tmp_path / path(6)).stat().st_size


def test_winds_that_are_eastward_and_northward_already_stay_so(tmp_path: Path):
    earth = {"resolutionAndComponentFlags": 0}
    east, north = message(("10u", None), 3.0 + 0 * sloping(1), 6, **earth), sloping(10.0)
    write(tmp_path, 6, east, message(("10v", None), north, 6, **earth))
    dataset = reading(tmp_path, WIND).dataset
    np.testing.assert_allclose(dataset["u10m"].values, 3.0, atol=1e-6)
    write(tmp_path, 6, east, message(("10v", None), north, 6))
    with pytest.raises(
        BadInput, match=r"006\.grb2: one of u10m and v10m is relative to the grid; allowed both or none"
    ):
        reading(tmp_path, WIND)


def test_hours_between_leads_humidity_and_geopotential(tmp_path: Path):
    """r to q by Bolton's (1980) formula, within 0.3 % above freezing; hours on the straight line of two leads."""
    for lead in (6, 12):
        fields = {("gh", 500): 5850.0, ("gh", 850): 1500.0, ("t", 850): 289.0, ("r", 850): 70.0, ("2t", None): 300.0}
        write(tmp_path, lead, *(message(key, sloping(mean, lead), lead) for key, mean in fields.items()))
    times = (T, T + timedelta(hours=1), T + timedelta(hours=6))
    dataset = reading(tmp_path, variable_set("asked", "z850", "q850", "t2m"), times).dataset
    j, i = inside(dataset, *points())
    for number, hour in enumerate((6, 7, 12)):
        np.testing.assert_allclose(dataset["z850"].values[number], 9.80665 * sloping(1500, hour)[j, i], rtol=1e-6)
        np.testing.assert_allclose(dataset["t2m"].values[number], sloping(300, hour)[j, i], rtol=1e-6)
    t = sloping(289, 6)[j, i]
    vapour = sloping(70, 6)[j, i] / 100 * 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65))
    np.testing.assert_allclose(dataset["q850"].values[0], 0.622 * vapour / (85000 - 0.378 * vapour), rtol=3e-3)
    assert dataset.attrs["time_interpolation"] == "linear in time between leads 6, 12 h"
    assert dataset.attrs["simulated"] == 0


def test_a_file_that_holds_another_run_is_not_ready(tmp_path: Path):
    """While a run is published, its first files lie beside the last ones of the run before."""
    source = CwaWrf(Folder(str(tmp_path)), SMALL)
    before = START - timedelta(hours=6)
    times = (T, T + timedelta(hours=3))
    write(tmp_path, 6, t500(6))
    with pytest.raises(NotReady, match=r"M-A0064-012\.grb2: not there yet"):
        source.find(times, T500, START)
    write(tmp_path, 12, t500(12, init_time=before))
    with pytest.raises(NotReady, match=r"012\.grb2: holds the run of 20260610T1800Z; wanted is 20260611T0000Z"):
        source.find(times, T500, START)
    with pytest.raises(NotReady, match=r"006\.grb2: holds the run of 20260611T0000Z; wanted is 20260610T1800Z"):
        source.find((before + timedelta(hours=6), before + timedelta(hours=12)), T500, before)
    write(tmp_path, 12, t500(12))
    found = source.find(times, T500, START)
    assert source.read(found).dataset["t500"].sizes["valid_time"] == 2
    write(tmp_path, 12, t500(12, init_time=T))
    with pytest.raises(NotReady, match=r"012\.grb2: changed while it was read"):
        source.read(found)
    with pytest.raises(BadInput, match=r"lead 90 h is asked for; allowed up to 84 h"):
        source.find((START + timedelta(hours=85),), T500, START)


def test_only_heads_and_wanted_messages_are_read(tmp_path: Path):
    wanted = t500()
    file = write(tmp_path, 6, message(("t", 850), sloping(289.0), 6), wanted, message(("t", 250), sloping(233.0), 6))
    (used,) = reading(tmp_path).used
    assert (used.address, used.bytes_used, used.bytes_of_index) == (str(file), len(wanted), 3 * 512)


def test_rain_of_six_hours_is_a_difference_of_sums(tmp_path: Path):
    source = CwaWrfRain(Folder(str(tmp_path)), SMALL)
    sums = {6: sloping(4.0), 12: sloping(10.0), 18: sloping(9.95)}
    for lead, total in sums.items():
        write(tmp_path, lead, message(("tp", None), total, lead))
    times = tuple(START + timedelta(hours=lead) for lead in sums)
    read = source.read(source.find(times, RAIN, START))
    j, i = inside(read.dataset, *points())
    np.testing.assert_allclose(read.dataset["tp06"].values[0], sloping(4.0)[j, i], atol=1e-5)
    np.testing.assert_allclose(read.dataset["tp06"].values[1], sloping(6.0)[j, i], atol=1e-5)
    assert read.dataset["tp06"].values[2].max() == 0.0  # -0.05 mm is rounding
    assert read.dataset["tp06"].attrs["cell_methods"] == "time: sum"
    assert len(read.used) == 3
    write(tmp_path, 18, message(("tp", None), sloping(9.0), 18))
    with pytest.raises(BadInput, match=r"018\.grb2: tp06 falls to -1\.\d+ kg m-2; allowed no lower than -0\.1"):
        source.read(source.find(times, RAIN, START))
    write(tmp_path, 18, message(("tp", None), sloping(20.0), 18, startStep=12))
    with pytest.raises(BadInput, match=r"018\.grb2: tp06 is accum from hour 12; allowed accum from hour 0"):
        source.read(source.find(times, RAIN, START))
    for hour in (0, 5, 90):
        with pytest.raises(BadInput, match=r"cwa_wrf: tp06 at .* is asked for; allowed leads 6, 12 \.\.\. 84 h"):
            source.find((START + timedelta(hours=hour),), RAIN, START)


def test_a_damaged_file_is_refused(tmp_path: Path):
    good = t500()
    size = len(good)
    old = t500(12, init_time=START - timedelta(hours=6))
    cases = {
        b"": r"byte 0 begins with b''; allowed GRIB of edition 1 or 2",
        b"<html>404</html>" * 40: r"byte 0 begins with b'<html>40'; allowed GRIB",
        good[:-9]: rf"the message at byte 0 is {size} bytes long; found {size - 9}",
        good[:-4] + b"0000": r"the message at byte 0 ends with b'0000'; allowed b'7777'",
        good + good: rf"t500 appears twice, at bytes 0 and {size}; allowed once",
        message(("t", 850), sloping(289.0), 6): r"has no message for t500; found 0, allowed 1",
        good[:size] + t500(6, init_time=T): r"t500 appears twice",
        message(("t", 850), sloping(289.0), 6) + old: r"t500 has init time 20260610T1800Z; allowed 20260611T0000Z",
        t500(12): r"t500 has valid time 20260611T1200Z; allowed 20260611T0600Z",
        t500(holes=2): r"t500 has 2 missing values; allowed 0",
        t500(scanningMode=0): r"t500: scanning \(-i, \+j, .*\) is \(0, 0, 0, 0\); allowed \(0, 1, 0, 0\)",
        t500(Dx=2_000_000): r"t500: the published corners .* miss its points by 0\.\d+ cells",
        message(("t", 500), 267.0 + np.linspace(0, 1, NX + 1), 6, corner=CORNER, shape=(NY, NX + 1)): (
            r"t500: the published corners .* miss its points by 0\.999 cells on 6370000 m"
        ),
        t500(Latin1InDegrees=90, Latin2InDegrees=-90): r"t500: (projection|begins at|the published corners)",
        message(("t", 500), sloping(-6.0), 6): r"t500 spans -6\.\d* to -5\.\d* K; allowed 210 to 300",
    }  # fmt: skip
    for data, problem in cases.items():
        write(tmp_path, 6, data)
        with pytest.raises(BadInput, match=r"M-A0064-006\.grb2: " + problem):
            reading(tmp_path)
    write(tmp_path, 6, message(("sp", None), sloping(990.0), 6))
    with pytest.raises(BadInput, match=r"006\.grb2: sp spans 98\d\.\d* to 99\d\.\d* Pa; allowed 45000 to 108000"):
        reading(tmp_path, variable_set("asked", "sp"))
    with pytest.raises(BadInput, match=r"source cwa_wrf is refused for this package: cannot give tp01"):
        reading(tmp_path, variable_set("asked", "tp01"))


def test_a_grid_that_does_not_reach_the_wanted_one_is_refused(tmp_path: Path):
    write(tmp_path, 6, t500())
    with pytest.raises(BadInput, match=r"006\.grb2: t500: has \d+ x \d+ points in Box\(.*; allowed 2 x 2 or more"):
        reading(tmp_path, grid=Grid("ELSEWHERE", 40.0, 41.0, 4, 150.0, 151.0, 4))


def test_a_simulated_run_from_a_real_s3_server_prepares_a_background(s3):
    """All of background26 on the forecast's grid; the same winds as the run's, turned twice."""
    world, root = World(7), f"{s3.bucket()}/cwa"
    init_time = datetime(2025, 6, 8, 6, tzinfo=UTC)
    data = simulated_cwa_wrf.encode(world, init_time, 6)
    objects(root).create(path(6), data)
    source = CwaWrf(Folder(root, settings().s3_options()))
    background = BACKGROUND_SETS["background26"]
    read = source.read(source.find((init_time + timedelta(hours=6),), background, init_time))
    assert read.dataset.attrs["simulated"] == 1
    fields = simulated_cwa_wrf.run_fields(world, init_time, 6)
    for variable_id in ("u10m", "v10m", "t2m", "u850", "v250", "sp"):
        np.testing.assert_allclose(read.dataset[variable_id].values[0], fields[variable_id], rtol=1e-6, atol=1e-4)
    large = world.branch(init_time, "cwa_wrf").background(
        init_time + timedelta(hours=6), read.dataset["latitude"].values, read.dataset["longitude"].values
    )
    np.testing.assert_allclose(read.dataset["q850"].values[0], large["q850"], rtol=1e-5)
    prepared = prepare_background(read.dataset, TAIWAN_2KM, background)
    assert prepared["z500"].shape == (1, 224, 128)
    (used,) = read.used
    # msl, sp, t2m, u10m, v10m; t, u, v, z, r on four levels; t and r on four more for the column's vapour
    assert used.bytes_used == (5 + 5 * 4 + 2 * 4) * int.from_bytes(data[8:16], "big")
    assert used.bytes_of_index == 61 * 512
