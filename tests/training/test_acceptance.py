"""What a package has to show: the criteria on packages whose behaviour is known in closed form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.model.package import save
from stormcast_tw.model.sampler import sample
from stormcast_tw.model.waves import OCTAVES
from stormcast_tw.training import acceptance
from stormcast_tw.training.acceptance import White, accept, table
from stormcast_tw.training.model_card_record import put_section, record, write_record
from stormcast_tw.training.starting_package import rescaled
from tests.training.small_training import persistence_plus_noise


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "LONG_HOURS", 4)
    monkeypatch.setattr(acceptance, "GRAIN_HOURS", 3)


def untrained(data, residual: float):
    stds = dict.fromkeys(data.state_set.ids, residual) | {"tp01": 0.01}
    return rescaled(persistence_plus_noise(data), "residual_std", stds)


def test_white_noise_comes_out_with_unit_variance():
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 4, 64, 64), dtype=np.float32))
    white = White()
    made = sample(lambda x, sigma: white(x, torch.full((4,), sigma), x), noise, acceptance._EXACT)
    assert float(made.std()) == pytest.approx(1.0, abs=0.02)


def test_a_diffusion_that_is_white_noise_is_no_better_than_white_noise(data, short):
    """Zero output layers denoise as White does: only the sampler's fewer steps differ."""
    findings = {f.what: f for f in accept(untrained(data, 0.01), data, 2)}
    assert len(findings) == 2 + 2 * 4 + 4
    ratio = findings["t2m: CRPS of the diffusion over that of white noise, 1 h"]
    assert ratio.found == pytest.approx(1.0, abs=0.05)
    assert findings["share of values at a physical bound, 4 h"].found == 0.0
    assert findings["share of values at a physical bound, 4 h"].kept


def test_white_noise_is_not_calibrated(data, short):
    """By the same sampler a diffusion of zero output layers is that noise; with a gain of a half it has less power."""
    package = untrained(data, 0.3)
    package = replace(package, description=package.description.model_copy(update={"sampler": acceptance._EXACT}))
    whole = {f.what: f.found for f in accept(package, data, 1)}
    half = {f.what: f.found for f in accept(rescaled(package, "gain", {"u10m": (0.5,) * OCTAVES}), data, 1)}
    told = "error of the spectrum (mean |ln ratio|) over that of white noise, 1 h"
    assert whole[f"u10m: {told}"] == pytest.approx(1.0, abs=0.01)
    assert abs(half[f"u10m: {told}"] - 1) > 0.1
    assert half[f"v10m: {told}"] == pytest.approx(1.0, abs=0.01)


def test_grain_and_bounds_are_found(data, short):
    """Noise of 60 K, m/s an hour reaches the bounds, and is grain that the truth has not."""
    findings = {f.what: f for f in accept(untrained(data, 60.0), data, 1)}
    assert findings["share of values at a physical bound, 4 h"].found > 0.01
    assert not findings["share of values at a physical bound, 4 h"].kept
    grain = findings["u10m: power at 20-10 km over truth's, worst of 3 leads"]
    assert grain.found > 3
    assert not grain.kept
    assert "**NOT KEPT**" in "\n".join(table(tuple(findings.values())))


def test_too_few_hours_are_refused(data):
    with pytest.raises(Refused, match="no 48 held-out hours follow each other"):
        accept(untrained(data, 0.01), data, 1)


def scorecard() -> dict:
    def curves(**values: float) -> dict:
        return {name: {"value": [value] * 3, "low": [], "high": []} for name, value in values.items()}

    return {
        "truth": "simulated",
        "cycles": 40,
        "period": ["A", "B"],
        "members": {"forecast": 16},
        "leads": [1, 2, 3],
        "curves": {
            "crps": {"t2m": curves(forecast=0.5, persistence_dressed=0.8, rwrp=0.4, perfect=0.3)},
            "spread_error": {"t2m": curves(forecast=0.9)},
        },
        "strata": {"regime": {"typhoon": {"cycles": 30}, "quiet": {"cycles": 10}}},
        "fss_by_lead": {"5": {"point": {"tp01>=1": {"forecast": [0.6, 0.5, None], "rwrp": [0.5, 0.6, None]}}}},
        "octaves_km": ["160-80", "20-10"],
        "spectra": {"t2m": {"forecast": [1.1, 1.5]}},
    }


def test_a_record_says_where_it_wins_and_where_it_loses():
    text = "\n".join(record(scorecard()))
    assert "| t2m | rwrp | 0.4 | 0.4 | 0.4 | 0 |" in text
    assert "| t2m | persistence_dressed | 0.8 | 0.8 | 0.8 | 3 |" in text
    assert "| t2m | 0.90, 0.90 | 60%, 60% |" in text
    assert "Regimes: quiet 10, typhoon 30." in text
    assert "| **must**: CRPS below persistence_dressed | 3 / 3 |  |" in text
    assert "| CRPS below rwrp to 6 h | 0 / 3 | t2m all |" in text
    assert "| FSS of rain above rwrp to 6 h | 1 / 2 | tp01>=1 mm, 5 points 2 h |" in text
    assert "| power over truth's 0.7 to 1.3, all octaves over 10 km | 1 / 2 | t2m 20-10 km |" in text
    assert "| spread / error 0.8 to 1.2 from 2 h | 2 / 2 |  |" in text
    assert "extrapolation" not in text, "no comparison with what the scorecard has not"
    observed = scorecard() | {"strata": {"regime": {"all": {"cycles": 40}}}}
    assert "Regimes are not named where truth is observed." in record(observed)


def test_sections_are_put_once_before_the_limits(data, tmp_path: Path):
    package, found = save(untrained(data, 0.01), tmp_path / "package"), tmp_path / "scorecard.json"
    found.write_text(json.dumps(scorecard() | {"package": "demo 1.0.0 (0123456789ab)"}))
    with pytest.raises(BadInput, match=rf"scores demo 1\.0\.0 \(0123456789ab\); .* digest {package.digest[:12]}"):
        write_record(tmp_path / "package", found)
    found.write_text(json.dumps(scorecard() | {"package": f"demo 1.0.0 ({package.digest[:12]})"}))
    with pytest.raises(BadInput, match="there is no model card"):
        write_record(tmp_path / "package", found)
    card = tmp_path / "package" / "README.md"
    card.write_text("# demo\n\nWords.\n\n## Limits\n\n- few\n\n## Licence\n\nApache-2.0\n")
    put_section(tmp_path / "package", "Record, truth simulated", ["old"])
    assert write_record(tmp_path / "package", found) == card
    told = "\n".join(record(scorecard()))
    assert card.read_text() == (
        f"# demo\n\nWords.\n\n## Record, truth simulated\n\n{told}\n\n## Limits\n\n- few\n\n## Licence\n\nApache-2.0\n"
    )
