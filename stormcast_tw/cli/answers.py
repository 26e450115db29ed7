"""`stormcast-tw at`, `hazards`, `difference`: a forecaster's questions, answered from what is published.

Texts are in Traditional Chinese and English, times by the clock of the region. No logic of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stormcast_tw.cli.options import CycleToRead, Experiment, Json, run_to_read
from stormcast_tw.cli.shown import here, print_result, print_table

if TYPE_CHECKING:
    from stormcast_tw.products.board import Row
    from stormcast_tw.publication.answers import Change, PlaceForecast
    from stormcast_tw.storage.artifact import Artifact

_WINDS = ("北 N", "東北 NE", "東 E", "東南 SE", "南 S", "西南 SW", "西 W", "西北 NW")
_RAIN_MM = (1.0, 10.0, 40.0)


def at(
    place: Annotated[str, typer.Argument(help="A name (蘭嶼, Lanyu), a code, or latitude,longitude.")],
    time: Annotated[
        str | None, typer.Argument(help="An hour by the clock of Taiwan, e.g. 15:00; by default all.")
    ] = None,
    experiment: Experiment = "demo",
    cycle: CycleToRead = None,
    as_json: Json = False,
) -> None:
    """What is forecast for a place: temperature, wind, rain and its chances; with an hour, what each member says."""
    from stormcast_tw.publication.answers import at_place

    store, run = run_to_read(experiment, cycle)
    found = at_place(store, run, place)
    leads = range(len(found.valid_times)) if time is None else [_lead_of(time, found)]
    if as_json:
        print_result("", _as_json(found, leads), True)
        return
    spot = found.spot
    typer.echo(f"{spot.zh} {spot.en} {spot.latitude:.2f} N {spot.longitude:.2f} E".strip())
    _say_run(run)
    if time is None:
        print_table(_HOUR_HEADS, (_hour_row(found, lead) for lead in leads))
        typer.echo(
            "10-50-90 %; 雨量及其機率為地區內任一點，其餘為該點 / rain: anywhere in the zone, the rest at the point"
        )
        return
    lead = leads[0]
    print_table(("", ""), _one_hour(found, lead), _taiwan(found.valid_times[lead]))
    print_table(_MEMBER_HEADS, _members(found, lead), "成員 / each member")


_HOUR_HEADS = ("時間", "氣溫 °C", "風 m/s", "風力", "雨 mm 最大", *(f"≥{mm:g} mm" for mm in _RAIN_MM))
_MEMBER_HEADS = ("", "°C", "m/s", "級 Bft", "風向", "mm", "地區最大 mm")


def _hour_row(found: PlaceForecast, lead: int) -> tuple[str, ...]:
    rain = found.rain if found.rain_in_zone is None else found.rain_in_zone
    chances = (f"{int((rain[:, lead] >= mm).sum())}/{len(rain)}" for mm in _RAIN_MM)
    speeds = found.speed[:, lead]
    return (
        _taiwan(found.valid_times[lead], "%d %H:%M"), _spread(found.temperature[:, lead] - 273.15), _spread(speeds),
        str(_force(_middle(speeds))), f"{float(rain[:, lead].max()):.1f}", *chances,
    )  # fmt: skip


def _one_hour(found: PlaceForecast, lead: int) -> Iterator[tuple[str, str]]:
    speed, u, v = found.speed[:, lead], float(found.u[:, lead].mean()), float(found.v[:, lead].mean())
    rain = found.rain[:, lead]
    yield "氣溫 temperature", f"{_spread(found.temperature[:, lead] - 273.15)} °C"
    yield "風 wind", f"{_spread(speed)} m/s, {_force(_middle(speed))} 級 Bft, {_direction(u, v)}"
    yield "雨量 rain of the hour", f"{_spread(rain)} mm, 最大 most {float(rain.max()):.1f} mm"
    if found.rain_in_zone is not None:
        zone = found.rain_in_zone[:, lead]
        text = ", ".join(f"≥{mm:g} mm {int((zone >= mm).sum())}/{len(zone)}" for mm in _RAIN_MM)
        yield "地區任一點 anywhere in it", f"{text}, 最大 most {float(zone.max()):.1f} mm"


def _members(found: PlaceForecast, lead: int) -> Iterator[tuple[str, ...]]:
    zone = found.rain_in_zone
    for m in range(len(found.rain)):
        speed = float(found.speed[m, lead])
        yield (
            str(m), f"{float(found.temperature[m, lead]) - 273.15:.1f}", f"{speed:.1f}", str(_force(speed)),
            _direction(float(found.u[m, lead]), float(found.v[m, lead])), f"{float(found.rain[m, lead]):.1f}",
            "" if zone is None else f"{float(zone[m, lead]):.1f}",
        )  # fmt: skip


def _as_json(found: PlaceForecast, leads: Any) -> dict[str, Any]:
    from stormcast_tw.cycle import to_datetime

    spot = found.spot
    fields = {"temperature_K": found.temperature, "u_m_s": found.u, "v_m_s": found.v, "rain_mm": found.rain,
              "highest_rain_in_zone_mm": found.rain_in_zone}  # fmt: skip
    listed = {name: values[:, list(leads)] for name, values in fields.items() if values is not None}
    return {
        "run": str(found.run.address), "simulated": found.run.simulated, "zh": spot.zh, "en": spot.en,
        "latitude": round(spot.latitude, 4), "longitude": round(spot.longitude, 4),
        "zone": None if spot.zone is None else spot.zone.code,
        "valid_time": [f"{to_datetime(found.valid_times[lead]):%Y-%m-%dT%H:%M:%SZ}" for lead in leads],
        "members": {name: values.round(3).tolist() for name, values in listed.items()},
    }  # fmt: skip


def hazards(
    zone: Annotated[str | None, typer.Option(help="Only of this county or township, and what is in it.")] = None,
    experiment: Experiment = "demo",
    cycle: CycleToRead = None,
    as_json: Json = False,
) -> None:
    """Which criteria are reached where, how likely and when: severest first. This is no warning."""
    import json

    from stormcast_tw.cycle import Cycle
    from stormcast_tw.errors import BadInput
    from stormcast_tw.products.board import unpacked
    from stormcast_tw.publication.views import BOARD

    store, run = run_to_read(experiment, cycle)
    board = json.loads(store.read(run, BOARD))
    zones = {entry["code"]: entry for entry in board["zones"]}
    wanted = None if zone is None else _codes(zone, zones)
    if wanted == set():
        raise BadInput(f"{zone}: no such zone; allowed: a name or a code of `zones.json`")
    found = [row for row in unpacked(board) if wanted is None or row.zone in wanted]
    if as_json:
        print_result("", [row.model_dump() for row in found], True)
        return
    _say_run(run)
    entries = {entry["id"]: entry for entry in board["hazards"]}
    start = Cycle.parse(run.address.cycle)
    if not found:
        typer.echo("未來12小時內，沒有任何地區達到準則 / no criterion is reached anywhere in the next hours")
    table = (_board_row(row, zones, entries[row.hazard], board["members"], start) for row in found)
    print_table(_BOARD_HEADS, table)
    for entry in {row.hazard: entries[row.hazard] for row in found}.values():
        if entry["not_judged"]:
            zh, en = entry["not_judged"]["zh"], entry["not_judged"]["en"]
            typer.echo(f"未判斷 / not judged, {entry['class']['zh']}: {zh} / {en}")
    outside = "、".join(entry["zh"] for entry in board["outside"] if entry["parent"] is None)
    typer.echo(f"範圍外 / outside: {outside}。此非警特報 / this is no warning")


_BOARD_HEADS = ("地區 zone", "等級 class", "準則", "成員", "起始 onset", "峰值 p50 p90", "")


def _board_row(row: Row, zones: Any, entry: Any, members: int, start: Any) -> tuple[str, ...]:
    place = zones[row.zone]
    parent = zones.get(place["parent"], {}).get("zh", "")
    onset = "" if row.onset is None else "-".join(here(start.valid_time(lead), "%H") for lead in row.onset)
    flags = " ".join(text for text, set_ in (("≥", row.at_least), ("已達", row.reached_before)) if set_)
    interval = f"{entry['hours']}h " if entry["hours"] else ""
    criterion = f"{interval}{entry['threshold']:g} {entry['unit']}"
    return (
        f"{parent}{place['zh']}", entry["class"]["zh"], criterion, f"{row.hits}/{members}",
        f"{onset} 時" if onset else "", f"{row.peak[1]:g} {row.peak[2]:g}", flags,
    )  # fmt: skip


def _codes(text: str, zones: Any) -> set[str]:
    wanted = text.strip().replace("台", "臺").casefold()
    named = {code for code, z in zones.items() if wanted in (code, z["zh"], z["zh"][:-1], z["en"].casefold())}
    return named | {code for code, z in zones.items() if z["parent"] in named}


def difference(
    experiment: Experiment = "demo",
    cycle: CycleToRead = None,
    as_json: Json = False,
) -> None:
    """How the latest forecast differs from the cycle before, by county, on the hours that both have."""
    from stormcast_tw.publication.answers import difference as compared
    from stormcast_tw.publication.answers import run_before
    from stormcast_tw.regions import HOME

    store, new = run_to_read(experiment, cycle)
    found = compared(store, new, run_before(store, experiment, new))
    names = {criterion.id: criterion for criterion in HOME.criteria}
    shown = [change for change in found.changes if change.zone.parent is None]
    if as_json:
        print_result("", [_change_json(change) for change in found.changes], True)
        return
    _say_run(new)
    span = f"{_taiwan(found.hours[0], '%m-%d %H:%M')} - {_taiwan(found.hours[-1], '%H:%M')}"
    counts = f"{found.members[0]} / {found.members[1]} 成員 members"
    typer.echo(f"對照 / against {found.old.address.cycle}; 共同時段 / hours of both: {span}; {counts}")
    rows = (_change_row(change, names[change.hazard].name.zh, found.members, new) for change in shown)
    print_table(("縣市 county", "等級", "準則", "本次", "前次", "起始", "峰值 p50"), rows)


def _change_row(change: Change, name: str, members: tuple[int, int], new: Artifact) -> tuple[str, ...]:
    from stormcast_tw.cycle import Cycle

    start = Cycle.parse(new.address.cycle)

    def onset(row: Row | None) -> str:
        return "-" if row is None or row.onset is None else here(start.valid_time(row.onset[1]), "%H")

    def peak(row: Row | None) -> str:
        return "-" if row is None else f"{row.peak[1]:g}"

    counts = (f"{0 if row is None else row.hits}/{m}" for row, m in zip((change.new, change.old), members, strict=True))
    then_now = f"{onset(change.old)}→{onset(change.new)}", f"{peak(change.old)}→{peak(change.new)}"
    return change.zone.zh, name, change.hazard, *counts, *then_now


def _change_json(change: Change) -> dict[str, Any]:
    rows = {name: None if row is None else row.model_dump() for name, row in (("new", change.new), ("old", change.old))}
    return {"zone": change.zone.code, "zh": change.zone.zh, "hazard": change.hazard, **rows}


def _say_run(run: Artifact) -> None:
    from stormcast_tw.cycle import Cycle

    cycle = Cycle.parse(run.address.cycle)
    marks = [
        mark
        for mark, is_set in (("模擬 SIMULATED", run.simulated), ("未訓練 UNTRAINED", run.trained is False))
        if is_set
    ]
    typer.echo(" ".join([*marks, f"起報 init {here(cycle.init_time)} ({cycle}), run {run.address.run}"]))
    rows = [row for row in run.details.get("inputs", ()) if row["status"].startswith(("degraded", "missing"))]
    for row in rows:
        typer.echo(f"輸入 / input {row['input']}: {row['status']}, {row['served by']}; {row['remark']}")
    if not rows:
        typer.echo("輸入資料齊全 / all inputs are ready")


def _lead_of(text: str, found: PlaceForecast) -> int:
    wanted = text.strip().removesuffix("時").replace("點", ":00")
    hours = [_taiwan(time, "%H:%M") for time in found.valid_times]
    full = wanted if ":" in wanted else f"{wanted}:00"
    full = full.zfill(5)
    if full not in hours:
        raise typer.BadParameter(f"{text!r}: allowed are hours of this forecast: {', '.join(hours)}", param_hint="TIME")
    return hours.index(full)


def _taiwan(time: Any, form: str = "%Y-%m-%d %H:%M") -> str:
    from stormcast_tw.cycle import to_datetime

    return here(to_datetime(time), form)


def _spread(values: Any) -> str:
    import numpy as np

    return " ".join(f"{x:.1f}" for x in np.quantile(values, (0.1, 0.5, 0.9)))


def _middle(values: Any) -> float:
    import numpy as np

    return float(np.median(values))


def _force(speed: float) -> int:
    from bisect import bisect_right

    from stormcast_tw.products.surface import BEAUFORT_LIMITS

    return bisect_right(BEAUFORT_LIMITS, speed)


def _direction(u: float, v: float) -> str:
    from math import atan2, degrees

    return _WINDS[round((270.0 - degrees(atan2(v, u))) % 360.0 / 45.0) % 8] if u or v else "-"
