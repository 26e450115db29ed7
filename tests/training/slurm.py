"""A real SLURM on loopback, without root services: one controller, one node, jobs that run here."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers import free_port, require, running

_CONF = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=10
SchedulerParameters=sched_interval=1,bf_interval=1
SwitchType=switch/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={megabytes} State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


@contextlib.contextmanager
def slurm_cluster(folder: Path, seconds: float = 300) -> Iterator[dict[str, str]]:
    """Start a controller and a node with their files in `folder`; yields the environment that speaks to them."""
    programs = {name: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("slurmctld", "slurmd")}
    require(all(programs.values()), "SLURM", "apt-get install slurm-wlm")
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    conf = folder / "slurm.conf"
    conf.write_text(
        _CONF.format(
            host=socket.gethostname().split(".")[0],
            controller=free_port(),
            daemon=free_port(),
            user=getpass.getuser(),
            folder=folder,
            cpus=os.cpu_count(),
            megabytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 64,
        )
    )
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    with (
        running([str(programs["slurmctld"]), "-D"], None, environment),
        running([str(programs["slurmd"]), "-D", "-N", "localhost"], None, environment),
    ):
        deadline = time.monotonic() + seconds
        while "idle" not in _nodes(environment):
            assert time.monotonic() < deadline, f"no node is idle within {seconds:g} s: {_logs(folder)}"
            time.sleep(0.2)
        try:
            yield environment
        finally:
            subprocess.run(["scancel", "--me"], env=environment, timeout=120, check=False)


def _nodes(environment: dict[str, str]) -> str:
    command = ["sinfo", "--noheader", "--format=%T"]
    return subprocess.run(command, env=environment, timeout=120, check=False, capture_output=True, text=True).stdout


def _logs(folder: Path) -> str:
    return "\n".join(path.read_text()[-2000:] for path in sorted(folder.glob("*.log")))
