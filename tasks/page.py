"""What a run shows on the Prefect page, and the events it emits: best effort. A server that is away costs no forecast.

One thread sends everything in order. What a server that is away did not take is sent again, for a quarter of an hour;
then it is given up, with a line in the log. Nothing here raises, and nothing here waits but `wait_until_shown`.
"""

from __future__ import annotations

import atexit
import contextvars
import queue
import random
import threading
import time
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import SyncClientContext
from prefect.events import Event as PrefectEvent
from prefect.exceptions import PrefectException
from prefect.flows import Flow
from prefect.logging import get_logger, get_run_logger
from prefect.runtime import flow_run as this_run

from stormcast_tw.cycle import Cycle
from stormcast_tw.operations.events import NEWS_LABEL, Event, cycle_resource, flow_resource, training_resource

SECONDS_BETWEEN_UPDATES = 2.0
PATIENCE_SECONDS = 900.0
"""For so long a server may be away before something is given up."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
SERVER_ERRORS = (httpx.HTTPError, PrefectException, OSError, RuntimeError)
"""What a server that is away, or not whole, answers with; RuntimeError: one that is just starting or ending."""

_waiting: queue.Queue[Callable[[], object]] = queue.Queue()
_starting = threading.Lock()
_sender: threading.Thread | None = None


def show_table(rows: list[dict[str, Any]], key: str, description: str) -> None:
    """Show a table on the page of the run."""
    _send(lambda: create_table_artifact(rows, key, description))


def show_markdown(text: str, key: str) -> None:
    """Show a text on the page of the run."""
    _send(lambda: create_markdown_artifact(text, key))


def artifact_key(what: str, cycle: Cycle) -> str:
    """Return the key of an artifact of the Prefect page: lower case and dashes."""
    return f"{what}-{cycle}".lower()


def emit(event: Event, cycle: Cycle, *, news: bool = True, **payload: object) -> None:
    """Emit an event of our vocabulary about a cycle. Only `news`, a change of state, rings an alarm."""
    _emit(event, cycle_resource(cycle), news, {"cycle": str(cycle), **payload})


def emit_training_event(event: Event, run: str, **payload: object) -> None:
    """Emit an event of our vocabulary about a training, by the name of its folder."""
    _emit(event, training_resource(run), True, {"run": run, **payload})


def emit_flow_event(event: Event, flow: str, **payload: object) -> None:
    """Emit an event of our vocabulary about a flow, by its name."""
    _emit(event, flow_resource(flow), True, {"flow": flow, **payload})


def report_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Emit that a run of a flow failed or crashed: the hook of every flow but the cycle's."""
    asked = ", ".join(f"{name} {value}" for name, value in flow_run.parameters.items() if value not in (None, {}, []))
    emit_flow_event(Event.RUN_FAILED, flow.name, reason=str(state.message), asked=asked, run=flow_run.name)


def _emit(event: Event, resource: str, news: bool, payload: dict[str, object]) -> None:
    labels = {"prefect.resource.id": resource, NEWS_LABEL: str(news).lower()}
    run = this_run.id
    related = [{"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.role": "flow-run"}] if run else []
    made = PrefectEvent.model_validate(
        {"event": event.value, "resource": labels, "related": related, "payload": payload}
    ).model_dump(mode="json")

    def post() -> None:
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=[made])

    _send(post)


class ProgressPage:
    """A progress artifact with a log line for each of its steps, at most one every two seconds, but always the last."""

    def __init__(self, key: str, text: str, share: float = 0.0) -> None:
        self._log, self._shown_at, self._share, self._is_waiting = get_run_logger(), 0.0, share, False
        self._artifact: UUID | None = None

        def create() -> None:
            self._artifact = cast("UUID", create_progress_artifact(_percent(self._share), key, text))

        _send(create)

    def show(self, share: float, line: str) -> None:
        """Show the share that is done, from 0 to 1, and log `line`."""
        now = time.monotonic()
        if now - self._shown_at < SECONDS_BETWEEN_UPDATES and share < 1.0:
            return
        self._shown_at, self._share = now, share
        self._log.info("%s", line)
        if not self._is_waiting:  # one that waits shows the newest share when its turn comes
            self._is_waiting = True
            _send(self._update)

    def _update(self) -> None:
        self._is_waiting = False
        if self._artifact is not None:
            update_progress_artifact(self._artifact, _percent(self._share))


def wait_until_shown(seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait until everything has been sent or given up, at most so long; True if so."""
    deadline = time.monotonic() + seconds
    while _waiting.unfinished_tasks and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _waiting.unfinished_tasks


def _send(action: Callable[[], object]) -> None:
    """Have an action carried out in the present context, after those before it."""
    global _sender
    context = contextvars.copy_context()
    _waiting.put(lambda: context.run(_with_own_client, action))
    with _starting:
        if _sender is None or not _sender.is_alive():
            _sender = threading.Thread(target=_send_all, name="page", daemon=True)
            _sender.start()


def _with_own_client(action: Callable[[], object]) -> None:
    """Carry an action out with a client of its own: that of its run is closed when the run has ended."""
    SyncClientContext.__var__.set(None)  # type: ignore[arg-type]
    action()


def _send_all() -> None:
    while True:
        action = _waiting.get()
        try:
            _send_patiently(action)
        finally:
            _waiting.task_done()


def _send_patiently(action: Callable[[], object]) -> None:
    pause, deadline = FIRST_PAUSE_SECONDS, time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            action()
        except SERVER_ERRORS as error:
            if time.monotonic() > deadline or not _may_pass(error):
                get_logger("page").warning("not shown on the Prefect page: %s: %s", type(error).__name__, error)
                return
            if pause == FIRST_PAUSE_SECONDS:
                get_logger("page").warning("not yet on the Prefect page: %s: %s", type(error).__name__, error)
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2.0 * pause, LONGEST_PAUSE_SECONDS)
        else:
            return


def _may_pass(error: BaseException) -> bool:
    """False for what a server that is whole refuses: it would refuse it again."""
    status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 500
    return status >= 500 or status in (408, 429)


def _percent(share: float) -> float:
    return round(100.0 * share, 1)


atexit.register(wait_until_shown)
