"""Other domains and longer forecasts: one constant, one package, the same flow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stormcast_tw.flows.operations import operations
from stormcast_tw.grid import EARTH_RADIUS_WRF, Grid
from stormcast_tw.model import package as packages
from stormcast_tw.model.untrained import untrained_package
from stormcast_tw.settings import settings
from stormcast_tw.simulation.cycle import simulate_cycle
from stormcast_tw.simulation.invariants import simulated_invariants
from stormcast_tw.storage.store import Store
from tests.conftest import CYCLE, NOW

pytestmark = pytest.mark.usefixtures("rollout_here")

NORTH_LAMBERT = Grid.from_axes(
    "NORTH_LAMBERT_3KM",
    np.arange(48) * 3000.0,
    np.arange(32) * 3000.0,
    {"proj": "lcc", "lat_1": 10.0, "lat_2": 40.0, "lat_0": 24.0, "lon_0": 121.0, "R": EARTH_RADIUS_WRF},
)
"""Another domain, spacing and projection: northern Taiwan, 3 km, Lambert."""


def test_second_grid_runs_from_one_constant_and_one_package(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "package"
    packages.save(untrained_package(NORTH_LAMBERT, simulated_invariants(NORTH_LAMBERT)), folder)
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(folder))
    settings.cache_clear()
    artifact = operations(cycle=str(CYCLE), lead_hours=2, members=2, now=NOW)
    forecast = Store(str(tmp_path / "published")).open(artifact, "forecast").load()
    assert forecast["t2m"].dims == ("member", "lead_time", "y", "x")
    assert Grid.of(forecast) == NORTH_LAMBERT
    assert forecast["crs"].attrs["grid_mapping_name"] == "lambert_conformal_conic"
    latitude, _ = NORTH_LAMBERT.latlon()
    np.testing.assert_allclose(forecast["latitude"].values, latitude)
    products = xr.open_dataset(f"{artifact.uri}/products.zarr")
    assert products["tp01_mean"].dims == ("lead_time", "y", "x")
    high = np.unravel_index(np.argmax(packages.load(folder).orography), NORTH_LAMBERT.shape)
    here = products["t2m_mean"].isel(lead_time=0)
    assert float(here[high]) < float(here.mean()) - 5, "mountains are where they should be: cold"


def test_a_day_ahead(inputs: Path, tmp_path: Path):
    simulate_cycle(CYCLE, str(inputs), lead_hours=24)
    artifact = operations(cycle=str(CYCLE), lead_hours=24, members=1, now=NOW)
    forecast = Store(str(tmp_path / "published")).open(artifact, "forecast").load()
    assert list(forecast["lead_time"].values / np.timedelta64(1, "h")) == list(range(1, 25))
    assert all(np.isfinite(forecast[name]).all() for name in ("t2m", "u10m", "v10m", "tp01"))
    assert forecast["valid_time"].values[-1] == np.datetime64("2026-06-12T06")
