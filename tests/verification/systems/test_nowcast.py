"""Rain that is carried along lands where mathematics says."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest

from stormcast_tw.errors import Refused
from stormcast_tw.verification.systems import nowcast

pytestmark = pytest.mark.usefixtures("pysteps")

SHAPE = (96, 80)
Y, X = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")


def blob(y: float, x: float, width: float = 6.0, peak: float = 12.0) -> np.ndarray:
    return (peak * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / (2 * width**2))).astype(np.float32)


def centre(field: np.ndarray) -> tuple[float, float]:
    return float((Y * field).sum() / field.sum()), float((X * field).sum() / field.sum())


def test_a_blob_in_a_uniform_flow_is_displaced_and_nothing_else():
    velocity = np.stack([np.full(SHAPE, 3.5), np.full(SHAPE, -2.25)])
    found = nowcast.extrapolation(blob(60, 20), velocity, 6)
    assert found.shape == (6, *SHAPE)
    for lead in range(1, 7):
        expected = blob(60 - 2.25 * lead, 20 + 3.5 * lead)
        np.testing.assert_allclose(found[lead - 1], expected, atol=0.08)  # bilinear takes 0.5 % off the peak


def test_a_turning_flow_turns_the_blob_about_the_centre():
    """Solid rotation by 10 degrees an hour: after nine hours a blob north of the centre lies west of it."""
    rate, middle = np.radians(10.0), 40.0
    velocity = np.stack([-rate * (Y - middle), rate * (X - middle)]).astype(np.float64)
    found = nowcast.extrapolation(blob(middle + 20, middle, width=4.0), velocity, 9)
    y, x = centre(found[-1])
    assert (y, x) == pytest.approx((middle, middle - 20), abs=0.5)


def test_what_comes_from_outside_is_the_rain_at_the_edge():
    rain = np.repeat(np.linspace(0, 4, SHAPE[0], dtype=np.float32)[:, None], SHAPE[1], axis=1)
    eastward = np.stack([np.full(SHAPE, 10.0), np.zeros(SHAPE)])
    np.testing.assert_allclose(nowcast.extrapolation(rain, eastward, 12)[-1], rain, atol=1e-5)


def test_motion_is_found_in_maps_and_the_blob_lands_where_it_goes():
    hourly = np.stack([blob(60, 20), blob(57, 26), blob(54, 32)])
    velocity = nowcast.motion(hourly, km_per_cell=2.0)
    found = nowcast.extrapolation(hourly[-1], velocity, 3)
    assert centre(found[2]) == pytest.approx((45, 50), abs=1.5)


def test_unobserved_cells_do_not_pull_the_motion():
    hourly = np.stack([blob(60, 20), blob(57, 26), blob(54, 32)])
    hourly[:, :, 60:] = np.nan
    velocity = nowcast.motion(hourly, km_per_cell=2.0)
    assert np.isfinite(velocity).all()
    np.testing.assert_allclose(velocity[:, 50:58, 28:36].mean(axis=(1, 2)), (6.0, -3.0), atol=1.0)


def test_nothing_moves_where_hardly_anything_rains():
    nearly_dry = np.zeros((3, *SHAPE), np.float32)
    nearly_dry[:, 10:13, 10:13] = 3.0
    assert not nowcast.motion(nearly_dry, km_per_cell=2.0).any()


def test_no_motion_is_faster_than_a_typhoon_band(monkeypatch: pytest.MonkeyPatch):
    class Wild:
        @staticmethod
        def vet(rain: np.ndarray, verbose: bool) -> np.ndarray:
            return np.stack([np.full(SHAPE, 300.0), np.full(SHAPE, -400.0)])

    monkeypatch.setattr(nowcast, "_pysteps", lambda _: Wild)
    velocity = nowcast.motion(np.stack([blob(50, 40)] * 3), km_per_cell=2.0)
    np.testing.assert_allclose(velocity[0], 0.6 * nowcast.FASTEST_KM_PER_HOUR / 2.0)
    np.testing.assert_allclose(velocity[1], -0.8 * nowcast.FASTEST_KM_PER_HOUR / 2.0)


def test_steps_is_an_ensemble_of_its_seed():
    hourly = np.stack([blob(60, 20, 12.0), blob(58, 24, 12.0), blob(56, 28, 12.0)])
    velocity = np.stack([np.full(SHAPE, 4.0), np.full(SHAPE, -2.0)])
    first, again, other = (nowcast.steps(hourly, velocity, 2, 3, seed, 2.0) for seed in (5, 5, 6))
    assert first.shape == (3, 2, *SHAPE)
    assert np.isfinite(first).all()
    assert first.min() == 0.0
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.5
    assert np.abs(first[0] - first[1]).max() > 0.5
    wet = first[first > 0]
    assert wet.min() >= nowcast.THRESHOLD_MM * 0.999
    y, x = centre(first[:, 0].mean(axis=0))
    assert (y, x) == pytest.approx((54, 32), abs=4.0)


def test_steps_of_dry_maps_is_dry():
    dry = np.zeros((3, *SHAPE), np.float32)
    assert not nowcast.steps(dry, np.zeros((2, *SHAPE)), 2, 3, 0, 2.0).any()


def test_without_pysteps_the_cure_is_named(monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(Refused, match=r"need pysteps: pip install 'stormcast-tw\[rain\]'"):
        nowcast.extrapolation(blob(50, 40), np.zeros((2, *SHAPE)), 1)


def test_pysteps_is_imported_late_and_says_nothing():
    script = (
        "import sys, numpy as np\n"
        "from stormcast_tw.verification.systems import nowcast\n"
        "assert 'pysteps' not in sys.modules\n"
        "nowcast.extrapolation(np.ones((8, 8), np.float32), np.zeros((2, 8, 8)), 1)\n"
        "assert 'pysteps' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    assert (done.stdout, done.stderr) == ("", "")
