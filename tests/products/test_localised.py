"""The localised probability-matched mean: what it keeps, and that rain stays on its side of the mountains."""

import numpy as np
import xarray as xr

from stormcast_tw.grid import Grid
from stormcast_tw.products.ensemble import probability_matched_mean
from stormcast_tw.products.localised import _areas, localised_probability_matched_mean
from tests.products.by_hand import LAMBERT, TWO, forecast, random_forecast

WIDE = Grid("WIDE", 23.0, 24.0, 56, 120.0, 122.0, 102)
"""111 km by 203 km, 2 km apart."""


def test_weights_of_all_areas_add_to_one_and_areas_are_cut_at_the_edges():
    for points in (2, 17, 56, 224):
        total, extents = np.zeros(points), []
        for extent, weights in _areas(points, 2.0):
            total[extent] += weights
            extents.append((extent.start, extent.stop))
        np.testing.assert_allclose(total, 1.0, rtol=1e-15)
        assert all(0 <= first < last <= points and last - first <= 48 for first, last in extents)
    assert extents[:2] == [(0, 24), (0, 40)], "96 km round centres 32 km apart"


def test_on_a_domain_of_one_area_it_is_the_domains():
    rain = random_forecast(4, 3, TWO)["tp01"]
    np.testing.assert_array_equal(localised_probability_matched_mean(rain), probability_matched_mean(rain))


def test_identical_members_stay():
    source = random_forecast(1, 2, WIDE)["tp01"]
    same = xr.concat([source] * 3, "member").drop_vars("member")
    made = localised_probability_matched_mean(same)
    assert made.dims == ("lead_time", "latitude", "longitude")
    np.testing.assert_allclose(made.values, source.values[0], rtol=1e-6)


def test_rain_far_away_changes_nothing_here():
    """The whole domain's matching sends the typhoon's amounts of the east to the west."""
    source = forecast(1, WIDE, tp01=[0.0, 0.0])
    rain, rng = source["tp01"], np.random.default_rng(6)
    rain.values[:, :, 20:30, 10:20] = rng.gamma(2.0, 10.0, (2, 1, 10, 10))
    here = {"longitude": slice(0, 34)}
    alone = rain.copy(deep=True)
    rain.values[0, :, 20:40, 90:100] = 300
    made = localised_probability_matched_mean(rain)
    xr.testing.assert_equal(made.isel(here), localised_probability_matched_mean(alone).isel(here))
    assert float(made.isel(here).max()) <= float(alone.max())
    domain, of_alone = probability_matched_mean(rain), probability_matched_mean(alone)
    assert float(np.abs(domain - of_alone).isel(here).max()) > 1, "the test could not fail otherwise"


def test_amounts_stay_between_the_members_least_and_greatest():
    rain = random_forecast(5, 1, WIDE)["tp01"]
    made = localised_probability_matched_mean(rain)
    assert float(rain.min()) <= float(made.min())
    assert float(made.max()) <= float(rain.max())
    assert 0.9 < float(made.mean() / rain.mean()) < 1.1


def test_on_a_projected_grid():
    made = localised_probability_matched_mean(random_forecast(3, 1, LAMBERT)["tp01"])
    assert made.dims == ("lead_time", "y", "x")
