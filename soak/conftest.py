"""The soak uses the fixtures of the suite."""

from tests.conftest import *  # noqa: F403
