"""Regridding against mathematics: linear fields, totals, gaps and edges."""

from __future__ import annotations

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.regrid import bilinear, cell_areas, cell_mean, conservative

QPESUMS = Grid("QPESUMS", 20.0, 27.0, 561, 118.0, 123.5, 441)
WRF = Grid.from_axes(
    "wrf",
    2000.0 * np.arange(-150, 150),
    2000.0 * np.arange(-60, 190),
    {"proj": "lcc", "lat_1": 10, "lat_2": 40, "lat_0": 23.6, "lon_0": 120, "R": 6370000.0},
)
GLOBAL_WINDOW = Grid("window", 20.5, 26.75, 26, 118.75, 123.25, 19)


def plane(grid: Grid) -> np.ndarray:
    x, y = np.meshgrid(np.arange(grid.nx), np.arange(grid.ny))
    return 3.0 + 0.25 * y - 0.75 * x


@pytest.mark.parametrize("source", [WRF, GLOBAL_WINDOW, QPESUMS], ids=lambda grid: grid.name)
def test_bilinear_is_exact_on_a_plane_of_the_source(source: Grid):
    regridded = bilinear(source, TAIWAN_2KM)(plane(source))
    j, i = source.index_of(*TAIWAN_2KM.latlon())
    np.testing.assert_allclose(regridded, 3.0 + 0.25 * j - 0.75 * i, atol=1e-10)


def test_bilinear_of_latitude_on_a_projected_grid_is_latitude():
    latitude, longitude = WRF.latlon()
    there = bilinear(WRF, TAIWAN_2KM)(np.stack([latitude, longitude]))
    # a 2-km cell of the cone is curved by less than 1e-6 degree
    np.testing.assert_allclose(there[0], TAIWAN_2KM.latlon()[0], atol=2e-6)
    np.testing.assert_allclose(there[1], TAIWAN_2KM.latlon()[1], atol=2e-6)


def test_separable_axes_would_be_wrong():
    """What peers do, taking XLAT[:, 0] and XLONG[0, :] as axes, misses by kilometres; ours does not."""
    latitude, longitude = WRF.latlon()
    as_axes = Grid("axes", latitude[0, 0], latitude[-1, 0], WRF.ny, longitude[0, 0], longitude[0, -1], WRF.nx)
    error = bilinear(as_axes, TAIWAN_2KM)(longitude) - TAIWAN_2KM.latlon()[1]
    assert np.abs(error).max() * 102.0 > 3.0


def test_leading_dimensions_dtype_and_missing_values():
    values = np.stack([plane(GLOBAL_WINDOW), 2 * plane(GLOBAL_WINDOW)])[:, None].astype(np.float32)
    regridded = bilinear(GLOBAL_WINDOW, TAIWAN_2KM)(values)
    assert regridded.shape == (2, 1, 224, 128)
    assert regridded.dtype == np.float32
    values[0, 0, 13, 9] = np.nan
    holed = bilinear(GLOBAL_WINDOW, TAIWAN_2KM)(values)
    assert np.isnan(holed[0]).any()
    assert np.isfinite(holed[1]).all()


def test_weights_are_built_once():
    again = Grid("window", 20.5, 26.75, 26, 118.75, 123.25, 19)
    assert bilinear(GLOBAL_WINDOW, TAIWAN_2KM) is bilinear(again, TAIWAN_2KM)


@pytest.mark.parametrize("regridding", [bilinear, cell_mean])
def test_a_source_that_does_not_cover_the_target_is_refused(regridding):
    short = Grid("short", 22.0, 26.75, 20, 118.75, 123.25, 19)
    message = (
        r"grid short \(20, 19\) does not cover TAIWAN_2KM: \d+ of 28672 points lie up to 1\.6\d? cells beyond its y"
    )
    with pytest.raises(BadInput, match=message + r" axis; allowed 0\.001"):
        regridding(short, TAIWAN_2KM)
    with pytest.raises(BadInput, match=r"3584 of 28672 points lie up to .* beyond its x axis"):
        bilinear(Grid("thin", 20.5, 26.75, 26, 119.75, 121.95, 12), TAIWAN_2KM)


