"""The sums of a cycle and what follows from them: pieces, NaN, strata, the perfect ensemble."""

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.verification.scores import statistics
from stormcast_tw.verification.scores.statistics import SCORES, STATISTICS, Strata, score_cycle, scores, stratify, total
from stormcast_tw.verification.scores.strata import REGIONS, spacing_km
from tests.verification.small_world import SHAPE, START, as_truth, random_system, strata, system

HOUR = np.timedelta64(1, "h")


@pytest.fixture(scope="module")
def pair() -> tuple[dict[str, xr.Dataset], xr.Dataset]:
    rng = np.random.default_rng(0)
    systems = {"stormcast": random_system(rng, 8), "persistence": random_system(rng, 1)}
    return systems, as_truth(random_system(rng, 1))


@pytest.fixture(scope="module")
def three_cycles() -> list[xr.Dataset]:
    rng = np.random.default_rng(1)
    regimes = ("quiet", "typhoon", "quiet")
    return [
        score_cycle({"stormcast": random_system(rng, 4), "persistence": random_system(rng)},
                    as_truth(random_system(rng)), strata(cycle, regime))
        for cycle, regime in enumerate(regimes)
    ]  # fmt: skip


def test_every_statistic_is_there_finite_and_described(pair):
    made = score_cycle(*pair, strata())
    assert set(made.data_vars) == set(STATISTICS)
    for name, (dims, kind, _) in STATISTICS.items():
        assert made[name].dims == dims
        assert made[name].dtype == kind
        assert np.isfinite(made[name]).all()
    assert made["init_time"].values == np.datetime64("2026-06-11T06:00:00", "ns")
    assert made["members"].values.tolist() == [8, 1]


def test_scores_are_those_of_numpy(pair):
    systems, truth = pair
    made = scores(score_cycle(systems, truth, strata())).sel(system="stormcast", region="land", lead_time=2 * HOUR)
    members, observed = (data.isel(lead_time=1, longitude=slice(8, None)) for data in (systems["stormcast"], truth))
    error = (members.mean("member") - observed).astype(np.float64)
    for variable in ("t2m", "u10m", "tp01"):
        here, values = made.sel(variable=variable), error[variable].values
        assert float(here["bias"]) == pytest.approx(values.mean(), abs=1e-4)
        assert float(here["mae"]) == pytest.approx(np.abs(values).mean(), rel=1e-5)
        assert float(here["rmse"]) == pytest.approx((values**2).mean() ** 0.5, rel=1e-5)
        assert float(here["spread"]) == pytest.approx(float(members[variable].var("member", ddof=1).mean() ** 0.5),
                                                      rel=1e-5)  # fmt: skip
    wind = made.sel(variable="wind")
    assert float(wind["rmse"]) == pytest.approx(
        float((error["u10m"] ** 2 + error["v10m"] ** 2).mean() ** 0.5), rel=1e-5
    )
    assert float(wind["mae"]) == pytest.approx(float(np.hypot(error["u10m"], error["v10m"]).mean()), rel=1e-5)
    assert np.isnan(float(wind["bias"]))


def test_of_a_deterministic_system_the_crps_is_the_mae(pair):
    made = scores(score_cycle(*pair, strata())).sel(system="persistence")
    xr.testing.assert_allclose(made["crps"].drop_vars("system"), made["mae"].drop_vars("system"))
    assert np.isnan(made["spread_error"]).all()
    assert np.isnan(made["spread"]).all()


def test_events_are_counted_where_they_are(pair):
    systems, truth = pair
    made = score_cycle(systems, truth, strata()).sel(event="tp01>=5", region="all", lead_time=3 * HOUR)
    members, observed = systems["stormcast"]["tp01"].isel(lead_time=2).values, truth["tp01"].isel(lead_time=2).values
    table = made["probability_table"].sel(system="stormcast")
    holding = (members >= 5).sum(0)
    for count in range(9):
        for happened in (0, 1):
            expected = np.count_nonzero((holding == count) & ((observed >= 5) == happened))
            assert int(table.sel(holding=count, observed=happened)) == expected
    single = systems["persistence"]["tp01"].isel(member=0, lead_time=2).values
    outcomes = made["contingency"].sel(system="persistence")
    assert int(outcomes.sel(outcome="hit")) == np.count_nonzero((single >= 5) & (observed >= 5))
    assert int(outcomes.sel(outcome="false_alarm")) == np.count_nonzero((single >= 5) & (observed < 5))
    assert int(outcomes.sel(outcome="miss")) == np.count_nonzero((single < 5) & (observed >= 5))
    assert int(outcomes.sum()) == single.size


