"""Provider files are decoded in a child process, so a decoder that crashes, hangs or swells costs one input only.

A child serves one reading after another and is replaced when it dies. It is a fresh interpreter, not a fork: it imports
nothing of the program that started it, holds none of its locks, and exits when the socket to that program closes.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection

from stormcast_tw.errors import BadInput, StormcastError, Unreachable
from stormcast_tw.sources.base import Located, Reading, Source
from stormcast_tw.variables import VariableSet

MEMORY_GIB = 12.0
"""Address space of the child: the upper set of a 450 x 450 x 50 run takes half a GiB, libraries map about 4."""
SECONDS = 540.0
"""A little less than the task's own limit, so that the child ends first."""
START_SECONDS = 120.0
"""Time allowed for starting a child, whose imports take three seconds on an idle machine."""
READINGS_PER_CHILD = 2000
"""After so many readings a child is replaced, so that memory leaked by libraries stays bounded."""

_SOURCES = tuple(f"stormcast_tw.sources.{name}" for name in ("rwrp", "qpesums", "global_ai", "aifs", "gfs", "mlwp"))
_WARM = (*_SOURCES, "xarray", "pyproj", "eccodes", "h5netcdf", "numcodecs")
"""What a child imports before its memory is limited; modules import these libraries at their first use only."""
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGKILL)
"""Signals that a file can cause: a memory overrun, a library's failed assertion, or the kernel refusing more memory. An
exit code comes from the interpreter itself and says nothing about the file."""
_BOOT = (
    "import sys, json, signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"  # Ctrl-C is for the parent
    " sys.path[:] = json.loads(sys.argv[2]);"
    " from stormcast_tw.sources.isolated import serve; serve(int(sys.argv[1]))"
)


@dataclass(frozen=True)
class Isolated:
    """A source whose files are decoded in a child process of bounded time and memory; `find` runs here."""

    source: Source

    @property
    def name(self) -> str:
        """The source's own name."""
        return self.source.name

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Return what the source finds; nothing is decoded."""
        return self.source.find(valid_times, variables, init_time)

    def read(self, located: Located) -> Reading:
        """Return what the source reads, decoded in the child."""
        return read_isolated(self.source, located)


def read_isolated(
    source: Source, located: Located, seconds: float = SECONDS, memory_gib: float = MEMORY_GIB
) -> Reading:
    """Return source.read(located), carried out in a child process of bounded time and memory.

    Raises what `read` raises; BadInput when the child crashes or needs more memory, Unreachable when it takes longer,
    StormcastError when it cannot run at all.
    """
    what = ", ".join(file.address for file in located.files)
    child = _take()
    try:
        outcome = child.ask(pickle.dumps((pickle.dumps(source), located, memory_gib)), seconds)
    except TimeoutError:
        raise Unreachable(f"{what}: not read within {seconds:g} s") from None
    except _Ended as ended:
        if -ended.code in _CRASHES:
            by = signal.Signals(-ended.code).name
            raise BadInput(f"{what}: the decoder was killed by {by}; the file cannot be decoded") from None
        why = f"the decoder exited with code {ended.code}, which no file can cause"
        raise StormcastError(f"{what}: not read: {why}") from None
    finally:
        _give_back(child)
    if isinstance(outcome, StormcastError | ValueError):
        raise outcome
    if isinstance(outcome, MemoryError):
        raise BadInput(f"{what}: cannot be decoded in {memory_gib:g} GiB of memory") from outcome
    assert isinstance(outcome, Reading)
    return outcome


def warm_up() -> None:
    """Start a child that imports its libraries while nobody waits for them."""
    _give_back(_take())


class _Ended(Exception):
    """The child has ended, with this exit code; negative: by this signal."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Child:
    """A decoder's process and the socket to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._connection = Connection(ours.detach())
        self._ready = False
        self._readings = 0

    @property
    def usable(self) -> bool:
        """True while it can read more."""
        return not self._connection.closed and self._process.poll() is None and self._readings < READINGS_PER_CHILD

    def ask(self, request: bytes, seconds: float) -> object:
        """Return the answer to a request; after TimeoutError or _Ended the child is unusable."""
        try:
            if not self._ready:
                self._ready = self._receive(START_SECONDS) == "ready"
            self._connection.send_bytes(request)
            self._readings += 1
            return self._receive(seconds)
        except (EOFError, ConnectionError):
            raise _Ended(self.end(patience=10.0)) from None

    def _receive(self, seconds: float) -> object:
        if not self._connection.poll(seconds):
            self.end()
            raise TimeoutError
        return self._connection.recv()

    def end(self, patience: float = 0.0) -> int:
        """End the process, by force after `patience` seconds, and return its exit code."""
        self._connection.close()
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(10)


_idle: list[_Child] = []
_lock = threading.Lock()


def _take() -> _Child:
    """Return an idle child, or start one: there are as many children as simultaneous readings."""
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.usable:
                return child
            child.end()
    return _Child()


def _give_back(child: _Child) -> None:
    if child.usable:
        with _lock:
            _idle.append(child)
    else:
        child.end()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


def serve(descriptor: int) -> None:
    """Read one source after another for the parent at the other end of the socket, until that closes."""
    connection = Connection(descriptor)
    for module in _WARM:
        importlib.import_module(module)
    connection.send("ready")
    sources: dict[bytes, Source] = {}
    with contextlib.suppress(EOFError, OSError):
        while True:
            pickled, located, memory_gib = pickle.loads(connection.recv_bytes())
            if pickled not in sources:
                sources[pickled] = pickle.loads(pickled)  # cached: a source remembers the layout of its files
            connection.send(_outcome(sources[pickled], located, memory_gib))
    os._exit(0)


def _outcome(source: Source, located: Located, memory_gib: float) -> object:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_gib * 2**30), hard))
    try:
        return source.read(located)
    except (StormcastError, ValueError, MemoryError) as error:
        return error
