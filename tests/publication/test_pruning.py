"""What is kept and what goes, worked out by hand; a kill anywhere; drafts that are written meanwhile; readers."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stormcast_tw.cli.__main__ import run as main
from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, Conflict, NotReady
from stormcast_tw.forecast.reproduce import reproduce
from stormcast_tw.plan import ProductsPlan
from stormcast_tw.publication import integrity, pointers, pruning
from stormcast_tw.settings import Retention, settings
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.pruned import Pruned
from stormcast_tw.storage.store import Store
from tests.cli.conftest import plan_without_package
from tests.servers import S3Server

FIRST = Cycle.parse("20260601T00Z")
MEMBERS, PRODUCTS = "forecast.zarr", ("products.nc", "products.zarr")
FILES = {
    "published": (f"{MEMBERS}/zarr.json", f"{MEMBERS}/t2m/zarr.json", "products.zarr/zarr.json", "products.nc"),
    "inputs": ("state.zarr/zarr.json",),
    "prepared": ("state.zarr/zarr.json", "background.zarr/zarr.json"),
    "forecast": (f"{MEMBERS}/zarr.json", f"{MEMBERS}/t2m/zarr.json"),
    "products": ("products.zarr/zarr.json", "products.nc"),
}

GROUP = b'{"zarr_format": 3, "node_type": "group", "attributes": {}}'


def plan_of(cycle: str) -> dict[str, Any]:
    plan = plan_without_package()
    plan["forecast"]["inputs"]["cycle"] = cycle
    return plan


def prepared_run(cycle: str) -> str:
    return ProductsPlan.read(plan_of(cycle)).forecast.inputs.run


@dataclass
class World:
    """The two stores, and cycles that were each sealed when they began."""

    published: Store
    work: Store
    keep: Retention = field(default_factory=Retention)

    def seal(self, kind: str, cycle: str, at: datetime | None = None) -> Artifact:
        store = self.published if kind == "published" else self.work
        run = prepared_run(cycle) if kind == "prepared" else "a" * 12
        draft = store.begin(Address(kind=kind, experiment="demo", cycle=cycle, run=run), plan_of(cycle))
        for name in FILES[kind]:
            draft.put(name, GROUP if name.endswith("zarr.json") else f"{kind} {cycle} {name}".encode())
        now = at or Cycle.parse(cycle).init_time
        return draft.seal(grid={}, variables=(), parents=(), simulated=True, now=now)

    def forecast(self, cycle: str, at: datetime | None = None) -> Artifact:
        for kind in ("inputs", "prepared", "forecast", "products"):
            self.seal(kind, cycle, at)
        run = self.seal("published", cycle, at)
        pointers.point_at(self.published, run)
        return run

    def plan(self, now: datetime) -> pruning.PrunePlan:
        return pruning.plan(self.published, self.work, self.keep, now)

    def prune(self, now: datetime) -> list[pruning.Removal]:
        return pruning.prune(self.plan(now), self.keep, now, lambda _: None)

    def held(self) -> dict[str, bytes]:
        stores = self.published, self.work
        return {path: store.objects.read(path).data for store in stores for path in store.objects.files("")}

    def damage(self) -> list[integrity.Damage]:
        return [d for store in (self.published, self.work) for d in integrity.check(store, "demo").damaged]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Store(str(tmp_path / "published")), Store(str(tmp_path / "work")))


def cycles(count: int) -> list[str]:
    return [str(Cycle(FIRST.init_time + timedelta(hours=6 * number))) for number in range(count)]


def said(removals: Iterable[pruning.Removal]) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(r.address.kind, r.address.cycle, r.names if r.what == "part" else (r.what,)) for r in removals}


def test_what_goes_and_when(world: World):
    ten = cycles(10)
    for cycle in ten:
        world.forecast(cycle)
    old, after = ten[:2], lambda days: Cycle.parse(ten[1]).init_time + timedelta(days=days, seconds=1)
    whole = ("artifact",)
    assert said(world.plan(after(1)).removals) == set()
    work = {(kind, cycle, whole) for kind in ("forecast", "products") for cycle in old}
    assert said(world.plan(after(13)).removals) == work, "prepared inputs stay as long as the members"
    members = {("published", cycle, (MEMBERS,)) for cycle in old} | {("prepared", cycle, whole) for cycle in old}
    assert said(world.plan(after(14)).removals) == work | members
    inputs = {("inputs", cycle, whole) for cycle in old}
    assert said(world.plan(after(30)).removals) == work | members | inputs
    everything = work | members | inputs | {("published", cycle, PRODUCTS) for cycle in old}
    assert said(world.plan(after(401)).removals) == everything
    assert said(world.plan(after(9999)).removals) == everything, "nothing of the last 8 cycles"
    held = world.held()
    for removal in world.plan(after(14)).removals:
        names = [f"{removal.address}/{name}" for name in FILES[removal.address.kind] if name.startswith(removal.names)]
        assert (removal.files, removal.bytes) == (len(names), sum(len(held[name]) for name in names))


def test_a_pruned_run_keeps_manifest_checksums_and_products_and_says_what_went(world: World, tmp_path: Path):
    run = world.forecast(cycles(1)[0])
    for cycle in cycles(9)[1:]:
        world.forecast(cycle)
    now = run.written_at + timedelta(days=15)
    before = world.held()
    went = world.prune(now)
    assert {removal.address.kind for removal in went} == {"published", "prepared", "forecast", "products"}
    left = {name for name in world.published.below(run.address)}
    assert left == {"manifest.json", "checksums.json", "pruned.json", "products.nc", "products.zarr/zarr.json"}
    (gone,) = Pruned.read(world.published.objects, str(run.address)).gone
    assert (gone.names, gone.at, gone.files) == ((MEMBERS,), now, 2)
    assert gone.bytes == sum(len(before[f"{run.address}/{name}"]) for name in FILES["published"][:2])
    assert {path for path in world.work.objects.files("") if cycles(1)[0] in path} == {
        f"inputs/demo/{run.address.cycle}/{'a' * 12}/{name}"
        for name in ("checksums.json", "manifest.json", *FILES["inputs"])
    }
    assert world.prune(now) == [], "once"
    assert world.damage() == [], "no damage"
    assert integrity.repair(world.published, world.work, "demo", lambda *_: pytest.fail("made again"), tmp_path) == []
    line = rf"{run.uri}/{MEMBERS}(/zarr\.json)?: was pruned on 2026-06-16: members are kept 14 days"
    for ask in (
        lambda: world.published.open(run, "forecast"),
        lambda: world.published.read(run, f"{MEMBERS}/zarr.json"),
        lambda: reproduce(run, settings(), tmp_path, now, lambda _: None),
    ):
        with pytest.raises(NotReady, match=line):
            ask()
    assert world.published.read(run, "products.nc") == before[f"{run.address}/products.nc"]
    assert pointers.move_latest(world.published, "demo", run.address.cycle, "a", "b", now) is not None
    latest = pointers.latest(world.published, "demo")
    assert latest is not None
    assert latest.address == run.address, "its products are there"


def test_what_latest_names_stays_and_goes_when_it_is_moved_away(world: World):
    for cycle in cycles(10):
        world.forecast(cycle)
    now = FIRST.init_time + timedelta(days=500)
    pointers.move_latest(world.published, "demo", cycles(1)[0], "forecaster", "winds are wrong", now)
    assert {removal.address.cycle for removal in world.plan(now).removals} == {cycles(2)[1]}
    planned = world.plan(now)
    pointers.move_latest(world.published, "demo", cycles(2)[1], "forecaster", "moved meanwhile", now + timedelta(1))
    went = pruning.prune(planned, world.keep, now, lambda _: None)
    assert "published" not in {removal.address.kind for removal in went}
    world.published.objects.replace("published/demo/latest.json", b"{")
    with pytest.raises(BadInput, match=r"latest\.json: is no whole pointer"):
        world.plan(now)


def test_nothing_goes_of_a_cycle_whose_manifest_is_damaged_or_in_which_a_draft_is_written(world: World):
    for cycle in cycles(10):
        world.forecast(cycle)
    now = FIRST.init_time + timedelta(days=500)
    damaged, busy = cycles(2)
    world.published.objects.replace(f"published/demo/{damaged}/{'a' * 12}/manifest.json", b"{")
    planned = world.plan(now)
    assert {removal.address.cycle for removal in planned.removals} == {busy}
    (text,) = planned.damaged
    assert f"{damaged}/{'a' * 12}/manifest.json: is no whole manifest" in text
    where = Address(kind="forecast", experiment="demo", cycle=busy, run="b" * 12)
    world.work.begin(where, {"other": "plan"})
    os.utime(Path(world.work.root, str(where), "draft.json"), (now.timestamp(), now.timestamp()))
    assert world.plan(now).removals == ()
    went = pruning.prune(planned, world.keep, now, lambda _: None)
    assert {removal.address.kind for removal in went} == {"published"}, "looked at once more"


class Killed(Exception):
    """Stands for kill -9."""


def kill_after(world: World, operations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stores do so many operations that change something, and no more."""
    left = [operations]

    def limited(operation: Callable[..., Any], *arguments: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return operation(*arguments)

    for objects in (world.published.objects, world.work.objects):
        for name in ("create", "swap", "remove"):
            monkeypatch.setattr(objects, name, partial(limited, getattr(objects, name)))


def test_a_kill_anywhere_leaves_nothing_damaged_and_is_taken_up(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    endings, operations, whole = [], 0, False
    now = FIRST.init_time + timedelta(days=15)
    old, _ = (world.forecast(cycle) for cycle in cycles(2))
    while not whole:
        root = Path(shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-{operations}")))
        world = World(Store(str(root / "published")), Store(str(root / "work")), Retention(cycles=1))
        with monkeypatch.context() as patched:
            kill_after(world, operations, patched)
            try:
                world.prune(now)
                whole = True
            except Killed:
                operations += 1
        assert world.damage() == [], operations
        pruned = world.published.objects.exists(f"{old.address}/pruned.json")
        assert pruned or set(world.published.below(old.address)) >= set(FILES["published"]), operations
        # longer kept now: what was begun goes all the same
        world.keep = Retention(cycles=1, members_days=300 if pruned else 14, work_days=2)
        world.prune(now)
        endings.append({p: d for p, d in world.held().items() if not p.endswith("pruned.json")})
        assert world.damage() == [], operations
    assert operations > 10
    assert all(ending == endings[-1] for ending in endings)


def test_an_address_that_is_being_removed_is_refused_until_it_is_gone(world: World, monkeypatch: pytest.MonkeyPatch):
    world.keep = Retention(cycles=1)
    world.forecast(cycles(1)[0])
    world.forecast(cycles(2)[1])
    where = Address(kind="products", experiment="demo", cycle=cycles(1)[0], run="a" * 12)
    now = FIRST.init_time + timedelta(days=3)

    def make() -> Artifact:
        return world.work.make(where, plan_of(where.cycle), lambda draft: pytest.fail("was begun"))

    assert make().address == where
    (removal,) = (r for r in world.plan(now).removals if r.address == where)
    for operations in range(1, 5):  # told, two names, checksums and, last, the manifest
        with monkeypatch.context() as patched:
            kill_after(world, operations + 1, patched)
            with pytest.raises(Killed):
                pruning._carry_out(removal, now, now)
        with pytest.raises(Conflict, match="is being removed; `stormcast-tw prune` ends that"):
            make()
    with pytest.raises(Conflict, match="is being removed"):
        world.work.begin(where, plan_of(where.cycle))
    assert set(world.work.below(where)) == {"pruned.json"}, "the manifest has gone, and no draft was begun"
    assert where in {removal.address for removal in world.prune(now)}
    assert world.work.below(where) == []


def old_draft(world: World, days: float, now: datetime) -> Address:
    where = Address(kind="forecast", experiment="demo", cycle=cycles(1)[0], run="d" * 12)
    draft = world.work.begin(where, {"draft": 1})
    draft.put(f"{MEMBERS}/t2m/zarr.json", b"members")
    draft.mark("m0000-l01")
    then = (now - timedelta(days=days)).timestamp()
    for path in world.work.objects.files(str(where)):
        os.utime(Path(world.work.root, path), (then, then))
    return where


def test_drafts_go_when_nobody_has_written_for_two_days(world: World):
    now = datetime.now(UTC)
    where = old_draft(world, 1.9, now)
    assert world.plan(now).removals == ()
    os.utime(Path(world.work.root, str(where), "draft.json"), (0, 0))
    assert world.plan(now).removals == (), "the newest file counts"
    assert old_draft(world, 2.1, now) == where
    Path(world.work.root, str(where), f".state.bin.{'0' * 32}").write_bytes(b"")  # as a full disk leaves it
    assert said(world.prune(now)) == {("forecast", where.cycle, ("draft",))}
    assert [path for path in Path(world.work.root, str(where)).rglob("*") if path.is_file()] == []


def test_a_draft_that_is_taken_up_meanwhile_is_left_or_refused_at_its_seal(world: World):
    now = datetime.now(UTC)
    where = old_draft(world, 3, now)
    planned = world.plan(now)
    world.work.begin(where, {"draft": 1}).put("more.bin", b"1")
    before = world.held()
    assert pruning.prune(planned, world.keep, now, lambda _: None) == []
    assert world.held() == before
    old_draft(world, 3, now)
    os.utime(Path(world.work.root, str(where), "more.bin"), (0, 0))
    taken_up = world.work.begin(where, {"draft": 1})  # and wrote nothing yet
    world.prune(now)
    taken_up.put("more.bin", b"1")
    with pytest.raises(Conflict, match="its draft was removed meanwhile; begin again"):
        taken_up.seal(grid={}, variables=(), parents=(), simulated=True, now=now)


def test_a_damaged_record_is_named_and_nothing_is_made_of_it(world: World, tmp_path: Path):
    run = world.forecast(cycles(1)[0])
    world.published.objects.create(f"{run.address}/pruned.json", b'{"gone": [{')
    (damage,) = world.damage()
    assert list(damage.files) == ["pruned.json"]
    (left,) = integrity.repair(world.published, world.work, "demo", lambda *_: pytest.fail("made again"), tmp_path)
    assert (left.repaired, left.remark) == (False, integrity._NO_RECORD)
    world.forecast(cycles(2)[1])
    world.keep = Retention(cycles=1)
    planned = world.plan(run.written_at + timedelta(days=500))
    assert (planned.removals, len(planned.damaged)) == ((), 1)


def test_on_s3(s3: S3Server):
    bucket = s3.bucket()
    world = World(Store(bucket), Store(f"{bucket}/work"), Retention(cycles=1))
    sealed = datetime.now(UTC)
    runs = [world.forecast(cycle, sealed) for cycle in cycles(2)]
    draft = world.work.begin(runs[0].address.model_copy(update={"kind": "forecast", "run": "d" * 12}), {"draft": 1})
    draft.put("state.bin", b"1")
    assert {r.what for r in world.prune(sealed + timedelta(days=1))} == set()
    went = said(world.prune(sealed + timedelta(days=15)))
    whole = {(kind, cycles(1)[0], ("artifact",)) for kind in ("prepared", "forecast", "products")}
    assert went == whole | {("published", cycles(1)[0], (MEMBERS,)), ("forecast", cycles(1)[0], ("draft",))}
    with pytest.raises(NotReady, match="members are kept 14 days"):
        world.published.open(runs[0], "forecast")
    assert set(world.work.objects.files("")) == {
        path for path in world.work.objects.files("") if cycles(2)[1] in path or path.startswith("inputs/")
    }
    assert world.damage() == []


def test_the_verb(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name, value in (
        ("PUBLISHED_ROOT", world.published.root),
        ("WORK_ROOT", world.work.root),
        ("RETENTION__CYCLES", "1"),
        ("RETENTION__MEMBERS_DAYS", "20"),
    ):
        monkeypatch.setenv(f"STORMCAST_TW_{name}", value)
    settings.cache_clear()
    now = datetime.now(UTC)
    for cycle in cycles(2):
        world.forecast(cycle, now - timedelta(days=15))

    def verb(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["stormcast-tw", "prune", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    before = world.held()
    planned = json.loads(verb("--dry-run", "--json"))
    assert [removal["what"] for removal in planned["removals"]] == ["artifact"] * 2
    assert (planned["removed"], world.held()) == (False, before)
    assert "would go: 2 of 2" in verb("--dry-run")
    assert "removed: 2 of 2" in verb()
    assert verb() == "removed: 0 of 0, 0.0 MB\n"
    monkeypatch.setenv("STORMCAST_TW_RETENTION__MEMBERS_DAYS", "401")
    settings.cache_clear()
    monkeypatch.setattr(sys, "argv", ["stormcast-tw", "prune"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "members_days is 401; allowed at most products_days, 400" in capsys.readouterr().err