def test_land_and_sea_make_the_whole(pair):
    made = score_cycle(*pair, strata())
    for name, (dims, _, _) in STATISTICS.items():
        if "region" in dims:
            part = {region: made[name].sel(region=region, drop=True) for region in REGIONS}
            xr.testing.assert_allclose(part["land"] + part["sea"], part["all"])
            assert (made["count"].sel(region="above_1000m") == 24 * 6).sum() > 0


def test_pieces_of_the_domain_make_the_whole_domain(pair):
    """Of every sum over points; neighbourhoods, spectra and objects know their surroundings."""
    systems, truth = pair
    whole = score_cycle({"persistence": systems["persistence"]}, truth, strata())
    pieces = []
    for rows in (slice(0, 9), slice(9, None)):
        part = {"latitude": rows}
        there = strata()
        masks = Strata(there.land.isel(part), there.above_1000m.isel(part), "quiet", START)
        given = {"persistence": systems["persistence"].isel(part)}
        pieces.append(score_cycle(given, truth.isel(part), masks))
    both = total(pieces)
    for name, (dims, _, _) in STATISTICS.items():
        if "region" in dims:
            # Ties of dry points are drawn anew, so where a rank is drawn is left open and only its total is fixed.
            given = (one[name].sum("below") if name == "rank" else one[name] for one in (both, whole))
            np.testing.assert_allclose(*given, rtol=1e-6, atol=1e-4, err_msg=name)


def test_one_system_or_many_gives_the_same(pair):
    """Ties included: they are drawn by name, time and lead, not by order."""
    systems, truth = pair
    both = score_cycle(systems, truth, strata(), workers=2)
    alone = score_cycle({"stormcast": systems["stormcast"]}, truth, strata(), workers=1)
    xr.testing.assert_identical(both.sel(system=["stormcast"]), alone)
    assert not alone["rank"].equals(score_cycle({"stormcast": systems["stormcast"]}, truth, strata(), seed=1)["rank"])


def test_leads_in_pieces_make_the_whole(pair):
    systems, truth = pair
    whole = score_cycle(systems, truth, strata())
    pieces = [score_cycle(systems, truth.isel(lead_time=leads), strata()) for leads in (slice(0, 3), slice(3, None))]
    both = total(pieces).drop_vars("cycles")
    hourly = [event for event in whole["event"].values if not event.startswith("tp03")]
    given = {"event": hourly, "rain_event": [event for event in hourly if event.startswith("tp01")]}
    assert len(hourly) == 14
    xr.testing.assert_allclose(both.sel(given), total([whole]).drop_vars("cycles").sel(given))


def test_a_truth_with_nan_equals_the_truth_restricted(pair):
    systems, truth = pair
    partial = truth.where(truth["latitude"] < truth["latitude"][15])
    restricted = {"latitude": slice(0, 15)}
    there = strata()
    masks = Strata(there.land.isel(restricted), there.above_1000m.isel(restricted), "quiet", START)
    persistence = {"persistence": systems["persistence"]}
    missing = score_cycle(persistence, partial, strata())
    smaller = score_cycle({"persistence": persistence["persistence"].isel(restricted)}, truth.isel(restricted), masks)
    for name, (dims, _, _) in STATISTICS.items():
        if ("region" in dims and name != "rank") or name.startswith("fss"):
            np.testing.assert_allclose(missing[name], smaller[name], rtol=1e-6, err_msg=name)
    assert missing["rank"].sum() == smaller["rank"].sum()
    assert (missing["spectrum_fields"] == 0).all()
    assert float(missing["power_truth"].sum()) == 0


def test_values_under_nan_change_nothing(pair):
    systems, truth = pair
    hole = truth.where(np.random.default_rng(2).random(SHAPE) > 0.2)
    changed = {name: one.where(hole["t2m"].notnull(), 250.0).transpose(*one.dims) for name, one in systems.items()}
    made, other = (score_cycle({"persistence": given["persistence"]}, hole, strata()) for given in (systems, changed))
    xr.testing.assert_allclose(made.drop_vars(("sal", "sal_absolute")), other.drop_vars(("sal", "sal_absolute")))


def test_a_member_with_nan_does_not_count_there(pair):
    systems, truth = pair
    holed = systems["stormcast"].copy(deep=True)
    holed["tp01"][3, 1, 5:9, 2:4] = np.nan
    count = score_cycle({"stormcast": holed}, truth, strata())["count"].sel(system="stormcast", region="all")
    assert int(count.sel(variable="tp01", lead_time=2 * HOUR)) == SHAPE[0] * SHAPE[1] - 8
    assert int(count.sel(variable="t2m", lead_time=2 * HOUR)) == SHAPE[0] * SHAPE[1]
    made = scores(score_cycle({"stormcast": holed}, truth, strata())).sel(variable="tp01", region="all")
    assert np.isfinite(made["crps"]).all()


