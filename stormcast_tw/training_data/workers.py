"""Where the parts of a training dataset are made: by Dask, on this machine, on any scheduler, or through SLURM.

Dask sends a function and a part to a worker, restarts workers that died, and returns the answers. A worker's memory is
limited by `memory_gib`: Dask ends a worker that exceeds it, and a part whose workers are ended twice is refused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from stormcast_tw.errors import Refused
from stormcast_tw.plan import Frozen

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MEMORY_GIB = 2.0
"""Making days of the surface set takes at most 0.5 GiB, including files of 450 x 450 points and libraries
(benchmarks/training_data.py); the upper set takes 0.9 GiB, not counting the reading of its files."""
RETRIES = 2
"""Retries of a part after an error; a missing or wrong file is not an error but an answer."""
START_SECONDS = 300.0
"""Imports take a worker ten seconds on a busy machine; a SLURM job may have to wait in the queue."""

_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "MALLOC_MMAP_THRESHOLD_": 32 << 20,
    "MALLOC_TRIM_THRESHOLD_": 256 << 20,
}
"""Environment of a worker. Dask's own MALLOC_TRIM_THRESHOLD_ of 64 KiB returns every array to the system at once, and
making a day then takes 3.5 times the CPU time (measured)."""
WORKERS_OF_A_SCHEDULER = 64
_PAGE = "127.0.0.1:0"
"""Address of Dask's dashboard: any free port of this machine."""
_DEATHS_FORGIVEN = 1
"""Deaths of its worker that a part is allowed: one may be chance, with two the part is to blame."""
_NANNY = "distributed.nanny.pre-spawn-environ"


class Local(Frozen):
    """Processes on this machine, one thread each."""

    kind: Literal["local"] = "local"
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    memory_gib: float = Field(default=MEMORY_GIB, gt=0)


class Scheduler(Frozen):
    """A Dask scheduler run by somebody else, with workers of its own: tcp://host:8786.

    Its workers need this package, the STORMCAST_TW_ settings, and access to both roots.
    """

    kind: Literal["scheduler"] = "scheduler"
    address: str


class Slurm(Frozen):
    """Jobs on a SLURM cluster, through dask-jobqueue; the scheduler runs here, where the jobs must reach it."""

    kind: Literal["slurm"] = "slurm"
    jobs: int = Field(ge=1)
    workers_per_job: int = Field(default=1, ge=1)
    memory_gib: float = Field(default=MEMORY_GIB, gt=0, description="of one worker")
    walltime: str = "04:00:00"
    partition: str | None = None
    account: str | None = None
    host: str | None = Field(default=None, description="address of this machine that the jobs can reach")
    directives: tuple[str, ...] = ()
    """Additional #SBATCH lines, e.g. `--qos=low`."""
    log_directory: str = "slurm-logs"


Engine = Annotated[Local | Scheduler | Slurm, Field(discriminator="kind")]


def workers_of(engine: Local | Scheduler | Slurm) -> int:
    """Return the number of workers; for a scheduler, whose workers come and go, a guess."""
    if isinstance(engine, Scheduler):
        return WORKERS_OF_A_SCHEDULER
    return engine.workers if isinstance(engine, Local) else engine.jobs * engine.workers_per_job


def run_parts(
    engine: Local | Scheduler | Slurm,
    make: Callable[[Item], Answer],
    parts: Sequence[Item],
    done: Callable[[Answer], None],
) -> None:
    """Call `make` for every part on some worker, and `done` here with each answer, in order of arrival.

    Raises what `make` raised, and Refused for a part whose workers keep dying; the remaining parts are then cancelled.
    """
    if not parts:
        return
    from distributed import KilledWorker, as_completed

    with _client(engine) as client:
        client.wait_for_workers(1, timeout=START_SECONDS)
        futures = client.map(make, parts, pure=False, retries=RETRIES)
        part_of = {future.key: part for future, part in zip(futures, parts, strict=True)}
        try:
            for future in as_completed(futures, loop=client.loop):  # type: ignore[no-untyped-call]
                done(future.result())
                future.release()
        except KilledWorker as error:
            raise Refused(
                f"{part_of.get(error.task, error.task)}: its workers ended {error.allowed_failures + 1} times: out of"
                " memory, or a file that ends its decoder"
            ) from error
        finally:
            client.cancel([future for future in futures if not future.done()])


@contextmanager
def _client(engine: Local | Scheduler | Slurm) -> Iterator[Any]:
    """Yield a client; whatever was started for it is stopped at the end."""
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.WARNING)  # its routine messages would fill a flow's log
    nanny = logging.getLogger("distributed.nanny")
    nanny.setLevel(logging.NOTSET)
    with ExitStack() as stack:
        where = _START[engine.kind](engine, stack)
        stack.callback(nanny.setLevel, logging.ERROR)  # a busy machine's worker may be slow to end, and is killed
        client: Any = Client(where, timeout=START_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
        yield stack.enter_context(client)


def _local(engine: Local, stack: ExitStack) -> Any:
    import dask
    from distributed import LocalCluster

    deaths = {"distributed.scheduler.allowed-failures": _DEATHS_FORGIVEN}
    stack.enter_context(dask.config.set({_NANNY: _ENVIRONMENT, **deaths}))
    return stack.enter_context(
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=engine.workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=int(engine.memory_gib * 2**30),
            host="127.0.0.1",
            dashboard_address=_PAGE,
            silence_logs=logging.ERROR,
        )
    )


def _slurm(engine: Slurm, stack: ExitStack) -> Any:
    from dask_jobqueue.slurm import SLURMCluster

    Path(engine.log_directory).mkdir(parents=True, exist_ok=True)
    variable = "DASK_" + _NANNY.upper().replace(".", "__").replace("-", "_")
    cluster = stack.enter_context(
        SLURMCluster(
            cores=engine.workers_per_job,
            processes=engine.workers_per_job,
            memory=f"{engine.memory_gib * engine.workers_per_job:g}GiB",
            walltime=engine.walltime,
            queue=engine.partition,
            account=engine.account,
            job_extra_directives=list(engine.directives),
            job_script_prologue=[f"export {variable}__{name}={value}" for name, value in _ENVIRONMENT.items()],
            death_timeout=START_SECONDS,
            silence_logs=logging.ERROR,
            log_directory=engine.log_directory,
            scheduler_options={"host": engine.host, "dashboard_address": _PAGE},
        )
    )
    cluster.scale(jobs=engine.jobs)
    return cluster


_START: dict[str, Callable[[Any, ExitStack], Any]] = {
    "local": _local,
    "scheduler": lambda engine, stack: engine.address,
    "slurm": _slurm,
}
