"""Intervals that cover what they should, and gains that are called real only then."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.verification.scores.intervals import block_bootstrap, cycles_a_day, drawn, gain, interval
from stormcast_tw.verification.scores.statistics import SCORES, scores, total
from tests.verification.small_world import cycles, strata

DAY = np.timedelta64(24, "h")


@pytest.fixture(scope="module")
def twenty() -> list[xr.Dataset]:
    return cycles(20)


def numbers(values: np.ndarray, hours: int = 6) -> list[xr.Dataset]:
    """Cycles whose only statistics are numbers (cycle, ...) of one system, and their counts."""
    start = np.datetime64("2026-06-01", "ns")
    return [
        xr.Dataset(
            {
                name: (("system", "series"), np.reshape(one, (1, -1)))
                for name, one in (("crps", value), ("count", np.ones(np.size(value), int)))
            },
            {"system": ["a"], "members": ("system", [2]), "init_time": start + i * np.timedelta64(hours, "h")},
        )
        for i, value in enumerate(values)
    ]


def mean(sums: xr.Dataset) -> xr.DataArray:
    return sums["crps"] / sums["count"]


def coverage(series: np.ndarray, block: int) -> float:
    """How often the interval of a mean holds 5, of independent series (cycle, series)."""
    made = block_bootstrap(numbers(series), mean, seed=0, block=block)
    return float(((made["low"] <= 5) & (made["high"] >= 5)).mean())


@pytest.mark.parametrize(("block", "count"), [(1, 12), (4, 40)])
def test_intervals_cover_a_known_mean_as_often_as_they_say(block: int, count: int):
    """95 % of 2000 trials, whose standard error is 0.5 %; 2 % for the shared resamples and the smallness of samples."""
    series = 5 + np.random.default_rng(block).standard_normal((count, 2000))
    assert coverage(series, block) == pytest.approx(0.95, abs=0.02)


def persistent(count: int, series: int) -> np.ndarray:
    """First-order autoregressions of 0.6 about 5."""
    noise = np.random.default_rng(0).standard_normal((count, series))
    values = [noise[0] / 0.8]
    for one in noise[1:]:
        values.append(0.6 * values[-1] + one)
    return 5 + np.array(values)


def test_blocks_keep_what_neighbours_share():
    """Cycles that resemble their neighbours: drawn singly the interval is far too narrow, in blocks nearly right."""
    series = persistent(80, 2000)
    assert coverage(series, 1) < 0.75
    assert coverage(series, 10) > 0.87


def test_every_cycle_is_drawn_as_often_and_in_neighbours():
    weights = drawn(10, 3, 4000, np.random.default_rng(0))
    assert (weights.sum(1) == 10).all()
    assert weights.mean(0) == pytest.approx(1, abs=0.08)
    together = np.corrcoef(weights.T)
    assert together[0, 1] > 0.2 > together[0, 5]
    assert together[0, 9] > 0.2  # the end joins the start


def test_one_seed_one_interval(twenty):
    made, again, other = (interval(twenty, "crps", seed=seed, resamples=200) for seed in (1, 1, 2))
    xr.testing.assert_identical(made, again)
    assert not made["low"].equals(other["low"])
    assert (made["low"] <= made["estimate"]).all()
    assert (made["estimate"] <= made["high"]).all()


def test_the_estimate_is_the_score_of_the_sum(twenty):
    whole = scores(total(twenty))
    for score in ("crps", "rmse", "spread_error", "fss", "csi", "roc_area", "power_ratio"):
        xr.testing.assert_allclose(interval(twenty, score, seed=0, resamples=5)["estimate"], whole[score])


def test_order_does_not_matter(twenty):
    made, shuffled = (interval(given, "mae", seed=0, resamples=50) for given in (twenty, twenty[::-1]))
    xr.testing.assert_allclose(made, shuffled)


def test_a_day_of_cycles_is_a_block():
    assert cycles_a_day(numbers(np.zeros(8))) == 4
    assert cycles_a_day(numbers(np.zeros(8), hours=24 * 9)) == 1
    assert cycles_a_day(numbers(np.zeros(1))) == 1


def test_too_few_blocks_have_no_interval():
    made = block_bootstrap(numbers(np.arange(6.0)), mean, seed=0)  # a block of 4 six-hourly cycles
    assert made["estimate"].item() == 2.5
    assert np.isnan(made["low"].item())
    assert np.isnan(made["high"].item())


def test_a_better_system_is_really_better(twenty):
    """The baseline has twice the errors of the ensemble."""
    for score in ("crps", "rmse"):
        made = gain(twenty, score, "stormcast", "persistence", seed=0).sel(region="all")
        assert made["is_real"].all()
        assert (made["low"] > 0).all()
        turned = gain(twenty, score, "persistence", "stormcast", seed=0).sel(region="all")
        xr.testing.assert_allclose(turned["estimate"], -made["estimate"])
        assert turned["is_real"].all()


def test_a_system_is_not_better_than_itself(twenty):
    doubled = []
    for cycle in twenty:
        copy = cycle.sel(system=["stormcast"]).assign_coords(system=["copy"])
        doubled.append(xr.concat([cycle, copy], "system", data_vars="minimal"))
    for score in ("crps", "csi", "fss"):
        made = gain(doubled, score, "stormcast", "copy", seed=0, resamples=100)
        assert not made["is_real"].any()
        assert np.nanmax(np.abs(made["estimate"])) == 0


def test_equal_systems_are_seldom_called_different():
    """Differences of two draws of one system: 5 % are called real, whatever is drawn."""
    rng = np.random.default_rng(11)
    draws = (numbers(5 + rng.standard_normal((20, 2000)), hours=240) for _ in range(2))
    pairs = [
        xr.concat([a.assign_coords(system=["a"]), b.assign_coords(system=["b"])], "system", data_vars="minimal")
        for a, b in zip(*draws, strict=True)
    ]
    made = gain(pairs, "crps", "a", "b", seed=0)
    assert float(made["is_real"].mean()) == pytest.approx(0.05, abs=0.02)


def test_only_cycles_with_both_count(twenty):
    """Where the baseline is missing in the three hardest cycles, the ensemble is not charged for them."""
    without = [cycle.sel(system=["stormcast"]) if i < 3 else cycle for i, cycle in enumerate(twenty)]
    without[0] = without[0].assign(crps=without[0]["crps"] + 1e9)
    made = gain(without, "crps", "stormcast", "persistence", seed=0, resamples=100)
    kept = gain(twenty[3:], "crps", "stormcast", "persistence", seed=0, resamples=100)
    xr.testing.assert_allclose(made["estimate"], kept["estimate"])


def test_different_samples_are_not_compared(twenty):
    fewer = [cycle.copy(deep=True) for cycle in twenty]
    for cycle in fewer:
        cycle["count"].loc[{"system": "persistence", "variable": "tp01"}] //= 2
    made = gain(fewer, "crps", "stormcast", "persistence", seed=0, resamples=50)
    assert np.isnan(made["estimate"].sel(variable="tp01")).all()
    assert not made["is_real"].sel(variable="tp01").any()
    assert made["is_real"].sel(variable="t2m", region="all").all()


def test_what_is_best_decides_the_sign(twenty):
    whole = scores(total(twenty))
    ours, theirs = (whole.sel(system=name, drop=True) for name in ("stormcast", "persistence"))
    for score, better in {
        "bias": np.abs(theirs["bias"]) - np.abs(ours["bias"]),
        "fss": ours["fss"] - theirs["fss"],
        "power_ratio": np.abs(np.log(theirs["power_ratio"])) - np.abs(np.log(ours["power_ratio"])),
    }.items():
        made = gain(twenty, score, "stormcast", "persistence", seed=0, resamples=20)["estimate"]
        finite = np.isfinite(better) & np.isfinite(made)
        assert finite.any()
        xr.testing.assert_allclose(made.where(finite), better.where(finite).drop_vars("members", errors="ignore"))
    assert np.isnan(gain(twenty, "spread", "stormcast", "persistence", seed=0, resamples=20)["estimate"]).all()
    assert all(score.best in ("low", "high", "", 0.0, 1.0) for score in SCORES.values())
    assert strata().regime == "quiet"
