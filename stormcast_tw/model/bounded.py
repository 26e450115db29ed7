"""Work on a stranger's files in a child process of bounded time and memory, so that no file can stop this one."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from stormcast_tw.errors import BadPackage, StormcastError

SECONDS = 600.0
"""The largest package, 8 GB, is read twice and hashed in three minutes."""
MEMORY_GIB = 16.0
"""Of data in memory, mapped libraries not counted: the largest package takes 12."""

Result = TypeVar("Result")


def within_limits(
    what: object, work: Callable[..., Result], *arguments: object, seconds: float = SECONDS, gib: float = MEMORY_GIB
) -> Result:
    """Return work(*arguments), carried out in a child process; `what` names the files in messages.

    `work` is a function that can be imported. Raises what it raises; BadPackage where it takes longer, needs more
    memory or is killed by a signal.
    """
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe(duplex=False)
    child = processes.Process(target=_carry_out, args=(theirs, gib, work, arguments), daemon=True)
    child.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise BadPackage(f"{what}: not done after {seconds:g} s; allowed are {seconds:g} s")
        outcome = ours.recv()
    except EOFError:
        child.join(10)
        code = child.exitcode or 0
        by = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise BadPackage(f"{what}: the process that reads it ended with {by}") from None
    finally:
        child.kill()
        child.join()
    if isinstance(outcome, MemoryError):
        raise BadPackage(f"{what}: needs more memory than the {gib:g} GiB allowed") from outcome
    if isinstance(outcome, StormcastError | OSError | ValueError):
        raise outcome
    result: Result = outcome
    return result


def _carry_out(parent: Connection, gib: float, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(gib * 2**30), hard))
    try:
        outcome = work(*arguments)
    except (StormcastError, OSError, ValueError, MemoryError) as error:
        outcome = error
    except RuntimeError as error:  # torch's own allocator has no other
        if "allocate memory" not in str(error):
            raise
        outcome = MemoryError(str(error))
    parent.send(outcome)
