from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from stormcast_tw.operations.timetable import OPERATIONS, Timetable

YAML = yaml.safe_load((Path(__file__).parents[2] / "deployments/prefect.yaml").read_text())


def test_schedule_starts_before_the_deadline_and_ends_before_the_next_cycle():
    assert OPERATIONS.latency < OPERATIONS.deadline < timedelta(hours=6)
    with pytest.raises(ValueError, match="do not ascend"):
        Timetable(latency=timedelta(minutes=30), deadline=timedelta(minutes=20), overdue=timedelta(hours=4))
    with pytest.raises(ValueError, match="do not ascend"):
        Timetable(latency=timedelta(minutes=30), deadline=timedelta(hours=6), overdue=timedelta(hours=7))


def test_deployment_has_the_cron_of_the_table():
    schedules = {d["name"]: d.get("schedules", []) for d in YAML["deployments"]}
    assert schedules["operations"] == [{"cron": OPERATIONS.cron, "timezone": "UTC", "slug": "six-hourly"}]
    assert OPERATIONS.cron == "15 0,6,12,18 * * *"
    assert schedules["backfill"] == []


@pytest.mark.parametrize(
    ("scheduled", "cycle"),
    [("2026-11-22T06:15", "20261122T06Z"), ("2026-11-22T06:14", "20261122T00Z"), ("2026-11-22T00:05", "20261121T18Z")],
)
def test_cycle_of_a_scheduled_start(scheduled: str, cycle: str):
    start = datetime.fromisoformat(scheduled).replace(tzinfo=UTC)
    assert str(OPERATIONS.cycle_of(start)) == cycle


def test_queues_keep_backfill_behind_operations():
    queues = {d["name"]: d["work_pool"] for d in YAML["deployments"]}
    assert queues["operations"]["work_queue_name"] == "operations"
    assert queues["backfill"]["work_queue_name"] == "backfill"
    assert queues["operations"]["name"] == queues["backfill"]["name"] == "stormcast"
