"""Two processes that make one artifact, in every order in which the operations of their store can follow each other."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from stormcast_tw.errors import Conflict, StormcastError
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.checksums import damaged, read_checksums
from stormcast_tw.storage.objects import Object
from stormcast_tw.storage.store import Draft, Store
from tests.conftest import CYCLE, NOW

ADDRESS = Address(kind="prepared", experiment="demo", cycle=str(CYCLE), run="0123456789ab")
MANIFEST = f"{ADDRESS}/manifest.json"
SEALED = {f"{ADDRESS}/{name}" for name in ("a.bin", "checksums.json", "manifest.json")}


UNUSED = (MANIFEST, f"{ADDRESS}/checksums.json")
"""What nobody who asks for a list of files looks at: lists that differ in these alone are one observation."""
MOST_STATES = 50_000


class Memory:
    """An object store of one dictionary, whose operations are indivisible as those of S3 are."""

    root = "memory:"

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def read(self, path: str) -> Object | None:
        return Object(self.held[path], "") if path in self.held else None

    def exists(self, path: str) -> bool:
        return any(key == path or key.startswith(f"{path}/") for key in self.held)

    def create(self, path: str, data: bytes) -> bool:
        absent = path not in self.held
        self.held.setdefault(path, data)
        return absent

    def remove(self, path: str) -> None:
        for key in [key for key in self.held if key == path or key.startswith(f"{path}/")]:
            del self.held[key]

    def files(self, folder: str) -> list[str]:
        return sorted(key for key in self.held if key.startswith(f"{folder}/"))

    def settle(self) -> None:
        """Memory is as settled as it gets."""

    def leftovers(self, folder: str) -> list[str]:
        """Nothing is ever half written."""
        return []


class Stepped(threading.Thread):
    """A process whose every operation of the store waits until it is told to go on."""

    def __init__(self, memory: Memory, job: Callable[[Store], Artifact]) -> None:
        super().__init__(daemon=True)
        self.memory, self.job, self.result = memory, job, None
        self.go, self.paused, self.seen = threading.Semaphore(0), threading.Semaphore(0), hashlib.sha256()

    def __getattr__(self, name: str) -> Any:
        if name == "root":
            return self.memory.root
        operation = getattr(self.memory, name)

        def stepped(*arguments: Any) -> Any:
            if threading.current_thread() is not self:  # checksums are read by a pool: of files that never change
                return operation(*arguments)
            self.pause()
            answer = operation(*arguments)
            told = [path for path in answer if path not in UNUSED] if name == "files" else answer
            self.seen.update(repr((name, arguments, told)).encode())
            return answer

        return stepped

    def pause(self) -> None:
        self.paused.release()
        assert self.go.acquire(timeout=60)

    def run(self) -> None:
        store = Store("/nowhere")
        store.objects = self
        try:
            self.result: Any = self.job(store)
        except StormcastError as error:
            self.result = error
        self.paused.release()

    def step(self) -> None:
        """Let one operation happen, and wait until the next one is due or the process has ended."""
        self.go.release()
        assert self.paused.acquire(timeout=60)


def making(plan: dict[str, Any], seconds: int) -> Callable[[Store], Artifact]:
    def fill(draft: Draft) -> Artifact:
        draft.put("a.bin", f"made of {plan}".encode())
        draft.mark("a")
        now = NOW + timedelta(seconds=seconds)
        return draft.seal(grid={}, variables=(), parents=(), simulated=True, now=now)

    return lambda store: store.make(ADDRESS, plan, fill)


def played(jobs: list[Callable[[Store], Artifact]], schedule: tuple[int, ...]) -> tuple[Memory, list[Stepped]]:
    """Carry out a schedule of steps; once there is a manifest, no sealed file may be missing after any of them."""
    memory = Memory()
    processes = [Stepped(memory, job) for job in jobs]
    for process in processes:
        process.start()
        assert process.paused.acquire(timeout=60)
    for turn in schedule:
        processes[turn].step()
        assert MANIFEST not in memory.held or set(memory.held) >= SEALED, (schedule, sorted(memory.held))
    return memory, processes


def ended(processes: list[Stepped]) -> list[int]:
    return [turn for turn, process in enumerate(processes) if process.result is not None]


def release(processes: list[Stepped]) -> None:
    for process in processes:
        while process.result is None:
            process.step()


def every_ending(jobs: list[Callable[[Store], Artifact]]) -> list[tuple[Memory, list[Any]]]:
    """Return the endings of all schedules; two that led to the same bytes and the same observations are one."""
    endings, known, ahead = [], set(), [()]
    while ahead:
        schedule = ahead.pop()
        memory, processes = played(jobs, schedule)
        key = (tuple(sorted(memory.held.items())), *(process.seen.hexdigest() for process in processes))
        over = ended(processes)
        if key not in known:
            known.add(key)
            assert len(known) < MOST_STATES
            ahead += [(*schedule, turn) for turn in range(len(jobs)) if turn not in over]
            if len(over) == len(jobs):
                endings.append((memory, [process.result for process in processes]))
        release(processes)
    return endings


def require_sound(memory: Memory, artifact: Artifact) -> None:
    assert set(memory.held) == SEALED, "nothing of the draft is left"
    assert artifact.checksums is not None
    assert damaged(memory, str(ADDRESS), read_checksums(memory, str(ADDRESS), artifact.checksums)) == {}


def test_two_of_one_plan_end_with_one_whole_artifact():
    plan = {"what": "this"}
    endings = every_ending([making(plan, 0), making(plan, 1)])
    for memory, (first, second) in endings:
        assert first == second
        require_sound(memory, first)
    assert len({first.written_at for _, (first, _) in endings}) == 2, "either may be the one that seals"


def test_of_two_plans_one_is_refused_and_harms_nothing():
    endings = every_ending([making({"what": "this"}, 0), making({"what": "that"}, 1)])
    for memory, results in endings:
        (artifact,) = {result.checksums: result for result in results if isinstance(result, Artifact)}.values()
        require_sound(memory, artifact)
        assert all(isinstance(result, Artifact | Conflict) for result in results)
    assert any(isinstance(result, Conflict) for _, results in endings for result in results)
