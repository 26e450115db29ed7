"""Logs: one JSON object a line where asked (`STORMCAST_TW_LOG=json`), and no secret in any of them.

`logging.yml` beside this module configures Prefect's loggers with `JsonFormatter`; `Settings.prefect_environment`
points Prefect to it. A secret is what a variable of the environment with a telling name holds, a `SecretStr` of the
settings, or what stands where URLs have credentials.
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from stormcast_tw.settings import settings

MASK = "***"
SHORTEST = 6
"""Characters: what is shorter is no secret, and masking it would spoil other words."""
_TELLING = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|AUTH_STRING|CONNECTION_URL|ALARM_URL|API_KEY|_S3_KEY")
_IN_URL = (
    (re.compile(r"(\w://)(?:[^\s/@]{0,300}|[^\s/:@]{1,100}:(?!\d+(?:/|$))\S{0,300}?)@"), rf"\g<1>{MASK}@"),
    (
        re.compile(
            r"(?i)([?&](?:[\w-]*(?:token|secret|password|signature|credential|api_?key)|sig|key|authorization)=)[^&\s'\"]+"
        ),
        rf"\g<1>{MASK}",
    ),
    (re.compile(r"(?i)\b((?:authorization['\"]?\s*[:=]\s*['\"]?)?(?:bearer|basic)\s+)[\w.~+/=-]{6,}"), rf"\g<1>{MASK}"),
)
_OF_RUN = re.compile(r"\b[a-z_]+/[a-z0-9_-]+/(?P<cycle>\d{8}T\d{2}Z)/(?P<run>[0-9a-f]{12})\b")
_CYCLE = re.compile(r"\b\d{8}T(?:00|06|12|18)Z\b")


def masked(text: str) -> str:
    """Return a text with every secret that this process knows, and every credential in a URL, replaced."""
    known = _pattern(tuple(sorted(set(_secrets()), key=lambda secret: (-len(secret), secret))))
    if known is not None:
        text = known.sub(MASK, text)
    for pattern, replacement in _IN_URL:
        text = pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=4)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(re.escape, secrets))) if secrets else None


def _secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        if _TELLING.search(name):
            password = value.partition(":")[2] if name.endswith("AUTH_STRING") else ""  # of `user:password`
            yield from (secret for secret in (value, password) if len(secret) >= SHORTEST)
    try:
        yield from _of_fields(settings())
    except (ValidationError, ValueError):
        return  # wrong settings are said elsewhere


def _of_fields(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        if len(secret := value.get_secret_value()) >= SHORTEST:
            yield secret
    elif isinstance(value, BaseModel):
        yield from _of_all(getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        yield from _of_all(value.values())


def _of_all(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield from _of_fields(value)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message; cycle, run and stage where they are known.

    They are the record's own attributes (`extra=`), else what an address in the message says, else Prefect's name of
    the task (`stage`), and the cycle that the name of the flow or task run begins with, or the only one in the message.
    """

    def __init__(self, *_: object) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message, flow_run = record.getMessage(), getattr(record, "flow_run_name", None)
        address = _OF_RUN.search(message)
        known = address.groupdict() if address else {}
        line = {
            "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            "cycle": getattr(record, "cycle", None) or known.get("cycle") or _cycle(record, message),
            "run": getattr(record, "run", None) or known.get("run"),
            "stage": getattr(record, "stage", None) or getattr(record, "task_name", None),
            "flow_run": flow_run,
            "exception": self._exception(record),
        }
        text = {name: masked(str(said)) for name, said in line.items() if said is not None}
        return json.dumps(text, ensure_ascii=False)

    def _exception(self, record: logging.LogRecord) -> str | None:
        return record.exc_text or (self.formatException(record.exc_info) if record.exc_info else None)


def _cycle(record: logging.LogRecord, message: str) -> str | None:
    for name in ("flow_run_name", "task_run_name"):
        if found := _CYCLE.match(str(getattr(record, name, ""))):
            return found.group()
    named = set(_CYCLE.findall(message))
    return named.pop() if len(named) == 1 else None


def mask_every_record() -> None:
    """Let no log record of this process hold a secret, whichever handler takes it; may be called again."""
    make = logging.getLogRecordFactory()
    if getattr(make, "masks", False):
        return

    def made(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        record.msg, record.args = masked(record.getMessage()), None
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = masked("".join(traceback.format_exception(*record.exc_info)).rstrip())
        return record

    made.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(made)


def json_line(message: str, level: int = logging.ERROR) -> str:
    """Return a message as one line of the log of the command line."""
    return JsonFormatter().format(logging.LogRecord("stormcast_tw.cli", level, "", 0, message, None, None))