def test_a_target_on_the_edge_of_the_source_is_covered():
    there = bilinear(TAIWAN_2KM, TAIWAN_2KM)(plane(TAIWAN_2KM))
    np.testing.assert_allclose(there, plane(TAIWAN_2KM), atol=1e-9)


def test_values_of_another_shape_are_an_error():
    with pytest.raises(ValueError, match=r"values \(3, 4\) are not on grid window \(26, 19\)"):
        bilinear(GLOBAL_WINDOW, TAIWAN_2KM)(np.zeros((3, 4)))


def cells_of_rain(grid: Grid) -> np.ndarray:
    """Showers 3 to 8 km wide, all at least half a degree inside the domain, at random places."""
    random = np.random.default_rng(11)
    latitude, longitude = grid.latlon()
    rain = np.zeros(grid.shape)
    for _ in range(60):
        lat0, lon0 = random.uniform(22.2, 25.0), random.uniform(120.35, 121.65)
        square = ((latitude - lat0) * 111.2) ** 2 + ((longitude - lon0) * 101.7) ** 2
        rain += random.uniform(5, 60) * np.exp(-square / (2 * random.uniform(3, 8) ** 2))
    return rain


def wrf_areas() -> np.ndarray:
    """True areas of the projected cells on the unit sphere, from pyproj's scale factors."""
    longitude, latitude = WRF._proj(*np.meshgrid(WRF.x, WRF.y), inverse=True)
    scale = WRF._proj.get_factors(longitude, latitude).areal_scale
    return WRF.dx * WRF.dy / scale / 6370000.0**2


@pytest.mark.parametrize("shape", ["showers", "a single point"])
def test_the_mean_over_sub_points_keeps_the_total(shape: str):
    rain = cells_of_rain(WRF)
    if shape == "a single point":
        rain = np.zeros(WRF.shape)
        rain[100:200:9, 60:110:7] = 50.0
    before = np.sum(rain * wrf_areas())
    total = np.sum(cell_mean(WRF, TAIWAN_2KM)(rain) * cell_areas(TAIWAN_2KM))
    assert total == pytest.approx(before, rel=5e-3)


def test_the_mean_over_sub_points_of_a_plane_is_its_value():
    there = cell_mean(GLOBAL_WINDOW, TAIWAN_2KM)(plane(GLOBAL_WINDOW))
    np.testing.assert_allclose(there, bilinear(GLOBAL_WINDOW, TAIWAN_2KM)(plane(GLOBAL_WINDOW)), atol=1e-10)


def test_areas_are_those_of_the_sphere():
    globe = Grid("globe", -89.5, 89.5, 180, -179.5, 179.5, 360)
    assert cell_areas(globe).sum() == pytest.approx(4 * np.pi, rel=1e-12)


def overlap_total(rain: np.ndarray, observed: np.ndarray) -> float:
    """The rain inside the observed target cells, cell by cell of the source, written without matrices."""

    def edges(axis: np.ndarray) -> np.ndarray:
        step = axis[1] - axis[0]
        return np.append(axis - step / 2, axis[-1] + step / 2)

    sy, sx, ty, tx = (edges(a) for a in (QPESUMS.y, QPESUMS.x, TAIWAN_2KM.y, TAIWAN_2KM.x))
    total = 0.0
    for j, i in zip(*np.nonzero(observed), strict=True):
        rows = range(np.searchsorted(sy, ty[j], "right") - 1, np.searchsorted(sy, ty[j + 1]))
        columns = range(np.searchsorted(sx, tx[i], "right") - 1, np.searchsorted(sx, tx[i + 1]))
        for row in rows:
            south, north = max(sy[row], ty[j]), min(sy[row + 1], ty[j + 1])
            height = np.sin(np.radians(north)) - np.sin(np.radians(south))
            for column in columns:
                width = np.radians(min(sx[column + 1], tx[i + 1]) - max(sx[column], tx[i]))
                if np.isfinite(rain[row, column]):
                    total += rain[row, column] * height * width
    return total


