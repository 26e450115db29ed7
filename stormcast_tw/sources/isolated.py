"""Foreign bytes are decoded in a child process, so that a decoder that crashes, hangs or swells is one bad input."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from multiprocessing.connection import Connection

from stormcast_tw.errors import BadInput, StormcastError, Unreachable
from stormcast_tw.sources.base import Located, Reading, Source

MEMORY_GIB = 12.0
"""Address space of the child: the upper set of a 450 x 450 x 50 run takes half a GiB, libraries map about 4."""
SECONDS = 540.0
"""A little less than the task's own limit, so that the child ends first."""

_WARM = [f"stormcast_tw.sources.{name}" for name in ("rwrp", "qpesums", "global_ai", "aifs", "gfs", "mlwp")]


def read_apart(source: Source, located: Located, seconds: float = SECONDS, memory_gib: float = MEMORY_GIB) -> Reading:
    """Return source.read(located), carried out in a child process of bounded time and memory.

    Raises what `read` raises; BadInput when the child crashes or needs more memory, Unreachable when it takes longer.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_WARM)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_read, args=(sender, source, located, memory_gib), daemon=True)
    child.start()
    sender.close()
    what = ", ".join(file.address for file in located.files)
    try:
        if not receiver.poll(seconds):
            raise Unreachable(f"{what}: not read within {seconds:g} s")
        outcome = receiver.recv()
    except EOFError:
        child.join(10)
        raise BadInput(f"{what}: the decoder {_ended(child.exitcode)}; allowed to end by itself") from None
    finally:
        child.kill()
        child.join(10)
        receiver.close()
    if isinstance(outcome, StormcastError | ValueError):
        raise outcome
    if isinstance(outcome, MemoryError):
        raise BadInput(f"{what}: cannot be decoded in {memory_gib:g} GiB of memory") from outcome
    reading: Reading = outcome
    return reading


def _read(sender: Connection, source: Source, located: Located, memory_gib: float) -> None:
    limit = int(memory_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        outcome: object = source.read(located)
    except (StormcastError, ValueError, MemoryError) as error:
        outcome = error
    sender.send(outcome)


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"
