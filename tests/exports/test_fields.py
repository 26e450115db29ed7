"""One field at a time: its name, its kind, and numbers that come back within half a step."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stormcast_tw.errors import BadInput
from stormcast_tw.exports.fields import KINDS, fields, shown
from stormcast_tw.products import make_products
from tests.products.by_hand import random_forecast

RANGES = {
    "rain": (0, 1500), "rain_hours": (0, 10_000), "rain_day": (0, 30_000), "temperature": (220, 330),
    "difference": (0, 40), "wind": (0, 130), "direction": (0, 360), "probability": (0, 1), "hours": (0, 24),
    "class": (0, 12),
}  # fmt: skip


def test_names_are_of_products_quantiles_and_thresholds_in_the_units_of_people():
    made = make_products(random_forecast(members=3))
    names = [field.name for field in fields(made)]
    assert len(set(names)) == len(names)
    assert {"tp01_mean", "tp01_quantile_p90", "tp01_probability_40", "wind_speed_probability_6", "beaufort_mean",
            "wind_speed_probability_12", "t2m_heat_probability_36", "t2m_cold_probability_6"} <= set(names)  # fmt: skip
    by_name = {field.name: field for field in fields(made)}
    forty = by_name["tp01_probability_40"]
    assert (forty.product, forty.at) == ("tp01_probability", {"tp01_threshold": 40.0})
    assert forty.long_name == "probability of rain in the past hour at or above a threshold 40 mm"
    xr.testing.assert_equal(forty.values, made["tp01_probability"].sel(tp01_threshold=40))
    kinds = {"t2m_mean": "temperature", "t2m_spread": "difference", "tp01_pmm": "rain", "tp03_pmm": "rain_hours",
             "tp12_pmm": "rain_day", "beaufort_mean": "class", "tp01_probability_1": "probability"}  # fmt: skip
    assert {name: by_name[name].kind.name for name in kinds} == kinds


def test_a_field_of_all_leads_together_and_its_hours():
    threshold = ("tp01_threshold", [40.0], {"units": "kg m-2"})
    onset = xr.DataArray(np.full((1, 2, 2), 5, np.float32), dims=("tp01_threshold", "latitude", "longitude"),
                         coords={"tp01_threshold": threshold}, attrs={"units": "h", "long_name": "onset"})  # fmt: skip
    (field,) = fields(xr.Dataset({"tp01_onset": onset}))
    assert (field.name, field.has_leads, field.kind.name) == ("tp01_onset_40", False, "hours")


@pytest.mark.parametrize(
    ("number", "units", "expected"),
    [(309.15, "K", (36.0, "°C")), (10.8, "m s-1", (6.0, "Beaufort")), (11.0, "m s-1", (11.0, "m/s")),
     (350.0, "kg m-2", (350.0, "mm"))],
)  # fmt: skip
def test_thresholds_as_people_say_them(number: float, units: str, expected: tuple[float, str]):
    assert shown(number, units) == expected


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(sorted(KINDS)))
def test_what_is_packed_is_off_by_at_most_half_a_step(data: st.DataObject, name: str):
    kind = KINDS[name]
    elements = st.floats(*RANGES[name], width=32) | st.just(np.nan)
    values = data.draw(arrays.arrays(np.float32, 12, elements=elements))
    packed = kind.packed(values, name)
    assert packed.dtype == kind.dtype
    np.testing.assert_array_equal(packed == kind.fill, np.isnan(values))
    there = ~np.isnan(values)
    error = np.abs(packed[there] * kind.scale + kind.offset - values[there].astype(float))
    assert (error <= kind.scale / 2 * (1 + 1e-9) + 1e-12).all()


def test_what_does_not_fit_is_refused():
    assert KINDS["rain"].packed(np.array([3276.7]), "x").tolist() == [32767]
    with pytest.raises(BadInput, match=r"tp24: 3276.8 does not fit into int16; allowed -3276.7 to 3276.7 kg m-2"):
        KINDS["rain"].packed(np.array([1.0, 3276.8]), "tp24")
    with pytest.raises(BadInput, match="far: inf does not fit"):
        KINDS["wind"].packed(np.array([np.inf]), "far")
    with pytest.raises(BadInput, match="flag: 255 does not fit into uint8; allowed 0 to 254"):
        KINDS["class"].packed(np.array([255]), "flag")
    with pytest.raises(BadInput, match=r"depth: units 'furlong' cannot be packed; allowed kg m-2, K"):
        list(fields(xr.Dataset({"depth": (("y", "x"), np.zeros((2, 2)), {"units": "furlong"})})))
