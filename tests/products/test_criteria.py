"""The classes that people are warned by, and the words for what is forecast of them."""

import numpy as np
import pytest

from stormcast_tw.products.hazards import CHANCES, SHOWN, chance, judged_quantities, sentence
from stormcast_tw.products.surface import BEAUFORT_LIMITS
from stormcast_tw.products.table import QUANTITIES
from stormcast_tw.regions.region import Criterion, Text
from stormcast_tw.regions.taiwan.criteria import CRITERIA
from stormcast_tw.regions.taiwan.thresholds import HAZARDS
from tests.products.by_hand import forecast


def test_the_table():
    """As CWA publishes them: mm by hours, Beaufort force of the mean wind, degrees Celsius."""
    shown = {c.id: (c.name.zh, float(SHOWN[c.units](c.threshold)), c.rank) for c in CRITERIA}
    assert shown == {
        "tp24_500": ("超大豪雨", 500, 4), "tp24_350": ("大豪雨", 350, 3), "tp03_200": ("大豪雨", 200, 3),
        "tp24_200": ("豪雨", 200, 2), "tp03_100": ("豪雨", 100, 2),
        "tp24_80": ("大雨", 80, 1), "tp01_40": ("大雨", 40, 1),
        "wind_speed_12": ("強風紅色燈號", 32.7, 3), "wind_speed_9": ("強風橙色燈號", 20.8, 2),
        "wind_speed_6": ("強風黃色燈號", 10.8, 1), "t2m_heat_38": ("高溫橙色燈號", 38, 2),
        "t2m_heat_36": ("高溫黃色燈號", 36, 1), "t2m_cold_6": ("低溫橙色燈號", 6, 2),
        "t2m_cold_10": ("低溫黃色燈號", 10, 1),
    }  # fmt: skip
    assert [c.rank for c in CRITERIA] == sorted((c.rank for c in CRITERIA), reverse=True)
    winds = {c.id: c.threshold for c in CRITERIA if c.kind == "wind"}
    assert winds == {f"wind_speed_{force}": BEAUFORT_LIMITS[force - 1] for force in (12, 9, 6)}


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.id)
def test_a_criterion(criterion: Criterion):
    """Its unit is the quantity's; what a forecast alone judges has a point probability too; words say what counts."""
    if criterion.quantity in QUANTITIES:
        assert QUANTITIES[criterion.quantity].attributes["units"] == criterion.units
        thresholds = [h.thresholds for h in HAZARDS if (h.quantity, h.side) == (criterion.quantity, criterion.side)]
        assert criterion.threshold in thresholds[0]
    assert (criterion.ground_below == 500) == (criterion.kind in ("heat", "cold"))
    number = criterion.id.split("_")[-1]
    for words in (criterion.reaches, sentence(criterion, Text("花蓮縣", "Hualien County"), 4, 16)):
        assert number in words.zh
        assert number in words.en
        assert criterion.name.zh in words.zh
        assert criterion.name.zh in words.en or criterion.name.en in words.en
    every = [t for t in (criterion.name, criterion.reaches, criterion.judged, criterion.not_judged) if t is not None]
    for words in every:
        assert not any(word in words.zh for word in ("特報", "警報", "警戒", "台"))
        assert not any(word in words.en.lower() for word in ("warning", "advisory", "alert"))
    if criterion.kind == "wind":
        assert "陣風" in criterion.not_judged.zh, "the gust clause is on every row"
        assert "gusts" in criterion.not_judged.en


def test_words_of_chances():
    assert [chance(hits, 10).en for hits in (0, 2, 3, 7, 8, 10)] == ["low", "low", "medium", "medium", "high", "high"]
    assert [chance(4, 16).zh, chance(5, 16).zh, chance(12, 16).zh] == ["低", "中", "高"]
    assert [until for until, _ in CHANCES] == [0.3, 0.7, 1.0]


def test_a_sentence():
    (heavy,) = (c for c in CRITERIA if c.id == "tp01_40")
    made = sentence(heavy, Text("花蓮縣", "Hualien County"), 4, 16)
    assert made.zh == "花蓮縣：16個成員中有4個達大雨的1小時準則（40毫米以上），可能性低"
    assert made.en == (
        "Hualien County: 4 of 16 members; chance low: reaches the 1-h criterion of 大雨 (heavy rain): 40 mm or more"
    )


def test_values_as_people_read_them():
    assert SHOWN["K"](np.array([273.15, 273.11, 310.17])).tolist() == [0, 0, 37.0]
    assert not np.signbit(SHOWN["K"](273.11)), "zero has no sign"
    assert SHOWN["kg m-2"]([99.94, 99.96, 123.6, 350.4]).tolist() == [99.9, 100, 124, 350]
    assert [SHOWN[units].unit for units in ("kg m-2", "m s-1", "K")] == ["mm", "m/s", "°C"]


def test_what_a_forecast_alone_has():
    made = judged_quantities(forecast(4, tp01=[[40, 30, 30, 1]] * 2), CRITERIA)
    assert set(made) == {"tp01", "tp03", "wind_speed", "t2m"}, "24 hours are longer than the forecast"
    assert made["tp03"].isel(member=0, latitude=0, longitude=0).values.tolist() == [100, 61]
    assert set(judged_quantities(forecast(2), CRITERIA)) == {"tp01", "wind_speed", "t2m"}
