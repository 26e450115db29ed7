"""The classes that people in Taiwan are warned by, a row for each criterion that hours of forecast can judge.

Rain, by CWA's classes of 24-hour rain and of shorter clauses (2021): 大雨, 豪雨, 大豪雨, 超大豪雨. Wind, heat and cold,
by CWA's yellow, orange and red lights (wind since 2025-12-01). Ranks across kinds are ours: the four classes of rain,
and of lights yellow beside 大雨, orange beside 豪雨, red beside 大豪雨. What needs days is in no row: the red lights of
heat (38 °C on 3 days) and of cold (6 °C or less for 24 hours).
"""

from __future__ import annotations

from collections.abc import Iterator

from stormcast_tw.regions.region import Criterion, Kind, Side, Text

_ZERO_CELSIUS = 273.15

PLAINS = 500.0
"""Metres. Heat and cold are told of the plains; mountains reach the criteria of cold on most days of the year."""

_RAIN = (
    # rank, class, hours, mm
    (4, Text("超大豪雨", "extremely torrential rain"), ((24, 500),)),
    (3, Text("大豪雨", "torrential rain"), ((24, 350), (3, 200))),
    (2, Text("豪雨", "extremely heavy rain"), ((24, 200), (3, 100))),
    (1, Text("大雨", "heavy rain"), ((24, 80), (1, 40))),
)

_WIND = (
    # rank, class, Beaufort force of the mean wind and its lower limit in m s-1, force of the gust
    (3, Text("強風紅色燈號", "strong wind, red light"), 12, 32.7, 14),
    (2, Text("強風橙色燈號", "strong wind, orange light"), 9, 20.8, 11),
    (1, Text("強風黃色燈號", "strong wind, yellow light"), 6, 10.8, 8),
)

_TEMPERATURE: tuple[tuple[Kind, Side, int, Text, int, Text | None], ...] = (
    ("heat", "at or above", 2, Text("高溫橙色燈號", "heat, orange light"), 38,
     Text("連續3日36°C以上（橙色）或38°C以上（紅色）的準則不判斷",
          "not judged: 36 °C or more (orange) or 38 °C or more (red) on 3 days")),
    ("heat", "at or above", 1, Text("高溫黃色燈號", "heat, yellow light"), 36, None),
    ("cold", "at or below", 2, Text("低溫橙色燈號", "cold, orange light"), 6,
     Text("10°C以下且連續24小時12°C以下（橙色）或連續24小時6°C以下（紅色）的準則不判斷",
          "not judged: 10 °C or less and 24 hours at 12 °C or less (orange), or at 6 °C or less (red)")),
    ("cold", "at or below", 1, Text("低溫黃色燈號", "cold, yellow light"), 10, None),
)  # fmt: skip


def _rain() -> Iterator[Criterion]:
    for rank, name, clauses in _RAIN:
        for hours, mm in clauses:
            judged = Text("預報各整點的前1小時雨量", "rain of the hour before each hour of the forecast")
            if hours > 1:
                judged = Text(
                    f"預報各整點的前{hours}小時雨量，預報開始前的時段用觀測雨量；觀測不足時為下限或不判斷",
                    f"rain of the {hours} hours before each hour of the forecast, observed where they begin before it;"
                    " where observations are missing a lower bound, or not judged",
                )
            yield Criterion(
                id=f"tp{hours:02d}_{mm}", kind="rain", quantity=f"tp{hours:02d}", hours=hours, threshold=float(mm),
                units="kg m-2", side="at or above", rank=rank, name=name, judged=judged,
                reaches=Text(f"達{name.zh}的{hours}小時準則（{mm}毫米以上）",
                             f"reaches the {hours}-h criterion of {name.zh} ({name.en}): {mm} mm or more"),
            )  # fmt: skip


def _wind() -> Iterator[Criterion]:
    for rank, name, force, speed, gust in _WIND:
        yield Criterion(
            id=f"wind_speed_{force}", kind="wind", quantity="wind_speed", hours=0, threshold=speed, units="m s-1",
            side="at or above", rank=rank, name=name,
            reaches=Text(f"達{name.zh}的平均風準則（{force}級以上）",
                         f"reaches the mean-wind criterion of {name.zh} ({name.en}): Beaufort {force} or more"),
            judged=Text("陸地格點各整點的10公尺風，代替平均風：為下限",
                        "10 m wind on land cells at each full hour, in place of the mean wind: a lower bound"),
            not_judged=Text(f"陣風{gust}級以上的準則不判斷：模式沒有陣風",
                            f"not judged: gusts of Beaufort {gust} or more, which the model does not forecast"),
        )  # fmt: skip


def _temperature() -> Iterator[Criterion]:
    for kind, side, rank, name, celsius, not_judged in _TEMPERATURE:
        zh, en = ("以上", "more") if side == "at or above" else ("以下", "less")
        yield Criterion(
            id=f"t2m_{kind}_{celsius}", kind=kind, quantity="t2m", hours=0, threshold=celsius + _ZERO_CELSIUS,
            units="K", side=side, rank=rank, name=name, not_judged=not_judged, ground_below=PLAINS,
            reaches=Text(f"達{name.zh}的{celsius}°C準則（{celsius}°C{zh}）",
                         f"reaches the {celsius} °C criterion of {name.zh} ({name.en}): {celsius} °C or {en}"),
            judged=Text(f"海拔{PLAINS:.0f}公尺以下格點各整點的2公尺氣溫",
                        f"2 m temperature at each full hour, on cells below {PLAINS:.0f} m"),
        )  # fmt: skip


CRITERIA = tuple(sorted((*_rain(), *_wind(), *_temperature()), key=lambda criterion: -criterion.rank))
"""Every criterion, from the most severe class to the mildest; of one rank rain, wind, heat, cold."""
