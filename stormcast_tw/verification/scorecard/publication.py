"""Publish the scorecard where readers look: `published/<experiment>/verification/<truth>/<name>/scorecard.{html,json}`.

Beside it `records.json` lists the records it is made from; with the same records nothing is drawn again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import numpy as np
import xarray as xr

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.products.ensemble import probability_matched_mean
from stormcast_tw.publication.catalogue import plan_of
from stormcast_tw.publication.pointers import PUBLISHED
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.verification.record import Bench, Record, run_of, statistics_of
from stormcast_tw.verification.scorecard.page import (
    CycleMaps,
    Panel,
    best_and_worst,
    scorecard,
    scorecard_html,
    scorecard_json,
)
from stormcast_tw.verification.systems.pairs import FORECAST

LATEST = "latest"
"""Name of the scorecard that is redrawn every day."""


def folder(bench: Bench, experiment: str, name: str) -> str:
    """Return the path of the scorecard of this name below the root of the published store."""
    return f"{PUBLISHED}/{experiment}/verification/{bench.truth.kind}/{name}"


def publish_scorecard(
    bench: Bench, experiment: str, name: str, package: str, records: Mapping[str, Artifact], now: datetime
) -> str | None:
    """Draw the scorecard of these records, given by cycle, and return its address; None without records.

    `package` names the scored package. The best and worst cycle are shown as maps if their truth can still be read.
    """
    if not records:
        return None
    where, objects = folder(bench, experiment, name), bench.published.objects
    address = f"{bench.published.root}/{where}/scorecard.html"
    listed = json.dumps({"records": [str(record.address) for record in records.values()]}, indent=1).encode()
    before = objects.read(f"{where}/records.json")
    if before is not None and before.data == listed:
        return address
    cycles = [statistics_of(bench.published, record) for record in records.values()]
    card = scorecard(
        cycles,
        package=package,
        truth=bench.truth.name,
        simulated=any(record.simulated for record in records.values()),
        trained=all(record.trained is not False for record in records.values()),
    )
    objects.replace(f"{where}/scorecard.json", scorecard_json(card).encode())
    objects.replace(f"{where}/scorecard.html", scorecard_html(card, _maps(bench, records, cycles, now)).encode())
    objects.replace(f"{where}/records.json", listed)
    return address


def _maps(
    bench: Bench, records: Mapping[str, Artifact], cycles: Sequence[xr.Dataset], now: datetime
) -> list[CycleMaps]:
    """Return the maps of the best and the worst cycle, without those whose truth can no longer be read."""
    maps = []
    kinds: tuple[Literal["best", "worst"], ...] = ("best", "worst")
    for which, cycle in zip(kinds, best_and_worst(cycles), strict=True):
        try:
            maps.append(_maps_of(bench, records[cycle], which, now))
        except (NotReady, BadInput) as error:
            bench.report(f"no maps of the {which} cycle {cycle}: {error}")
    return maps


def _maps_of(bench: Bench, record: Artifact, which: Literal["best", "worst"], now: datetime) -> CycleMaps:
    """Return forecast and truth side by side at the lead at which it rained most."""
    run, cycle = run_of(bench.published, record), Cycle.parse(record.address.cycle)
    lead_hours = plan_of(run).lead_hours
    truth = bench.truth.surface(cycle, lead_hours, Grid.parse(run.grid), now)
    wettest = int(np.argmax(truth["tp01"].mean(truth["tp01"].dims[1:]).values))
    forecast = bench.published.open(run, FORECAST).isel(lead_time=[wettest]).load()
    observed = truth.isel(lead_time=wettest)
    mean = forecast.mean("member").isel(lead_time=0)
    panels = [
        Panel("雨量 rain: 預報 forecast (PMM)", "rain", probability_matched_mean(forecast["tp01"]).values[0]),
        Panel("雨量 rain: 真值 truth", "rain", observed["tp01"].values),
        Panel("風速 wind: 預報 forecast (mean)", "wind", np.hypot(mean["u10m"].values, mean["v10m"].values)),
        Panel("風速 wind: 真值 truth", "wind", np.hypot(observed["u10m"].values, observed["v10m"].values)),
        Panel("氣溫 temperature: 預報 forecast (mean)", "temperature", mean["t2m"].values),
        Panel("氣溫 temperature: 真值 truth", "temperature", observed["t2m"].values),
    ]
    valid_time = cycle.valid_time(wettest + 1)
    note = f"+{wettest + 1} h, {valid_time:%Y-%m-%d %H:%M} UTC, {Record.of(record).regime}"
    return CycleMaps(which, str(cycle), note, panels, bench.invariants["lsm"] >= 0.5)
