"""Form the products and summarise them on the run's page."""

from __future__ import annotations

from stormcast_tw.inputs.prepare import observed_rain, rain_files
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import load_invariants
from stormcast_tw.plan import Plan
from stormcast_tw.products import summarise
from stormcast_tw.publication import catalogue
from stormcast_tw.publication.beside import Beside, in_tenths
from stormcast_tw.schema import labels
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import artifact_key, show_table
from stormcast_tw.tasks.policy import task_under


@task_under("products")
def make_products(request: Request, fetched: tuple[Artifact, ...], plan: Plan, forecast: Artifact) -> Artifact:
    """Return the products of a forecast, with the rain observed before; sealed ones are returned as they are."""
    store = Store(settings().work_root)
    artifact = catalogue.make_products(store, forecast, request.now, _beside(store, request, fetched))
    words = labels(simulated=artifact.simulated, trained=artifact.trained)
    rows = summarise(store.open(artifact, "products").load())
    show_table(rows, artifact_key("products", plan.cycle), f"{words}Products of {plan.cycle}")
    return artifact


def _beside(store: Store, request: Request, fetched: tuple[Artifact, ...]) -> Beside:
    observed = observed_rain(store, request, fetched)
    orography = load_invariants(request.package, request.description)["orog"]
    if observed is None:
        return Beside(orography=orography)
    return Beside(in_tenths(observed), rain_files(fetched), orography)
