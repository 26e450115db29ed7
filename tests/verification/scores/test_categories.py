"""Events and the tables that Brier score, reliability, ROC and the categorical scores come from."""

import numpy as np
import pytest
import xarray as xr
from scores.categorical import probability_of_detection
from scores.probability import brier_score_for_ensemble, roc_auc

from stormcast_tw.verification.scores.categories import (
    EVENTS,
    OUTCOMES,
    Event,
    brier,
    categorical_scores,
    outcome,
    reliability,
    roc,
)


def counts(*values: int) -> xr.DataArray:
    return xr.DataArray(np.array(values), {"outcome": list(OUTCOMES)}, ("outcome",))


def table(holding: np.ndarray, observed: np.ndarray, members: int) -> xr.DataArray:
    found = np.zeros((members + 1, 2))
    np.add.at(found, (holding, observed.astype(int)), 1)
    return xr.DataArray(found, {"holding": np.arange(members + 1), "observed": [0, 1]}, ("holding", "observed"))


def test_the_published_rain_table():
    """82 hits, 38 false alarms, 23 misses, 222 correct negatives: CAWCR's example, reproduced by two libraries."""
    made = categorical_scores(counts(82, 38, 23, 222))
    published = {"pod": 0.780952, "far": 0.316667, "csi": 0.573426, "ets": 0.437682, "frequency_bias": 1.142857,
                 "hss": 0.608871}  # fmt: skip
    assert {name: float(made[name]) for name in published} == pytest.approx(published, abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_nothing_happened_and_nothing_was_forecast_is_no_score():
    made = categorical_scores(counts(0, 0, 0, 50))
    assert all(np.isnan(float(score)) for score in made.values())
    assert float(categorical_scores(counts(0, 5, 0, 50))["far"]) == 1.0


def test_outcomes_are_in_their_places():
    forecast, observed = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert [OUTCOMES[i] for i in outcome(forecast, observed)] == ["hit", "false_alarm", "miss", "correct_negative"]


def test_thresholds_are_those_of_the_warnings():
    names = {event.name for event in EVENTS}
    assert {"tp01>=0.1", "tp01>=40", "tp03>=100", "tp03>=200", "wind_speed>=10.8", "wind_speed>=20.8",
            "wind_speed>=32.7", "t2m>=309.15", "t2m>=311.15", "t2m<=283.15", "t2m<=279.15"} <= names  # fmt: skip
    assert len(names) == len(EVENTS) == 16


def test_a_value_at_the_threshold_counts_and_nan_does_not():
    warm, cold = Event("t2m", 309.15), Event("t2m", 283.15, "at or below")
    values = np.array([309.15, 309.1, 283.15, 283.2, np.nan], np.float32)
    assert warm.holds(values).tolist() == [True, False, False, False, False]
    assert cold.holds(values).tolist() == [False, False, True, False, False]


def ensemble(members: int = 6, points: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    signal = rng.normal(size=points)
    return signal + rng.normal(size=(members, points)), signal + rng.normal(size=points)


@pytest.mark.parametrize(("fair", "name"), [(False, "brier"), (True, "fair_brier")])
def test_brier_scores_agree_with_the_library(fair: bool, name: str):
    forecast, truth = ensemble()
    library = brier_score_for_ensemble(xr.DataArray(forecast, dims=("member", "x")), xr.DataArray(truth, dims="x"),
                                       "member", 0.5, fair_correction=fair)  # fmt: skip
    made = brier(table((forecast >= 0.5).sum(0), truth >= 0.5, 6), xr.DataArray(6))
    assert float(made[name]) == pytest.approx(library.item(), rel=1e-9)
    assert float(made["base_rate"]) == pytest.approx((truth >= 0.5).mean())


def test_a_table_wider_than_the_ensemble_changes_nothing():
    """Systems of fewer members share the axis of the largest."""
    forecast, truth = ensemble()
    holding = (forecast >= 0.5).sum(0)
    narrow, wide = table(holding, truth >= 0.5, 6), table(holding, truth >= 0.5, 16)
    for score in ("brier", "fair_brier"):
        assert float(brier(wide, xr.DataArray(6))[score]) == pytest.approx(float(brier(narrow, xr.DataArray(6))[score]))
    assert float(roc(wide)["roc_area"]) == pytest.approx(float(roc(narrow)["roc_area"]))


def test_brier_by_hand():
    # Two members; forecasts 1/2 (happened), 1 (not), 0 (not): (1/4 + 1 + 0) / 3. Fair: less 1 x 1 / (4 x 1) once.
    made = brier(table(np.array([1, 2, 0]), np.array([1, 0, 0]), 2), xr.DataArray(2))
    assert float(made["brier"]) == pytest.approx(1.25 / 3)
    assert float(made["fair_brier"]) == pytest.approx(1.0 / 3)


def test_reliability_by_hand():
    made = reliability(table(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 0, 1]), 2), xr.DataArray(2))
    assert made["forecast_probability"].values.tolist() == [0, 0.5, 1]
    assert made["observed_frequency"].values.tolist() == [0, 0.5, 1]
    assert made["forecast_share"].values == pytest.approx([0.4, 0.4, 0.2])
    unused = reliability(table(np.array([0]), np.array([0]), 2), xr.DataArray(2))
    assert np.isnan(unused["observed_frequency"].values[1:]).all()


def test_roc_area_agrees_with_the_library_and_with_mann_whitney():
    forecast, truth = ensemble()
    holding, observed = (forecast >= 0.5).sum(0), truth >= 0.5
    made = roc(table(holding, observed, 6))
    library = roc_auc(xr.DataArray(holding / 6, dims="x"), xr.DataArray(observed.astype(float), dims="x"))
    assert float(made["roc_area"]) == pytest.approx(float(library))
    happened, not_ = holding[observed], holding[~observed]
    larger = (happened[:, None] > not_).mean() + (happened[:, None] == not_).mean() / 2
    assert float(made["roc_area"]) == pytest.approx(larger)
    hit = probability_of_detection(xr.DataArray(holding >= 3, dims="x"), xr.DataArray(observed, dims="x"))
    assert float(made["hit_rate"].sel(holding=3)) == pytest.approx(float(hit))


def test_roc_needs_the_event_and_its_absence():
    assert np.isnan(float(roc(table(np.array([1, 2]), np.array([0, 0]), 2))["roc_area"]))
