"""compose's services one by one as processes, with compose's settings: addresses and folders alone are others.

PostgreSQL, the Prefect server, `deploy`, a worker, the TLS proxy; the store with its bucket; then backup and restore
of the database that this has filled.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from stormcast_tw.operations.doctor import CHECKS
from stormcast_tw.settings import settings
from stormcast_tw.simulation.cycle import simulate_cycle
from stormcast_tw.storage.objects import objects
from tests.conftest import CYCLE
from tests.infra.system import PORTS, SECONDS, System, wait_for
from tests.infra.tools import INFRA, ROOT, SECRETS, compose, tool
from tests.servers import free_port, postgres_server, running

pytestmark = pytest.mark.timeout(1200)
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    folder = tmp_path_factory.mktemp("compose")
    for name in ("home/prefect", "store", "data/work", "backups"):
        (folder / name).mkdir(parents=True)
    system = System(folder, {}, {name: free_port() for name in PORTS})
    system.settings = json.loads(system.here(json.dumps(compose(folder, **SECRETS))))
    (folder / "identities.json").write_text(system.settings["configs"]["identities"]["content"])
    return system


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A PostgreSQL with an empty database `prefect`: libpq's variables."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as address:
        found = re.search(r"@([\d.]+):(\d+)/", address)
        assert found
        libpq = {"PGHOST": found[1], "PGPORT": found[2], "PGUSER": "prefect", "PGDATABASE": "prefect"}
        psql(libpq | {"PGDATABASE": "postgres"}, "CREATE DATABASE prefect")
        yield libpq


def psql(libpq: Mapping[str, str], command: str) -> str:
    """Run a statement."""
    done = subprocess.run(
        [tool("psql"), "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", f"--command={command}"],
        env=os.environ | libpq,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def served(system: System, database: dict[str, str]) -> Iterator[System]:
    """PostgreSQL, server and proxy are up, and what `deploy` does is done."""
    environment = system.settings["services"]["server"]["environment"]
    name = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
    assert environment[name] == f"postgresql+asyncpg://prefect:{SECRETS['POSTGRES_PASSWORD']}@postgres:5432/prefect"
    environment[name] = environment[name].replace("postgres:5432", f"127.0.0.1:{database['PGPORT']}")
    proxy = system.environment("proxy") | {
        "PAGE_PORT": str(system.ports["page"]),
        "STORE_PORT": str(system.ports["public_store"]),
        "CADDY_STORAGE": str(system.folder / "caddy"),
    }
    command = [tool("caddy"), "run", "--config", str(INFRA / "Caddyfile"), "--adapter", "caddyfile"]
    with system.up("server", "server"), running(command, system.ports["page"], proxy, seconds=SECONDS):
        wait_for("the server's database", lambda: system.healthy("server"))
        system.once("deploy")
        yield system


@pytest.fixture(scope="module")
def stored(system: System) -> Iterator[System]:
    """The store is up, and has its bucket."""
    apart = [f"-{part}.port{kind}={free_port()}" for part in ("master", "volume", "filer") for kind in ("", ".grpc")]
    with system.up("store", "store", f"-s3.port={system.ports['store']}", f"-s3.port.grpc={free_port()}", *apart):
        wait_for("the store's health", lambda: _healthy_store(system))
        wait_for("the bucket", lambda: _made(system))
        yield system


def test_the_server_wants_its_password_and_is_reached_by_tls_alone(served: System):
    assert served.ask("/api/health")[0] == 200
    assert served.ask("/api/deployments/filter", {})[0] == 401
    assert served.ask("/api/deployments/filter", {}, "operator:wrong")[0] == 401
    status, answer = served.ask("/api/deployments/filter", {}, SECRETS["PREFECT_AUTH"])
    assert status == 200
    wanted = {d["name"] for d in yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]}
    assert {deployment["name"] for deployment in json.loads(answer)} == wanted
    assert [served.ask(path)[0] for path in ("/docs", "/redoc", "/openapi.json")] == [404, 404, 404]
    assert served.ask("/api/metrics")[0] == 401
    assert b"# TYPE prefect_" in served.ask("/api/metrics", auth=SECRETS["PREFECT_AUTH"])[1]


def test_the_page_is_written_where_nobody_but_the_server_writes_and_asks_by_tls(served: System):
    assert b"<html" in served.ask("/")[1].lower()
    assert list((served.folder / "home/prefect/page").rglob("index.html"))
    assert json.loads(served.ask("/ui-settings")[1])["api_url"] == f"https://{SECRETS['SITE']}/api"


def test_events_pass_the_proxy_as_a_websocket(served: System):
    from websockets.sync.client import connect

    address = f"wss://localhost:{served.ports['page']}/api/events/out"
    said = {}
    for password in (SECRETS["PREFECT_AUTH"], "operator:wrong"):
        with connect(address, ssl=served.trust(), subprotocols=["prefect"], open_timeout=60) as socket:  # type: ignore[list-item]
            socket.send(json.dumps({"type": "auth", "token": password}))
            with contextlib.suppress(Exception):
                said[password] = json.loads(socket.recv(timeout=60))["type"]
    assert said == {SECRETS["PREFECT_AUTH"]: "auth_success"}


def test_leases_outlive_a_server(served: System):
    auth = SECRETS["PREFECT_AUTH"]
    assert served.ask("/api/v2/concurrency_limits/", {"name": "one-gpu", "limit": 1}, auth)[0] == 201
    wanted = {"names": ["one-gpu"], "slots": 1, "lease_duration": 60}
    status, answer = served.ask("/api/v2/concurrency_limits/increment-with-lease", wanted, auth)
    assert status == 200
    assert (served.folder / f"home/prefect/concurrency_leases/{json.loads(answer)['lease_id']}.json").exists()


def test_a_worker_publishes_a_cycle_and_stops_at_the_first_signal(
    served: System, stored: System, small_package_folder: Path
):
    """Prefect turns the first SIGTERM into SIGINT; where that is ignored, the worker polls on for ever."""
    service = served.settings["services"]["operations"]
    grace = sum(
        int(n) * {"m": 60, "s": 1}[unit] for n, unit in re.findall(r"(\d+)([ms])", service["stop_grace_period"])
    )
    simulate_cycle(CYCLE, str(served.folder / "data/inputs"), lead_hours=1)
    environment = served.environment("operations") | {"STORMCAST_TW_PACKAGE": str(small_package_folder)}
    worker = subprocess.Popen(
        served.command("operations"), env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        wait_for("its health", lambda: served.healthy("operations"))
        name = served.answer("/api/deployments/name/operations/operations")["id"]
        asked = {"parameters": {"cycle": str(CYCLE), "lead_hours": 1, "members": 2}}
        run = served.answer(f"/api/deployments/{name}/create_flow_run", asked)["id"]
        wait_for("the end of the run", lambda: served.answer(f"/api/flow_runs/{run}")["state_type"] in ENDED)
        assert served.answer(f"/api/flow_runs/{run}")["state_type"] == "COMPLETED"
        workers = served.answer("/api/work_pools/stormcast/workers/filter", {})
        assert [found["status"] for found in workers] == ["ONLINE"]
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(grace) == 0
        assert not served.healthy("operations")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
    assert "planted" not in json.dumps(served.answer("/api/logs/filter", {}))
    assert (
        json.loads(_read_by_tls(stored, "stormcast/published/demo/latest.json"))["init_time"] == "2026-06-11T06:00:00Z"
    )


def _read_by_tls(system: System, path: str) -> bytes:
    """Read from the store as a reader outside does: his own key, through the proxy."""
    import s3fs

    stated = system.environment("watch")
    store = s3fs.S3FileSystem(
        key=stated["STORMCAST_TW_S3_KEY"],
        secret=stated["STORMCAST_TW_S3_SECRET"],
        endpoint_url=f"https://localhost:{system.ports['public_store']}",
        client_kwargs={"verify": str(system.authority)},
    )
    return bytes(store.cat_file(path))


def test_the_store_honours_conditions_under_a_race_and_lets_readers_read(
    stored: System, monkeypatch: pytest.MonkeyPatch
):
    _settings_of(stored, "operations", monkeypatch)
    assert settings().published_root == "s3://stormcast"
    fine, found, _ = CHECKS["published root"](settings())
    assert fine, found
    with ThreadPoolExecutor(8) as pool:
        for key in map(str, range(10)):
            won = list(pool.map(lambda n, key=key: objects("s3://stormcast").create(key, bytes([n])), range(8)))
            assert won.count(True) == 1, "one creates it, and the others see that"
            seen = objects("s3://stormcast").read(key)
            assert seen
            assert seen.data == bytes([won.index(True)])

    _settings_of(stored, "watch", monkeypatch)
    assert objects("s3://stormcast").read("0")
    with pytest.raises(PermissionError):
        objects("s3://stormcast").create("forbidden", b"")


def _healthy_store(system: System) -> bool:
    """Ask as compose's health check asks."""
    address = system.settings["services"]["store"]["healthcheck"]["test"][-1]
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
        return bool(answer.status == 200)
    return False


