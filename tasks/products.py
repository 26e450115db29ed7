"""Form the products and summarise them on the run's page."""

from __future__ import annotations

from datetime import datetime

from stormcast_tw.plan import Plan
from stormcast_tw.products import summarise
from stormcast_tw.publication import catalogue
from stormcast_tw.schema import labels
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import artifact_key, show_table
from stormcast_tw.tasks.policy import task_under


@task_under("products")
def make_products(plan: Plan, forecast: Artifact, now: datetime) -> Artifact:
    """Return the products of a forecast; sealed ones are returned as they are."""
    store = Store(settings().work_root)
    artifact = catalogue.make_products(store, forecast, now)
    words = labels(simulated=artifact.simulated, trained=artifact.trained)
    rows = summarise(store.open(artifact, "products").load())
    show_table(rows, artifact_key("products", plan.cycle), f"{words}Products of {plan.cycle}")
    return artifact
