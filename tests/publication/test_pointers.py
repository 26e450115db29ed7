"""Pointers: forward by publishing, anywhere by a person, who is recorded; damaged ones are never believed."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from stormcast_tw.cli.__main__ import run as main
from stormcast_tw.errors import BadInput, Conflict, NotReady
from stormcast_tw.publication import pointers
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Address, Artifact
from stormcast_tw.storage.store import Store
from tests.cli.conftest import plan_without_package
from tests.conftest import CYCLE, NOW

OLDER, NEWER, FUTURE = str(CYCLE), "20260611T12Z", "20990101T00Z"
LATEST = "published/demo/latest.json"


def publish(store: Store, cycle: str) -> Artifact:
    """Seal a published run without content, and point at it."""
    address = Address(kind="published", experiment="demo", cycle=cycle, run="a" * 12)
    draft = store.begin(address, plan_without_package())
    draft.put("products.nc", b"products")
    run = draft.seal(grid={}, variables=(), parents=(), simulated=True, now=NOW)
    pointers.point_at(store, run)
    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "published"))
    publish(store, OLDER)
    publish(store, NEWER)
    return store


def move(store: Store, cycle: str, seconds: int = 0) -> pointers.Move | None:
    return pointers.move_latest(store, "demo", cycle, "forecaster", "winds are wrong", NOW + timedelta(seconds=seconds))


def newest(store: Store) -> str:
    found = pointers.latest(store, "demo")
    assert found is not None
    return found.address.cycle


def test_a_person_moves_latest_back_and_it_is_recorded(store: Store):
    before = store.read_pointer(LATEST).value
    moved = move(store, OLDER)
    assert newest(store) == OLDER
    assert pointers.moves(store, "demo") == [moved]
    assert moved is not None
    assert (moved.who, moved.why, moved.at) == ("forecaster", "winds are wrong", NOW)
    assert moved.before == pointers.Entry.model_validate(before)
    assert moved.after == pointers.Entry.model_validate(store.read_pointer(LATEST).value)
    assert move(store, OLDER, 1) is None, "it is there already"
    assert len(pointers.moves(store, "demo")) == 1


def test_publishing_again_does_not_undo_a_move_but_a_newer_cycle_and_a_person_do(store: Store):
    move(store, OLDER)
    bad = store.get(Address(kind="published", experiment="demo", cycle=NEWER, run="a" * 12))
    pointers.point_at(store, bad)
    assert newest(store) == OLDER
    publish(store, "20260611T18Z")
    assert newest(store) == "20260611T18Z"
    move(store, NEWER, 1)
    assert newest(store) == NEWER
    pointers.point_at(store, bad)
    assert newest(store) == NEWER


@pytest.mark.parametrize("pinned", ["a run of 2099", "no run of 2099", "no pointer"])
def test_a_pointer_to_the_future_is_undone(store: Store, pinned: str):
    run = publish(store, FUTURE)
    if pinned != "a run of 2099":
        store.objects.remove(str(run.address))
    if pinned == "no pointer":
        store.objects.replace(LATEST, b'{"run": ')
    publish_again = store.get(Address(kind="published", experiment="demo", cycle=NEWER, run="a" * 12))
    if pinned != "no pointer":
        pointers.point_at(store, publish_again)
        assert json.loads(Path(store.root, LATEST).read_bytes())["init_time"].startswith("2099"), "it is pinned"
    moved = move(store, NEWER)
    assert newest(store) == NEWER
    assert moved is not None
    assert (moved.before == '{"run": ') if pinned == "no pointer" else (moved.before.init_time.year == 2099)
    publish(store, "20260611T18Z")
    assert newest(store) == "20260611T18Z"


def test_what_cannot_be_pointed_at_is_refused_and_nothing_moves(store: Store, monkeypatch: pytest.MonkeyPatch):
    before = store.objects.read(LATEST)
    with pytest.raises(NotReady, match=r"20260610T00Z/chosen\.json: not there: no run of that cycle is published"):
        move(store, "20260610T00Z")
    store.objects.replace(f"published/demo/{OLDER}/{'a' * 12}/products.nc", b"other bytes")
    with pytest.raises(BadInput, match=r"products\.nc: has other bytes than were sealed"):
        move(store, OLDER)
    publish(store, "20260610T18Z")
    assert store.objects.read(LATEST) == before
    swap = store.objects.swap

    def once(path: str, seen: str | None, data: bytes) -> bool:
        monkeypatch.setattr(store.objects, "swap", swap)
        publish(store, "20260611T18Z")
        return swap(path, seen, data)

    monkeypatch.setattr(store.objects, "swap", once)
    with pytest.raises(Conflict, match=r"latest\.json: was moved by somebody else meanwhile"):
        move(store, "20260610T18Z")
    assert newest(store) == "20260611T18Z"
    assert pointers.moves(store, "demo") == [], "no record of what did not happen"


def test_every_flipped_bit_of_a_pointer_is_found_out_or_changes_nothing(store: Store):
    """A pointer has no checksum: it says cycle and run twice, and must agree with the run's manifest."""
    said, right = store.objects.read(LATEST), pointers.latest(store, "demo")
    assert said is not None
    refused: list[str] = []
    for place in range(len(said.data)):
        for bit in range(8):
            flipped = bytearray(said.data)
            flipped[place] ^= 1 << bit
            Path(store.root, LATEST).write_bytes(flipped)
            try:
                assert pointers.latest(store, "demo") == right
            except BadInput as error:
                refused.append(str(error))
    assert all(f"{store.root}/{LATEST}: " in text for text in refused)
    assert len(refused) > 0.8 * 8 * len(said.data)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stormcast-tw", "catalogue", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_verb_moves_lists_and_refuses(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("STORMCAST_TW_PUBLISHED_ROOT", store.root)
    monkeypatch.delenv("USER", raising=False)
    settings.cache_clear()
    move_it = ("latest", "--cycle", OLDER, "--why", "winds are wrong")
    assert run(monkeypatch, *move_it) == 2
    assert "--who where $USER is not set" in " ".join(capsys.readouterr().err.replace("│", " ").split())
    monkeypatch.setenv("USER", "forecaster")
    assert run(monkeypatch, *move_it) == 0
    said = capsys.readouterr().out
    assert f"experiment demo: latest is published/demo/{OLDER}/{'a' * 12}\n" in said
    moved = (
        f"UTC, forecaster: from {NEWER}/{'a' * 12}/manifest.json to {OLDER}/{'a' * 12}/manifest.json: winds are wrong"
    )
    assert moved in said
    assert run(monkeypatch, "latest", "--json") == 0
    (recorded,) = json.loads(capsys.readouterr().out)["moves"]
    assert recorded["after"]["init_time"] == "2026-06-11T06:00:00Z"
    assert run(monkeypatch, "latest", "--cycle", "20260610T00Z", "--why", "x") == 4
    assert "chosen.json: not there" in capsys.readouterr().err
    assert run(monkeypatch, "latest", "--cycle", "20260611T07Z", "--why", "x") == 2
