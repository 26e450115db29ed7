"""The exception tree: one question, "would waiting help?", decides between retry and refusal.

::

    StormcastError
    ├── NotReady       an input does not exist yet
    ├── Unreachable    a store gives no complete answer: tasks retry, then a stand-in serves
    └── Refused        waiting will not help: stop and tell a human
        ├── BadInput       unreadable, truncated, NaN, out of range, wrong grid or time
        ├── BadPackage     unreadable, too large, or its digest, variables or grid do not match
        └── Conflict       a sealed artifact would be overwritten

Every message names the file or address, the variable, the number found and the number allowed.
"""

from typing import ClassVar


class StormcastError(Exception):
    """Anything this project raises on purpose. `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1


class NotReady(StormcastError):
    """An input does not exist yet; asking again later may succeed."""

    exit_code = 4


class Unreachable(StormcastError):
    """A store answers with a server error, too late, incompletely, or not at all."""


class Refused(StormcastError):
    """Waiting will not help: a human has to look."""


class _OfForeignFile(Refused):
    """Its message is one line of printable characters, whatever characters the names in a foreign file contain."""

    def __init__(self, message: str):
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


class BadInput(_OfForeignFile):
    """A file or array that is unreadable, incomplete, out of range, or of the wrong grid or time."""


class BadPackage(_OfForeignFile):
    """A model package that is unreadable, asks for more than a machine can do, or whose parts do not match."""


class Conflict(Refused):
    """A sealed artifact would be overwritten, or a pointer was moved by somebody else."""
