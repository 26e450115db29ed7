"""Dressing: the ensemble has the errors' mean and variance, and knows nothing of what is verified."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.storage.artifact import Address
from stormcast_tw.storage.store import Store
from stormcast_tw.verification.systems import dressing
from stormcast_tw.verification.systems.baselines import system
from stormcast_tw.verification.systems.dressing import TrainingSpan, dress, error_of, year_before
from tests.conftest import CYCLE, NOW, SMALL

RNG = np.random.default_rng(0)


def one_forecast(leads: int = 3, rain: float = 5.0) -> xr.Dataset:
    shape = (1, leads, *SMALL.shape)
    fields = {"t2m": 290 + RNG.standard_normal(shape), "tp01": np.full(shape, rain)}
    return system(fields, CYCLE, SMALL, "one")


def past_errors(count: int, scale: float = 2.0, rain: float = 0.3, leads: int = 3) -> xr.Dataset:
    """Independent normal errors of this standard deviation, in K and in log1p mm."""
    shape = (count, leads, *SMALL.shape)
    dims = ("training", "lead_time", *SMALL.dims)
    sizes = {"t2m": scale, "tp01": rain}
    arrays = {name: (dims, (size * RNG.standard_normal(shape)).astype(np.float32)) for name, size in sizes.items()}
    return xr.Dataset(arrays)


def as_seen(name: str, values: np.ndarray) -> np.ndarray:
    return np.log1p(values.astype(np.float64)) if name == "tp01" else values


def test_a_dressed_forecast_has_the_mean_and_the_variance_of_the_errors():
    forecast, errors = one_forecast(rain=20.0), past_errors(16)
    dressed = dress(forecast, errors, seed=1)
    assert dressed.sizes["member"] == 16
    for name in ("t2m", "tp01"):
        around = as_seen(name, dressed[name].values) - as_seen(name, forecast[name].values)
        np.testing.assert_allclose(around.mean(axis=0), errors[name].values.mean(axis=0), atol=1e-4)
        np.testing.assert_allclose(around.var(axis=0, ddof=1), errors[name].values.var(axis=0, ddof=1), rtol=2e-3)


def test_each_member_is_one_whole_error():
    """All leads and variables of a member come from one past cycle, and no cycle serves twice."""
    forecast, errors = one_forecast(rain=20.0), past_errors(20)
    dressed = dress(forecast, errors, seed=3)
    served = []
    for member in range(16):
        added = dressed["t2m"].values[member] - forecast["t2m"].values[0]
        differences = np.abs(errors["t2m"].values - added).max(axis=(1, 2, 3))
        served.append(int(differences.argmin()))
        assert differences.min() < 1e-4
        rain = np.log1p(dressed["tp01"].values[member]) - np.log1p(20.0)
        np.testing.assert_allclose(rain, errors["tp01"].values[served[-1]], atol=1e-4)
    assert len(set(served)) == 16
    xr.testing.assert_equal(dress(forecast, errors, seed=3), dressed)
    assert not dress(forecast, errors, seed=4).equals(dressed)


def test_rain_stays_within_what_can_occur_and_temperature_is_not_cut():
    """A shower that was missed on a dry day, log1p(30), multiplies 30 mm of today: cut at 300 mm."""
    errors = past_errors(16, scale=400.0, rain=4.0)
    dressed = dress(one_forecast(rain=30.0), errors, seed=1)
    assert dressed["tp01"].values.min() == 0.0
    assert dressed["tp01"].values.max() == 300.0
    below = (errors["tp01"].values < -np.log1p(30.0)).mean()
    assert (dressed["tp01"].values == 0.0).mean() == pytest.approx(below, abs=1e-3)
    assert dressed["t2m"].values.min() < 0.0


def test_too_few_errors_and_other_points_are_refused():
    with pytest.raises(BadInput, match="15 training errors; allowed no fewer than the 16 members"):
        dress(one_forecast(), past_errors(15), seed=0)
    with pytest.raises(BadInput, match=r"errors are of shape \(2, 32, 32\), the forecast of \(3, 32, 32\)"):
        dress(one_forecast(), past_errors(16, leads=2), seed=0)


def test_an_error_that_was_not_observed_is_replaced_by_another_at_that_point():
    forecast, errors = one_forecast(rain=20.0), past_errors(16)
    errors["tp01"][2:5, :, 7, 7] = np.nan
    errors["tp01"][:, :, 9, 9] = np.nan
    added = np.log1p(dress(forecast, errors, seed=1)["tp01"].values) - np.log1p(20.0)
    at_hole = added[:, :, 7, 7]
    assert np.isfinite(at_hole).all()
    known = errors["tp01"].values[:, :, 7, 7]
    assert all(np.isclose(value, known[:, lead], atol=1e-4).any() for lead in range(3) for value in at_hole[:, lead])
    assert np.isnan(added[:, :, 9, 9]).all(), "never observed stays unknown"


def test_forecast_plus_error_is_truth():
    forecast = one_forecast()
    truth = forecast.isel(member=0, drop=True).copy(
        data={name: RNG.random((3, *SMALL.shape)).astype(np.float32) for name in ("t2m", "tp01")}
    )
    error = error_of(forecast, truth)
    for name in ("t2m", "tp01"):
        found = as_seen(name, forecast[name].values[0]) + error[name].values
        np.testing.assert_allclose(found, as_seen(name, truth[name].values), atol=1e-4)


def test_training_is_sixteen_cycles_of_one_hour_of_the_year_before():
    span = year_before(CYCLE)
    cycles = span.cycles(6)
    assert len(set(cycles)) == 16
    assert {cycle.init_time.hour for cycle in cycles} == {6}
    assert {cycle.init_time.year for cycle in cycles} == {2025}
    months = [cycle.init_time.month for cycle in cycles]
    assert sorted(set(months)) == list(range(1, 13)), "every month of the year"
    span.require_apart(Cycle.parse("20260101T00Z"), CYCLE, 48)


@pytest.mark.parametrize(("first", "last"), [("20251229T12Z", "20260102T00Z"), ("20240101T00Z", "20271231T00Z"),
                                             ("20241231T18Z", "20241231T18Z")])  # fmt: skip
def test_training_that_overlaps_what_is_verified_is_refused(first: str, last: str):
    with pytest.raises(Refused, match="overlaps what is verified"):
        year_before(CYCLE).require_apart(Cycle.parse(first), Cycle.parse(last), 12)


def test_a_short_span_is_refused_and_a_backward_one_is_none():
    short = TrainingSpan(start=datetime(2025, 1, 1, tzinfo=UTC), end=datetime(2025, 1, 10, tzinfo=UTC))
    with pytest.raises(Refused, match=r"has 10 cycles of 00 UTC; 16 are needed"):
        short.cycles(0)
    with pytest.raises(ValueError, match="before it begins"):
        TrainingSpan(start=short.end, end=short.start)


def test_errors_are_collected_once_and_kept_to_a_fraction_of_their_size(tmp_path: Path):
    store = Store(str(tmp_path))
    where = Address(kind="errors", experiment="demo", cycle=str(CYCLE), run="a" * 12)
    errors = past_errors(16)
    asked: list[Cycle] = []

    def errors_of(cycle: Cycle) -> dict[str, xr.Dataset]:
        asked.append(cycle)
        one = errors.isel(training=len(asked) - 1)
        return {"persistence": one} | ({"rwrp": one} if len(asked) > 1 else {})

    def collect():
        return dressing.collect_errors(
            store, where, {"format": 1}, year_before(CYCLE).cycles(6), errors_of, simulated=True, now=NOW
        )

    archive = collect()
    assert collect() == archive
    assert len(asked) == 16, "made once"
    assert archive.details["systems"] == ["persistence"], "a system that a cycle lacks is left out"
    kept = dressing.errors_of_system(store, archive, "persistence")
    assert kept["t2m"].dtype == np.float32
    np.testing.assert_allclose(kept["t2m"].values, errors["t2m"].values, atol=1 / 512)
    np.testing.assert_allclose(kept["tp01"].values, errors["tp01"].values, atol=1 / 8000)
    with pytest.raises(BadInput, match=r"errors/demo/20260611T06Z/aaaaaaaaaaaa/rwrp.nc: sealed, but not there"):
        dressing.errors_of_system(store, archive, "rwrp")


def test_an_error_beyond_what_is_kept_is_refused():
    errors = past_errors(1)
    errors["t2m"][0, 0, 0, 0] = 200.0
    with pytest.raises(BadInput, match=r"t2m reaches 200; allowed below 127\.99"):
        dressing.pack(errors, {"t2m": 1 / 256, "tp01": 1 / 4096})
