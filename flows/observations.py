"""Every ten minutes: archive documents that a provider overwrites in place."""

from __future__ import annotations

from prefect import flow

from stormcast_tw.tasks.observations import keep_open_data
from stormcast_tw.tasks.page import report_failure


@flow(name="observations", on_failure=[report_failure], on_crashed=[report_failure])
def observations() -> dict[str, str]:
    """Archive the radar rain and reflectivity that CWA's open data hold now; return the outcome of each key."""
    return {key: keep_open_data(key) for key in ("Observation/O-B0045-001.json", "Observation/O-A0059-001.json")}
