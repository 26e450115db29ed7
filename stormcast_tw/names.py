"""Names that become part of a path, and text that is printed.

Each name is matched whole, so that none can lead out of the folder it belongs to.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from stormcast_tw.errors import Refused

OPERATIONAL = "oper"
"""The one experiment that responders act on; it refuses everything simulated or untrained."""


@dataclass(frozen=True)
class NameRule:
    """What one kind of name may look like: a pattern for the whole name, and the same in words."""

    what: str
    pattern: str
    words: str

    def require(self, text: str) -> str:
        """Return the name; raises ValueError with what is allowed."""
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(f"{self.what} {text!r}: allowed: {self.words}")
        return text

    @property
    def json_schema(self) -> dict[str, Any]:
        """The rule for whoever checks JSON; `$` alone would let a line break at the end pass in Python."""
        return {"type": "string", "pattern": f"^{self.pattern}$(?!\\n)", "description": f"Allowed: {self.words}."}


EXPERIMENT = NameRule(
    "experiment", "[a-z][a-z0-9_-]{0,31}", "a lower-case letter, then up to 31 lower-case letters, digits, _ or -"
)
KIND = NameRule("kind of artifact", "[a-z][a-z_]{0,31}", "lower-case letters and _")
RUN = NameRule("run", "[0-9a-f]{12}", "12 hexadecimal digits")
WEIGHTS = NameRule(
    "weights file", r"[a-z0-9][a-z0-9_-]{0,63}\.safetensors", "lower-case letters, digits, _ and -, then .safetensors"
)
PACKAGE = NameRule("package name", "[a-z0-9][a-z0-9_.-]{0,63}", "lower-case letters, digits, _, . and -")
VERSION = NameRule("version", "[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}", "letters, digits, ., +, _ and -, at most 64")
SHA256 = NameRule("sha256", "[0-9a-f]{64}", "64 hexadecimal digits")

ExperimentName = Annotated[str, AfterValidator(EXPERIMENT.require), WithJsonSchema(EXPERIMENT.json_schema)]
KindName = Annotated[str, AfterValidator(KIND.require), WithJsonSchema(KIND.json_schema)]
RunId = Annotated[str, AfterValidator(RUN.require), WithJsonSchema(RUN.json_schema)]
WeightsFile = Annotated[str, AfterValidator(WEIGHTS.require), WithJsonSchema(WEIGHTS.json_schema)]
PackageName = Annotated[str, AfterValidator(PACKAGE.require), WithJsonSchema(PACKAGE.json_schema)]
VersionName = Annotated[str, AfterValidator(VERSION.require), WithJsonSchema(VERSION.json_schema)]
Sha256 = Annotated[str, AfterValidator(SHA256.require), WithJsonSchema(SHA256.json_schema)]


def _printable(text: str) -> str:
    if not text.isprintable():
        found = next(character for character in text if not character.isprintable())
        raise ValueError(f"the character {found!r} cannot be printed; allowed: one line of printable characters")
    return text


Text = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]
"""Free text of one line. Terminals obey what cannot be printed: escape codes, text that runs from right to left."""


def is_operational(experiment: str) -> bool:
    """True for the operational experiment, however it is written."""
    return unicodedata.normalize("NFKC", experiment).strip().casefold() == OPERATIONAL


def leads_out(path: str) -> bool:
    """True for a path that is not below the folder it is joined to: absolute, with a step up, or with a NUL."""
    parts = path.replace("\\", "/").split("/")
    return path.startswith(("/", "\\")) or ".." in parts or "\0" in path


def require_inside(root: str, path: str) -> str:
    """Return a path that is to be joined to a root; raises Refused where it would lead out of it."""
    if leads_out(path):
        raise Refused(f"{root}: path {path!r} leads out of it")
    return path