def test_three_hour_rain_needs_three_full_hours():
    rain = np.full((1, 5, 1, 1), 40.0)
    observed = as_truth(system(5, tp01=rain))
    observed["tp01"][3] = np.nan
    table = score_cycle({"rwrp": system(5, tp01=rain)}, observed, strata())["contingency"].sel(event="tp03>=100")
    hits = table.sel(system="rwrp", region="all", outcome="hit").values
    assert hits.tolist() == [0, 0, SHAPE[0] * SHAPE[1], 0, 0]


def test_a_system_without_rain_or_late_leads_has_zeros_there(pair):
    systems, truth = pair
    background = systems["persistence"].drop_vars("tp01").isel(lead_time=slice(0, 2))
    made = score_cycle({"background": background}, truth, strata())
    assert (made["count"].sel(variable="tp01") == 0).all()
    assert (made["count"].sel(variable="t2m", region="all") > 0).values.tolist() == [[True, True, False, False]]
    found = scores(made)
    assert np.isnan(found["fss"]).all()
    assert np.isnan(found["crps"].sel(variable="tp01")).all()


def test_the_perfect_ensemble_is_calibrated():
    """Truth and members from one distribution: spread over error 1 within 3 %, ranks flat."""
    rng, found = np.random.default_rng(3), []
    for cycle in range(3):
        drawn = random_system(rng, 17, 6)
        ensemble = drawn.isel(member=slice(1, None))
        found.append(score_cycle({"perfect": ensemble}, as_truth(drawn), strata(cycle)))
    whole = total(found).sum("lead_time").sel(system="perfect", region="all")
    made = scores(whole)
    assert np.abs(made["spread_error"] - 1).max() < 0.03
    share = made["rank_share"].sel(variable=["t2m", "u10m", "v10m", "wind_speed", "tp01"])
    points = float(whole["count"].sel(variable="t2m"))
    assert np.abs(share * 17 - 1).max() < 5 * (17 / points) ** 0.5  # standard errors of a share of 1/17
    reliable = made.sel(event="tp01>=5")
    error = (reliable["observed_frequency"] - reliable["forecast_probability"]).where(reliable["forecast_share"] > 0.05)
    # Independent members: the probability says nothing, so every bin has the base rate.
    assert np.abs(error + reliable["forecast_probability"] - reliable["base_rate"]).max() < 0.03


def test_a_narrow_ensemble_is_seen():
    rng = np.random.default_rng(4)
    drawn = random_system(rng, 9)
    narrow = 295 + (drawn.isel(member=slice(1, None)) - 295) / 2
    made = scores(score_cycle({"narrow": narrow}, as_truth(drawn), strata()))
    here = made.sel(system="narrow", variable="t2m", region="all")
    assert (here["spread_error"] < 0.65).all()
    assert (here["rank_share"].isel(below=[0, 8]) > 1.5 / 9).all()


@pytest.mark.filterwarnings("error")
def test_dry_cycles_make_no_nan():
    """They add zeros: the FSS of a wet and a dry cycle is that of the wet one."""
    rng = np.random.default_rng(5)
    wet, other = random_system(rng, 4), as_truth(random_system(rng))
    dry = random_system(rng, 4).assign(tp01=wet["tp01"] * 0)
    dry_truth = other.assign(tp01=other["tp01"] * 0)
    rainy, rainless = (score_cycle({"s": s}, t, strata(i)) for i, (s, t) in enumerate([(wet, other), (dry, dry_truth)]))
    alone, both = scores(total([rainy])), scores(total([rainy, rainless]))
    xr.testing.assert_allclose(both["fss"], alone["fss"])
    assert np.isfinite(both["fss"].sel(rain_event="tp01>=1")).all()
    assert np.isnan(scores(rainless)["fss"]).all()
    xr.testing.assert_allclose(both["csi"].sel(event="tp01>=5"), alone["csi"].sel(event="tp01>=5"))
    assert np.isfinite(both["sal_mean"]).all()
    xr.testing.assert_allclose(both["power_ratio"].sel(spectrum="tp01"), alone["power_ratio"].sel(spectrum="tp01"))


def test_neighbourhoods_of_the_matched_mean_and_of_probabilities(pair):
    """One member: both are the same. Identical members: the ensemble scores as its member."""
    systems, truth = pair
    single = systems["persistence"]
    same = xr.concat([single] * 4, "member").transpose(*single.dims)
    fss = scores(score_cycle({"one": single, "four": same}, truth, strata()))["fss"]
    one, four = (fss.sel(system=name, drop=True) for name in ("one", "four"))
    xr.testing.assert_allclose(one.sel(product="point", drop=True), one.sel(product="probability", drop=True))
    xr.testing.assert_allclose(one.drop_vars("members", errors="ignore"), four.drop_vars("members", errors="ignore"))


