"""The services of one host: a database, Prefect's server, the deployments, two workers. supervisord keeps them running.

`up` writes the configuration of supervisord and starts it; `down` ends it, and with it everything that it started.
"""

from __future__ import annotations

import configparser
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stormcast_tw.errors import Refused
from stormcast_tw.settings import Settings

CONFIGURATION, PROCESS = "supervisord.conf", "supervisord.pid"
STOP_SECONDS = 30
"""A service that has not ended so long after SIGTERM is killed."""
_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Service:
    """A process that is kept running: started again when it ends, or, `once`, only until it has succeeded."""

    name: str
    command: str
    environment: Mapping[str, str]
    once: bool = False
    user: str = ""
    priority: int = 100


@dataclass(frozen=True)
class Host:
    """Where the services of a host keep what they keep, and how they are reached, on loopback."""

    folder: Path
    port: int
    postgres: bool
    """Whether a PostgreSQL of its own is one of them; else the server has that of `database`, or SQLite."""
    database: str | None = None

    @property
    def api(self) -> str:
        """The address of Prefect's server."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def database_port(self) -> int:
        """The port of a PostgreSQL of its own: next to that of Prefect's server."""
        return self.port + 1

    @property
    def alarms_work(self) -> bool:
        """Whether the server's database is one on which no event is lost."""
        return self.postgres or bool(self.database)


def services(host: Host, settings: Settings, environment: Mapping[str, str]) -> list[Service]:
    """Return the services of a host, in the order in which they start."""
    base = {**settings.prefect_environment(), "PREFECT_API_URL": host.api} | {
        name: value for name, value in environment.items() if name.startswith(("STORMCAST_TW_", "PREFECT_"))
    }
    server = base | {
        # In memory, leases would be lost with the server, and a run that holds one ended.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_METRICS_ENABLED": "true",
    }
    if host.postgres:
        server["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = (
            f"postgresql+asyncpg://prefect@127.0.0.1:{host.database_port}/postgres"
        )
    worker = f"{_BIN}/prefect worker start --type process --pool"
    return [
        *([_postgres(host)] if host.postgres else []),
        Service("server", f"{_BIN}/prefect server start --host 127.0.0.1 --port {host.port}", server, priority=200),
        Service(
            "deploy", f"{sys.executable} -m stormcast_tw.deployments.bootstrap --wait", base, once=True, priority=300
        ),
        Service("worker", f"{worker} stormcast", base, priority=400),
        Service("clock", f"{worker} stormcast-clock", base, priority=400),
    ]


def _postgres(host: Host) -> Service:
    """Return a PostgreSQL of one host's own; its folder is made first. Raises Refused where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    programs = found[-1] if found else Path(shutil.which("postgres") or "").parent
    if not (programs / "initdb").exists():
        raise Refused("PostgreSQL is not installed here: as root, apt-get install postgresql")
    data = host.folder.absolute() / "postgres"
    user = "postgres" if os.geteuid() == 0 else ""  # it refuses to run as root
    if not (data / "PG_VERSION").exists():
        data.mkdir(parents=True, exist_ok=True)
        if user:
            shutil.chown(data, user, user)
        subprocess.run(
            [str(programs / "initdb"), "-D", str(data), "-U", "prefect", "-A", "trust"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", user=user or None, timeout=600,
        )  # fmt: skip
    options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={data}"
    return Service("postgres", f"{programs}/postgres -D {data} -p {host.database_port} {options}", {}, user=user)


def configuration(host: Host, wanted: list[Service]) -> str:
    """Return the configuration of supervisord for the services of a host."""
    folder = host.folder.absolute()
    written = configparser.RawConfigParser()
    written["supervisord"] = {
        "logfile": str(folder / "supervisord.log"), "pidfile": str(folder / PROCESS), "childlogdir": str(folder),
        "nodaemon": "false", "silent": "true",
    }  # fmt: skip
    written["unix_http_server"] = {"file": str(folder / "supervisor.sock"), "chmod": "0700"}
    written["supervisorctl"] = {"serverurl": f"unix://{folder}/supervisor.sock"}
    written["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for service in wanted:
        written[f"program:{service.name}"] = _program(service, folder)
    lines: list[str] = []
    for section in written.sections():
        lines += [f"[{section}]", *(f"{key}={value}" for key, value in written[section].items()), ""]
    return "\n".join(lines)


def _program(service: Service, folder: Path) -> dict[str, str]:
    quoted = ((name, value.replace("%", "%%").replace('"', '\\"')) for name, value in service.environment.items())
    settings = {
        "command": service.command,
        "directory": str(Path.cwd()) if not service.user else "/",
        "environment": ",".join(f'{name}="{value}"' for name, value in sorted(quoted)),
        "priority": str(service.priority),
        "autorestart": "unexpected" if service.once else "true",
        "exitcodes": "0",
        "startsecs": "0" if service.once else "5",
        "startretries": "1000000",
        "stopsignal": "TERM",
        "stopwaitsecs": str(STOP_SECONDS),
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(folder / f"{service.name}.log"),
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": "3",
    }
    return settings | ({"user": service.user} if service.user else {})


def start(host: Host, wanted: list[Service]) -> None:
    """Start supervisord with the services of a host. Raises Refused where they are up already."""
    if (running := process_of(host.folder)) is not None:
        raise Refused(f"{host.folder}: is up already, as process {running}; `stormcast-tw down` ends it")
    host.folder.mkdir(parents=True, exist_ok=True)
    written = host.folder / CONFIGURATION
    written.touch(mode=0o600)  # it may hold secrets
    written.write_text(configuration(host, wanted))
    command = [str(_BIN / "supervisord"), "-c", str(written.absolute())]
    subprocess.run(command, check=True, timeout=60, preexec_fn=_let_it_be_interrupted)


def _let_it_be_interrupted() -> None:
    """The command line blocks Ctrl-C for its children; a worker of Prefect ends by that very signal."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def states(folder: Path) -> dict[str, str]:
    """Return the state of every service, such as RUNNING or EXITED; empty if nothing is up."""
    if process_of(folder) is None:
        return {}
    done = subprocess.run(
        [str(_BIN / "supervisorctl"), "-c", str(folder.absolute() / CONFIGURATION), "status"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    words = (line.split() for line in done.stdout.splitlines())
    return {found[0]: found[1] for found in words if len(found) > 1}


def stop(folder: Path) -> bool:
    """End every service of a folder and supervisord; False if nothing was up. Raises Refused if it does not end."""
    process = process_of(folder)
    if process is None:
        return False
    subprocess.run(
        [str(_BIN / "supervisorctl"), "-c", str(folder.absolute() / CONFIGURATION), "shutdown"],
        check=True, stdout=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    deadline = time.monotonic() + 4 * STOP_SECONDS
    while process_of(folder) is not None:
        if time.monotonic() > deadline:
            raise Refused(f"{folder}: process {process} has not ended within {4 * STOP_SECONDS} s; see supervisord.log")
        time.sleep(0.2)
    return True


def process_of(folder: Path) -> int | None:
    """Return the process of supervisord in a folder, or None if it does not run."""
    try:
        process = int((folder / PROCESS).read_text())
        command = Path(f"/proc/{process}/cmdline").read_text()
    except (OSError, ValueError):
        return None
    return process if "supervisord" in command else None
