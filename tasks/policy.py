"""All retry and timeout numbers of the project."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import aiohttp
import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from stormcast_tw.errors import Unreachable

P = ParamSpec("P")
R = TypeVar("R")

NETWORK_ERRORS = (Unreachable, ConnectionError, TimeoutError, aiohttp.ClientError, httpx.HTTPError)
"""Errors that may pass by themselves and are retried; httpx's are those of Prefect's own client. All others are for a
human, or for readiness."""


@dataclass(frozen=True)
class Policy:
    """How long a task may take, and how often it is tried again after a network error."""

    timeout_seconds: float
    retries: int = 3
    retry_delay_seconds: tuple[float, ...] = (2.0, 8.0, 30.0)
    retry_jitter_factor: float = 0.5


POLICIES = {
    # Waits for the inputs until the deadline of the cycle, three hours after init_time.
    "await": Policy(timeout_seconds=4 * 3600),
    # A full-globe GRIB of three leads is about 0.4 GB; ten minutes allow 0.7 MB/s.
    "fetch": Policy(timeout_seconds=600),
    # A cycle of a backfill is a flow of its own, whose tasks have retries of their own.
    "cycle": Policy(timeout_seconds=8 * 3600, retries=0, retry_delay_seconds=()),
    # Reads what was fetched and one hour of the forecast before; with a slow store, a minute.
    "examine": Policy(timeout_seconds=600),
    "regrid": Policy(timeout_seconds=600),
    # The rollout has a deadline of its own, in its child process; this one is only a safety net. A device that hung, or
    # a store that was away, gets one more chance: what was stored is kept.
    "rollout": Policy(timeout_seconds=6 * 3600, retries=1, retry_delay_seconds=(5.0,)),
    "products": Policy(timeout_seconds=900),
    "publish": Policy(timeout_seconds=900),
    # A year of archive takes hours on one machine; each part has retries of its own (training_data.workers).
    "training_data": Policy(timeout_seconds=7 * 86400, retries=0, retry_delay_seconds=()),
    # A training watches itself (training.health) and resumes from its checkpoint when the flow is run again.
    "training": Policy(timeout_seconds=30 * 86400, retries=0, retry_delay_seconds=()),
    # Seconds a run; an archive that others write to is tried again by itself.
    "export": Policy(timeout_seconds=1800),
    # Requests to Prefect's server, whose client repeats them by itself.
    "reconcile": Policy(timeout_seconds=1200, retries=1, retry_delay_seconds=(10.0,)),
    # A day's worth is seconds; the first time there may be months. A kill in between is ended by the next.
    "prune": Policy(timeout_seconds=6 * 3600),
    # Scores of one cycle take seconds; a first run scores a month.
    "verify": Policy(timeout_seconds=3 * 3600),
}


def is_network_error(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """True when the task failed by an error that may pass by itself, or because of one."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, NETWORK_ERRORS) or isinstance(getattr(error, "__cause__", None), NETWORK_ERRORS)


def task_under(policy: str, run_name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task under one of the POLICIES. Results are manifests; the store, not Prefect, keeps them.

    `run_name` is a template of the task's parameters, e.g. "{cycle}"; by default the function's name.
    """
    chosen = POLICIES[policy]
    decorate = functools.partial(
        task,
        retries=chosen.retries,
        retry_delay_seconds=list(chosen.retry_delay_seconds),
        retry_jitter_factor=chosen.retry_jitter_factor,
        retry_condition_fn=is_network_error,
        timeout_seconds=chosen.timeout_seconds,
        cache_policy=NO_CACHE,
        persist_result=False,
    )

    def decorated(function: Callable[P, R]) -> Task[P, R]:
        return cast("Task[P, R]", decorate(function, task_run_name=run_name or function.__name__))

    return decorated