def test_a_perfect_forecast_has_perfect_scores(pair):
    _, truth = pair
    perfect = truth.expand_dims(member=1).transpose("member", *truth["t2m"].dims)
    made = scores(score_cycle({"p": perfect}, truth, strata())).sel(system="p")
    for name, best in {"crps": 0, "rmse": 0, "pod": 1, "far": 0, "csi": 1, "ets": 1, "hss": 1, "frequency_bias": 1,
                       "brier": 0, "fss": 1, "power_ratio": 1, "sal_size": 0}.items():  # fmt: skip
        values = made[name].values[np.isfinite(made[name].values)]
        assert values.size > 0
        np.testing.assert_allclose(values, best, atol=1e-6, err_msg=name)


def test_spectra_are_scored_from_160_to_10_km(three_cycles):
    whole = total(three_cycles)
    made = scores(whole)["power_ratio"]
    assert made["octave"].values.tolist() == ["160-80", "80-40", "40-20", "20-10"]
    here = {"system": "stormcast", "spectrum": "wind"}
    ratio = whole["power"].sel(here) / whole["power_truth"].sel(here)
    np.testing.assert_allclose(made.sel(octave="20-10", **here), ratio.sel(octave="20-10"))


def test_a_month_is_the_sum_of_its_cycles(three_cycles):
    whole = total(three_cycles)
    assert int(whole["cycles"]) == 3
    for name in STATISTICS:
        np.testing.assert_allclose(whole[name], sum(cycle[name].values.astype(np.float64) for cycle in three_cycles))
    xr.testing.assert_allclose(total([total(three_cycles[:2]), three_cycles[2]]), whole)
    xr.testing.assert_identical(stratify(three_cycles, "month")["2026-06"], whole)
    xr.testing.assert_identical(stratify(three_cycles, "season")["JJA"], whole)


def test_strata_divide_the_cycles(three_cycles):
    assert {key: int(one["cycles"]) for key, one in stratify(three_cycles, "regime").items()} == {
        "quiet": 2,
        "typhoon": 1,
    }
    assert list(stratify(three_cycles, "init_hour")) == ["06Z", "12Z", "18Z"]
    hours = stratify(three_cycles, "valid_hour")
    assert list(hours) == [f"{h:02d}Z" for h in (*range(7, 11), *range(13, 17), *range(19, 23))]
    summed = sum(one["crps"].values for one in hours.values())
    np.testing.assert_allclose(summed, total(three_cycles)["crps"].sum("lead_time"))


def test_cycles_of_different_systems_and_leads_add_up(three_cycles):
    fewer = three_cycles[0].sel(system=["persistence"]).isel(lead_time=slice(0, 2))
    both = total([fewer, three_cycles[1]])
    twice = both["count"].sel(system="persistence") / three_cycles[1]["count"].sel(system="persistence")
    assert twice.sel(variable="t2m", region="all").values.tolist() == [2, 2, 1, 1]
    assert both["members"].sel(system="stormcast") == 4
    np.testing.assert_array_equal(both["crps"].sel(system="stormcast"), three_cycles[1]["crps"].sel(system="stormcast"))


def test_a_system_that_changes_its_members_is_refused(three_cycles):
    other = three_cycles[0].assign_coords(members=("system", [5, 1]))
    with pytest.raises(BadInput, match="stormcast: 5 members in one cycle, 4 in another"):
        total([three_cycles[0], other])
    with pytest.raises(BadInput, match="0 cycles"):
        total([])


def test_other_points_are_refused(pair):
    systems, truth = pair
    moved = systems["persistence"].assign_coords(latitude=systems["persistence"]["latitude"] + 0.01)
    with pytest.raises(BadInput, match="persistence: latitude has 24 points"):
        score_cycle({"persistence": moved}, truth, strata())
    with pytest.raises(BadInput, match="masks"):
        score_cycle(systems, truth, strata(shape=(5, 20)))
    there = strata()
    with pytest.raises(BadInput, match="1000 m"):
        Strata(there.above_1000m, there.land, "quiet", START)


def test_spacing_of_degrees_and_of_metres():
    truth = as_truth(system(t2m=np.zeros(1)))
    dy, dx = spacing_km(truth, ("latitude", "longitude"))
    assert dy == pytest.approx(4 / 223 * 111.195)
    assert dx == pytest.approx(2.5 / 127 * 111.195 * np.cos(np.radians(float(truth["latitude"].mean()))))
    flat = xr.Dataset(coords={"y": np.arange(4) * 2000.0, "x": np.arange(5) * 3000.0})
    assert spacing_km(flat, ("y", "x")) == (2.0, 3.0)


def test_every_score_reads_what_it_says_it_needs(three_cycles):
    whole = total(three_cycles)
    for name, score in SCORES.items():
        made = score.formula(whole[list(score.needs)])
        assert np.isfinite(made).any(), name
        assert set(score.needs) <= set(STATISTICS)
    assert set(statistics.__all__) >= {"score_cycle", "Strata", "total", "scores"}
