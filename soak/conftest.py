"""The soak uses the fixtures of the suite, and ends with what every row said, for the report in docs/SOAK.md."""

from __future__ import annotations

import pytest

from tests.conftest import *  # noqa: F403


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            name = report.nodeid.rsplit("[", 1)[-1].rstrip("]")
            for said in (value for key, value in report.user_properties if key == "said"):
                terminalreporter.write_line(f"| {name} | {outcome} | {_short(str(said))} |")


def _short(said: str) -> str:
    """Leave out the folder of the test."""
    words = (word.rsplit("/", 1)[-1] if word.startswith("/") or "/pytest-" in word else word for word in said.split())
    return " ".join(words).replace("|", "\\|")