def test_conservative_keeps_the_integral_over_the_observed_cells():
    rain = cells_of_rain(QPESUMS) + 1.0
    rain[250:300, 180:200] = np.nan
    there = conservative(QPESUMS, TAIWAN_2KM)(rain.astype(np.float32))
    observed = np.isfinite(there)
    assert 0.9 < observed.mean() < 1.0
    total = np.sum(there[observed].astype(np.float64) * cell_areas(TAIWAN_2KM)[observed])
    assert total == pytest.approx(overlap_total(rain, observed), rel=1e-6)


def test_conservative_keeps_a_constant_and_the_whole_total():
    there = conservative(QPESUMS, TAIWAN_2KM)(np.full(QPESUMS.shape, 2.5))
    np.testing.assert_allclose(there, 2.5, rtol=1e-12)
    rain = cells_of_rain(QPESUMS)
    total = np.sum(conservative(QPESUMS, TAIWAN_2KM)(rain) * cell_areas(TAIWAN_2KM))
    # the far tails of the outermost showers leave the domain
    assert total == pytest.approx(np.sum(rain * cell_areas(QPESUMS)), rel=1e-6)


def test_what_is_not_observed_stays_missing_and_is_not_zero():
    rain = np.full(QPESUMS.shape, 4.0)
    rain[:, 300:] = np.nan  # east of 121.75
    there = conservative(QPESUMS, TAIWAN_2KM)(rain)
    assert np.isnan(there[:, TAIWAN_2KM.x > 121.77]).all()
    np.testing.assert_allclose(there[:, TAIWAN_2KM.x < 121.72], 4.0, rtol=1e-12)
    assert not (there == 0).any()
    hole = np.full(QPESUMS.shape, 4.0)
    hole[280, 220] = np.nan
    assert 1 <= np.isnan(conservative(QPESUMS, TAIWAN_2KM)(hole)).sum() <= 4
    assert np.isnan(conservative(QPESUMS, TAIWAN_2KM)(np.full(QPESUMS.shape, np.nan))).all()


def test_edges_are_not_renormalised():
    """A source that ends inside target cells, as QPEPRE does: cells it covers in part are not observed."""
    small = Grid("QPEPRE", 21.8875, 25.3125, 275, 120.0, 122.0125, 162)
    there = conservative(small, TAIWAN_2KM)(np.full(small.shape, 6.0))
    half_y, half_x = TAIWAN_2KM.dy / 2, TAIWAN_2KM.dx / 2
    rows = (TAIWAN_2KM.y - half_y >= 21.88125) & (TAIWAN_2KM.y + half_y <= 25.31875)
    columns = (TAIWAN_2KM.x - half_x >= 119.99375) & (TAIWAN_2KM.x + half_x <= 122.01875)
    np.testing.assert_array_equal(np.isfinite(there), rows[:, None] & columns)
    np.testing.assert_allclose(there[np.isfinite(there)], 6.0, rtol=1e-12)


@pytest.mark.parametrize(("share", "is_observed"), [(0.9992, True), (0.9988, False)])
def test_the_limit_is_999_in_a_thousand_and_nothing_is_made_up_for_the_rest(share: float, is_observed: bool):
    source = Grid("source", 0.0, 9.0, 10, 0.0, 9.0, 10)
    # one column of target cells, of which the last reaches beyond the source's edge at 9.5
    width = 1.0
    target = Grid("target", 3.0, 4.0, 2, 9.5 - share * width + 0.5 * width - 2, 9.5 - share * width + 0.5 * width, 3)
    there = conservative(source, target)(np.full(source.shape, 5.0))
    assert np.isfinite(there[:, :2]).all()
    assert np.isfinite(there[:, 2]).all() == is_observed
    if is_observed:
        np.testing.assert_allclose(there[:, 2], 5.0 * share, rtol=1e-9)


def test_conservative_needs_latitude_and_longitude():
    with pytest.raises(BadInput, match=r"grid wrf is projected .*lcc.*; allowed latitude/longitude"):
        conservative(WRF, TAIWAN_2KM)
