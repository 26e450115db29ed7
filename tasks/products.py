"""Form the products and summarise them on the run's page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stormcast_tw.cycle import Cycle
from stormcast_tw.inputs.prepare import observed_rain, rain_files
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import load_invariants
from stormcast_tw.plan import Plan
from stormcast_tw.products import summarise
from stormcast_tw.products.board import unpacked
from stormcast_tw.publication import catalogue
from stormcast_tw.publication.beside import Beside, in_tenths
from stormcast_tw.publication.views import BOARD
from stormcast_tw.regions import HOME
from stormcast_tw.schema import labels
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import artifact_key, show_table
from stormcast_tw.tasks.policy import task_under

MOST_ROWS = 40
"""Of the board, on the page of a run; all are in `zones.json`."""


@task_under("products")
def make_products(request: Request, fetched: tuple[Artifact, ...], plan: Plan, forecast: Artifact) -> Artifact:
    """Return the products of a forecast, with the rain observed before; sealed ones are returned as they are."""
    store = Store(settings().work_root)
    artifact = catalogue.make_products(store, forecast, request.now, _beside(store, request, fetched))
    words = labels(simulated=artifact.simulated, trained=artifact.trained)
    rows = summarise(store.open(artifact, "products").load())
    show_table(rows, artifact_key("products", plan.cycle), f"{words}Products of {plan.cycle}")
    if BOARD in (store.files(artifact) or ()):
        content = json.loads(store.read(artifact, BOARD))
        title = (
            f"{words}Where criteria are reached, {plan.cycle}: members anywhere in the zone, beside the likeliest point"
        )
        show_table(_hazards(content, plan.cycle), artifact_key("hazards", plan.cycle), title)
    return artifact


def _hazards(board: dict[str, Any], cycle: Cycle) -> list[dict[str, str]]:
    """Return the board for people: the zone's probability and that of the likeliest point are two columns."""
    names, entries = (
        {entry[key]: entry for entry in board[what]} for what, key in (("zones", "code"), ("hazards", "id"))
    )
    members = board["members"]
    rows = [
        {
            "zone": f"{names[row.zone]['zh']} {names[row.zone]['en']}",
            "class": f"{entries[row.hazard]['class']['zh']} {entries[row.hazard]['class']['en']}",
            "criterion": entries[row.hazard]["criterion"]["en"],
            "in the zone": f"{row.hits} of {members}",
            "at a point": f"{row.point_hits} of {members}",
            "onset (Taiwan)": "" if row.onset is None else _hours(cycle, row.onset),
            "peak p50, p90": f"{row.peak[1]:g}, {row.peak[2]:g} {entries[row.hazard]['unit']}",
        }
        for row in unpacked(board)[:MOST_ROWS]
    ]
    return rows or [{"zone": "", "class": "no criterion is reached anywhere"}]


def _hours(cycle: Cycle, leads: Sequence[int]) -> str:
    return " to ".join(f"{cycle.valid_time(lead).astimezone(HOME.clock):%d %H:%M}" for lead in leads)


def _beside(store: Store, request: Request, fetched: tuple[Artifact, ...]) -> Beside:
    observed = observed_rain(store, request, fetched)
    orography = load_invariants(request.package, request.description)["orog"]
    if observed is None:
        return Beside(orography=orography)
    return Beside(in_tenths(observed), rain_files(fetched), orography)