def _made(system: System) -> bool:
    with contextlib.suppress(AssertionError):
        system.once("bucket")
        return True
    return False


def _settings_of(system: System, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in system.environment(service).items():
        if name.startswith("STORMCAST_TW_"):
            monkeypatch.setenv(name, value)
    settings.cache_clear()
    objects.cache_clear()
    settings()


def _rows(libpq: Mapping[str, str]) -> str:
    """Every table of a database and a checksum of its rows."""
    names = psql(libpq, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").split()
    of_each = (
        f"SELECT '{n}', count(*), md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM \"{n}\" t"
        for n in names
    )
    return psql(libpq, " UNION ALL ".join(of_each) + " ORDER BY 1")


def test_a_database_comes_back_as_it_was(served: System, database: dict[str, str]):
    folder = served.folder / "backups"
    old = [folder / f"prefect-2026010{day}T000000Z.dump" for day in (1, 2)]
    for path in old:
        path.touch()
    script = shlex.split(f"{INFRA / 'backup.sh'} {folder}")
    subprocess.run(script, env=os.environ | database | {"KEEP": "2"}, check=True, timeout=SECONDS)
    kept = sorted(folder.iterdir())
    assert kept[0] == old[1], "the newest two stay"
    assert [path.stat().st_mode & 0o077 for path in kept[1:]] == [0], "one new, for its owner alone"

    restore = [str(INFRA / "restore.sh"), str(kept[1])]
    full = subprocess.run(
        restore, env=os.environ | database, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    assert full.returncode == 1
    assert re.fullmatch(r"database prefect has \d+ tables; allowed 0: put it aside first\n", full.stderr)

    psql(database | {"PGDATABASE": "postgres"}, "CREATE DATABASE again")
    again = database | {"PGDATABASE": "again"}
    subprocess.run(restore, env=os.environ | again, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
    restored = _rows(again)
    assert len(restored.splitlines()) > 30
    assert re.search(r"^deployment\|[1-9]", restored, re.MULTILINE)
    dumped = {line.split("|")[0]: line for line in restored.splitlines()}
    lively = {"worker", "work_pool", "work_queue", "events", "event_resources", "configuration"}
    now = {line.split("|")[0]: line for line in _rows(database).splitlines()}
    assert {n: row for n, row in dumped.items() if n not in lively} == {
        n: row for n, row in now.items() if n not in lively
    }
