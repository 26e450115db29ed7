"""Fractions and SAL against exact cases, the `scores` library and pysteps."""

import importlib

import numpy as np
import pytest
import xarray as xr
from scores.spatial import fss_2d

from stormcast_tw.verification.scores.spatial import WINDOWS, fraction_errors, fractions, sal

EVERYWHERE = np.ones((40, 60), bool)


def fss(forecast: np.ndarray, truth: np.ndarray, window: int, observed: np.ndarray = EVERYWHERE) -> float:
    f, o = (next(fractions(events, observed, (window,))) for events in (forecast, truth))
    error, reference = fraction_errors(f, o)
    return float(1 - error / reference)


@pytest.mark.parametrize("window", [1, 3, 5, 11, 21])
@pytest.mark.parametrize("lag", [1, 3, 11, 21])
def test_a_displaced_line_scores_one_less_lag_over_window(lag: int, window: int):
    """Roberts and Lean (2008), figure 4: exact when the line's windows stay inside the domain."""
    truth, forecast = np.zeros((2, 40, 120), int)
    truth[:, 50], forecast[:, 50 + lag] = 1, 1
    exact = 1 - lag / window if window > lag else 0.0
    made = fss(forecast, truth, window, np.ones((40, 120), bool))
    assert made == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("window", WINDOWS)
def test_events_far_from_the_border_score_as_in_the_library(window: int):
    rng = np.random.default_rng(5)
    f, o = np.zeros((2, 80, 90))
    f[25:55, 25:65], o[25:55, 25:65] = rng.random((2, 30, 40))
    library = fss_2d(xr.DataArray(f, dims=("y", "x")), xr.DataArray(o, dims=("y", "x")), event_threshold=0.8,
                     window_size=(window, window), spatial_dims=("y", "x"), zero_padding=True)  # fmt: skip
    made = fss((f > 0.8).astype(int), (o > 0.8).astype(int), window, np.ones((80, 90), bool))
    assert made == pytest.approx(float(library), abs=2e-5)


def test_border_rule_by_hand():
    """Three points in a row, the first an event: at the ends a window of 3 holds 2 points."""
    made = next(fractions(np.array([[1, 0, 0]]), np.ones((1, 3), bool), (3,)))
    np.testing.assert_allclose(made, [[1 / 2, 1 / 3, 0]], rtol=1e-6)


def test_a_missing_strip_scores_as_the_smaller_domain():
    rng = np.random.default_rng(6)
    f, o = (rng.random((2, 40, 60)) > 0.7).astype(int)
    observed = EVERYWHERE.copy()
    observed[:, 45:] = observed[:4] = False
    for window in WINDOWS:
        assert fss(f, o, window, observed) == pytest.approx(fss(f[4:, :45], o[4:, :45], window, EVERYWHERE[4:, :45]))


def test_what_is_not_observed_changes_nothing():
    rng = np.random.default_rng(6)
    f, o = (rng.random((2, 40, 60)) > 0.7).astype(int)
    observed = rng.random((40, 60)) > 0.3
    g, p = np.where(observed, f, 1), np.where(observed, o, 1)
    assert fss(g, p, 5, observed) == fss(f, o, 5, observed)
    assert next(fractions(f, observed, (5,)))[~observed].max() == 0


def test_even_windows_are_refused():
    with pytest.raises(ValueError, match="4 points"):
        next(fractions(np.zeros((5, 5), int), np.ones((5, 5), bool), (4,)))


def test_larger_neighbourhoods_forgive_more():
    rng = np.random.default_rng(8)
    o = (rng.random((40, 60)) > 0.9).astype(int)
    made = [fss(np.roll(o, 2, axis=1), o, window) for window in WINDOWS]
    assert made == sorted(made)
    assert made[-1] > made[0] + 0.5


def cell(x: int, size: int = 4, rain: float = 10.0) -> np.ndarray:
    field = np.zeros((40, 60))
    field[15 : 15 + size, x : x + size] = rain
    return field


KM = (2.0, 2.0)


def test_sal_of_the_same_field_is_zero():
    field = np.random.default_rng(9).gamma(0.3, 10, (40, 60))
    assert sal(field, field, KM).tolist() == [0, 0, 0]


def test_sal_of_a_zero_field_is_two_and_has_no_place():
    wet, dry = cell(20), np.zeros((40, 60))
    assert sal(wet, dry, KM)[:2].tolist() == [2, 2]
    assert sal(dry, wet, KM)[:2].tolist() == [-2, -2]
    assert np.isnan(sal(dry, wet, KM)[2])
    assert np.isnan(sal(dry, dry, KM)).all()


def test_a_shift_changes_location_only_and_by_the_distance():
    made = sal(cell(30), cell(20), KM)
    assert made[:2] == pytest.approx([0, 0], abs=1e-12)
    assert made[2] == pytest.approx(20 / np.hypot(78, 118))


def test_twice_the_rain_changes_amplitude_only():
    made = sal(2 * cell(20), cell(20), KM)
    assert made == pytest.approx([0, 2 / 3, 0], abs=1e-12)


def test_flatter_and_wider_is_positive_structure():
    # Scaled volumes 64 and 16 points: S = 2 x 48 / 80; amounts 64 x 2.5 = 16 x 10.
    made = sal(cell(18, 8, 2.5), cell(20), KM)
    assert made[:2] == pytest.approx([1.2, 0])


def test_scattering_by_hand():
    """Two equal cells 20 km from their common centre against one cell there: L is 2 x 20 km over the diagonal."""
    two = cell(10) + cell(30)
    made = sal(two, 2 * cell(20), KM)
    assert made[2] == pytest.approx(2 * 20 / np.hypot(78, 118))


def test_amplitude_and_centre_agree_with_pysteps(pysteps: None, capsys: pytest.CaptureFixture[str]):
    salscores = importlib.import_module("pysteps.verification.salscores")
    rng = np.random.default_rng(10)
    f, o = rng.gamma(0.3, 10, (2, 40, 60))
    assert sal(f, o, KM)[1] == pytest.approx(salscores.sal_amplitude(f, o))
    one, other = cell(33, 6), cell(20, 4)
    assert sal(one, other, (1.0, 1.0))[2] == pytest.approx(
        salscores._sal_l1_param(one, other)
        * np.hypot(40, 60)
        / np.hypot(39, 59)  # its diagonal counts cells, not steps
    )


def test_nan_points_count_in_neither_field():
    f, o = cell(20), cell(24)
    o[:, 40:] = np.nan
    rain_elsewhere = f.copy()
    rain_elsewhere[5:10, 45:50] = 50
    assert sal(rain_elsewhere, o, KM) == pytest.approx(sal(f, np.nan_to_num(o), KM) * [1, 1, 1])
