"""Where the parts of a training dataset are made: Dask, on this machine, on any scheduler, or through SLURM.

Dask sends a function and a part to a worker, starts workers that died again, and brings the answers back. What a worker
may use is bounded by its `memory_gib`: Dask ends one that takes more, and a part that this befalls again is refused.
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
"""Making days of the surface set takes at most 0.5 GiB, files of 450 x 450 points and libraries included
(benchmarks/training_data.py); of the upper set 0.9 GiB, before the reading of its files."""
RETRIES = 2
"""Times that a part is tried again after an error; a file that is not there or is wrong is no error but an answer."""
START_SECONDS = 300.0
"""A worker imports for ten seconds on a busy machine; a SLURM job may have to wait for a place."""

_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "MALLOC_MMAP_THRESHOLD_": 32 << 20,
    "MALLOC_TRIM_THRESHOLD_": 256 << 20,
}
"""Of a worker. Dask's own MALLOC_TRIM_THRESHOLD_ of 64 KiB gives every array back to the system at once: making a day
then takes 3.5 times the CPU time (measured)."""
WORKERS_OF_A_SCHEDULER = 64
_PAGE = "127.0.0.1:0"
"""Dask's own page, at any free port of this machine."""
_DEATHS_FORGIVEN = 1
"""Ends of its worker that a part survives: one may be chance, two are the part."""
_NANNY = "distributed.nanny.pre-spawn-environ"


class Local(Frozen):
    """Processes of this machine, one thread each."""

    kind: Literal["local"] = "local"
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    memory_gib: float = Field(default=MEMORY_GIB, gt=0)


class Scheduler(Frozen):
    """A Dask scheduler that somebody else runs, with workers of its own: tcp://host:8786.

    Its workers need this package, the STORMCAST_TW_ settings, and both roots within reach.
    """

    kind: Literal["scheduler"] = "scheduler"
    address: str


class Slurm(Frozen):
    """Jobs of a SLURM cluster, by dask-jobqueue; the scheduler runs here, where the jobs must reach it."""

    kind: Literal["slurm"] = "slurm"
    jobs: int = Field(ge=1)
    workers_per_job: int = Field(default=1, ge=1)
    memory_gib: float = Field(default=MEMORY_GIB, gt=0, description="of one worker")
    walltime: str = "04:00:00"
    partition: str | None = None
    account: str | None = None
    host: str | None = Field(default=None, description="address of this machine that the jobs can reach")
    directives: tuple[str, ...] = ()
    """More #SBATCH lines, e.g. `--qos=low`."""
    log_directory: str = "slurm-logs"


Engine = Annotated[Local | Scheduler | Slurm, Field(discriminator="kind")]


def workers_of(engine: Local | Scheduler | Slurm) -> int:
    """Return how many workers there will be; of a scheduler, whose workers come and go, a guess."""
    if isinstance(engine, Scheduler):
        return WORKERS_OF_A_SCHEDULER
    return engine.workers if isinstance(engine, Local) else engine.jobs * engine.workers_per_job


def run_parts(
    engine: Local | Scheduler | Slurm,
    make: Callable[[Item], Answer],
    parts: Sequence[Item],
    done: Callable[[Answer], None],
) -> None:
    """Call `make` for every part somewhere, and `done` here with each answer, in the order in which they come.

    Raises what `make` raised, and Refused for a part whose workers keep dying; the rest is then given up.
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
    """Yield a client; what was started for it ends with it."""
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.WARNING)  # its comings and goings would fill a flow's log
    with ExitStack() as stack:
        where = _START[engine.kind](engine, stack)
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
