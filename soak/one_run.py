"""The chain of one forecast in a process of its own, to be killed: `python -m soak.one_run < job.json`.

It rolls out in a child process of its own as a flow does, forms the products, publishes them below the published root,
and says on standard output what it begins.
"""

from __future__ import annotations

import sys

from stormcast_tw.forecast.job import RolloutJob
from stormcast_tw.forecast.process import Patience, run_in_child
from stormcast_tw.publication import catalogue
from stormcast_tw.settings import settings
from stormcast_tw.storage.store import Store


def main() -> None:
    job = RolloutJob.model_validate_json(sys.stdin.read())
    work, published = Store(job.work_root), Store(settings().published_root)
    print("rollout", flush=True)
    forecast = run_in_child(job, Patience(600, 600), lambda _: None)
    print("products", flush=True)
    products = catalogue.make_products(work, forecast, job.now)
    print("publish", flush=True)
    catalogue.publish(published, work, forecast, products, job.now)
    print("done", flush=True)


if __name__ == "__main__":
    main()
