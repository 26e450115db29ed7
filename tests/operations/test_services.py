"""The services of a host, as supervisord is told; tests/deployments starts and ends them."""

from __future__ import annotations

import configparser
from pathlib import Path

from stormcast_tw.operations.services import Host, configuration, process_of, services, stop
from stormcast_tw.settings import Settings


def test_what_supervisord_is_told(tmp_path: Path):
    host = Host(tmp_path, 4200, postgres=False, database="postgresql+asyncpg://db/prefect")
    asked = {
        "STORMCAST_TW_S3_SECRET": '50%"odd',
        "PATH": "/bin",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql",
    }
    wanted = services(host, Settings(), asked)
    assert [service.name for service in wanted] == ["server", "deploy", "worker", "clock"]
    assert host.alarms_work
    assert not Host(tmp_path, 4200, postgres=False).alarms_work
    told = configparser.RawConfigParser()
    told.read_string(configuration(host, wanted))
    server = told["program:server"]
    assert "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE" in server["environment"], "leases outlive the server"
    assert 'STORMCAST_TW_S3_SECRET="50%%\\"odd"' in server["environment"]
    assert "PATH" not in server["environment"]
    assert {told[f"program:{name}"]["autorestart"] for name in ("server", "worker", "clock")} == {"true"}
    assert told["program:deploy"]["autorestart"] == "unexpected", "until it has succeeded"


def test_nothing_is_up(tmp_path: Path):
    (tmp_path / "supervisord.pid").write_text("1")  # of another process by now
    assert process_of(tmp_path) is None
    assert not stop(tmp_path)
