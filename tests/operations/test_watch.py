"""Is what is published fresh enough: words, numbers, exit codes and the two addresses a probe asks."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest

from stormcast_tw.cli.__main__ import run as main
from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import BadInput, Refused
from stormcast_tw.operations import watch, watch_server
from stormcast_tw.publication import pointers
from stormcast_tw.publication.catalogue import Published
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Address
from stormcast_tw.storage.store import Store
from tests.cli.conftest import plan_without_package
from tests.servers import S3Server

CYCLE = Cycle.parse("20261122T06Z")
INPUTS = (
    {"input": "state", "served by": "rwrp", "status": "ready", "initialised (UTC)": "2026-11-22 05:00"},
    {"input": "rain", "served by": 'a "b"\\', "status": "degraded", "initialised (UTC)": ""},
)


def at(hour: int, minute: int, day: int = 22) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def publish(store: Store, cycle: Cycle = CYCLE) -> None:
    address = Address(kind="published", experiment="oper", cycle=str(cycle), run="a" * 12)
    draft = store.begin(address, plan_without_package())
    draft.put("products.nc", b"products")
    details = Published(
        inputs=INPUTS, status="degraded", seconds_per_member_hour=0.25, stage_seconds={"roll_out": 64.5}
    )
    now = cycle.init_time
    run = draft.seal(grid={}, variables=(), parents=(), simulated=False, now=now, details=details)
    pointers.point_at(store, run)


@pytest.fixture
def store() -> Store:
    return Store(settings().published_root)


def look(now: datetime) -> watch.Watched:
    return watch.look(settings(), "oper", now)


def test_what_is_said_in_both_languages(store: Store):
    nothing = look(at(7, 0))
    assert not nothing.fine
    assert nothing.text.startswith("stormcast-tw oper: 尚未發布任何預報 / nothing is published\n處置：")
    publish(store)
    fresh = look(at(7, 20))
    assert (fresh.fine, fresh.text.splitlines()) == (
        True,
        [
            "stormcast-tw oper: 預報為最新 / the forecast is fresh",
            "- 最新 / newest: 20261122T06Z, 2026-11-22 14:00 臺灣時間 / 2026-11-22 06:00 UTC, 距起報 / age 1 h 20 min",
            "- 下次 / next: 20261122T12Z, 預計發布 / expected 2026-11-22 20:30 臺灣時間 / 2026-11-22 12:30 UTC",
        ],
    )
    assert (look(at(14, 0)).fine, "LATE" in look(at(14, 0)).text) == (True, True)
    stale = look(at(1, 0, day=23))
    assert not stale.fine
    assert "預報已過時，請勿使用 / the forecast is STALE; do not rely on it" in stale.text
    assert "逾時未發布 3 個週期 / cycles overdue: 3" in stale.text, "12Z, 18Z and 00Z"
    assert stale.text.count("`stormcast-tw forecast --cycle 20261123T00Z --experiment oper`") == 2
    assert "台" not in stale.text


def test_what_cannot_be_trusted_is_an_error_not_an_answer(store: Store):
    publish(store)
    with pytest.raises(Refused, match="begins after"):
        look(CYCLE.init_time - timedelta(days=1))
    store.objects.replace("published/oper/latest.json", b"{")
    with pytest.raises(BadInput, match=r"latest\.json: is no whole pointer"):
        look(at(7, 0))


def samples(text: str) -> dict[str, float]:
    """Read Prometheus's text format as it is defined: every metric once, with help and type before its samples."""
    assert text.endswith("\n")
    found, family = {}, ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
        elif not line.startswith(f"# TYPE {family} gauge"):
            name, value = line.rsplit(" ", 1)
            assert name.startswith(f"{family}{{")
            found[name.removeprefix("stormcast_tw_")] = float(value)
    return found


