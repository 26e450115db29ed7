"""Network errors are tried again, everything else is not."""

import pytest
from prefect import flow

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.tasks.policy import POLICIES, Policy, task_under

LONGEST = {"cycle": 8 * 3600, "training_data": 7 * 86400, "training": 30 * 86400}
"""A task of a forecast may take a part of a cycle, a cycle of a backfill all its tasks; what is trained takes days."""


def calls_until_it_ends(errors: list[Exception]) -> tuple[int, Exception | None]:
    """Run a task that raises these errors in turn, then returns; how often it was called, and how it ended."""
    remaining, seen = list(errors), 0

    def flaky() -> int:
        nonlocal seen
        seen += 1
        if remaining:
            raise remaining.pop(0)
        return seen

    task = task_under("fetch")(flaky).with_options(retry_delay_seconds=0)

    @flow
    def once() -> None:
        task()

    try:
        once()
    except Exception as error:  # noqa: BLE001
        return seen, error
    return seen, None


def test_network_errors_are_tried_again():
    assert calls_until_it_ends([ConnectionResetError("reset"), TimeoutError("slow")]) == (3, None)


def test_network_errors_end_after_the_last_retry():
    errors: list[Exception] = [ConnectionResetError(str(n)) for n in range(9)]
    seen, ended = calls_until_it_ends(errors)
    assert seen == 1 + POLICIES["fetch"].retries
    assert isinstance(ended, ConnectionResetError)


@pytest.mark.parametrize("error", [BadInput("broken"), NotReady("late"), PermissionError("denied"), ValueError("odd")])
def test_other_errors_are_for_a_human(error: Exception):
    seen, ended = calls_until_it_ends([error])
    assert seen == 1
    assert type(ended) is type(error)


@pytest.mark.parametrize(("name", "policy"), POLICIES.items(), ids=list(POLICIES))
def test_every_policy_is_bounded(name: str, policy: Policy):
    assert 0 < policy.timeout_seconds <= LONGEST.get(name, 6 * 3600)
    assert len(policy.retry_delay_seconds) == policy.retries
