"""kill -9 at random in rollout, products and publish: readers see all or nothing, resuming gives the same bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stormcast_tw.errors import StormcastError
from stormcast_tw.forecast.job import RolloutJob
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.publication import pointers
from stormcast_tw.storage.store import Store
from tests.conftest import rollout_job

KILLS = 20
FOLDERS = {"rollout": "work/forecast", "products": "work/products", "publish": "published/published"}


def files(folder: Path) -> list[Path]:
    """Return the files below a folder that is being written, those half written too."""
    return [Path(root, name) for root, _, names in os.walk(folder) for name in names]


@contextmanager
def running(job: RolloutJob, root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the chain, with its child, in a group of processes of its own."""
    environment = os.environ | {"STORMCAST_TW_PUBLISHED_ROOT": str(root / "published")}
    process = subprocess.Popen(
        [sys.executable, "-m", "soak.one_run"],
        cwd=Path(__file__).parents[1],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(job.model_dump_json().encode())
    process.stdin.close()
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(120)


def bytes_of(root: Path) -> dict[str, bytes]:
    """Return all that is sealed, by path; of manifests what does not depend on the clock and the folder."""
    visible = [path for path in files(root) if not path.name.startswith(".")]
    found = {str(path.relative_to(root)): path.read_bytes() for path in visible}
    for name in [name for name in found if name.endswith("manifest.json")]:
        manifest = json.loads(found[name])
        del manifest["sha256"]
        manifest["details"].pop("seconds_per_member_hour", None)
        found[name] = json.dumps(manifest).encode()
    return found


def require_all_or_nothing(published: Store, work: Store) -> bool:
    """Hold every artifact that exists, and the run that the pointer names, to its checksums; True if one is named."""
    for store, kind in ((work, "forecast"), (work, "products"), (published, "published")):
        unreadable: list[str] = []
        for artifact in store.list(kind, "demo", unreadable):
            assert store.damage(artifact) == {}, artifact.uri
        assert unreadable == []
    run = pointers.latest(published, "demo")
    return run is not None


class Reader(threading.Thread):
    """Reads what is published again and again while it is written, as a page does."""

    def __init__(self, published: Store, work: Store) -> None:
        super().__init__(daemon=True)
        self.published, self.work = published, work
        self.looks, self.seen, self.wrong, self.over = 0, 0, list[str](), threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            try:
                self.seen += require_all_or_nothing(self.published, self.work)
            except (StormcastError, AssertionError) as error:
                self.wrong.append(repr(error))
            self.looks += 1


def kill_when(process: subprocess.Popen[bytes], due: Callable[[str], bool]) -> str:
    """Kill the group once it is due in a stage, or let it end; return the stage it was in."""
    stages = ["start"]

    def follow() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            stages.append(line.decode().strip())

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    while process.poll() is None:
        if due(stage := stages[-1]):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(120)
            return stage
        time.sleep(0.001)
    follower.join(60)
    return stages[-1]


@dataclass
class Killer:
    """Chooses the stage killed least that is not sealed yet, and how much of what it has to write may be written."""

    root: Path
    most: Mapping[str, int]
    killed: Counter[str]
    chance: random.Random

    def aim(self) -> Callable[[str], bool]:
        folders = {stage: self.root / folder for stage, folder in FOLDERS.items()}
        begun = {stage: files(folder) for stage, folder in folders.items()}
        left = [stage for stage in FOLDERS if not any(path.name == "manifest.json" for path in begun[stage])]
        target = min(left, key=lambda stage: self.killed[stage], default="publish")
        share = self.chance.random()
        before = len(begun[target])
        enough = before + max(1, round(share * (self.most[target] - before)))
        return lambda stage: stage == target and len(files(folders[target])) >= enough


@dataclass
class Tally:
    """What was counted over all runs."""

    killed: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    looks: int = 0
    seen: int = 0

    def carry_out_killed(self, job: RolloutJob, root: Path, killer: Killer) -> None:
        """Carry a job out, killed and resumed until it is published, under the eyes of a reader."""
        published, work = Store(str(root / "published")), Store(str(root / "work"))
        reader, ended = Reader(published, work), False
        reader.start()
        while not ended:
            due = killer.aim() if self.killed.total() < KILLS else lambda _: False
            with running(job, root) as process:
                at = kill_when(process, due)
                ended = process.returncode == 0
                assert ended or process.returncode == -signal.SIGKILL, process.returncode
            self.killed.update([] if ended else [at])
            require_all_or_nothing(published, work)
        reader.over.set()
        reader.join(60)
        assert reader.wrong == []
        self.runs, self.looks, self.seen = self.runs + 1, self.looks + reader.looks, self.seen + reader.seen


@pytest.mark.timeout(1800)
def test_killed_twenty_times(
    small_package: ModelPackage,
    small_package_folder: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
):
    def prepare(name: str) -> tuple[RolloutJob, Path]:
        root = tmp_path / name
        return rollout_job(small_package, small_package_folder, str(root / "work"), members=2, lead_hours=2), root

    job, undisturbed = prepare("undisturbed")
    with running(job, undisturbed) as process:
        assert kill_when(process, lambda _: False) == "done"
    expected = bytes_of(undisturbed)
    most = {stage: len(files(undisturbed / folder)) for stage, folder in FOLDERS.items()}

    tally, chance = Tally(), random.Random(20)
    while tally.killed.total() < KILLS:
        job, root = prepare(f"disturbed-{tally.runs}")
        tally.carry_out_killed(job, root, Killer(root, most, tally.killed, chance))
        found = bytes_of(root)
        assert {name for name in {*found, *expected} if found.get(name) != expected.get(name)} == set()
        shutil.rmtree(root)
    where = ", ".join(f"{stage} {count}" for stage, count in sorted(tally.killed.items()))
    record_property(
        "said",
        f"{KILLS} kills ({where}) in {tally.runs} runs, each resumed to the bytes of an undisturbed run; "
        f"a reader looked {tally.looks} times, {tally.seen} times at a published run, always whole",
    )
