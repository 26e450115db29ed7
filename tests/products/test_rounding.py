"""Members as they are published: how far off, stated, and the same however often."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stormcast_tw.products.rounding import DIGITS, STEPS, rounded
from tests.products.by_hand import forecast, random_forecast

LARGEST = {"t2m": 0.03, "u10m": 0.01, "v10m": 0.01}
RANGES = {"K": (220.0, 330.0), "m s-1": (-90.0, 90.0), "kg m-2": (0.0, 300.0)}


@pytest.fixture(scope="module")
def members() -> xr.Dataset:
    return random_forecast()


def test_errors_are_at_most_what_was_promised_and_what_is_stated(members: xr.Dataset):
    made = rounded(members)
    for name, largest in LARGEST.items():
        error = float(np.abs(made[name] - members[name]).max())
        assert 0 < error <= made[name].attrs["rounding_error"] <= largest, name
        assert f"off by at most {made[name].attrs['rounding_error']:g}" in made[name].attrs["rounding"]
    wet = members["tp01"].values > 0
    share = np.abs(made["tp01"].values[wet] / members["tp01"].values[wet].astype(float) - 1).max()
    assert 0 < share <= made["tp01"].attrs["rounding_relative_error"] <= 0.001
    assert (made["tp01"].values[~wet] == 0).all(), "dry stays dry"
    assert all(made[name].dtype == np.float32 for name in made.data_vars)


def test_by_hand():
    made = rounded(forecast(1, t2m=[290.01, 290.02], u10m=[-0.001, 3.0], v10m=[0.0078, 0.0079], tp01=[0.05, 200.3]))
    first = {name: made[name].values[:, 0, 0, 0].tolist() for name in made.data_vars}
    assert first["t2m"] == [290.0, 290.03125]
    assert first["u10m"] == [0.0, 3.0]
    assert not np.signbit(made["u10m"].values).any(), "zero has no sign"
    assert first["v10m"] == [0.0, 0.015625]
    assert first["tp01"] == [0.04998779296875, 200.25]


@given(st.data(), st.sampled_from(sorted({**STEPS, **DIGITS})))
def test_what_is_rounded_stays_and_order_is_kept(data: st.DataObject, units: str):
    low, high = RANGES[units]
    values = data.draw(arrays.arrays(np.float32, 8, elements=st.floats(low, high, width=32, allow_subnormal=False)))
    once = rounded(xr.Dataset({"x": ("i", np.sort(values), {"units": units})}))
    xr.testing.assert_identical(rounded(once), once)
    assert (np.diff(once["x"].values) >= 0).all()
    bits = once["x"].values.view(np.uint32)
    assert (bits & 0x3FF == 0).all(), "at least ten digits of 24 are zero"


def test_the_forecast_is_left_and_other_units_pass(members: xr.Dataset):
    before = members.copy(deep=True)
    other = members.assign(sp=members["t2m"].assign_attrs(units="Pa"))
    xr.testing.assert_identical(rounded(other)["sp"], other["sp"])
    xr.testing.assert_identical(members, before)


def test_missing_and_infinite_values_stay():
    values = np.array([np.nan, np.inf, -np.inf], np.float32)
    for units in ("K", "kg m-2"):
        made = rounded(xr.Dataset({"x": ("i", values, {"units": units})}))
        np.testing.assert_array_equal(made["x"].values, values)
