"""Logs as JSON, and secrets that were planted: in no log, manifest or error."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stormcast_tw.cli.__main__ import run as main
from stormcast_tw.errors import NotReady
from stormcast_tw.operations.logs import JsonFormatter, mask_every_record, masked
from stormcast_tw.settings import Settings, settings
from stormcast_tw.storage.artifact import Address
from stormcast_tw.storage.store import Store
from tests.conftest import NOW

PLANTED = {
    "STORMCAST_TW_S3_SECRET": "pl4nted-s3/secret+1",
    "STORMCAST_TW_PROVIDERS__AIFS__SECRET": "pl4nted-provider-secret",
    "STORMCAST_TW_ALARM_URL": "https://hooks.example/services/pl4nted-hook",
    "PREFECT_API_AUTH_STRING": "admin:pl4nted-password",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://prefect:pl4nted-db@db/prefect",
    "AWS_SESSION_TOKEN": "pl4nted-session",
}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STORMCAST_TW_S3_KEY", "PL4NTEDKEY")
    settings.cache_clear()


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    factory = logging.getLogRecordFactory()
    logger, stream = logging.getLogger("stormcast_tw.test"), io.StringIO()
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream
    logging.setLogRecordFactory(factory)
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("s3://KEY:sec/ret@bucket/x", "s3://***@bucket/x"),
        ("https://token@host/x: gone", "https://***@host/x: gone"),
        ("postgresql+asyncpg://a:b@h/d and http://c:d@h", "postgresql+asyncpg://***@h/d and http://***@h"),
        ("GET /x?Authorization=CWA-1&n=1 HTTP", "GET /x?Authorization=***&n=1 HTTP"),
        ("u?X-Amz-Credential=a%2Fb&X-Amz-Signature=0f", "u?X-Amz-Credential=***&X-Amz-Signature=***"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("s3://bucket/user@x and http://host:9000/a@b", "s3://bucket/user@x and http://host:9000/a@b"),
        ("published/demo/20260611T06Z/abcdefabcdef: sealed", "published/demo/20260611T06Z/abcdefabcdef: sealed"),
    ],
)
def test_credentials_in_addresses(text: str, clean: str):
    assert masked(text) == clean


@pytest.mark.usefixtures("planted")
def test_no_planted_secret_in_a_record_of_any_handler(log: tuple[logging.Logger, io.StringIO]):
    logger, stream = log
    mask_every_record()
    mask_every_record()
    for value in PLANTED.values():
        logger.warning("asked with %s", value)
        try:
            raise OSError(f"denied: {value}")
        except OSError:
            logger.exception("failed")
    logger.warning("the password is %s", PLANTED["PREFECT_API_AUTH_STRING"].partition(":")[2])
    said = stream.getvalue()
    assert "pl4nted" not in said, said
    assert said.count("asked with ***") == len(PLANTED)
    assert said.count("OSError: denied: ***") == len(PLANTED)


@pytest.mark.usefixtures("planted")
def test_no_planted_secret_in_manifests_and_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    store = Store(settings().work_root)
    draft = store.begin(Address(kind="inputs", experiment="demo", cycle="20260611T06Z", run="a" * 12), {"of": "this"})
    draft.put("a.bin", b"1")
    draft.seal(grid={}, variables=(), parents=(settings().inputs_root,), simulated=True, now=NOW)
    for path in Path(store.root).rglob("*"):
        assert not path.is_file() or b"pl4nted" not in path.read_bytes().lower(), path
    assert "pl4nted" not in repr(settings()).replace("PL4NTEDKEY", "")
    for style in ("text", "json"):
        monkeypatch.setenv("STORMCAST_TW_LOG", style)
        for name, value in PLANTED.items():
            monkeypatch.setattr("stormcast_tw.cli.__main__.app", lambda value=value, **_: fail(value))
            with pytest.raises(SystemExit) as ended:
                main()
            said = capsys.readouterr().err
            assert (ended.value.code, said.count("\n"), "pl4nted" in said) == (4, 1, False), name
            if style == "json":
                line = json.loads(said)
                assert (line["level"], line["message"]) == ("error", "NotReady: no answer with ***")


def fail(value: str) -> None:
    raise NotReady(f"no answer with {value}")


@pytest.mark.parametrize("name", ["INPUTS_ROOT", "PUBLISHED_ROOT", "S3_ENDPOINT", "PROVIDERS__AIFS__ROOT"])
def test_an_address_with_credentials_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """It would stand in manifests, which name where inputs came from."""
    monkeypatch.setenv(f"STORMCAST_TW_{name}", "s3://KEY:pl4nted/secret@bucket/x")
    settings.cache_clear()
    monkeypatch.setattr(sys, "argv", ["stormcast-tw", "catalogue"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert (ended.value.code, "pl4nted" in said, "holds credentials" in said) == (2, False, True)


def test_addresses_with_a_port_and_without_credentials_are_allowed():
    assert Settings(s3_endpoint="http://127.0.0.1:9000/a@b", inputs_root="s3://bucket/user@x").log == "text"


def test_a_line_says_cycle_run_and_stage_where_they_are_known():
    def line(message: str, **extra: object) -> dict[str, str]:
        record = logging.LogRecord("prefect.task_runs", logging.INFO, "", 0, message, None, None)
        record.created = 1_795_331_696.789
        vars(record).update(extra)
        text = JsonFormatter("default", None, "%").format(record)
        assert "\n" not in text
        return json.loads(text)

    found = line(
        "run `published/demo/20260611T06Z/abcdefabcdef` 已發布", flow_run_name="20260611T06Z-demo", task_name="publish"
    )
    assert found == {
        "time": "2026-11-22T07:14:56.789000Z",
        "level": "info",
        "logger": "prefect.task_runs",
        "message": "run `published/demo/20260611T06Z/abcdefabcdef` 已發布",
        "cycle": "20260611T06Z",
        "run": "abcdefabcdef",
        "stage": "publish",
        "flow_run": "20260611T06Z-demo",
    }
    assert set(line("nothing is known")) == {"time", "level", "logger", "message"}
    assert line("said", cycle="20260611T12Z", run="b" * 12, stage="fetch")["run"] == "b" * 12
    span = "backfill-20260610T00Z-20260611T06Z"
    assert "cycle" not in line(f"Beginning flow run {span}", flow_run_name=span), "no cycle, but a span of them"
    assert line("skipped", flow_run_name=span, task_run_name="20260610T06Z")["cycle"] == "20260610T06Z"
    assert line("two\nlines")["message"] == "two\nlines"


SCRIPT = """
import logging, os
from stormcast_tw.settings import settings
settings().use_prefect_home()
from prefect import flow
import stormcast_tw.flows
logging.getLogger("prefect.flow_runs").info("with %s", os.environ["STORMCAST_TW_S3_SECRET"],
    extra={"flow_run_name": "20260611T06Z-demo"})
print([type(handler).__name__ for handler in logging.getLogger("prefect.flow_runs").handlers])
"""


def test_prefect_takes_the_configuration(tmp_path: Path):
    environment = os.environ | PLANTED | {"STORMCAST_TW_LOG": "json", "STORMCAST_TW_PREFECT_HOME": str(tmp_path / "p")}
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_DATABASE_CONNECTION_URL"):
        environment.pop(name)
    environment["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stdout) == (0, "['APILogHandler']\n"), done.stderr
    (line,) = (json.loads(line) for line in done.stderr.splitlines())
    assert (line["message"], line["cycle"]) == ("with ***", "20260611T06Z")