def test_the_numbers(store: Store):
    publish(store)
    found = samples(watch.metrics(look(at(13, 0))))
    of = 'experiment="oper"'
    assert {name: value for name, value in found.items() if "disk" not in name} == {
        f"fresh_enough{{{of}}}": 1,
        f'state{{{of},state="fresh"}}': 1,
        f'state{{{of},state="late"}}': 0,
        f'state{{{of},state="stale"}}': 0,
        f"latest_age_seconds{{{of}}}": 7 * 3600,
        f"next_expected_in_seconds{{{of}}}": -1800,
        f"latest_degraded{{{of}}}": 1,
        f'input_degraded{{{of},input="state",served_by="rwrp"}}': 0,
        f'input_degraded{{{of},input="rain",served_by="a \\"b\\"\\\\"}}': 1,
        f'input_age_seconds{{{of},input="state"}}': 8 * 3600,
        f'stage_seconds{{{of},stage="roll_out"}}': 64.5,
        f"member_hours_per_second{{{of}}}": 4,
    }
    (free,) = (value for name, value in found.items() if name.startswith("disk_free_bytes"))
    assert free > 0


def test_on_s3_nothing_is_asked_of_a_disk(s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    for root in ("WORK_ROOT", "PUBLISHED_ROOT"):
        monkeypatch.setenv(f"STORMCAST_TW_{root}", s3.bucket())
    settings.cache_clear()
    publish(Store(settings().published_root))
    assert look(at(7, 0)).fine
    assert "disk" not in watch.metrics(look(at(7, 0)))


def test_the_verb_answers_by_its_exit_code(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def verb(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["stormcast-tw", "watch", "--experiment", "oper", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    assert verb()[0] == 1
    publish(store, Cycle.at_or_before(datetime.now(UTC)))
    code, said = verb("--json")
    assert (code, json.loads(said)["state"], json.loads(said)["status"]) == (0, "fresh", "degraded")
    assert samples(verb("--prometheus")[1])['fresh_enough{experiment="oper"}'] == 1


@pytest.fixture
def asked() -> Iterator[Callable[..., tuple[int, dict[str, str], str]]]:
    """Ask a server whose `look` is `asked.look`; returns status, headers and text."""
    looks: list[Callable[[], watch.Watched]] = []
    with watch_server.WatchServer("127.0.0.1", 0, lambda: looks[-1]()) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def ask(path: str, method: str = "GET", look: Callable[[], watch.Watched] | None = None):
            if look is not None:
                looks.append(look)
                server._until = 0.0
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
            connection.request(method, path)
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            return answer.status, dict(answer.headers), text

        ask.server = server  # type: ignore[attr-defined]
        yield ask
        server.shutdown()
        thread.join(20)


def test_two_addresses_answer_and_nothing_else(store: Store, asked):
    publish(store)
    status, headers, text = asked("/health", look=lambda: look(at(7, 0)))
    assert (status, text.splitlines()[0]) == (200, "stormcast-tw oper: 預報為最新 / the forecast is fresh")
    assert headers["Server"].strip() == "stormcast-tw"
    assert asked("/metrics?x=1")[0] == 200
    assert samples(asked("/metrics")[2])['fresh_enough{experiment="oper"}'] == 1
    status, headers, text = asked("/metrics", "HEAD")
    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 100
    for path in ("/", "/../etc/passwd", "/health/..%2f..%2fetc/passwd"):
        assert asked(path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE"):
        assert asked("/health", method)[0] == 501, method


def test_stale_and_unreadable_are_unhealthy_and_the_store_is_asked_once(store: Store, asked, tmp_path: Path):
    publish(store)
    assert asked("/health", look=lambda: look(at(7, 0, day=25)))[0] == HTTPStatus.SERVICE_UNAVAILABLE
    assert samples(asked("/metrics")[2])['fresh_enough{experiment="oper"}'] == 0
    calls: list[int] = []

    def fails() -> watch.Watched:
        calls.append(1)
        raise BadInput("https://someone:pass-word@store/latest.json: is no whole pointer")

    for path in ("/health", "/metrics", "/health"):
        status, _, text = asked(path, look=fails if not calls else None)
        assert (status, text) == (503, "BadInput: https://***@store/latest.json: is no whole pointer\n")
    assert len(calls) == 1


def test_connections_that_say_nothing_do_not_pile_up(store: Store, asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch_server._Handler, "timeout", 0.3)
    publish(store)
    seen = look(at(7, 0))
    address = ("127.0.0.1", asked.server.server_port)
    silent = [socket.create_connection(address, timeout=20) for _ in range(watch_server.MOST_AT_ONCE + 4)]
    closed = [one.recv(1) for one in silent]  # beyond the most at once, then after the patience: all of them
    assert closed == [b""] * len(silent)
    for one in silent:
        one.close()
    assert asked("/health", look=lambda: seen)[0] == 200
